//! The audit log: one line for each request that would change something, whatever its outcome. It never contains bytes
//! of components, values of policies' settings, a key or the token.

use std::net::SocketAddr;

use hyper::Method;

use super::input;
use super::reply::{Kind, Problem};
use super::route::{Found, Route, Subject};
use wasmgate_accounts::without_keys;

/// Longest part of a name in the log, in characters. A stranger may send a name of any length.
const MAX_NAME_CHARS: usize = 64;

/// An action. Closing it writes its line; so does dropping it, because then the gateway stopped during the action.
pub(super) struct Audit {
    // `None` after the line is written, or if there is nothing to write.
    open: Option<Open>,
}

struct Open {
    action: &'static str,
    subject: Subject,
    name: String,
    remote: SocketAddr,
    detail: String,
}

impl Audit {
    /// Opens the audit entry of a request. Reading is not an action, nor is asking a policy again.
    pub(super) fn open(method: &Method, found: &Found<'_>, remote: SocketAddr) -> Self {
        let (action, subject, name) = match found {
            _ if method == Method::GET || method == Method::HEAD => return Self { open: None },
            Found::Route { route: Route::Ask, .. } => return Self { open: None },
            Found::Route { route, name } => (route.action().unwrap_or("unknown"), route.subject(), *name),
            Found::WrongMethod { name, .. } => ("unknown", Subject::Slot, *name),
            Found::Nothing { .. } => ("unknown", Subject::Slot, ""),
        };
        // Of a key it is set when it is known to be an id: it may be the key itself.
        let name = if subject == Subject::Key { String::new() } else { input::decoded(name).unwrap_or_default() };
        let name = name.chars().take(MAX_NAME_CHARS).collect();
        Self { open: Some(Open { action, subject, name, remote, detail: String::new() }) }
    }

    /// Sets the name of what the action is about, if the path has none.
    pub(super) fn name(&mut self, name: &str) {
        if let Some(open) = &mut self.open {
            open.name = name.chars().take(MAX_NAME_CHARS).collect();
        }
    }

    /// Sets the details of the action.
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
        let Some(Open { action, subject, name, remote, detail }) = self.open.take() else { return };
        let between = if detail.is_empty() || more.is_empty() { "" } else { ": " };
        // A string field, which the text format quotes: a stranger's text cannot forge a log line.
        let detail = format!("{detail}{between}{more}");
        // Whoever knows a key may give it in any place.
        let (name, detail) = (without_keys(&name), without_keys(&detail));
        let (name, detail) = (&*name, &*detail);
        match subject {
            Subject::Slot => {
                tracing::info!(target: "audit", action, slot = name, outcome, detail, %remote, "operator action");
            }
            Subject::Key => {
                tracing::info!(target: "audit", action, key = name, outcome, detail, %remote, "operator action")
            }
            Subject::Group => {
                tracing::info!(target: "audit", action, group = name, outcome, detail, %remote, "operator action");
            }
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.write("refused", "the gateway stopped or failed during the action");
    }
}
