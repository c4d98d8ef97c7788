//! All groups and keys, checked and resolved. A change makes a new value; nothing in it ever changes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::group::{Group, GroupSpec, MAX_DEPTH};
use crate::hash::{ByHash, KeyHash};
use crate::key::Key;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    groups: Vec<Group>,
    positions: HashMap<Box<str>, usize>,
    keys: Vec<Arc<Key>>,
    /// The keys by the texts that they have or had.
    by_hash: HashMap<KeyHash, Arc<Key>, ByHash>,
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
}

impl Accounts {
    /// Checks and resolves groups and keys. Their names and ids differ.
    ///
    /// # Errors
    /// All mistakes.
    pub fn new(groups: &[GroupSpec], keys: Vec<Arc<Key>>) -> Result<Self, Vec<Mistake>> {
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
        accounts.by_hash.reserve(keys.len());
        for key in &keys {
            if let Err(wrong) = accounts.add(key, &positions) {
                mistakes.push(Mistake { place: Place::Key(key.id.to_string()), wrong });
            }
        }
        accounts.keys = keys;
        accounts.positions = positions.into_iter().map(|(name, position)| (name.into(), position)).collect();
        if mistakes.is_empty() { Ok(accounts) } else { Err(mistakes) }
    }

    fn add(&mut self, key: &Arc<Key>, groups: &HashMap<&str, usize>) -> Result<(), Wrong> {
        if !groups.contains_key(&*key.group) {
            return Err(Wrong::NoGroup(key.group.to_string()));
        }
        for hash in [Some(key.hash), key.previous.as_ref().map(|older| older.hash)].into_iter().flatten() {
            if let Some(known) = self.by_hash.get(&hash) {
                return Err(Wrong::SameKey(known.id.to_string()));
            }
            self.by_hash.insert(hash, Arc::clone(key));
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

    /// The position of the group of this name.
    #[must_use]
    pub fn position(&self, group: &str) -> Option<usize> {
        self.positions.get(group).copied()
    }

    /// All keys, in the order in which they were given.
    #[must_use]
    pub fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }

    /// The key that has, or had before its rotation, the text with this hash. `Key::admits` says whether it is valid.
    #[must_use]
    pub fn find(&self, hash: &KeyHash) -> Option<&Arc<Key>> {
        self.by_hash.get(hash)
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
