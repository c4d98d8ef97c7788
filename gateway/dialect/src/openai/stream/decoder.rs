//! Reads OpenAI's stream.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::finish::finish;
use super::super::usage::WireUsage;
use crate::chat::{Delta, Deltas};
use crate::json::Text;
use crate::types::Malformed;
use crate::{sse, write};

/// Reads OpenAI's stream.
#[derive(Debug, Default)]
pub struct Decoder {
    started: bool,
    /// Whether a finish reason came. From then on, usage is that of the whole answer.
    finished: bool,
    calls: Vec<Call>,
    /// The latest call of each key, and the call of each key and id: positions in `calls`.
    latest: HashMap<Key, usize>,
    by_id: HashMap<(Key, String), usize>,
    /// How many calls were reported: the index of the next. The name of a later call may arrive first.
    reported: usize,
    /// Bytes of all ids, and of all arguments that waited for a name.
    kept: usize,
}

/// The choice, and the index that the server gave the call.
type Key = (u64, u64);

/// A started tool call.
#[derive(Debug)]
struct Call {
    id: String,
    /// Its index; `None` until its name arrives. Until then the call is not reported and its arguments wait.
    index: Option<usize>,
    waiting: String,
}

/// Maximum of ids, and of arguments that wait for the name of their call, in bytes. The name comes first, or a few fragments
/// later.
const MAX_KEPT_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
struct Chunk<'a> {
    // Borrowed, because it is the same in every chunk and needed once.
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    object: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<WireUsage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u64,
    delta: Option<Fragment>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Fragment {
    content: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<CallFragment>>,
}

#[derive(Deserialize)]
struct CallFragment {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionFragment>,
}

#[derive(Deserialize)]
struct FunctionFragment {
    name: Option<String>,
    arguments: Option<String>,
}

impl Decoder {
    /// Reads one event.
    ///
    /// # Errors
    /// If the event is not a chunk, an error or the end: `Malformed`.
    pub fn frame(&mut self, frame: &[u8], out: &mut Deltas) -> Result<(), Malformed> {
        let event = sse::event(frame);
        let Some(data) = event.data else { return Ok(()) };
        if data.starts_with(b"[DONE]") {
            out.push_back(Delta::End);
            return Ok(());
        }
        if event.name == Some(b"error") {
            out.push_back(Delta::Failed(String::from_utf8_lossy(&data).into_owned()));
            return Ok(());
        }
        let chunk: Chunk<'_> = match serde_json::from_slice(&data) {
            Ok(chunk) => chunk,
            // A named event is not a chunk.
            Err(_) if event.name.is_some() => return Ok(()),
            Err(e) => return Err(write::malformed_frame("a chunk of the stream", &e, &data, &["choices"])),
        };
        self.chunk(chunk, event.name.is_some(), out)
    }

    fn chunk(&mut self, chunk: Chunk<'_>, named: bool, out: &mut Deltas) -> Result<(), Malformed> {
        if let Some(error) = chunk.error {
            out.push_back(Delta::Failed(error.get().to_owned()));
            return Ok(());
        }
        // vLLM's error format before it adopted OpenAI's.
        if chunk.object.is_some_and(|object| object.0 == "error") {
            out.push_back(Delta::Failed(chunk.message.map_or_else(String::new, |m| m.get().to_owned())));
            return Ok(());
        }
        if chunk.choices.is_none() && chunk.usage.is_none() && !named {
            return Err(Malformed::new("a chunk of the stream has no choices"));
        }
        if !self.started && (chunk.id.is_some() || chunk.model.is_some()) {
            self.started = true;
            let own = |text: Option<Text<'_>>| text.map(|text| text.0.into_owned());
            out.push_back(Delta::Start { id: own(chunk.id), model: own(chunk.model) });
        }
        // Usage in a chunk without choices is the total. Some servers also send a count with each chunk.
        let without_choices = chunk.choices.as_ref().is_none_or(Vec::is_empty);
        for choice in chunk.choices.unwrap_or_default() {
            if let Some(fragment) = choice.delta {
                self.fragment(choice.index, fragment, out)?;
            }
            if let Some(reason) = choice.finish_reason {
                self.finish(&reason.0, out)?;
            }
        }
        if let Some(usage) = chunk.usage.and_then(|usage| usage.read()) {
            out.push_back(Delta::Usage { usage, is_final: without_choices || self.finished });
        }
        Ok(())
    }

    fn fragment(&mut self, choice: u64, fragment: Fragment, out: &mut Deltas) -> Result<(), Malformed> {
        // Some servers send the same text under the old and the new name.
        if let Some(text) = fragment.reasoning_content.or(fragment.reasoning).filter(|text| !text.is_empty()) {
            out.push_back(Delta::Reasoning(text));
        }
        for text in [fragment.content, fragment.refusal].into_iter().flatten().filter(|text| !text.is_empty()) {
            out.push_back(Delta::Text(text));
        }
        for (position, call) in fragment.tool_calls.into_iter().flatten().enumerate() {
            self.call_fragment(choice, position as u64, call, out)?;
        }
        Ok(())
    }

    fn call_fragment(
        &mut self,
        choice: u64,
        position: u64,
        fragment: CallFragment,
        out: &mut Deltas,
    ) -> Result<(), Malformed> {
        let key = (choice, fragment.index.unwrap_or(position));
        let at = self.call_of(key, fragment.id.filter(|id| !id.is_empty()))?;
        let call = &mut self.calls[at];
        let (name, arguments) = fragment.function.map_or((None, None), |f| (f.name, f.arguments));
        let mut arguments = arguments.unwrap_or_default();
        let index = match (call.index, name.filter(|name| !name.is_empty())) {
            (Some(index), _) => index,
            (None, Some(name)) => {
                let index = self.reported;
                self.reported += 1;
                call.index = Some(index);
                out.push_back(Delta::ToolCallStart { index, id: call.id.clone(), name });
                arguments.insert_str(0, &std::mem::take(&mut call.waiting));
                index
            }
            (None, None) => {
                keep(&mut self.kept, arguments.len())?;
                call.waiting.push_str(&arguments);
                return Ok(());
            }
        };
        if !arguments.is_empty() {
            out.push_back(Delta::ToolCallArguments { index, fragment: arguments });
        }
        Ok(())
    }

    /// The position of the call that a fragment belongs to: the latest one with its key. Another id under the same key is
    /// another call: some servers send complete calls without counting them.
    fn call_of(&mut self, key: Key, id: Option<String>) -> Result<usize, Malformed> {
        let latest = self.latest.get(&key).copied();
        let Some(id) = id else {
            return latest.map_or_else(|| self.begin(key, String::new()), Ok);
        };
        if let Some(at) = latest {
            let call = &mut self.calls[at];
            if call.id.is_empty() {
                keep(&mut self.kept, id.len())?;
                call.id.clone_from(&id);
                self.by_id.insert((key, id), at);
                return Ok(at);
            }
            if call.id == id {
                return Ok(at);
            }
        }
        let named = (key, id);
        if let Some(&at) = self.by_id.get(&named) {
            return Ok(at);
        }
        let at = self.begin(key, named.1.clone())?;
        self.by_id.insert(named, at);
        Ok(at)
    }

    fn begin(&mut self, key: Key, id: String) -> Result<usize, Malformed> {
        let at = self.calls.len();
        Malformed::unless_few(at + 1)?;
        keep(&mut self.kept, id.len())?;
        self.calls.push(Call { id, index: None, waiting: String::new() });
        self.latest.insert(key, at);
        Ok(at)
    }

    fn finish(&mut self, reason: &str, out: &mut Deltas) -> Result<(), Malformed> {
        if self.reported < self.calls.len() {
            return Err(Malformed::part_of_answer("a tool call of the stream has no name"));
        }
        self.finished = true;
        out.push_back(Delta::Finish(finish(reason, !self.calls.is_empty())));
        Ok(())
    }
}

/// Counts bytes that the decoder keeps.
fn keep(kept: &mut usize, bytes: usize) -> Result<(), Malformed> {
    *kept += bytes;
    if *kept > MAX_KEPT_BYTES {
        let text = "the stream has more than 1 MiB of tool calls' ids and of arguments without a name";
        return Err(Malformed::part_of_answer(text));
    }
    Ok(())
}
