//! All groups and keys, checked and resolved. A change makes a new value; nothing in it ever changes.

use std::collections::HashMap;

use wasmgate_base::time::UnixSeconds;

use crate::group::{Group, GroupSpec, MAX_DEPTH};
use crate::hash::{ByHash, KeyHash};
use crate::key::{Key, KeySpec, Refused};

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    groups: Vec<Group>,
    keys: Vec<Key>,
    by_hash: HashMap<KeyHash, Entry, ByHash>,
}

/// A text that a key has or had.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The key, by position.
    key: u32,
    /// Since when the text is no longer valid; `None`: it is the key's present text.
    until: Option<UnixSeconds>,
}

/// A mistake in groups or keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where it is.
    pub place: Place,
    /// What is wrong there.
    pub wrong: Wrong,
}

/// The place of a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The group of this name.
    Group(String),
    /// The key of this id.
    Key(String),
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// The key's group, or the group's parent, does not exist.
    NoGroup(String),
    /// The group is above itself: the names on the way, itself first and last.
    Circle(Vec<String>),
    /// More than `MAX_DEPTH` groups are above one another.
    TooDeep,
    /// Another key, of this id, has the same text.
    SameKey(String),
    /// There are more keys than can be counted.
    TooMany,
}

impl Accounts {
    /// Checks and resolves groups and keys. Their names and ids differ.
    ///
    /// # Errors
    /// All mistakes.
    pub fn new(groups: &[GroupSpec], keys: Vec<KeySpec>) -> Result<Self, Vec<Mistake>> {
        let positions: HashMap<&str, usize> =
            groups.iter().enumerate().map(|(position, group)| (group.name.as_str(), position)).collect();
        let mut mistakes = Vec::new();
        let mut accounts = Self::default();
        for (position, group) in groups.iter().enumerate() {
            match chain(groups, &positions, position) {
                Ok(chain) => {
                    let specs: Vec<&GroupSpec> = chain.iter().map(|&at| &groups[at]).collect();
                    accounts.groups.push(Group::new(&specs, chain));
                }
                Err(wrong) => mistakes.push(Mistake { place: Place::Group(group.name.clone()), wrong }),
            }
        }
        accounts.keys.reserve_exact(keys.len());
        accounts.by_hash.reserve(keys.len());
        for key in keys {
            if let Err(wrong) = accounts.add(&key, &positions) {
                mistakes.push(Mistake { place: Place::Key(key.id), wrong });
            }
        }
        if mistakes.is_empty() { Ok(accounts) } else { Err(mistakes) }
    }

    fn add(&mut self, spec: &KeySpec, groups: &HashMap<&str, usize>) -> Result<(), Wrong> {
        let group = *groups.get(&*spec.group).ok_or_else(|| Wrong::NoGroup(spec.group.clone()))?;
        let key = u32::try_from(self.keys.len()).map_err(|_| Wrong::TooMany)?;
        let texts = [(spec.hash, None)].into_iter().chain(spec.previous.map(|older| (older.hash, Some(older.until))));
        self.keys.push(Key { id: spec.id.as_str().into(), group, expires: spec.expires, blocked: spec.blocked });
        for (hash, until) in texts {
            if let Some(known) = self.by_hash.get(&hash) {
                return Err(Wrong::SameKey(self.keys[known.key as usize].id.to_string()));
            }
            self.by_hash.insert(hash, Entry { key, until });
        }
        Ok(())
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn has_no_keys(&self) -> bool {
        self.keys.is_empty()
    }

    /// All groups, in the order in which they were given.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// All keys, in the order in which they were given.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The position of the key that a client sent.
    ///
    /// # Errors
    /// If there is none, or it is not valid now. Only who has a key learns why it is not valid.
    pub fn find(&self, shown: &[u8], now: UnixSeconds) -> Result<usize, Refused> {
        let entry = self.by_hash.get(&KeyHash::of(shown)).ok_or(Refused::Unknown)?;
        let position = entry.key as usize;
        let key = &self.keys[position];
        let is_over = |until: Option<UnixSeconds>| until.is_some_and(|until| now >= until);
        match () {
            () if key.blocked => Err(Refused::Blocked),
            () if is_over(key.expires) => Err(Refused::Expired),
            () if is_over(entry.until) => Err(Refused::Rotated),
            () => Ok(position),
        }
    }
}

/// The positions of a group and those above it.
fn chain(groups: &[GroupSpec], positions: &HashMap<&str, usize>, from: usize) -> Result<Vec<usize>, Wrong> {
    let mut chain = vec![from];
    let mut at = from;
    while let Some(parent) = &groups[at].parent {
        at = *positions.get(parent.as_str()).ok_or_else(|| Wrong::NoGroup(parent.clone()))?;
        if at == from {
            return Err(Wrong::Circle(chain.iter().chain([&from]).map(|&at| groups[at].name.clone()).collect()));
        }
        if chain.len() == MAX_DEPTH {
            return Err(Wrong::TooDeep);
        }
        chain.push(at);
    }
    Ok(chain)
}

#[cfg(test)]
mod tests;
