//! The tool calls of a stream: which call a fragment belongs to, and when a call can be reported.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::balance::Balance;
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
    /// Bytes of all ids and names, and of all arguments that waited for a name.
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
    /// Its name, as soon as it arrives.
    name: Option<String>,
    /// Its index; `None` until its name arrives. Until then the call is not reported and its arguments wait.
    index: Option<usize>,
    waiting: String,
    /// How far its arguments are.
    balance: Balance,
}

/// What a fragment says of its call.
struct Piece {
    key: Key,
    /// Whether the server gave the index in `key`.
    is_counted: bool,
    id: Option<String>,
    name: Option<String>,
    arguments: String,
}

/// Maximum of ids, names, and arguments that wait for the name of their call, in bytes. The name comes first, or a few fragments
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
        let Function { name, arguments: raw } = fragment.function;
        let mut piece = Piece {
            key: (choice, fragment.index.0.unwrap_or(position)),
            is_counted: fragment.index.0.is_some(),
            id: fragment.id.own().filter(|id| !id.is_empty()),
            name: name.own().filter(|name| !name.is_empty()),
            arguments: arguments(raw),
        };
        let at = self.call_of(&piece)?;
        let call = &mut self.calls[at];
        call.balance.push(&piece.arguments);
        let index = match (call.index, piece.name.take()) {
            (Some(index), _) => index,
            (None, Some(name)) => {
                keep(&mut self.kept, name.len())?;
                let index = self.reported;
                self.reported += 1;
                call.index = Some(index);
                call.name = Some(name.clone());
                out.push_back(Delta::ToolCallStart { index, id: call.id.clone(), name });
                piece.arguments.insert_str(0, &std::mem::take(&mut call.waiting));
                index
            }
            (None, None) => {
                keep(&mut self.kept, piece.arguments.len())?;
                call.waiting.push_str(&piece.arguments);
                return Ok(());
            }
        };
        if !piece.arguments.is_empty() {
            out.push_back(Delta::ToolCallArguments { index, fragment: piece.arguments });
        }
        Ok(())
    }

    /// The position of the call that a fragment belongs to: the one with its id under its key, else the latest one with its
    /// key if the fragment continues it, else a new one.
    fn call_of(&mut self, piece: &Piece) -> Result<usize, Malformed> {
        let latest = self.latest.get(&piece.key).copied();
        let is_latest = |at: usize| piece.id.as_ref().is_none_or(|id| *id == self.calls[at].id);
        let other = piece.id.as_ref().filter(|_| !latest.is_some_and(is_latest));
        let named = other.map(|id| (piece.key, id.clone()));
        if let Some(&at) = named.as_ref().and_then(|named| self.by_id.get(named)) {
            return Ok(at);
        }
        let at = match latest {
            Some(at) if self.calls[at].is_continued_by(piece) => at,
            _ => self.begin(piece.key)?,
        };
        let call = &mut self.calls[at];
        if let Some(id) = piece.id.as_ref().filter(|_| call.id.is_empty()) {
            keep(&mut self.kept, id.len())?;
            call.id.clone_from(id);
            self.by_id.insert((piece.key, id.clone()), at);
        }
        Ok(at)
    }

    fn begin(&mut self, key: Key) -> Result<usize, Malformed> {
        let at = self.calls.len();
        Malformed::unless_few(at + 1)?;
        let balance = Balance::default();
        self.calls.push(Call { id: String::new(), name: None, index: None, waiting: String::new(), balance });
        self.latest.insert(key, at);
        Ok(at)
    }
}

impl Call {
    /// Whether a fragment of the same key belongs to this call and not to a new one. Servers repeat names, make a new id for
    /// each fragment, or send complete calls without counting them. What tells these apart is whether the arguments are whole:
    /// nothing can follow them.
    fn is_continued_by(&self, piece: &Piece) -> bool {
        let is_same_id = piece.id.as_ref().filter(|_| !self.id.is_empty()).map(|id| *id == self.id);
        let Some(name) = &piece.name else {
            return is_same_id != Some(false) || piece.is_counted || !self.balance.is_whole();
        };
        let is_same_name = self.name.as_ref().is_none_or(|own| own == name);
        let begins = piece.arguments.trim_start().starts_with('{');
        match is_same_id {
            Some(true) => is_same_name || !self.balance.is_whole(),
            Some(false) => {
                let more = self.balance.has_begun() || (piece.is_counted && !piece.arguments.is_empty());
                is_same_name && more && !self.balance.is_whole()
            }
            None if self.balance.is_whole() => is_same_name && !begins,
            None => is_same_name || piece.is_counted || self.balance.has_begun(),
        }
    }
}

/// Counts bytes that the decoder keeps.
fn keep(kept: &mut usize, bytes: usize) -> Result<(), Malformed> {
    *kept += bytes;
    if *kept > MAX_KEPT_BYTES {
        let text = "the stream has more than 1 MiB of tool calls' ids and names and of arguments without a name";
        return Err(Malformed::part_of_answer(text));
    }
    Ok(())
}
