//! Reads OpenAI's stream.

use serde_json::value::RawValue;

use super::super::reply::reasoning_in;
use super::super::usage::{Groq, WireUsage};
use super::calls::{Calls, Fragment as CallFragment};
use crate::backend_error::BackendError;
use crate::chat::{Delta, Deltas, Finish};
use crate::lenient::{Content, Count, Many, Word, object, repaired, says_something};
use crate::types::{Malformed, Passed, Reported};
use crate::{finish, sse, write};

/// Keys of a chunk that hold a piece of the answer.
const PIECES: [&str; 7] = [
    "\"content\"",
    "\"tool_calls\"",
    "\"function_call\"",
    "\"text\"",
    "\"reasoning_content\"",
    "\"reasoning\"",
    "\"thinking\"",
];

/// Reads OpenAI's stream.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Whether the frames go to a client of the same dialect.
    forwarded: bool,
    started: bool,
    /// The choice that is translated: the first that came. Other dialects have no more than one.
    choice: Option<u64>,
    /// Whether a finish reason came. From then on, usage is that of the whole answer.
    finished: bool,
    /// The latest counts that say something.
    usage: Option<Reported>,
    calls: Calls,
}

object! {
    struct Chunk<'a> {
        // Borrowed, because it is the same in every chunk and needed once.
        "id" id: Word<'a>,
        "model" model: Word<'a>,
        "object" object: Word<'a>,
        "created" created: Count,
        "system_fingerprint" fingerprint: Word<'a>,
        "choices" choices: Many<Choice<'a>>,
        "usage" usage: Option<WireUsage>,
        "x_groq" groq: Groq,
        "error" error: Option<&'a RawValue>,
        ..other
    }
}

object! {
    struct Choice<'a> {
        "index" index: Count,
        "delta" delta: Piece<'a>,
        // What a completion without messages has instead of a delta.
        "text" text: Content,
        "finish_reason" finish_reason: Word<'a>,
        // Where Moonshot has it.
        "usage" usage: WireUsage,
        "error" error: Option<&'a RawValue>,
    }
}

object! {
    struct Piece<'a> {
        "role" role: Word<'a>,
        "content" content: Content,
        "refusal" refusal: Content,
        "reasoning_content" reasoning_content: Content,
        "reasoning" reasoning: Content,
        "thinking" thinking: Content,
        // OpenRouter repeats its reasoning in them.
        "reasoning_details" reasoning_details: Option<&'a RawValue>,
        // What LiteLLM repeats its own in.
        "thinking_blocks" thinking_blocks: Option<&'a RawValue>,
        "tool_calls" tool_calls: Many<CallFragment<'a>>,
        // What tool calls were called at first.
        "function_call" function_call: Option<&'a RawValue>,
        ..other
    }
}

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
        let Some(data) = &event.data else {
            // SDKs read an event without data as one whose data is not JSON.
            let comment = event.is_comment();
            return Ok(if comment { sse::comment(frame) } else { Passed::Skipped("an event without data") });
        };
        let text = data.trim_ascii();
        if text.starts_with(b"[DONE]") {
            self.end(out);
            return Ok(if data.starts_with(b"[DONE]") { as_it_is(frame, &event) } else { done() });
        }
        if event.name == Some(b"error") {
            out.push_back(Delta::Failed(Box::new(BackendError::read(text))));
            return Ok(Passed::AsIs);
        }
        match text.first() {
            Some(b'{') => {}
            None => return Ok(Passed::Skipped("an event with empty data")),
            // Gemini lists its errors.
            Some(b'[') if memchr::memmem::find(text, b"\"error\"").is_some() => {
                out.push_back(Delta::Failed(Box::new(BackendError::read(text))));
                return Ok(Passed::AsIs);
            }
            _ if serde_json::from_slice::<&RawValue>(text).is_ok() => {
                return Ok(Passed::Skipped("an event that is no object"));
            }
            _ if event.name.is_some() => return Ok(Passed::Skipped("a named event that is not JSON")),
            _ => return Err(Malformed::new("a chunk of the stream is not JSON")),
        }
        match serde_json::from_slice::<Chunk<'_>>(text) {
            Ok(chunk) => Ok(self.chunk(chunk, text, out)?.unwrap_or_else(|| as_it_is(frame, &event))),
            Err(error) => {
                let Some(fixed) = repaired(text) else { return self.not_json(&error, text, event.name.is_some()) };
                match serde_json::from_slice::<Chunk<'_>>(&fixed) {
                    Ok(chunk) => {
                        let passed = self.chunk(chunk, &fixed, out)?;
                        Ok(passed.unwrap_or_else(|| Passed::Rewritten(sse::event_of(event.name, &fixed))))
                    }
                    Err(error) => self.not_json(&error, text, event.name.is_some()),
                }
            }
        }
    }

    fn not_json(&self, error: &serde_json::Error, text: &[u8], named: bool) -> Result<Passed, Malformed> {
        match named && !write::has_one_of(text, &PIECES) {
            true => Ok(Passed::Skipped("a named event that is not JSON")),
            false => Err(write::malformed_frame("a chunk of the stream", error, text, &PIECES)),
        }
    }

    /// Reads a chunk. `None`: it goes to a client of this dialect.
    fn chunk(&mut self, chunk: Chunk<'_>, text: &[u8], out: &mut Deltas) -> Result<Option<Passed>, Malformed> {
        // The second is vLLM's error format before it adopted OpenAI's.
        if chunk.error.is_some_and(says_something) || chunk.object.get() == Some("error") {
            out.push_back(Delta::Failed(Box::new(BackendError::read(text))));
            return Ok(None);
        }
        if let Some(error) = chunk.choices.0.iter().find_map(Choice::failed) {
            // What the provider counted is billed all the same.
            let usage = chunk.usage.and_then(|usage| usage.read()).or_else(|| chunk.groq.usage.read());
            let usage = usage.or_else(|| chunk.choices.0.into_iter().find_map(|choice| choice.usage.read()));
            if let Some(reported) = usage.map(|reported| reported.after(self.usage)) {
                out.push_back(Delta::Usage { usage: reported.usage, is_final: reported.has_output });
            }
            out.push_back(Delta::Failed(error));
            return Ok(None);
        }
        let says_nothing = chunk.usage.is_none() && chunk.groq.usage.read().is_none() && chunk.other.bytes == 0;
        if chunk.choices.0.is_empty() && says_nothing {
            return Ok(Some(Passed::Skipped("a chunk without choices, usage or anything else")));
        }
        if !self.started && (chunk.id.0.is_some() || chunk.model.0.is_some()) {
            self.started = true;
            out.push_back(Delta::Start { id: chunk.id.own(), model: chunk.model.own() });
        }
        // Usage in a chunk without choices is the total. Some servers also send a count with each chunk.
        let without_choices = chunk.choices.0.is_empty();
        let mut usage = chunk.usage.and_then(|usage| usage.read()).or_else(|| chunk.groq.usage.read());
        for choice in chunk.choices.0 {
            usage = usage.or_else(|| choice.usage.read());
            let index = choice.index.0.unwrap_or(0);
            if !self.forwarded && *self.choice.get_or_insert(index) != index {
                continue;
            }
            self.fragment(index, choice.delta, out)?;
            if !choice.text.text.is_empty() {
                out.push_back(Delta::Text(choice.text.text));
            }
            if let Some(reason) = choice.finish_reason.get() {
                self.finish(reason, out)?;
            }
        }
        if let Some(reported) = usage {
            let reported = reported.after(self.usage);
            let is_final = reported.has_output && (without_choices || self.finished);
            self.usage = Some(reported);
            out.push_back(Delta::Usage { usage: reported.usage, is_final });
        }
        Ok(None)
    }

    fn fragment(&mut self, choice: u64, fragment: Piece<'_>, out: &mut Deltas) -> Result<(), Malformed> {
        let Piece { content, refusal, reasoning_content, reasoning, thinking, .. } = fragment;
        let lists = [fragment.reasoning_details, fragment.thinking_blocks];
        let mut thought = reasoning_in([reasoning_content, reasoning, thinking], lists);
        thought.push_str(&content.thinking);
        if !thought.is_empty() {
            out.push_back(Delta::Reasoning(thought));
        }
        if content.unreadable && !self.forwarded {
            return Err(Malformed::part_of_answer("the content of a chunk is neither a text nor a list of parts"));
        }
        for text in [content.text, refusal.text] {
            if !text.is_empty() {
                out.push_back(Delta::Text(text));
            }
        }
        let other = content.other + if fragment.other.has_content { fragment.other.bytes } else { 0 };
        if other > 0 {
            out.push_back(Delta::Other(other));
        }
        let legacy = fragment.function_call.filter(|call| call.get().starts_with('{'));
        let legacy = legacy.map(CallFragment::legacy);
        for (position, call) in fragment.tool_calls.0.into_iter().chain(legacy).enumerate() {
            if self.forwarded {
                self.calls.count(call, out);
            } else {
                self.calls.fragment(choice, position as u64, call, out)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, reason: &str, out: &mut Deltas) -> Result<(), Malformed> {
        if !self.forwarded {
            self.calls.are_named()?;
        }
        self.finished = true;
        out.push_back(finish::read(reason, self.calls.any()).map_or_else(Delta::Failed, Delta::Finish));
        Ok(())
    }

    /// The end marker. Some servers give no reason for the end of an answer that calls tools.
    fn end(&mut self, out: &mut Deltas) {
        if !self.finished && self.calls.any() && self.calls.are_named().is_ok() {
            out.push_back(Delta::Finish(Finish::ToolCalls));
        }
        out.push_back(Delta::End);
    }
}

impl Choice<'_> {
    /// How the provider failed, as OpenRouter reports it in the middle of an answer.
    fn failed(&self) -> Option<Box<BackendError>> {
        let broke_off = self.finish_reason.get().and_then(|reason| finish::read(reason, false).err());
        let error = self.error.filter(|error| says_something(error));
        error.map(|error| Box::new(BackendError::read(error.get().as_bytes()))).or(broke_off)
    }
}

/// A frame that the client gets: unchanged if every SDK reads it as it is written.
fn as_it_is(frame: &[u8], event: &sse::Event<'_>) -> Passed {
    match &event.data {
        Some(data) if !sse::is_plain(frame, event) => Passed::Rewritten(sse::event_of(event.name, data)),
        _ => Passed::AsIs,
    }
}

fn done() -> Passed {
    Passed::Rewritten(b"data: [DONE]\n\n".to_vec())
}
