//! Writes the response object: the whole answer of a request, and what the first and last events of a stream hold.

use serde::Serialize;

use super::items::{Entry, Item};
use super::usage::{Written, written};
use crate::chat::Finish;
use crate::echo::Echo;
use crate::types::{Facts, Total};
use crate::write;
use wasmgate_base::usage::Usage;

/// What is the same in each object of one answer.
#[derive(Debug)]
pub(super) struct Object {
    /// The response's id, the same in the whole stream.
    pub(super) id: String,
    created: u64,
    model: String,
    echo: std::sync::Arc<Echo>,
}

/// How an answer stands.
pub(super) enum Standing<'a> {
    /// Not complete yet.
    InProgress,
    /// Ended, for this reason, with these totals.
    Ended(Option<Finish>, &'a Total, Option<Usage>),
    /// Failed.
    Failed(Error<'a>),
}

/// Why an answer failed.
#[derive(Serialize)]
pub(super) struct Error<'a> {
    pub(super) code: &'a str,
    pub(super) message: &'a str,
}

#[derive(Serialize)]
struct Response<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    status: &'static str,
    background: bool,
    error: Option<Error<'a>>,
    incomplete_details: Option<Incomplete>,
    model: &'a str,
    output: Vec<Item<'a>>,
    usage: Option<Written>,
}

#[derive(Serialize)]
struct Incomplete {
    reason: &'static str,
}

/// Why an answer with this finish reason is not complete, in this dialect's words; `None` if it is.
fn incomplete(finish: Option<Finish>) -> Option<&'static str> {
    match finish {
        Some(Finish::Length) => Some("max_output_tokens"),
        Some(Finish::ContentFilter) => Some("content_filter"),
        Some(Finish::Stop | Finish::StopSequence | Finish::ToolCalls) | None => None,
    }
}

impl Object {
    pub(super) fn new(facts: &Facts) -> Self {
        let id = write::id("resp_", &facts.request_id);
        let echo = facts.echo.clone().unwrap_or_default();
        Self { id, created: facts.created, model: facts.model.clone(), echo }
    }

    /// What its tools are called in the request.
    pub(super) fn echo(&self) -> &Echo {
        &self.echo
    }

    /// The status of an answer, as its last event is called: `completed`, `incomplete` or `failed`.
    pub(super) fn status(standing: &Standing<'_>) -> &'static str {
        match standing {
            Standing::InProgress => "in_progress",
            Standing::Ended(finish, ..) if incomplete(*finish).is_some() => "incomplete",
            Standing::Ended(..) => "completed",
            Standing::Failed(_) => "failed",
        }
    }

    /// Writes the object with these items.
    pub(super) fn append(&self, standing: Standing<'_>, entries: &[Entry], out: &mut Vec<u8>) {
        let status = Self::status(&standing);
        let (error, finish, usage) = match standing {
            Standing::InProgress => (None, None, None),
            Standing::Ended(finish, total, usage) => (None, incomplete(finish), Some(written(total, usage))),
            Standing::Failed(error) => (Some(error), None, None),
        };
        let item = |entry: &'_ Entry| if entry.done { "completed" } else { "incomplete" };
        write::append(
            &Response {
                id: &self.id,
                object: "response",
                created_at: self.created,
                status,
                background: false,
                error,
                incomplete_details: finish.map(|reason| Incomplete { reason }),
                model: &self.model,
                output: entries.iter().map(|entry| entry.written(item(entry))).collect(),
                usage,
            },
            out,
        );
        if !self.echo.members.is_empty() {
            out.pop(); // reopens the object
            out.push(b',');
            out.extend_from_slice(self.echo.members.as_bytes());
            out.push(b'}');
        }
    }
}
