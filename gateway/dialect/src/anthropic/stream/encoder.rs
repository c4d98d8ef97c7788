//! Writes Anthropic's stream.
//!
//! The order is strict: the message's start; then each block's start, fragments and stop, one block after the other;
//! then the finish reason, the usage and the end. Other dialects may interleave the fragments of several tool calls. If
//! a call begins before the previous one is complete, the encoder buffers it and writes it when the order allows.

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::finish::finish_name;
use super::super::usage::{Written, written};
use crate::chat::{Delta, Finish};
use crate::types::{Facts, Total};
use crate::write;
use wasmgate_base::usage::Usage;

/// Writes Anthropic's stream.
#[derive(Debug)]
pub(crate) struct Encoder {
    facts: Facts,
    begun: bool,
    open: Open,
    /// The index of the open block, or of the next one.
    block: usize,
    calls: bool,
    waiting: Vec<Call>,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

#[derive(Debug)]
enum Open {
    Nothing,
    Text,
    Thinking,
    Call(Call),
}

/// A tool call and its arguments so far.
#[derive(Debug)]
struct Call {
    index: usize,
    id: String,
    name: String,
    arguments: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: usize, content_block: &'a Block<'a> },
    ContentBlockDelta { index: usize, delta: Fragment<'a> },
    ContentBlockStop { index: usize },
    MessageDelta { delta: Ending, usage: Written },
    MessageStop,
}

#[derive(Serialize)]
struct Message<'a> {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: [(); 0],
    stop_reason: Option<()>,
    stop_sequence: Option<()>,
    usage: Written,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Empty },
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Fragment<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

#[derive(Serialize)]
struct Ending {
    stop_reason: &'static str,
    stop_sequence: Option<()>,
}

impl Encoder {
    /// An encoder for one stream.
    #[must_use]
    pub(crate) fn new(facts: Facts) -> Self {
        Self {
            facts,
            begun: false,
            open: Open::Nothing,
            block: 0,
            calls: false,
            waiting: Vec::new(),
            finish: None,
            usage: None,
        }
    }

    /// Writes one delta.
    pub(crate) fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { .. } => self.begin(out),
            Delta::Text(text) => {
                if !matches!(self.open, Open::Text) {
                    self.open(Open::Text, &Block::Text { text: "" }, out);
                }
                self.fragment(Fragment::Text { text: &text }, out);
            }
            Delta::Reasoning(thinking) => {
                if !matches!(self.open, Open::Thinking) {
                    self.open(Open::Thinking, &Block::Thinking { thinking: "", signature: "" }, out);
                }
                self.fragment(Fragment::Thinking { thinking: &thinking }, out);
            }
            Delta::ToolCallStart { index, id, name } => self.call_start(index, &id, name, out),
            Delta::ToolCallArguments { index, fragment } => self.call_arguments(index, &fragment, out),
            Delta::Finish(finish) => self.finish = Some(finish),
            Delta::Usage { usage, .. } => self.usage = Some(usage),
            Delta::Other(_) | Delta::End | Delta::Failed(_) => {}
        }
    }

    /// Writes the end of a complete stream.
    pub(crate) fn end(&mut self, total: &Total, out: &mut Vec<u8>) {
        self.begin(out);
        self.close(out);
        let stop_reason = finish_name(self.finish, self.calls);
        let delta = Ending { stop_reason, stop_sequence: None };
        event("message_delta", &Event::MessageDelta { delta, usage: written(total, self.usage) }, out);
        event("message_stop", &Event::MessageStop, out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.begun {
            return;
        }
        self.begun = true;
        // The first event reports input tokens, which most backends report in their last.
        let input_tokens = self.usage.map_or(self.facts.estimated_input_tokens, |usage| usage.input_total());
        let total = Total { input_tokens, ..Total::default() };
        let message = Message {
            id: write::id("msg_", &self.facts.request_id),
            r#type: "message",
            role: "assistant",
            model: &self.facts.model,
            content: [],
            stop_reason: None,
            stop_sequence: None,
            usage: written(&total, self.usage),
        };
        event("message_start", &Event::MessageStart { message }, out);
    }

    fn call_start(&mut self, index: usize, id: &str, name: String, out: &mut Vec<u8>) {
        self.calls = true;
        let id = write::call_id(id, &self.facts.request_id, index);
        let call = Call { index, id, name, arguments: String::new() };
        let wait = match &self.open {
            Open::Call(open) => !self.waiting.is_empty() || !is_whole(&open.arguments),
            _ => false,
        };
        if wait {
            self.waiting.push(call);
        } else {
            self.open_call(call, out);
        }
    }

    fn call_arguments(&mut self, index: usize, fragment: &str, out: &mut Vec<u8>) {
        if let Open::Call(call) = &mut self.open
            && call.index == index
        {
            call.arguments.push_str(fragment);
            self.fragment(Fragment::Input { partial_json: fragment }, out);
        } else if let Some(call) = self.waiting_call(index) {
            call.arguments.push_str(fragment);
        }
        // Otherwise the call was complete and its block is closed: text after a complete object is not JSON.
    }

    /// The buffered call with this index. Calls are numbered in the order they begin, so the buffer has no gaps.
    fn waiting_call(&mut self, index: usize) -> Option<&mut Call> {
        let first = self.waiting.first()?.index;
        self.waiting.get_mut(index.checked_sub(first)?)
    }

    /// Opens a block after closing the one before it.
    fn open(&mut self, open: Open, block: &Block<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        self.close(out);
        self.start(open, block, out);
    }

    fn open_call(&mut self, call: Call, out: &mut Vec<u8>) {
        self.begin(out);
        self.close_block(out);
        let (id, name) = (call.id.clone(), call.name.clone());
        self.start(Open::Call(call), &Block::ToolUse { id: &id, name: &name, input: Empty {} }, out);
    }

    fn start(&mut self, open: Open, block: &Block<'_>, out: &mut Vec<u8>) {
        self.open = open;
        event("content_block_start", &Event::ContentBlockStart { index: self.block, content_block: block }, out);
    }

    fn fragment(&mut self, delta: Fragment<'_>, out: &mut Vec<u8>) {
        event("content_block_delta", &Event::ContentBlockDelta { index: self.block, delta }, out);
    }

    /// Closes the open block and writes the buffered calls.
    fn close(&mut self, out: &mut Vec<u8>) {
        self.close_block(out);
        for mut call in std::mem::take(&mut self.waiting) {
            let arguments = std::mem::take(&mut call.arguments);
            self.open_call(call, out);
            if !arguments.is_empty() {
                self.fragment(Fragment::Input { partial_json: &arguments }, out);
            }
        }
        self.close_block(out);
    }

    fn close_block(&mut self, out: &mut Vec<u8>) {
        if !matches!(std::mem::replace(&mut self.open, Open::Nothing), Open::Nothing) {
            event("content_block_stop", &Event::ContentBlockStop { index: self.block }, out);
            self.block += 1;
        }
    }
}

fn is_whole(arguments: &str) -> bool {
    serde_json::from_str::<&RawValue>(arguments).is_ok()
}

fn event(name: &str, event: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    write::append(event, out);
    out.extend_from_slice(b"\n\n");
}
