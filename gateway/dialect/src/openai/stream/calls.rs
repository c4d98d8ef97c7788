//! The tool calls of a stream: which call a fragment belongs to, and when a call can be reported.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::chat::{Delta, Deltas};
use crate::lenient::{Count, Word, arguments, object};
use crate::types::Malformed;

/// The tool calls so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// The latest call of each key, and the call of each key and id: positions in `calls`.
    latest: HashMap<Key, usize>,
    by_id: HashMap<(Key, String), usize>,
    /// How many calls were reported: the index of the next. The name of a later call may arrive first.
    reported: usize,
    /// Bytes of all ids, and of all arguments that waited for a name.
    kept: usize,
    /// How many fragments were only counted.
    counted: usize,
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
    /// Whether its first fragment held a name and all arguments.
    is_whole: bool,
}

/// Maximum of ids, and of arguments that wait for the name of their call, in bytes. The name comes first, or a few fragments
/// later.
const MAX_KEPT_BYTES: usize = 1 << 20;

object! {
    /// A piece of a call.
    pub(super) struct Fragment<'a> {
        "index" index: Count,
        "id" id: Word<'a>,
        "function" function: Function<'a>,
    }
}

object! {
    pub(super) struct Function<'a> {
        "name" name: Word<'a>,
        "arguments" arguments: Option<&'a RawValue>,
    }
}

impl<'a> Fragment<'a> {
    /// The call of a message in the form that came before tool calls.
    pub(super) fn legacy(call: &'a RawValue) -> Self {
        Self { function: serde_json::from_str(call.get()).unwrap_or_default(), ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        self.index.0.is_none()
            && self.id.get().is_none()
            && self.function.name.get().is_none()
            && self.function.arguments.is_none()
    }
}

impl Calls {
    /// Whether there is any.
    pub(super) fn any(&self) -> bool {
        self.counted > 0 || !self.calls.is_empty()
    }

    /// Checks that each call has a name.
    pub(super) fn are_named(&self) -> Result<(), Malformed> {
        match self.reported < self.calls.len() {
            true => Err(Malformed::part_of_answer("a tool call of the stream has no name")),
            false => Ok(()),
        }
    }

    /// Notes that a fragment came, without following its call.
    pub(super) fn count(&mut self, fragment: Fragment<'_>, out: &mut Deltas) {
        if fragment.is_empty() {
            return;
        }
        self.counted += 1;
        let name = fragment.function.name.own().unwrap_or_default();
        let fragment = name + &arguments(fragment.function.arguments);
        if !fragment.is_empty() {
            out.push_back(Delta::ToolCallArguments { index: 0, fragment });
        }
    }

    /// Follows a call. `position`: that of the fragment in its chunk, for servers that do not count calls.
    pub(super) fn fragment(
        &mut self,
        choice: u64,
        position: u64,
        fragment: Fragment<'_>,
        out: &mut Deltas,
    ) -> Result<(), Malformed> {
        if fragment.is_empty() {
            return Ok(());
        }
        let key = (choice, fragment.index.0.unwrap_or(position));
        let Function { name, arguments: raw } = fragment.function;
        let name = name.own().filter(|name| !name.is_empty());
        let mut arguments = arguments(raw);
        let is_whole = name.is_some() && is_object(&arguments);
        let id = fragment.id.own().filter(|id| !id.is_empty());
        let at = self.call_of(key, id, is_whole)?;
        let call = &mut self.calls[at];
        let index = match (call.index, name) {
            (Some(index), _) => index,
            (None, Some(name)) => {
                let index = self.reported;
                self.reported += 1;
                call.index = Some(index);
                call.is_whole = is_whole && call.waiting.is_empty();
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
    /// another call: some servers send complete calls without counting them. So is a fragment with a name and all arguments
    /// (`is_whole`) after such a one, if neither has an id.
    fn call_of(&mut self, key: Key, id: Option<String>, is_whole: bool) -> Result<usize, Malformed> {
        let latest = self.latest.get(&key).copied();
        let Some(id) = id else {
            return match latest {
                Some(at) if is_whole && self.calls[at].is_whole => self.begin(key, String::new()),
                Some(at) => Ok(at),
                None => self.begin(key, String::new()),
            };
        };
        if let Some(at) = latest {
            let call = &mut self.calls[at];
            if call.id.is_empty() && !call.is_whole {
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
        self.calls.push(Call { id, index: None, waiting: String::new(), is_whole: false });
        self.latest.insert(key, at);
        Ok(at)
    }
}

fn is_object(arguments: &str) -> bool {
    arguments.starts_with('{') && serde_json::from_str::<&RawValue>(arguments).is_ok()
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
