//! Reads and writes Ollama's streams: lines of JSON, the last one with `done: true`.

use serde_json::value::RawValue;

use super::call;
use super::reply::{Message, Wire, Written, WrittenMessage, ending};
use super::usage::usage;
use crate::backend_error::BackendError;
use crate::chat::{Delta, Deltas, Finish, ToolCall};
use crate::lenient::{repaired, says_something};
use crate::types::{Facts, Malformed, Passed, Total};
use crate::{finish, write};

/// Keys of a line that hold a piece of the answer.
const PIECES: [&str; 4] = ["\"content\"", "\"tool_calls\"", "\"thinking\"", "\"response\""];

/// Reads Ollama's stream.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Whether the lines go to a client of the same dialect.
    forwarded: bool,
    started: bool,
    /// How many tool calls were read.
    calls: usize,
}

impl Decoder {
    pub(crate) fn new(forwarded: bool) -> Self {
        Self { forwarded, ..Self::default() }
    }

    /// Reads one line.
    ///
    /// # Errors
    /// If the line is not JSON, or holds a piece of the answer that cannot be read: `Malformed`.
    pub fn frame(&mut self, frame: &[u8], out: &mut Deltas) -> Result<Passed, Malformed> {
        let line = frame.strip_prefix(b"\xef\xbb\xbf").unwrap_or(frame);
        let text = line.trim_ascii();
        match text.first() {
            None => return Ok(Passed::AsIs),
            Some(b'{') => {}
            _ if serde_json::from_slice::<&RawValue>(text).is_ok() => {
                return Ok(Passed::Skipped("a line that is no object"));
            }
            _ => return Err(Malformed::new("a line of the stream is not JSON")),
        }
        match serde_json::from_slice::<Wire<'_>>(text) {
            Ok(read) if line.len() == frame.len() => self.line(read, text, None, out),
            Ok(read) => self.line(read, text, Some(text), out),
            Err(error) => {
                let fixed = repaired(text);
                match fixed.as_deref().and_then(|fixed| Some((serde_json::from_slice(fixed).ok()?, fixed))) {
                    Some((read, fixed)) => self.line(read, fixed, Some(fixed), out),
                    None => Err(write::malformed_frame("a line of the stream", &error, text, &PIECES)),
                }
            }
        }
    }

    /// Reads the object of a line. `changed`: the line, if it is not as it came.
    fn line(
        &mut self,
        mut line: Wire<'_>,
        text: &[u8],
        changed: Option<&[u8]>,
        out: &mut Deltas,
    ) -> Result<Passed, Malformed> {
        let passed = changed.map_or(Passed::AsIs, |line| Passed::Rewritten([line, b"\n"].concat()));
        if line.error.is_some_and(says_something) {
            out.push_back(Delta::Failed(Box::new(BackendError::read(text))));
            return Ok(passed);
        }
        let done = line.done.is_some_and(|done| done.get() == "true");
        let message = line.take_message();
        if message.is_none() && !done {
            return Ok(match line.other.bytes {
                0 => Passed::Skipped("a line without a message or anything else"),
                _ => passed,
            });
        }
        if !self.started {
            self.started = true;
            out.push_back(Delta::Start { id: None, model: line.model.own() });
        }
        if let Some(message) = message {
            self.message(message, out)?;
        }
        if done {
            if let Some(reported) = usage(line.prompt_eval_count, line.eval_count) {
                out.push_back(Delta::Usage { usage: reported.usage, is_final: reported.has_output });
            }
            match finish::read(line.done_reason.get().unwrap_or_default(), self.calls > 0) {
                Ok(finish) => out.extend([Delta::Finish(finish), Delta::End]),
                Err(error) => out.push_back(Delta::Failed(error)),
            }
        }
        Ok(passed)
    }

    fn message(&mut self, message: Message<'_>, out: &mut Deltas) -> Result<(), Malformed> {
        if message.content.unreadable && !self.forwarded {
            return Err(Malformed::part_of_answer("the content of a line is no text"));
        }
        let mut thinking = message.thinking.joined();
        thinking.push_str(&message.content.thinking);
        if !thinking.is_empty() {
            out.push_back(Delta::Reasoning(thinking));
        }
        if !message.content.text.is_empty() {
            out.push_back(Delta::Text(message.content.text));
        }
        if message.other.has_content {
            out.push_back(Delta::Other(message.other.bytes));
        }
        for call in message.tool_calls.0 {
            let call = call.read(self.forwarded)?;
            let index = self.calls;
            self.calls += 1;
            if !self.forwarded {
                Malformed::unless_few(self.calls)?;
            }
            out.push_back(Delta::ToolCallStart { index, id: call.id, name: call.name });
            out.push_back(Delta::ToolCallArguments { index, fragment: call.arguments });
        }
        Ok(())
    }
}

/// Writes Ollama's stream.
#[derive(Debug)]
pub(crate) struct Encoder {
    model: String,
    created_at: String,
    /// The calls so far. This dialect has only complete calls, so they are written at the end.
    calls: Vec<ToolCall>,
    finish: Option<Finish>,
}

impl Encoder {
    /// An encoder for one stream.
    #[must_use]
    pub(crate) fn new(facts: Facts) -> Self {
        let created_at = write::rfc3339(facts.created);
        Self { model: facts.model, created_at, calls: Vec::new(), finish: None }
    }

    /// Writes one delta.
    pub(crate) fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => self.line(&text, "", &[], out),
            Delta::Reasoning(text) => self.line("", &text, &[], out),
            Delta::ToolCallStart { id, name, .. } => {
                self.calls.push(ToolCall { id, name, arguments: String::new() });
            }
            Delta::ToolCallArguments { index, fragment } => {
                if let Some(call) = self.calls.get_mut(index) {
                    call.arguments.push_str(&fragment);
                }
            }
            Delta::Finish(finish) => self.finish = Some(finish),
            Delta::Start { .. } | Delta::Usage { .. } | Delta::Other(_) | Delta::End | Delta::Failed(_) => {}
        }
    }

    /// Writes the end of a complete stream.
    pub(crate) fn end(&mut self, total: &Total, out: &mut Vec<u8>) {
        if !self.calls.is_empty() {
            self.line("", "", &self.calls, out);
        }
        self.write("", "", &[], Some(ending(self.finish, total)), out);
    }

    fn line(&self, content: &str, thinking: &str, calls: &[ToolCall], out: &mut Vec<u8>) {
        self.write(content, thinking, calls, None, out);
    }

    fn write(
        &self,
        content: &str,
        thinking: &str,
        calls: &[ToolCall],
        ending: Option<super::reply::Ending>,
        out: &mut Vec<u8>,
    ) {
        let tool_calls = calls.iter().map(call::written).collect();
        let line = Written {
            model: &self.model,
            created_at: &self.created_at,
            message: WrittenMessage { role: "assistant", content, thinking, tool_calls },
            done: ending.is_some(),
            ending,
        };
        write::append(&line, out);
        out.push(b'\n');
    }
}
