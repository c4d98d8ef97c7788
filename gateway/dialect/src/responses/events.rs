//! Writes the events of a stream: each has a name, the same as its `type`, and a number.

use serde::Serialize;

use super::items::{Content, Item, Summary};
use crate::write;

/// Numbers the events of one stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    next: u64,
}

impl Events {
    /// Writes an event; `body` is an object with at least one member.
    pub(super) fn write(&mut self, name: &str, body: &impl Serialize, out: &mut Vec<u8>) {
        self.open(name, out);
        let at = out.len();
        write::append(body, out);
        // The body's brace becomes the comma after the number.
        out[at] = b',';
        out.extend_from_slice(b"\n\n");
    }

    /// Writes an event with a response object, which `response` appends.
    pub(super) fn write_response(&mut self, name: &str, response: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
        self.open(name, out);
        out.extend_from_slice(b",\"response\":");
        response(out);
        out.extend_from_slice(b"}\n\n");
    }

    /// Counts an event that another wrote.
    pub(super) fn skip(&mut self) {
        self.next += 1;
    }

    fn open(&mut self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: {\"type\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\",\"sequence_number\":");
        write::append(&self.next, out);
        self.next += 1;
    }
}

/// An item begins or ends.
#[derive(Serialize)]
pub(super) struct OfItem<'a> {
    pub(super) output_index: usize,
    pub(super) item: Item<'a>,
}

/// A part of a message begins or ends.
#[derive(Serialize)]
pub(super) struct OfPart<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) content_index: usize,
    pub(super) part: Content<'a>,
}

/// More text of a message.
#[derive(Serialize)]
pub(super) struct TextDelta<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) content_index: usize,
    pub(super) delta: &'a str,
    pub(super) logprobs: [(); 0],
}

/// The whole text of a message.
#[derive(Serialize)]
pub(super) struct TextDone<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) content_index: usize,
    pub(super) text: &'a str,
    pub(super) logprobs: [(); 0],
}

/// A part of the model's thinking begins or ends.
#[derive(Serialize)]
pub(super) struct OfSummary<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) summary_index: usize,
    pub(super) part: Summary<'a>,
}

/// More thinking.
#[derive(Serialize)]
pub(super) struct SummaryDelta<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) summary_index: usize,
    pub(super) delta: &'a str,
}

/// All thinking of a part.
#[derive(Serialize)]
pub(super) struct SummaryDone<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) summary_index: usize,
    pub(super) text: &'a str,
}

/// More of a call's arguments or input.
#[derive(Serialize)]
pub(super) struct CallDelta<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) delta: &'a str,
}

/// The whole arguments of a call.
#[derive(Serialize)]
pub(super) struct ArgumentsDone<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
}

/// The whole free text of a call.
#[derive(Serialize)]
pub(super) struct InputDone<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) input: &'a str,
}
