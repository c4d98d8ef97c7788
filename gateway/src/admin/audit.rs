//! The audit log: one line for each request that would change something, whatever became of it. Never in it: bytes of
//! components, values of settings, the token.

use std::net::SocketAddr;

use hyper::Method;

use super::reply::{Kind, Problem};
use super::route::Found;

/// Longest part of a place's name that is logged: a stranger may send any.
const MAX_SLOT_CHARS: usize = 64;

/// An action whose line is written when it is closed, or dropped: then the gateway stopped in its middle.
pub(super) struct Audit {
    // `None` once the line is written, or where there is nothing to write.
    open: Option<Open>,
}

struct Open {
    action: &'static str,
    slot: String,
    remote: SocketAddr,
    detail: String,
}

impl Audit {
    /// Begins with a request. Reading is no action.
    pub(super) fn open(method: &Method, found: &Found<'_>, remote: SocketAddr) -> Self {
        let (action, slot) = match found {
            _ if method == Method::GET || method == Method::HEAD => return Self { open: None },
            Found::Route { route, slot } => (route.action().unwrap_or("unknown"), *slot),
            Found::WrongMethod { slot, .. } => ("unknown", *slot),
            Found::Nothing { .. } => ("unknown", ""),
        };
        let slot = slot.chars().take(MAX_SLOT_CHARS).collect();
        Self { open: Some(Open { action, slot, remote, detail: String::new() }) }
    }

    /// Says what it is about.
    pub(super) fn note(&mut self, detail: String) {
        if let Some(open) = &mut self.open {
            open.detail = detail;
        }
    }

    /// Writes the line.
    pub(super) fn close(mut self, problem: Option<&Problem>) {
        match problem {
            None => self.write("done", ""),
            Some(problem) if matches!(problem.kind, Kind::Unauthorized | Kind::Forbidden) => {
                self.write("denied", problem.for_audit());
            }
            Some(problem) => self.write("refused", problem.for_audit()),
        }
    }

    fn write(&mut self, outcome: &'static str, more: &str) {
        let Some(Open { action, slot, remote, detail }) = self.open.take() else { return };
        let between = if detail.is_empty() || more.is_empty() { "" } else { ": " };
        // As a string, which a log for people quotes: a stranger's text cannot pass for a line of its own.
        let detail = format!("{detail}{between}{more}");
        tracing::info!(target: "audit", action, slot, outcome, detail, %remote, "operator action");
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.write("refused", "the gateway stopped or failed in its middle");
    }
}
