//! Reads Anthropic's stream.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::finish::finish;
use super::super::usage::WireUsage;
use crate::chat::{Delta, Deltas};
use crate::json::Text;
use crate::types::Malformed;
use crate::{sse, write};

/// Reads Anthropic's stream.
#[derive(Debug, Default)]
pub struct Decoder {
    usage: WireUsage,
    /// How many tool calls have started: the index of the next.
    calls: usize,
    /// The latest call of each block, by the block's index.
    by_block: HashMap<u64, usize>,
    /// The block of the latest call.
    latest: Option<u64>,
    /// Whether the latest call has arguments so far.
    arguments: bool,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    index: Option<u64>,
    message: Option<Message>,
    #[serde(borrow)]
    content_block: Option<Block<'a>>,
    #[serde(borrow)]
    delta: Option<Fragment<'a>>,
    usage: Option<WireUsage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message {
    id: Option<String>,
    model: Option<String>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    id: Option<String>,
    name: Option<String>,
    text: Option<String>,
    thinking: Option<String>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Fragment<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    text: Option<String>,
    thinking: Option<String>,
    partial_json: Option<String>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
}

/// Fields of events that carry a piece of the answer.
const PIECES: [&str; 2] = ["content_block", "delta"];

impl Decoder {
    /// Reads one event.
    ///
    /// # Errors
    /// If the event does not follow this dialect: `Malformed`.
    pub fn frame(&mut self, frame: &[u8], out: &mut Deltas) -> Result<(), Malformed> {
        let Some(data) = sse::event(frame).data else { return Ok(()) };
        let event: Event<'_> = serde_json::from_slice(&data)
            .map_err(|e| write::malformed_frame("an event of the stream", &e, &data, &PIECES))?;
        match &*event.r#type.0 {
            "message_start" => self.start(event.message, out),
            "content_block_start" => return self.block_start(event.index, event.content_block, out),
            "content_block_delta" => return self.block_delta(event.index, event.delta, out),
            "content_block_stop" => self.block_stop(event.index, out),
            "message_delta" => {
                if let Some(reason) = event.delta.and_then(|delta| delta.stop_reason) {
                    out.push_back(Delta::Finish(finish(&reason.0)));
                }
                self.usage(event.usage, true, out);
            }
            "message_stop" => out.push_back(Delta::End),
            "error" => out.push_back(Delta::Failed(event.error.map_or_else(String::new, |e| e.get().to_owned()))),
            // `ping` and future events: the dialect tells readers to skip unknown events.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, message: Option<Message>, out: &mut Deltas) {
        let Some(message) = message else { return };
        out.push_back(Delta::Start { id: message.id, model: message.model });
        self.usage(message.usage, false, out);
    }

    fn usage(&mut self, usage: Option<WireUsage>, is_final: bool, out: &mut Deltas) {
        let Some(usage) = usage else { return };
        self.usage.update(usage);
        if let Some(usage) = self.usage.read() {
            out.push_back(Delta::Usage { usage, is_final });
        }
    }

    fn block_start(&mut self, index: Option<u64>, block: Option<Block<'_>>, out: &mut Deltas) -> Result<(), Malformed> {
        let (Some(number), Some(block)) = (index, block) else {
            return Err(Malformed::part_of_answer("a content_block_start has no index or no block"));
        };
        match &*block.r#type.0 {
            "tool_use" => {
                let name = block.name.ok_or_else(|| Malformed::part_of_answer("a tool_use block has no name"))?;
                let index = self.calls;
                self.calls += 1;
                Malformed::unless_few(self.calls)?;
                self.by_block.insert(number, index);
                self.latest = Some(number);
                out.push_back(Delta::ToolCallStart { index, id: block.id.unwrap_or_default(), name });
                // Anthropic starts with `{}` and sends the arguments later; compatible servers may start with all of
                // them.
                let whole = block.input.map(RawValue::get).filter(|input| input.len() > 2 && input.starts_with('{'));
                self.arguments = whole.is_some();
                if let Some(input) = whole {
                    out.push_back(Delta::ToolCallArguments { index, fragment: input.to_owned() });
                }
            }
            "text" => push_text(block.text, out),
            "thinking" => push_reasoning(block.thinking, out),
            _ => {}
        }
        Ok(())
    }

    fn block_delta(
        &mut self,
        index: Option<u64>,
        delta: Option<Fragment<'_>>,
        out: &mut Deltas,
    ) -> Result<(), Malformed> {
        let (Some(number), Some(delta)) = (index, delta) else {
            return Err(Malformed::part_of_answer("a content_block_delta has no index or no delta"));
        };
        match delta.r#type.as_ref().map(|kind| &*kind.0) {
            Some("text_delta") => push_text(delta.text, out),
            Some("thinking_delta") => push_reasoning(delta.thinking, out),
            Some("input_json_delta") => {
                let fragment = delta.partial_json.filter(|fragment| !fragment.is_empty());
                // A server tool's arguments belong to none of these calls.
                let call = self.by_block.get(&number).copied();
                if let (Some(fragment), Some(index)) = (fragment, call) {
                    self.arguments = true;
                    out.push_back(Delta::ToolCallArguments { index, fragment });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends a call without arguments with `{}`: in the other dialects, empty text is not valid JSON.
    fn block_stop(&mut self, index: Option<u64>, out: &mut Deltas) {
        if !self.arguments && self.latest.is_some() && self.latest == index {
            self.arguments = true;
            let fragment = "{}".to_owned();
            out.push_back(Delta::ToolCallArguments { index: self.calls - 1, fragment });
        }
    }
}

fn push_text(text: Option<String>, out: &mut Deltas) {
    out.extend(text.filter(|text| !text.is_empty()).map(Delta::Text));
}

fn push_reasoning(text: Option<String>, out: &mut Deltas) {
    out.extend(text.filter(|text| !text.is_empty()).map(Delta::Reasoning));
}
