//! What became of what was handed to the ledger: counted by all, waited for by whoever ends the process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::read::Report;

/// See the module.
#[derive(Debug, Default)]
pub struct Status {
    /// Entries handed to the kernel.
    pub(crate) written: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) interrupted: AtomicU64,
    pub(crate) torn: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) is_writer: AtomicBool,
    pub(crate) is_prompt: AtomicBool,
    /// Records that came to the queue, and those that the kernel has, or that are lost since.
    pub(crate) queued: AtomicU64,
    pub(crate) done: AtomicU64,
    /// Whether the owner of the ledger is gone.
    pub(crate) stopping: AtomicBool,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    /// So many of `done` are on the disk.
    synced: u64,
    /// Whether the thread has ended.
    ended: bool,
}

impl Status {
    /// Entries of requests handed to the kernel since the start.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Entries lost: the queue was full, or the process ended before the disk took them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Requests that a process before was ended with. They count for what they had reserved.
    #[must_use]
    pub fn interrupted(&self) -> u64 {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Ends of segments that were not complete and that this process cut off.
    #[must_use]
    pub fn torn(&self) -> u64 {
        self.torn.load(Ordering::Relaxed)
    }

    /// Lines that do not count: they are damaged, or only a later version can read them.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Errors of the disk.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Whether this process writes; if not, another one does and this one waits for its end.
    #[must_use]
    pub fn is_writer(&self) -> bool {
        self.is_writer.load(Ordering::Relaxed)
    }

    /// Records that wait for the disk.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        // In this order: what comes between is then one too many, never one too few.
        let done = self.done.load(Ordering::Acquire);
        self.queued.load(Ordering::Relaxed).saturating_sub(done)
    }

    pub(crate) fn note_found(&self, report: &Report) {
        self.damaged.store(report.damaged + report.unknown, Ordering::Relaxed);
    }

    pub(crate) fn synced(&self, done: u64) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).synced = done;
        self.changed.notify_all();
    }

    pub(crate) fn ended(&self) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.changed.notify_all();
    }

    /// Waits until what was queued so far is on the disk. Returns whether it is.
    pub(crate) fn wait_synced(&self, at_most: Duration) -> bool {
        let queued = self.queued.load(Ordering::Relaxed);
        self.wait(at_most, |progress| progress.synced >= queued)
    }

    /// Waits until the thread has ended. Returns whether it has.
    pub(crate) fn wait_ended(&self, at_most: Duration) -> bool {
        self.wait(at_most, |progress| progress.ended)
    }

    fn wait(&self, at_most: Duration, is_there: impl Fn(&Progress) -> bool) -> bool {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(progress, at_most, |progress| !is_there(progress));
        let (progress, _) = waited.unwrap_or_else(PoisonError::into_inner);
        is_there(&progress)
    }
}
