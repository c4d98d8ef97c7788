//! How often each key and group was changed, and what of it the other gateways know. What is deleted is remembered for a while, so
//! that no gateway that was away brings it back.

use std::collections::HashMap;

use indexmap::IndexMap;
use wasmgate_accounts::{KeyId, KeyList};
use wasmgate_base::time::UnixSeconds;

use super::change::Change;
use crate::config::ManagedGroup;

/// How long what is deleted is remembered, in seconds: thirty days. A gateway that was away for nearly as long does not know what
/// was deleted meanwhile.
pub(super) const REMEMBERED: u64 = 30 * 86_400;
/// Most deleted keys and groups that are remembered.
const MAX_GONE: usize = 100_000;

/// What a change concerns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// A key.
    Key(KeyId),
    /// A group.
    Group(Box<str>),
}

impl Name {
    /// As gateways tell it to each other: `k:key-692ae3f00badcafe`, `g:research`.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Key(id) => format!("k:{id}"),
            Self::Group(name) => format!("g:{name}"),
        }
    }

    /// The name that a text is.
    pub(super) fn of(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("k", id) => Some(Self::Key(KeyId::of(id))),
            ("g", name) => Some(Self::Group(name.into())),
            _ => None,
        }
    }
}

/// What is known of a change besides what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Grows with each change, 1 or more.
    pub(super) revision: u64,
    /// The revision that all gateways last had; 0: none.
    pub(super) base: u64,
    /// When it was deleted, if it was and that is to be remembered.
    pub(super) gone: Option<UnixSeconds>,
}

impl Mark {
    /// The mark of a change that was made here and that nobody else knows.
    pub(super) const NEW: Self = Self { revision: 1, base: 0, gone: None };

    /// The mark of what all gateways know.
    pub(super) fn told(revision: u64) -> Self {
        Self { revision, base: revision, gone: None }
    }

    /// Whether all gateways know it.
    pub(super) fn is_told(self) -> bool {
        self.base == self.revision
    }

    /// What is in front of a change in the log; nothing if the mark is that of a new change.
    pub(super) fn text(self) -> String {
        match (self, self.gone) {
            (Self::NEW, _) => String::new(),
            (Self { revision, base, .. }, None) => format!("{revision}/{base} "),
            (Self { revision, base, .. }, Some(gone)) => format!("{revision}/{base}/{gone} "),
        }
    }

    /// The mark in front of a change, and what is behind it.
    pub(super) fn split(line: &[u8]) -> Option<(Self, &[u8])> {
        if line.first() == Some(&b'{') {
            return Some((Self::NEW, line));
        }
        let end = line.iter().position(|byte| *byte == b' ')?;
        let mut numbers = std::str::from_utf8(&line[..end]).ok()?.split('/').map(|number| number.parse::<u64>().ok());
        let (revision, base) = (numbers.next()??, numbers.next()??);
        let gone = match numbers.next() {
            None => None,
            Some(gone) => Some(gone?),
        };
        (numbers.next().is_none()).then_some((Self { revision, base, gone }, &line[end + 1..]))
    }
}

/// A change with its mark.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Marked {
    pub(super) change: Change,
    pub(super) mark: Mark,
}

/// The marks of all keys and groups, and of those that are gone.
#[derive(Debug)]
pub(super) struct Marks {
    /// Those that are not `usual`.
    known: HashMap<Name, Mark>,
    /// What most have, so that a million keys need no memory for it.
    usual: Mark,
    gone: usize,
}

impl Marks {
    /// No marks yet. `shares`: whether there are other gateways.
    pub(super) fn new(shares: bool) -> Self {
        let usual = if shares { Mark::told(1) } else { Mark::NEW };
        Self { known: HashMap::new(), usual, gone: 0 }
    }

    /// The mark of a key or group that there is, or that is remembered.
    pub(super) fn of(&self, name: &Name) -> Mark {
        self.known.get(name).copied().unwrap_or(self.usual)
    }

    /// When it was deleted, if that is remembered: its mark.
    pub(super) fn gone(&self, name: &Name) -> Option<Mark> {
        self.known.get(name).copied().filter(|mark| mark.gone.is_some())
    }

    /// Notes the mark of a change.
    pub(super) fn note(&mut self, change: &Change, mark: Mark) {
        let name = change.name();
        match change.is_deletion() && mark.gone.is_none() {
            true => self.forget(&name),
            false => self.set(name, mark),
        }
    }

    /// Notes the mark of a name.
    pub(super) fn set(&mut self, name: Name, mark: Mark) {
        self.gone += usize::from(mark.gone.is_some());
        let before = if mark == self.usual { self.known.remove(&name) } else { self.known.insert(name, mark) };
        self.gone -= usize::from(before.is_some_and(|before| before.gone.is_some()));
    }

    /// Forgets it.
    pub(super) fn forget(&mut self, name: &Name) {
        let before = self.known.remove(name);
        self.gone -= usize::from(before.is_some_and(|before| before.gone.is_some()));
    }

    /// How many deleted ones are remembered.
    pub(super) fn count_gone(&self) -> usize {
        self.gone
    }

    /// The deleted ones that are remembered, as changes.
    pub(super) fn all_gone(&self) -> Vec<Marked> {
        let gone = self.known.iter().filter(|(_, mark)| mark.gone.is_some());
        gone.map(|(name, mark)| Marked { change: deletion(name), mark: *mark }).collect()
    }

    /// Forgets deleted ones that all know and that were deleted long ago, or that are too many.
    pub(super) fn prune(&mut self, now: UnixSeconds) {
        self.known
            .retain(|_, mark| !mark.is_told() || mark.gone.is_none_or(|gone| now.saturating_sub(gone) <= REMEMBERED));
        let told = self.known.iter().filter(|(_, mark)| mark.is_told());
        let mut told: Vec<(UnixSeconds, Name)> =
            told.filter_map(|(name, mark)| Some((mark.gone?, name.clone()))).collect();
        let much = told.len().saturating_sub(MAX_GONE);
        told.sort_unstable_by_key(|(gone, _)| *gone);
        for (_, name) in &told[..much] {
            self.known.remove(name);
        }
        self.gone = self.known.values().filter(|mark| mark.gone.is_some()).count();
    }
}

/// The change that deletes.
pub(super) fn deletion(name: &Name) -> Change {
    match name {
        Name::Key(id) => Change::DeletedKey(id.clone()),
        Name::Group(name) => Change::DeletedGroup(name.to_string()),
    }
}

/// What a start reads.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) list: KeyList,
    pub(super) groups: IndexMap<String, ManagedGroup>,
    pub(super) marks: Marks,
}

impl Kept {
    pub(super) fn new(shares: bool) -> Self {
        Self { list: KeyList::default(), groups: IndexMap::new(), marks: Marks::new(shares) }
    }

    /// Applies a change that was made after all others.
    pub(super) fn take(&mut self, Marked { change, mark }: Marked) {
        self.marks.note(&change, mark);
        match change {
            Change::Key(key) => drop(self.list.put(key)),
            Change::Group(group) => drop(self.groups.insert(group.name.clone(), group)),
            Change::DeletedKey(id) => drop(self.list.remove(&id)),
            Change::DeletedGroup(name) => drop(self.groups.shift_remove(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_is_written() {
        let line = |mark: Mark| mark.text() + "{}";
        for (mark, text) in [
            (Mark::NEW, "{}"),
            (Mark::told(1), "1/1 {}"),
            (Mark { revision: 7, base: 5, gone: None }, "7/5 {}"),
            (Mark { revision: 7, base: 0, gone: Some(1_795_953_600) }, "7/0/1795953600 {}"),
        ] {
            assert_eq!(line(mark), text);
            assert_eq!(Mark::split(text.as_bytes()), Some((mark, &b"{}"[..])));
        }
        for wrong in ["", "7 {}", "7/ {}", "7/5/ {}", "7/5/3/1 {}", "a/1 {}", "7/5"] {
            assert_eq!(Mark::split(wrong.as_bytes()), None, "{wrong}");
        }
        for name in ["k:key-6b0c13c000000007", "g:a:b", "g:"] {
            assert_eq!(Name::of(name).expect("a name").text(), name);
        }
        assert_eq!((Name::of("key"), Name::of("x:key")), (None, None));
    }

    #[test]
    fn deleted_ones_are_forgotten_when_all_know_them_for_long() {
        let mut marks = Marks::new(true);
        let name = |name: &str| Name::Group(name.into());
        let gone = |base, at| Mark { revision: 2, base, gone: Some(at) };
        for (of, mark) in [("old", gone(2, 10)), ("untold", gone(1, 10)), ("new", gone(2, 2_000_000))] {
            marks.set(name(of), mark);
        }
        marks.set(name("there"), Mark::told(9));
        marks.prune(10 + REMEMBERED + 1);
        assert_eq!((marks.count_gone(), marks.all_gone().len()), (2, 2));
        assert_eq!((marks.gone(&name("old")), marks.of(&name("there"))), (None, Mark::told(9)));
        marks.set(name("new"), Mark::told(3));
        marks.forget(&name("untold"));
        assert_eq!(marks.count_gone(), 0);
    }
}
