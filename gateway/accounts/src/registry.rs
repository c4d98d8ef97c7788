//! The keys that change while the gateway runs. Requests find a key by the hash of its text without a lock; a change copies the
//! small part of the map that it concerns, off the request path.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use crate::hash::{ByHash, KeyHash};
use crate::key::{Key, KeyId};
pub use list::KeyList;

mod list;

/// Parts of the map, a power of 2. With a million keys each has a thousand, which take 10 µs to copy.
const SHARDS: usize = 1024;

/// See the module.
pub struct Registry {
    shards: Box<[ArcSwap<Shard>]>,
    /// Only changes and operators take the lock.
    list: Mutex<KeyList>,
    count: AtomicUsize,
}

/// A part of the map.
#[derive(Debug, Clone, Default)]
struct Shard {
    present: HashSet<Present, ByHash>,
    older: HashSet<Older, ByHash>,
}

/// A key by its present text.
#[derive(Debug, Clone)]
struct Present(Arc<Key>);

/// A key by its text before the last rotation.
#[derive(Debug, Clone)]
struct Older(Arc<Key>);

/// Another key, of this id, has the same text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameText(pub KeyId);

/// How many keys there are, and none of them.
impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("keys", &self.len()).finish_non_exhaustive()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(KeyList::default())
    }
}

impl Registry {
    /// A registry of these keys.
    #[must_use]
    pub fn new(list: KeyList) -> Self {
        let count = AtomicUsize::new(list.len());
        let shards = shards(&list).into_iter().map(ArcSwap::from_pointee).collect();
        Self { shards, list: Mutex::new(list), count }
    }

    /// The key that has, or had before its rotation, the text with this hash. `Key::admits` says whether it is valid. It takes no
    /// lock, and does the same whether there is a key or not.
    #[must_use]
    pub fn find(&self, hash: &KeyHash) -> Option<Arc<Key>> {
        let shard = self.shards[hash.shard(SHARDS)].load();
        let present = shard.present.get(hash).map(|Present(key)| key);
        let older = shard.older.get(hash).map(|Older(key)| key);
        present.or(older).cloned()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a key, or replaces the one of its id. When it returns, requests find the key as it is now. At no time do they miss a
    /// text that is valid before and after.
    ///
    /// # Errors
    /// If another key has one of its texts; then nothing changes.
    pub fn put(&self, key: Key) -> Result<(), SameText> {
        let mut list = self.lock();
        for hash in texts(&key).into_iter().flatten() {
            if let Some(other) = self.find(&hash).filter(|other| other.id != key.id) {
                return Err(SameText(other.id.clone()));
            }
        }
        let (key, before) = list.put(key);
        self.swap(Some(&key), before.as_deref());
        self.count.store(list.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Removes a key. Returns whether there was one.
    pub fn remove(&self, id: &KeyId) -> bool {
        let mut list = self.lock();
        let before = list.remove(id);
        self.swap(None, before.as_deref());
        self.count.store(list.len(), Ordering::Relaxed);
        before.is_some()
    }

    /// Replaces all keys.
    pub fn replace(&self, list: KeyList) {
        let mut known = self.lock();
        for (place, shard) in self.shards.iter().zip(shards(&list)) {
            place.store(Arc::new(shard));
        }
        self.count.store(list.len(), Ordering::Relaxed);
        *known = list;
    }

    /// The keys in the order of their ids, under a lock that no request takes.
    pub fn read<T>(&self, read: impl FnOnce(&KeyList) -> T) -> T {
        read(&self.lock())
    }

    /// Replaces the texts of a key that was there before by those that it has now.
    fn swap(&self, now: Option<&Arc<Key>>, before: Option<&Key>) {
        // New texts first. An older text stays in its part of the map, which changes at once.
        let hashes = now.into_iter().flat_map(|key| texts(key)).chain(before.into_iter().flat_map(texts)).flatten();
        let mut done: Vec<usize> = Vec::with_capacity(4);
        for number in hashes.map(|hash| hash.shard(SHARDS)) {
            if done.contains(&number) {
                continue;
            }
            done.push(number);
            let mut shard = Shard::clone(&self.shards[number].load());
            if let Some(before) = before {
                shard.remove(before);
            }
            if let Some(key) = now {
                shard.insert(key, |hash| hash.shard(SHARDS) == number);
            }
            self.shards[number].store(Arc::new(shard));
        }
    }

    fn lock(&self) -> MutexGuard<'_, KeyList> {
        // A panic cannot leave half of a change: nothing in here panics between two.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hashes of the texts that a key has and had.
fn texts(key: &Key) -> [Option<KeyHash>; 2] {
    [Some(key.hash), key.previous.as_ref().map(|previous| previous.hash)]
}

/// All parts of the map.
fn shards(list: &KeyList) -> Vec<Shard> {
    let mut counts = vec![0_usize; SHARDS];
    for key in list.keys() {
        counts[key.hash.shard(SHARDS)] += 1;
    }
    let sized =
        |count| Shard { present: HashSet::with_capacity_and_hasher(count, ByHash::default()), ..Shard::default() };
    let mut shards: Vec<Shard> = counts.into_iter().map(sized).collect();
    for key in list.keys() {
        for number in texts(key).into_iter().flatten().map(|hash| hash.shard(SHARDS)) {
            shards[number].insert(key, |hash| hash.shard(SHARDS) == number);
        }
    }
    shards
}

impl Shard {
    fn remove(&mut self, key: &Key) {
        self.present.remove(&key.hash);
        if let Some(previous) = &key.previous {
            self.older.remove(&previous.hash);
        }
    }

    /// Adds the texts of a key that belong here.
    fn insert(&mut self, key: &Arc<Key>, is_here: impl Fn(&KeyHash) -> bool) {
        if is_here(&key.hash) {
            self.present.replace(Present(Arc::clone(key)));
        }
        if key.previous.as_ref().is_some_and(|previous| is_here(&previous.hash)) {
            self.older.replace(Older(Arc::clone(key)));
        }
    }
}

impl Borrow<KeyHash> for Present {
    fn borrow(&self) -> &KeyHash {
        &self.0.hash
    }
}

impl Borrow<KeyHash> for Older {
    fn borrow(&self) -> &KeyHash {
        // Only a key with an older text is in such a set.
        self.0.previous.as_ref().map_or(&self.0.hash, |previous| &previous.hash)
    }
}

macro_rules! is_its_text {
    ($($entry:ty),*) => {$(
        impl Hash for $entry {
            fn hash<H: Hasher>(&self, state: &mut H) {
                Borrow::<KeyHash>::borrow(self).hash(state);
            }
        }

        impl PartialEq for $entry {
            fn eq(&self, other: &Self) -> bool {
                Borrow::<KeyHash>::borrow(self) == Borrow::<KeyHash>::borrow(other)
            }
        }

        impl Eq for $entry {}
    )*};
}

is_its_text!(Present, Older);

#[cfg(test)]
mod tests;
