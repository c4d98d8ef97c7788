//! Keys in the order of their ids, which is that in which they were made. Names of groups are kept once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::key::{Key, KeyId};

/// See the module.
#[derive(Debug, Default)]
pub struct KeyList {
    keys: Vec<Arc<Key>>,
    /// How many keys each group has.
    groups: HashMap<Arc<str>, usize>,
}

impl KeyList {
    /// All keys.
    #[must_use]
    pub fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key of an id.
    #[must_use]
    pub fn get(&self, id: &KeyId) -> Option<&Arc<Key>> {
        Some(&self.keys[self.place(id).ok()?])
    }

    /// The keys behind an id; all if it is `None`.
    #[must_use]
    pub fn after(&self, id: Option<&KeyId>) -> &[Arc<Key>] {
        let from = id.map_or(0, |id| self.place(id).map_or_else(|place| place, |place| place + 1));
        &self.keys[from..]
    }

    /// How many keys belong to a group.
    #[must_use]
    pub fn count_of(&self, group: &str) -> usize {
        self.groups.get(group).copied().unwrap_or_default()
    }

    /// The groups that keys belong to.
    pub fn groups(&self) -> impl Iterator<Item = (&str, usize)> {
        self.groups.iter().map(|(name, count)| (&**name, *count))
    }

    /// Adds a key, or replaces the one of its id. Returns it and the one before.
    pub fn put(&mut self, mut key: Key) -> (Arc<Key>, Option<Arc<Key>>) {
        match self.groups.get_key_value(&key.group) {
            Some((name, _)) => key.group = Arc::clone(name),
            None => drop(self.groups.insert(Arc::clone(&key.group), 0)),
        }
        *self.groups.entry(Arc::clone(&key.group)).or_default() += 1;
        let key = Arc::new(key);
        let before = match self.place(&key.id) {
            Ok(place) => Some(std::mem::replace(&mut self.keys[place], Arc::clone(&key))),
            // Most are newer than all others.
            Err(place) => {
                self.keys.insert(place, Arc::clone(&key));
                None
            }
        };
        self.leaves(before.as_deref());
        (key, before)
    }

    /// Removes and returns a key.
    pub fn remove(&mut self, id: &KeyId) -> Option<Arc<Key>> {
        let place = self.place(id).ok()?;
        let key = self.keys.remove(place);
        self.leaves(Some(&key));
        Some(key)
    }

    fn leaves(&mut self, key: Option<&Key>) {
        let Some(key) = key else { return };
        if let Some(count) = self.groups.get_mut(&key.group) {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(&key.group);
            }
        }
    }

    fn place(&self, id: &KeyId) -> Result<usize, usize> {
        // The newest is what most changes concern while a list is read.
        match self.keys.last() {
            Some(last) if last.id < *id => Err(self.keys.len()),
            _ => self.keys.binary_search_by(|key| key.id.cmp(id)),
        }
    }
}
