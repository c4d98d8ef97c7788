//! The bytes that requests and complete answers hold in memory, all together. A request that finds no room is refused;
//! an answer is paid for, so it is always kept, and leaves less room for requests.
//!
//! A share is reserved for requests with small bodies: a few clients that send the largest bodies, or leave them unfinished,
//! must not keep everyone else out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Failure, Kind};

/// Up to this many held bytes a request is small. A body counts three times, so this is one of 64 KiB.
const SMALL: usize = 3 * (64 << 10);
/// The largest part of all room that is reserved for small requests.
const SHARE: usize = 8;

/// The room for requests and complete answers.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    bytes: usize,
    reserved: usize,
}

impl Room {
    /// `bytes` in all, of which an eighth is reserved for small requests, or less if the largest request, of `largest` bytes,
    /// would have no room otherwise.
    #[must_use]
    pub fn new(bytes: usize, largest: usize) -> Self {
        Self { bytes, reserved: (bytes / SHARE).min(bytes.saturating_sub(largest)) }
    }
}

/// The bytes in use.
#[derive(Debug, Default)]
pub struct Memory {
    small: AtomicUsize,
    /// Of large requests and of answers.
    large: AtomicUsize,
}

/// The bytes that one request or answer holds. Dropping it gives them back.
#[derive(Debug)]
pub struct Held {
    memory: Arc<Memory>,
    bytes: usize,
    large: bool,
}

impl Memory {
    /// The bytes in use now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.small.load(Ordering::Relaxed).saturating_add(self.large.load(Ordering::Relaxed))
    }

    /// Holds no bytes yet.
    #[must_use]
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { memory: Arc::clone(self), bytes: 0, large: false }
    }

    fn count(&self, large: bool) -> &AtomicUsize {
        if large { &self.large } else { &self.small }
    }

    /// Whether a small request, or a large one, may hold `bytes` more while those of its class hold `used`. `moved` of the
    /// bytes are still counted in the other class.
    fn has_room(&self, large: bool, used: usize, bytes: usize, moved: usize, room: Room) -> bool {
        let others = self.count(!large).load(Ordering::Relaxed).saturating_sub(moved);
        let Some(used) = used.checked_add(bytes) else { return false };
        let within = |others: usize| used.saturating_add(others) <= room.bytes;
        if large { within(others.max(room.reserved)) } else { used <= room.reserved || within(others) }
    }
}

impl Held {
    /// Whether `bytes` more would find room now.
    #[must_use]
    pub fn fits(&self, bytes: usize, room: Room) -> bool {
        let (large, moved) = self.class_with(bytes);
        let used = self.memory.count(large).load(Ordering::Relaxed);
        self.memory.has_room(large, used, bytes.saturating_add(moved), moved, room)
    }

    /// Holds `bytes` more if there is room. Returns whether there is. Small and large requests that grow at the same moment
    /// can together take a piece of a body more than there is.
    #[must_use]
    pub fn grow(&mut self, bytes: usize, room: Room) -> bool {
        let (large, moved) = self.class_with(bytes);
        let Some(needed) = bytes.checked_add(moved) else { return false };
        let within = |used: usize| self.memory.has_room(large, used, needed, moved, room).then(|| used + needed);
        let grown = self.memory.count(large).fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok();
        if grown {
            self.memory.count(self.large).fetch_sub(moved, Ordering::Relaxed);
            self.bytes += bytes;
            self.large = large;
        }
        grown
    }

    /// Holds `bytes` of an answer, whether or not there is room. They leave the room of small requests alone.
    pub fn add(&mut self, bytes: usize) {
        self.memory.count(self.large).fetch_sub(self.bytes, Ordering::Relaxed);
        self.large = true;
        self.bytes += bytes;
        self.memory.large.fetch_add(self.bytes, Ordering::Relaxed);
    }

    /// Gives back `bytes` of what it holds.
    pub fn release(&mut self, bytes: usize) {
        self.shrink(self.bytes.saturating_sub(bytes));
    }

    /// Gives back all but `bytes`.
    pub fn shrink(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.memory.count(self.large).fetch_sub(surplus, Ordering::Relaxed);
        self.bytes -= surplus;
    }

    /// Whether the request is large if it holds `bytes` more, and how many bytes it then takes along from the small ones.
    fn class_with(&self, bytes: usize) -> (bool, usize) {
        let large = self.large || self.bytes.saturating_add(bytes) > SMALL;
        (large, if large && !self.large { self.bytes } else { 0 })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

/// The failure of a request that finds no room.
pub(super) fn no_room() -> Failure {
    let message = "the requests in flight hold all the memory that is meant for them; retry shortly";
    Failure::new(Kind::Overloaded, message).with_detail("server.max_buffered_bytes is used up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let (memory, room) = (Arc::new(Memory::default()), Room::new(100, 100));
        let (mut first, mut second) = (memory.hold(), memory.hold());
        assert!(first.grow(60, room) && second.grow(40, room));
        assert!(!second.grow(1, room) && !second.fits(1, room));
        assert!(!second.grow(usize::MAX, Room::new(usize::MAX, 0)), "no overflow");
        first.shrink(50);
        assert!(second.fits(10, room) && second.grow(10, room));
        second.add(1000);
        assert_eq!(memory.used(), 1100);
        assert!(!first.grow(1, room), "an answer leaves less room for requests");
        drop((first, second));
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn large_requests_and_answers_leave_room_for_small_ones() {
        let (all, large) = (100 * SMALL, 10 * SMALL);
        let (memory, room) = (Arc::new(Memory::default()), Room::new(all, large));
        let mut greedy: Vec<Held> = Vec::new();
        loop {
            let mut held = memory.hold();
            // In pieces, the first of which could be those of small requests.
            if !(0..20).all(|_| held.grow(large / 20, room)) {
                break;
            }
            greedy.push(held);
        }
        assert_eq!(greedy.len(), 8, "an eighth is reserved, and nine would take more than the rest");
        let mut answer = memory.hold();
        answer.add(all);
        let mut small: Vec<Held> = (0..12).map(|_| memory.hold()).collect();
        assert!(small.iter_mut().all(|held| held.fits(SMALL, room) && held.grow(SMALL, room)));
        assert!(!memory.hold().fits(SMALL, room), "what is reserved is bounded");
        drop((greedy, answer));
        let mut more: Vec<Held> = (0..88).map(|_| memory.hold()).collect();
        assert!(more.iter_mut().all(|held| held.grow(SMALL, room)), "small requests may use all room");
        assert!(!memory.hold().grow(1, room) && memory.used() == all);
        drop((small, more));
        assert_eq!(memory.used(), 0);
        assert!(memory.hold().grow(all, Room::new(all, all)), "the largest request always has room");
    }
}
