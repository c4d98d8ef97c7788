//! Writes Anthropic's stream.
//!
//! The order is strict: the message's start; then each block's start, fragments and stop, one block after the other;
//! then the finish reason, the usage and the end. Other dialects may interleave the fragments of several tool calls with
//! each other and with text. The block of a call stays open until its arguments are whole; the encoder buffers what
//! begins before that and writes it when the order allows. The relay bounds the whole answer, and so the buffer.

use std::collections::VecDeque;

use serde::Serialize;

use super::super::finish::finish_name;
use super::super::usage::{Written, written};
use crate::balance::Balance;
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
    /// Blocks that began before the open call was whole, in order. Empty if no call is open.
    waiting: VecDeque<Waiting>,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

#[derive(Debug)]
enum Open {
    Nothing,
    Text,
    Thinking,
    /// The call of this index.
    Call(usize, Balance),
}

/// A block that waits, and what it holds so far.
#[derive(Debug)]
enum Waiting {
    Text(String),
    Thinking(String),
    Call { index: usize, id: String, name: String, arguments: String },
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
            waiting: VecDeque::new(),
            finish: None,
            usage: None,
        }
    }

    /// Writes one delta.
    pub(crate) fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { .. } => self.begin(out),
            Delta::Text(text) if self.must_wait() => self.hold_text(text),
            Delta::Text(text) => self.text(&text, out),
            Delta::Reasoning(thinking) if self.must_wait() => self.hold_thinking(thinking),
            Delta::Reasoning(thinking) => self.thinking(&thinking, out),
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
        // Calls that are not whole stay as they are: the model broke them off.
        while self.next(out) {}
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

    /// Whether the open block is a call that is not whole.
    fn must_wait(&self) -> bool {
        matches!(&self.open, Open::Call(_, arguments) if !arguments.is_whole())
    }

    fn hold_text(&mut self, more: String) {
        match self.waiting.back_mut() {
            Some(Waiting::Text(text)) => text.push_str(&more),
            _ => self.waiting.push_back(Waiting::Text(more)),
        }
    }

    fn hold_thinking(&mut self, more: String) {
        match self.waiting.back_mut() {
            Some(Waiting::Thinking(thinking)) => thinking.push_str(&more),
            _ => self.waiting.push_back(Waiting::Thinking(more)),
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Text) {
            self.start(Open::Text, &Block::Text { text: "" }, out);
        }
        self.fragment(Fragment::Text { text }, out);
    }

    fn thinking(&mut self, thinking: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Thinking) {
            self.start(Open::Thinking, &Block::Thinking { thinking: "", signature: "" }, out);
        }
        self.fragment(Fragment::Thinking { thinking }, out);
    }

    fn call_start(&mut self, index: usize, id: &str, name: String, out: &mut Vec<u8>) {
        self.calls = true;
        let id = write::call_id(id, &self.facts.request_id, index);
        if self.must_wait() {
            self.waiting.push_back(Waiting::Call { index, id, name, arguments: String::new() });
        } else {
            self.open_call(index, &id, &name, out);
        }
    }

    fn call_arguments(&mut self, of: usize, fragment: &str, out: &mut Vec<u8>) {
        if let Open::Call(index, arguments) = &mut self.open
            && *index == of
        {
            arguments.push(fragment);
            self.fragment(Fragment::Input { partial_json: fragment }, out);
            while !self.must_wait() && self.next(out) {}
            return;
        }
        let waiting = self.waiting.iter_mut().rev().find_map(|block| match block {
            Waiting::Call { index, arguments, .. } if *index == of => Some(arguments),
            _ => None,
        });
        // Otherwise the call was whole and its block is closed: text after a complete object is not JSON.
        if let Some(arguments) = waiting {
            arguments.push_str(fragment);
        }
    }

    /// Writes the next block that waits. Returns whether there was one.
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        match self.waiting.pop_front() {
            None => return false,
            Some(Waiting::Text(text)) => self.text(&text, out),
            Some(Waiting::Thinking(thinking)) => self.thinking(&thinking, out),
            Some(Waiting::Call { index, id, name, arguments }) => {
                self.open_call(index, &id, &name, out);
                if let Open::Call(_, balance) = &mut self.open
                    && !arguments.is_empty()
                {
                    balance.push(&arguments);
                    self.fragment(Fragment::Input { partial_json: &arguments }, out);
                }
            }
        }
        true
    }

    fn open_call(&mut self, index: usize, id: &str, name: &str, out: &mut Vec<u8>) {
        self.start(Open::Call(index, Balance::default()), &Block::ToolUse { id, name, input: Empty {} }, out);
    }

    /// Opens a block after closing the one before it.
    fn start(&mut self, open: Open, block: &Block<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        self.close(out);
        self.open = open;
        event("content_block_start", &Event::ContentBlockStart { index: self.block, content_block: block }, out);
    }

    fn fragment(&mut self, delta: Fragment<'_>, out: &mut Vec<u8>) {
        event("content_block_delta", &Event::ContentBlockDelta { index: self.block, delta }, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if !matches!(std::mem::replace(&mut self.open, Open::Nothing), Open::Nothing) {
            event("content_block_stop", &Event::ContentBlockStop { index: self.block }, out);
            self.block += 1;
        }
    }
}

fn event(name: &str, event: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    write::append(event, out);
    out.extend_from_slice(b"\n\n");
}
