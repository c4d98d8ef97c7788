//! The bytes that requests and complete answers hold in memory, all together. A request that finds no room is refused;
//! an answer is paid for, so it is always kept, and leaves less room for requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes in use.
#[derive(Debug, Default)]
pub struct Memory {
    used: AtomicUsize,
}

/// The bytes that one request or answer holds. Dropping it gives them back.
#[derive(Debug)]
pub struct Held {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Memory {
    /// The bytes in use now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Holds no bytes yet.
    #[must_use]
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { memory: Arc::clone(self), bytes: 0 }
    }
}

impl Held {
    /// Whether `bytes` more would fit into a budget of `budget` bytes now.
    #[must_use]
    pub fn fits(&self, bytes: usize, budget: usize) -> bool {
        self.memory.used().saturating_add(bytes) <= budget
    }

    /// Holds `bytes` more if all bytes in use stay within `budget`. Returns whether they do.
    #[must_use]
    pub fn grow(&mut self, bytes: usize, budget: usize) -> bool {
        let within = |used: usize| used.checked_add(bytes).filter(|&used| used <= budget);
        let grown = self.memory.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok();
        if grown {
            self.bytes += bytes;
        }
        grown
    }

    /// Holds `bytes` more, whether or not there is room.
    pub fn add(&mut self, bytes: usize) {
        self.memory.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// Gives back all but `bytes`.
    pub fn shrink(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.memory.used.fetch_sub(surplus, Ordering::Relaxed);
        self.bytes -= surplus;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let memory = Arc::new(Memory::default());
        let (mut first, mut second) = (memory.hold(), memory.hold());
        assert!(first.grow(60, 100) && second.grow(40, 100));
        assert!(!second.grow(1, 100) && !second.fits(1, 100));
        assert!(!second.grow(usize::MAX, usize::MAX), "no overflow");
        first.shrink(50);
        assert!(second.fits(10, 100) && second.grow(10, 100));
        second.add(1000);
        assert_eq!(memory.used(), 1100);
        assert!(!first.grow(1, 100), "an answer leaves less room for requests");
        drop((first, second));
        assert_eq!(memory.used(), 0);
    }
}
