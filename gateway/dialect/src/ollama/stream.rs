//! Reads and writes Ollama's streams: lines of JSON, the last one with `done: true`.

use super::call::{self, WireCall};
use super::finish::finish;
use super::reply::{Wire, Written, WrittenMessage, ending};
use super::usage::usage;
use crate::chat::{Delta, Deltas, Finish, ToolCall};
use crate::types::{Facts, Malformed, Total};
use crate::write;

/// Reads Ollama's stream.
#[derive(Debug, Default)]
pub struct Decoder {
    started: bool,
    /// How many tool calls were read.
    calls: usize,
}

impl Decoder {
    /// Reads one line.
    ///
    /// # Errors
    /// If the line does not follow this dialect: `Malformed`.
    pub fn frame(&mut self, frame: &[u8], out: &mut Deltas) -> Result<(), Malformed> {
        if frame.trim_ascii().is_empty() {
            return Ok(());
        }
        let line: Wire<'_> = serde_json::from_slice(frame)
            .map_err(|e| write::malformed_frame("a line of the stream", &e, frame, &["message"]))?;
        if let Some(error) = line.error {
            out.push_back(Delta::Failed(error.get().to_owned()));
            return Ok(());
        }
        if line.message.is_none() && !line.done {
            return Err(Malformed::new("a line of the stream has no message"));
        }
        if !self.started {
            self.started = true;
            out.push_back(Delta::Start { id: None, model: line.model.map(|model| model.0.into_owned()) });
        }
        if let Some(message) = line.message {
            out.extend(message.thinking.filter(|text| !text.is_empty()).map(Delta::Reasoning));
            out.extend(message.content.filter(|text| !text.is_empty()).map(Delta::Text));
            for call in message.tool_calls.into_iter().flatten().map(WireCall::read) {
                let index = self.calls;
                self.calls += 1;
                Malformed::unless_few(self.calls)?;
                out.push_back(Delta::ToolCallStart { index, id: call.id, name: call.name });
                out.push_back(Delta::ToolCallArguments { index, fragment: call.arguments });
            }
        }
        if line.done {
            out.push_back(Delta::Finish(finish(line.done_reason.as_ref().map(|r| &*r.0), self.calls > 0)));
            let usage = usage(line.prompt_eval_count, line.eval_count);
            out.extend(usage.map(|usage| Delta::Usage { usage, is_final: true }));
            out.push_back(Delta::End);
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
            Delta::Start { .. } | Delta::Usage { .. } | Delta::End | Delta::Failed(_) => {}
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
