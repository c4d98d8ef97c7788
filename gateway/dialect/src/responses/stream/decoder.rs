//! Reads a stream of the Responses dialect: for what the gateway counts and bounds, since such a stream goes only to clients
//! of the same dialect, unchanged.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::super::reply::{Details, finish};
use super::super::usage::WireUsage;
use crate::backend_error::BackendError;
use crate::chat::{Delta, Deltas, Finish};
use crate::lenient::{Count, Word, object, repaired, says_something};
use crate::types::{Malformed, Passed};
use crate::{sse, write};

/// Reads a stream of the Responses dialect.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The number of each call, by the index of its item.
    calls: HashMap<u64, usize>,
}

object! {
    struct Event<'a> {
        "type" kind: Word<'a>,
        "output_index" output_index: Count,
        "delta" delta: Word<'a>,
        "item" item: Item<'a>,
        "response" response: Response<'a>,
        "error" error: Option<&'a RawValue>,
    }
}

object! {
    struct Item<'a> {
        "type" kind: Word<'a>,
        "call_id" call_id: Word<'a>,
        "name" name: Word<'a>,
    }
}

object! {
    struct Response<'a> {
        "id" id: Word<'a>,
        "model" model: Word<'a>,
        "usage" usage: WireUsage,
        "incomplete_details" details: Details<'a>,
        "error" error: Option<&'a RawValue>,
    }
}

impl Decoder {
    /// Reads one event. Events that carry no text, call or end are skipped.
    ///
    /// # Errors
    /// If the event is not JSON that can be repaired: `Malformed`.
    pub fn frame(&mut self, frame: &[u8], out: &mut Deltas) -> Result<Passed, Malformed> {
        let event = sse::event(frame);
        let text = event.data.as_deref().unwrap_or_default().trim_ascii();
        if event.is_comment() {
            return Ok(sse::comment(frame));
        }
        match text.first() {
            Some(b'{') => {}
            _ if event.name == Some(b"error") => {
                out.push_back(Delta::Failed(Box::new(BackendError::read(text))));
                return Ok(Passed::AsIs);
            }
            None => return Ok(Passed::Skipped("an event without data")),
            // Some servers end the stream as the chat dialect does. The last event has ended the answer before.
            _ if text.starts_with(b"[DONE]") || serde_json::from_slice::<&RawValue>(text).is_ok() => {
                return Ok(Passed::Skipped("an event that is no object"));
            }
            _ => return Err(Malformed::new("an event of the stream is not JSON")),
        }
        let error = match serde_json::from_slice(text) {
            Ok(read) => return Ok(self.event(read, &event, text, false, out)),
            Err(error) => error,
        };
        let fixed = repaired(text);
        match fixed.as_deref().and_then(|fixed| Some((serde_json::from_slice(fixed).ok()?, fixed))) {
            Some((read, fixed)) => Ok(self.event(read, &event, fixed, true, out)),
            None => Err(write::malformed_frame("the event", &error, text, &[".delta\""])),
        }
    }

    /// Reads the data of an event. `text`: the data, `changed` if they are not as they came. The type of an event may be in its
    /// `event` line alone; an error may have none.
    fn event(
        &mut self,
        read: Event<'_>,
        event: &sse::Event<'_>,
        text: &[u8],
        changed: bool,
        out: &mut Deltas,
    ) -> Passed {
        let is_word = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte));
        let name = event.name.and_then(|name| std::str::from_utf8(name).ok()).filter(is_word);
        let typed = read.kind.get().is_some();
        let error = read.error.is_some_and(says_something).then_some("error");
        let kind = read.kind.get().or(error).or(name).unwrap_or_default().to_owned();
        self.data(&kind, read, text, out);
        match (typed || kind.is_empty(), changed) {
            (true, false) => Passed::AsIs,
            (true, true) => Passed::Rewritten(sse::event_of(event.name, text)),
            (false, _) => Passed::Rewritten(sse::event_of(Some(kind.as_bytes()), &sse::with_type(&kind, text))),
        }
    }

    fn data(&mut self, kind: &str, read: Event<'_>, text: &[u8], out: &mut Deltas) {
        match kind {
            "response.created" => {
                out.push_back(Delta::Start { id: read.response.id.own(), model: read.response.model.own() });
            }
            "response.output_text.delta" | "response.refusal.delta" => out.extend(said(read.delta).map(Delta::Text)),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                out.extend(said(read.delta).map(Delta::Reasoning));
            }
            "response.output_item.added" => self.item(read.output_index.0, read.item, out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                let index = read.output_index.0.and_then(|index| self.calls.get(&index)).copied();
                let fragment = said(read.delta);
                out.extend(index.zip(fragment).map(|(index, fragment)| Delta::ToolCallArguments { index, fragment }));
            }
            "response.completed" | "response.incomplete" => {
                let complete = if self.calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
                usage(&read.response, out);
                let is_complete = kind == "response.completed";
                out.push_back(Delta::Finish(if is_complete { complete } else { finish(&read.response.details) }));
                out.push_back(Delta::End);
            }
            "response.failed" | "response.cancelled" | "error" => {
                usage(&read.response, out);
                let error = read.response.error.map_or(text, |error| error.get().as_bytes());
                out.push_back(Delta::Failed(Box::new(BackendError::read(error))));
            }
            // Output of a kind that the gateway does not know: audio, a picture, the code of a tool of the provider.
            _ if kind.ends_with(".delta") || kind.ends_with(".partial_image") => {
                out.push_back(Delta::Other(text.len()))
            }
            _ => {}
        }
    }

    fn item(&mut self, at: Option<u64>, item: Item<'_>, out: &mut Deltas) {
        if !matches!(item.kind.get(), Some("function_call" | "custom_tool_call")) {
            return;
        }
        let index = self.calls.len();
        self.calls.insert(at.unwrap_or(index as u64), index);
        let (id, name) = (item.call_id.own().unwrap_or_default(), item.name.own().unwrap_or_default());
        out.push_back(Delta::ToolCallStart { index, id, name });
    }
}

/// The text of a delta, unless it is empty.
fn said(delta: Word<'_>) -> Option<String> {
    delta.own().filter(|text| !text.is_empty())
}

fn usage(response: &Response<'_>, out: &mut Deltas) {
    if let Some(reported) = response.usage.read() {
        out.push_back(Delta::Usage { usage: reported.usage, is_final: reported.has_output });
    }
}
