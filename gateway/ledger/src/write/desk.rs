//! What the thread that writes leaves for the one that syncs. Neither holds the lock while it does something with the disk.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::book::Book;
use crate::segment::Position;

/// The sums up to a position, to be kept when the disk has all before it.
pub(super) struct Snapshot {
    pub(super) book: Book,
    pub(super) at: Position,
    /// The segment of the position.
    pub(super) file: Arc<File>,
}

impl Snapshot {
    pub(super) fn save(&self, folder: &Path) -> io::Result<()> {
        self.book.save(folder, self.at)
    }
}

/// What there is for the second thread.
pub(super) struct State {
    /// The segment that is written to.
    pub(super) number: u64,
    pub(super) file: Arc<File>,
    /// Records that the kernel has.
    pub(super) done: u64,
    /// Since when something is written and not synced.
    pub(super) dirty: Option<Instant>,
    pub(super) is_urgent: bool,
    /// Segments that are closed and not synced.
    pub(super) closed: Vec<(u64, Arc<File>)>,
    /// The newest, if it is not kept.
    pub(super) snapshot: Option<Snapshot>,
    /// That of the end.
    pub(super) last: Option<Snapshot>,
    pub(super) ended: bool,
}

/// See the module.
pub(super) struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

impl Desk {
    pub(super) fn new(number: u64, file: Arc<File>) -> Self {
        let state = State {
            number,
            file,
            done: 0,
            dirty: None,
            is_urgent: false,
            closed: Vec::new(),
            snapshot: None,
            last: None,
            ended: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The kernel has so many records.
    pub(super) fn wrote(&self, done: u64) {
        let mut state = self.lock();
        state.done = done;
        if state.dirty.is_none() {
            state.dirty = Some(Instant::now());
            self.changed.notify_one();
        }
    }

    /// What is written is to be synced at once.
    pub(super) fn sync(&self) {
        self.lock().is_urgent = true;
        self.changed.notify_one();
    }

    /// From now on another segment is written to.
    pub(super) fn next_segment(&self, number: u64, file: Arc<File>, snapshot: Snapshot) {
        let mut state = self.lock();
        let before = (state.number, std::mem::replace(&mut state.file, file));
        state.closed.push(before);
        (state.number, state.snapshot) = (number, Some(snapshot));
        self.changed.notify_one();
    }

    /// A snapshot is to be kept.
    pub(super) fn snapshot(&self, snapshot: Snapshot) {
        self.lock().snapshot = Some(snapshot);
        self.changed.notify_one();
    }

    /// Nothing is written any more.
    pub(super) fn end(&self, last: Option<Snapshot>) {
        let mut state = self.lock();
        state.last = last.or(state.last.take());
        state.ended = true;
        self.changed.notify_one();
    }

    /// Waits until something is new, or for this long.
    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while it held the lock had changed all or nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
