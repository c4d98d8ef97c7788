//! Writes native streams: one event `{"delta"}` for each piece of text, then one event with `"done": true` and the
//! members of a complete response.

use serde::Serialize;

use super::reply;
use crate::chat::{Delta, ToolCall};
use crate::types::{Facts, Total};
use crate::{sse, write};

/// Writes the native stream.
#[derive(Debug)]
pub(crate) struct Encoder {
    facts: Facts,
    /// The text so far; the last event repeats it.
    text: String,
    calls: Vec<ToolCall>,
}

#[derive(Serialize)]
struct Piece<'a> {
    delta: &'a str,
}

impl Encoder {
    /// An encoder for one stream.
    #[must_use]
    pub(crate) fn new(facts: Facts) -> Self {
        Self { facts, text: String::new(), calls: Vec::new() }
    }

    /// Writes one delta.
    pub(crate) fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => {
                out.extend_from_slice(b"data: ");
                write::append(&Piece { delta: &text }, out);
                out.extend_from_slice(b"\n\n");
                self.text.push_str(&text);
            }
            Delta::ToolCallStart { id, name, .. } => {
                self.calls.push(ToolCall { id, name, arguments: String::new() });
            }
            Delta::ToolCallArguments { index, fragment } => {
                if let Some(call) = self.calls.get_mut(index) {
                    call.arguments.push_str(&fragment);
                }
            }
            // The native dialect shows no thinking, streamed or not.
            Delta::Reasoning(_)
            | Delta::Start { .. }
            | Delta::Finish(_)
            | Delta::Usage { .. }
            | Delta::Other(_)
            | Delta::End
            | Delta::Failed(_) => {}
        }
    }

    /// Writes the end of a complete stream.
    pub(crate) fn end(&mut self, total: &Total, out: &mut Vec<u8>) {
        sse::data(&reply::ending(&self.text, &self.calls, &self.facts, total), out);
    }
}
