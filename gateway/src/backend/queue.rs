//! Bounds a backend's concurrent calls. More calls wait in a bounded queue for a permit: first in, first out, with a
//! maximum wait.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::{Backend, Live};
use crate::error::{Failure, Kind};
use wasmgate_base::range::Range;

/// The queue's settings, as in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSettings {
    /// Concurrent calls, streams until their end, 0 to 1,000,000; 0: no limit.
    pub max_in_flight: usize,
    /// Calls that may wait for a permit, 0 to 1,000,000; the queue refuses more immediately.
    pub max_waiting: u32,
    /// How long a call may wait, in seconds, 0 to 600.
    pub max_wait_seconds: f64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { max_in_flight: 0, max_waiting: 64, max_wait_seconds: 10.0 }
    }
}

impl QueueSettings {
    /// The numbers that each setting may have.
    pub const RANGES: &[(&str, Range)] = &[
        ("max_in_flight", Range::ZeroOrWhole("no limit", 1, 1_000_000)),
        ("max_waiting", Range::Whole(0, 1_000_000)),
        ("max_wait_seconds", Range::Number(0.0, 600.0)),
    ];
}

/// The queue of one backend.
#[derive(Debug)]
pub(super) struct Queue {
    /// One permit for each call that may begin now.
    permits: Semaphore,
    /// The limit in effect; `UNLIMITED` if there is none.
    limit: Mutex<usize>,
    /// Permits that were in use when the limit was lowered: as many calls must end before the next may begin.
    owed: AtomicUsize,
    waiting: AtomicU32,
}

/// More permits than there can be calls.
const UNLIMITED: usize = Semaphore::MAX_PERMITS;

/// A call's permit, held for as long as the call lasts. Dropping it releases it.
#[derive(Debug)]
pub struct Permit(Arc<Live>);

impl Permit {
    fn new(live: &Arc<Live>, permit: SemaphorePermit<'_>) -> Self {
        permit.forget();
        live.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(live))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.queue.release();
    }
}

/// Counts one waiting call until dropped.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Queue {
    pub(super) fn new(settings: QueueSettings) -> Self {
        let limit = limit(settings);
        Self {
            permits: Semaphore::new(limit),
            limit: Mutex::new(limit),
            owed: AtomicUsize::new(0),
            waiting: AtomicU32::new(0),
        }
    }

    /// Calls that wait for a permit.
    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes a changed limit. Calls in flight count against it.
    pub(super) fn resize(&self, settings: QueueSettings) {
        let new = limit(settings);
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        if new > *limit {
            let more = new - *limit;
            let repaid = (0..more).take_while(|_| self.repay()).count();
            self.permits.add_permits(more - repaid);
        } else {
            let fewer = *limit - new;
            let owed = fewer - self.permits.forget_permits(fewer);
            self.owed.fetch_add(owed, Ordering::AcqRel);
            // Calls that ended meanwhile gave their permits back.
            while self.owed.load(Ordering::Acquire) > 0 && self.permits.forget_permits(1) == 1 {
                if !self.repay() {
                    self.permits.add_permits(1);
                }
            }
        }
        *limit = new;
    }

    fn release(&self) {
        if !self.repay() {
            self.permits.add_permits(1);
        }
    }

    /// Whether a permit was owed, which then does not return.
    fn repay(&self) -> bool {
        self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, |owed| owed.checked_sub(1)).is_ok()
    }
}

fn limit(settings: QueueSettings) -> usize {
    if settings.max_in_flight == 0 { UNLIMITED } else { settings.max_in_flight }
}

impl Backend {
    /// Waits for a permit, at most until `until`. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// If the queue is full, or the wait exceeds `until` or `max_wait_seconds`.
    pub async fn permit(&self, until: Instant) -> Result<Permit, Failure> {
        let (settings, queue) = (&self.settings.queue, &self.live.queue);
        if let Ok(permit) = queue.permits.try_acquire() {
            return Ok(Permit::new(&self.live, permit));
        }
        let full = || {
            let mut failure =
                Failure::new(Kind::BackendFull, "the backend is at its limit of concurrent requests; retry shortly");
            failure.retry_after = Some(Duration::from_secs_f64(settings.max_wait_seconds));
            failure
        };
        let waiting = &queue.waiting;
        if waiting.fetch_add(1, Ordering::Relaxed) >= settings.max_waiting {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(full());
        }
        let _waiting = Waiting(waiting);
        let patience = Instant::now() + Duration::from_secs_f64(settings.max_wait_seconds);
        let permit = tokio::time::timeout_at(until.min(patience), queue.permits.acquire()).await;
        // The semaphore is never closed.
        permit.ok().and_then(Result::ok).map(|permit| Permit::new(&self.live, permit)).ok_or_else(full)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// For any order of calls, ends and changes of the limit: calls begin exactly while fewer are in flight than the
        /// limit allows.
        #[test]
        fn a_changed_limit_counts_what_is_in_flight(steps in proptest::collection::vec((0..3_u8, 0..6_usize), 0..200)) {
            let settings = |max_in_flight| QueueSettings { max_in_flight, ..QueueSettings::default() };
            let queue = Queue::new(settings(3));
            let (mut limit, mut in_flight) = (3, 0);
            for (step, number) in steps {
                match step {
                    0 => {
                        let begins = queue.permits.try_acquire().map(SemaphorePermit::forget).is_ok();
                        prop_assert_eq!(begins, limit == 0 || in_flight < limit);
                        in_flight += usize::from(begins);
                    }
                    1 if in_flight > 0 => {
                        queue.release();
                        in_flight -= 1;
                    }
                    1 => {}
                    _ => {
                        queue.resize(settings(number));
                        limit = number;
                    }
                }
            }
        }
    }
}
