//! Reads Anthropic's stream.
//!
//! Events are told by the type in their data. The official SDKs tell them by their `event` line alone, so that a forwarded
//! event gets that line if its server left it out.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::super::usage::WireUsage;
use crate::backend_error::BackendError;
use crate::chat::{Delta, Deltas, Finish};
use crate::lenient::{Content, Count, Word, arguments, object, repaired, says_something};
use crate::types::{Malformed, Passed};
use crate::{finish, sse, write};

/// Keys of an event that hold a piece of the answer.
const PIECES: [&str; 4] = ["\"content_block\"", "\"text\"", "\"partial_json\"", "\"thinking\""];

/// Reads Anthropic's stream.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Whether the frames go to a client of the same dialect.
    forwarded: bool,
    usage: WireUsage,
    /// Whether a stop reason came.
    finished: bool,
    /// How many tool calls have started: the index of the next.
    calls: usize,
    /// The latest call of each block, by the block's index.
    by_block: HashMap<u64, Call>,
    /// The block of the latest call.
    latest: Option<u64>,
    /// Bytes of the inputs with which blocks began and that are not reported yet.
    held: usize,
}

/// The call of a block.
#[derive(Debug)]
struct Call {
    index: usize,
    /// The input with which its block began. Anthropic begins with `{}` and sends the arguments later, compatible servers may
    /// begin with all of them, and some do both: then SDKs believe the later ones.
    first: String,
    /// Whether arguments were reported.
    has_arguments: bool,
}

/// Maximum of inputs with which blocks begin and that wait for the ends of their blocks, in bytes.
const MAX_HELD_BYTES: usize = 32 << 20;

object! {
    struct Event<'a> {
        "type" kind: Word<'a>,
        "index" index: Count,
        "message" message: Option<Message<'a>>,
        "content_block" block: Option<Block<'a>>,
        "delta" delta: Option<Fragment<'a>>,
        "usage" usage: Option<WireUsage>,
        "error" error: Option<&'a RawValue>,
    }
}

object! {
    struct Message<'a> {
        "id" id: Word<'a>,
        "model" model: Word<'a>,
        "usage" usage: Option<WireUsage>,
    }
}

object! {
    struct Block<'a> {
        "type" kind: Word<'a>,
        "id" id: Word<'a>,
        "name" name: Word<'a>,
        "text" text: Content,
        "thinking" thinking: Content,
        "input" input: Option<&'a RawValue>,
        ..other
    }
}

object! {
    struct Fragment<'a> {
        "type" kind: Word<'a>,
        "text" text: Content,
        "thinking" thinking: Content,
        "partial_json" partial_json: Option<&'a RawValue>,
        "stop_reason" stop_reason: Word<'a>,
    }
}

const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

impl Decoder {
    pub(crate) fn new(forwarded: bool) -> Self {
        Self { forwarded, ..Self::default() }
    }

    /// Reads one event.
    ///
    /// # Errors
    /// If the event is not JSON, or holds a piece of the answer that cannot be read: `Malformed`.
    pub fn frame(&mut self, frame: &[u8], out: &mut Deltas) -> Result<Passed, Malformed> {
        let event = sse::event(frame);
        let text = event.data.as_deref().unwrap_or_default().trim_ascii();
        // Whatever a ping says: SDKs do not read it.
        if event.name == Some(b"ping") {
            let usual = sse::is_plain(frame, &event) && text.starts_with(b"{") && text.len() > 2;
            return Ok(if usual { Passed::AsIs } else { Passed::Rewritten(PING.to_vec()) });
        }
        if event.is_comment() {
            return Ok(sse::comment(frame));
        }
        match text.first() {
            Some(b'{') => {}
            None => return Ok(Passed::Skipped("an event without data")),
            _ if event.name == Some(b"error") => {
                out.push_back(Delta::Failed(Box::new(BackendError::read(text))));
                return Ok(Passed::AsIs);
            }
            _ if text.starts_with(b"[DONE]") || serde_json::from_slice::<&RawValue>(text).is_ok() => {
                return Ok(Passed::Skipped("an event that is no object"));
            }
            _ => return Err(Malformed::new("an event of the stream is not JSON")),
        }
        let (read, error) = match serde_json::from_slice::<Event<'_>>(text) {
            Ok(read) => return self.event(read, frame, &event, text, false, out),
            Err(error) => (repaired(text), error),
        };
        let again = read.as_deref().and_then(|fixed| Some((serde_json::from_slice(fixed).ok()?, fixed)));
        match again {
            Some((read, fixed)) => self.event(read, frame, &event, fixed, true, out),
            None => Err(write::malformed_frame("an event of the stream", &error, text, &PIECES)),
        }
    }

    /// Reads the data of an event. `text`: the data, `changed` if they are not as they came.
    fn event(
        &mut self,
        read: Event<'_>,
        frame: &[u8],
        event: &sse::Event<'_>,
        text: &[u8],
        changed: bool,
        out: &mut Deltas,
    ) -> Result<Passed, Malformed> {
        let name = event.name.and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty());
        let typed = read.kind.get().is_some();
        let error = if name == Some("error") || read.error.is_some_and(says_something) { Some("error") } else { None };
        let kind = read.kind.get().map(str::to_owned);
        let Some(kind) = kind.as_deref().or(error).or(name) else {
            return Ok(Passed::Skipped("an event without a type"));
        };
        match kind {
            "message_start" => self.start(read.message, out),
            "content_block_start" => self.block_start(read.index.0, read.block, out)?,
            "content_block_delta" => self.block_delta(read.index.0, read.delta, out)?,
            "content_block_stop" => self.block_stop(read.index.0, out),
            "message_delta" => {
                // First: an answer that broke off is billed what the provider counted.
                self.usage(read.usage, true, out);
                if let Some(reason) = read.delta.as_ref().and_then(|delta| delta.stop_reason.get()) {
                    self.finish(reason, out);
                }
            }
            "message_stop" => self.end(out),
            "ping" => return Ok(self.ping(name, frame, event)),
            _ if error.is_some() => out.push_back(Delta::Failed(Box::new(BackendError::read(text)))),
            // Future events: the dialect tells readers to skip unknown events.
            _ => {}
        }
        let is_word = kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !self.forwarded || !is_word || (name == Some(kind) && typed && !changed && sse::is_plain(frame, event)) {
            return Ok(Passed::AsIs);
        }
        let written = if typed { text.to_vec() } else { sse::with_type(kind, text) };
        Ok(Passed::Rewritten(sse::event_of(Some(kind.as_bytes()), &written)))
    }

    fn ping(&self, name: Option<&str>, frame: &[u8], event: &sse::Event<'_>) -> Passed {
        let usual = name == Some("ping") && sse::is_plain(frame, event);
        if usual || !self.forwarded { Passed::AsIs } else { Passed::Rewritten(PING.to_vec()) }
    }

    fn start(&mut self, message: Option<Message<'_>>, out: &mut Deltas) {
        let Some(message) = message else { return };
        out.push_back(Delta::Start { id: message.id.own(), model: message.model.own() });
        self.usage(message.usage, false, out);
    }

    fn usage(&mut self, usage: Option<WireUsage>, is_last: bool, out: &mut Deltas) {
        let Some(usage) = usage else { return };
        let is_final = is_last && usage.has_output();
        self.usage.update(usage);
        if let Some(reported) = self.usage.read() {
            out.push_back(Delta::Usage { usage: reported.usage, is_final });
        }
    }

    fn block_start(&mut self, index: Option<u64>, block: Option<Block<'_>>, out: &mut Deltas) -> Result<(), Malformed> {
        let (number, block) = match (index, block) {
            (Some(number), Some(block)) => (number, block),
            _ if self.forwarded => return Ok(()),
            _ => return Err(Malformed::part_of_answer("a content_block_start has no index or no block")),
        };
        if block.kind.get() != Some("tool_use") {
            let other = block.other.bytes + block.input.map_or(0, |input| input.get().len());
            let said = push_text(block.text, out) | push_reasoning(block.thinking, out);
            // Blocks of server tools, of redacted thinking, and of the future.
            if !said && other > 0 && !matches!(block.kind.get(), Some("text" | "thinking")) {
                out.push_back(Delta::Other(other));
            }
            return Ok(());
        }
        let name = block.name.own().filter(|name| !name.is_empty());
        let Some(name) = name.or_else(|| self.forwarded.then(String::new)) else {
            return Err(Malformed::part_of_answer("a tool_use block has no name"));
        };
        let index = self.calls;
        self.calls += 1;
        let first = arguments(block.input.filter(|input| !is_empty_object(input.get())));
        if self.forwarded {
            out.push_back(Delta::ToolCallStart { index, id: block.id.own().unwrap_or_default(), name });
            if !first.is_empty() {
                out.push_back(Delta::ToolCallArguments { index, fragment: first });
            }
            return Ok(());
        }
        Malformed::unless_few(self.calls)?;
        self.held += first.len();
        if self.held > MAX_HELD_BYTES {
            return Err(Malformed::part_of_answer("the inputs of tool_use blocks have more than 32 MiB"));
        }
        // A server that does not count its blocks.
        self.settle(number, out);
        self.by_block.insert(number, Call { index, first, has_arguments: false });
        self.latest = Some(number);
        out.push_back(Delta::ToolCallStart { index, id: block.id.own().unwrap_or_default(), name });
        Ok(())
    }

    fn block_delta(
        &mut self,
        index: Option<u64>,
        delta: Option<Fragment<'_>>,
        out: &mut Deltas,
    ) -> Result<(), Malformed> {
        let (number, delta) = match (index, delta) {
            (Some(number), Some(delta)) => (number, delta),
            (_, delta) if self.forwarded => (0, delta.unwrap_or_default()),
            _ => return Err(Malformed::part_of_answer("a content_block_delta has no index or no delta")),
        };
        if delta.text.unreadable && !self.forwarded {
            return Err(Malformed::part_of_answer("the text of a delta is no text"));
        }
        push_text(delta.text, out);
        push_reasoning(delta.thinking, out);
        let fragment = arguments(delta.partial_json);
        if fragment.is_empty() {
            return Ok(());
        }
        if self.forwarded {
            out.push_back(Delta::ToolCallArguments { index: 0, fragment });
        } else if let Some(call) = self.by_block.get_mut(&number) {
            // A server tool's arguments belong to none of these calls.
            self.held -= call.first.len();
            call.first = String::new();
            call.has_arguments = true;
            out.push_back(Delta::ToolCallArguments { index: call.index, fragment });
        }
        Ok(())
    }

    /// Ends the call of a block, of the latest one if the event does not say which. A call without arguments ends with `{}`: in
    /// the other dialects, empty text is not valid JSON.
    fn block_stop(&mut self, number: Option<u64>, out: &mut Deltas) {
        if let Some(number) = number.or(self.latest) {
            self.settle(number, out);
        }
    }

    fn settle(&mut self, number: u64, out: &mut Deltas) {
        let Some(call) = self.by_block.get_mut(&number).filter(|call| !call.has_arguments) else { return };
        let first = std::mem::take(&mut call.first);
        self.held -= first.len();
        call.has_arguments = true;
        let fragment = if first.is_empty() { "{}".to_owned() } else { first };
        out.push_back(Delta::ToolCallArguments { index: call.index, fragment });
    }

    /// Ends the calls whose blocks a server did not end.
    fn settle_all(&mut self, out: &mut Deltas) {
        let mut open: Vec<u64> = self.by_block.keys().copied().collect();
        open.sort_unstable();
        open.into_iter().for_each(|number| self.settle(number, out));
    }

    fn finish(&mut self, reason: &str, out: &mut Deltas) {
        self.finished = true;
        self.settle_all(out);
        out.push_back(finish::read(reason, self.calls > 0).map_or_else(Delta::Failed, Delta::Finish));
    }

    /// The end marker. Some servers give no reason for the end of an answer that calls tools.
    fn end(&mut self, out: &mut Deltas) {
        if !self.finished && self.calls > 0 {
            self.settle_all(out);
            out.push_back(Delta::Finish(Finish::ToolCalls));
        }
        out.push_back(Delta::End);
    }
}

fn is_empty_object(text: &str) -> bool {
    let inside = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| inside.trim().is_empty())
}

fn push_text(text: Content, out: &mut Deltas) -> bool {
    let said = !text.text.is_empty();
    if said {
        out.push_back(Delta::Text(text.text));
    }
    said | push_joined(text.thinking, out)
}

fn push_reasoning(thinking: Content, out: &mut Deltas) -> bool {
    push_joined(thinking.joined(), out)
}

fn push_joined(thinking: String, out: &mut Deltas) -> bool {
    let said = !thinking.is_empty();
    if said {
        out.push_back(Delta::Reasoning(thinking));
    }
    said
}
