//! Reads a stream of the Responses dialect: for what the gateway counts and bounds, since such a stream goes only to clients
//! of the same dialect, unchanged.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::reply::{Part, finish};
use super::super::usage::WireUsage;
use crate::chat::{Delta, Deltas, Finish};
use crate::json::Text;
use crate::types::Malformed;
use crate::{sse, write};

/// Reads a stream of the Responses dialect.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The number of each call, by the index of its item.
    calls: HashMap<u64, usize>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    output_index: Option<u64>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<Item<'a>>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    call_id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Response<'a> {
    id: Option<String>,
    model: Option<String>,
    usage: Option<WireUsage>,
    #[serde(borrow)]
    incomplete_details: Option<Part<'a>>,
}

impl Decoder {
    /// Reads one event. Events that carry no text, call or end are skipped.
    ///
    /// # Errors
    /// If the event is not JSON with a type: `Malformed`.
    pub fn frame(&mut self, frame: &[u8], out: &mut Deltas) -> Result<(), Malformed> {
        let event = sse::event(frame);
        let Some(data) = event.data else { return Ok(()) };
        // Some servers end the stream as the chat dialect does. The last event has ended the answer before.
        if data.starts_with(b"[DONE]") {
            return Ok(());
        }
        let read: Event<'_> = serde_json::from_slice(&data)
            .map_err(|error| write::malformed_frame("the event", &error, &data, &["delta", "item"]))?;
        match &*read.r#type.0 {
            "response.created" => {
                let response = read.response.and_then(response);
                let (id, model) = response.map_or((None, None), |response| (response.id, response.model));
                out.push_back(Delta::Start { id, model });
            }
            "response.output_text.delta" | "response.refusal.delta" => out.extend(text(read.delta).map(Delta::Text)),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                out.extend(text(read.delta).map(Delta::Reasoning));
            }
            "response.output_item.added" => self.item(read.output_index, read.item, out)?,
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                let index = read.output_index.and_then(|index| self.calls.get(&index)).copied();
                let fragment = text(read.delta);
                out.extend(index.zip(fragment).map(|(index, fragment)| Delta::ToolCallArguments { index, fragment }));
            }
            "response.completed" | "response.incomplete" => {
                let response = read.response.and_then(response);
                let usage = response.as_ref().and_then(|response| response.usage.as_ref()?.read());
                let details = response.as_ref().and_then(|response| response.incomplete_details.as_ref());
                let complete = if self.calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
                let is_complete = *read.r#type.0 == *"response.completed";
                out.extend(usage.map(|usage| Delta::Usage { usage, is_final: true }));
                out.push_back(Delta::Finish(if is_complete { complete } else { finish(details) }));
                out.push_back(Delta::End);
            }
            "response.failed" | "response.cancelled" | "error" => {
                let usage = read.response.and_then(response).and_then(|response| response.usage?.read());
                out.extend(usage.map(|usage| Delta::Usage { usage, is_final: true }));
                out.push_back(Delta::Failed(failure(&data)));
            }
            _ => {}
        }
        Ok(())
    }

    fn item(&mut self, at: Option<u64>, item: Option<Item<'_>>, out: &mut Deltas) -> Result<(), Malformed> {
        let Some(item) = item.filter(|item| matches!(&*item.r#type.0, "function_call" | "custom_tool_call")) else {
            return Ok(());
        };
        let index = self.calls.len();
        Malformed::unless_few(index + 1)?;
        self.calls.insert(at.unwrap_or(index as u64), index);
        let (id, name) = (item.call_id.unwrap_or_default(), item.name.unwrap_or_default());
        out.push_back(Delta::ToolCallStart { index, id, name });
        Ok(())
    }
}

/// The failure as an error body of this dialect.
fn failure(data: &[u8]) -> String {
    let mut event: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
    let mut error = event["response"]["error"].take();
    if error.is_null() {
        error = if event["error"].is_null() { event } else { event["error"].take() };
    }
    serde_json::json!({"error": error}).to_string()
}

/// The text of a delta, unless it is empty.
fn text(delta: Option<&RawValue>) -> Option<String> {
    let Text(text) = serde_json::from_str(delta?.get()).ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}

/// The response object of an event. One that cannot be read counts as without usage.
fn response(raw: &RawValue) -> Option<Response<'_>> {
    serde_json::from_str(raw.get()).ok()
}
