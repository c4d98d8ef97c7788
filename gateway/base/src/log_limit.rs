//! Limits how often a log line is written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Admits one line a second, so that a policy that always fails does not fill the log.
#[derive(Debug)]
pub struct LogLimit {
    started: Instant,
    next_second: AtomicU64,
    suppressed: AtomicU64,
}

impl Default for LogLimit {
    fn default() -> Self {
        Self { started: Instant::now(), next_second: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }
}

impl LogLimit {
    /// `Some` if a line may be written, with the number of lines suppressed since the last one; otherwise `None`.
    pub fn admit(&self) -> Option<u64> {
        let now = self.started.elapsed().as_secs();
        let next = self.next_second.load(Ordering::Relaxed);
        let mine = now >= next
            && self.next_second.compare_exchange(next, now + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            Some(self.suppressed.swap(0, Ordering::Relaxed))
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}
