//! Bounds a backend's concurrent calls. More calls wait in a bounded queue for a permit: first in, first out, with a
//! maximum wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Backend;
use crate::error::{Failure, Kind};

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
    /// The first value out of range: its key, its value and the expected range.
    #[must_use]
    pub fn out_of_range(&self) -> Option<String> {
        const MOST: u32 = 1_000_000;
        if self.max_in_flight > MOST as usize {
            return Some(format!("max_in_flight is {}, expected 0 to {MOST}", self.max_in_flight));
        }
        if self.max_waiting > MOST {
            return Some(format!("max_waiting is {}, expected 0 to {MOST}", self.max_waiting));
        }
        let in_range = (0.0..=600.0).contains(&self.max_wait_seconds);
        (!in_range).then(|| format!("max_wait_seconds is {}, expected 0 to 600", self.max_wait_seconds))
    }
}

/// The queue of one backend.
#[derive(Debug)]
pub(super) struct Queue {
    settings: QueueSettings,
    turns: Option<Arc<Semaphore>>,
    waiting: AtomicU32,
}

/// A call's permit, held for as long as the call lasts. Dropping it releases it.
#[derive(Debug)]
pub struct Permit {
    backend: Arc<Backend>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Permit {
    fn new(backend: &Arc<Backend>, permit: Option<OwnedSemaphorePermit>) -> Self {
        backend.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { backend: Arc::clone(backend), _turn: permit }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.backend.in_flight.fetch_sub(1, Ordering::Relaxed);
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
        let turns = (settings.max_in_flight > 0).then(|| Arc::new(Semaphore::new(settings.max_in_flight)));
        Self { settings, turns, waiting: AtomicU32::new(0) }
    }

    /// Calls that wait for a permit.
    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Backend {
    /// Waits for a permit, at most until `until`. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// If the queue is full, or the wait exceeds `until` or `max_wait_seconds`.
    pub async fn permit(self: &Arc<Self>, until: Instant) -> Result<Permit, Failure> {
        let Some(turns) = &self.queue.turns else { return Ok(Permit::new(self, None)) };
        if let Ok(permit) = Arc::clone(turns).try_acquire_owned() {
            return Ok(Permit::new(self, Some(permit)));
        }
        let full = || {
            let mut failure =
                Failure::new(Kind::BackendFull, "the backend is at its limit of concurrent requests; retry shortly");
            failure.retry_after = Some(Duration::from_secs_f64(self.queue.settings.max_wait_seconds));
            failure
        };
        let waiting = &self.queue.waiting;
        if waiting.fetch_add(1, Ordering::Relaxed) >= self.queue.settings.max_waiting {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(full());
        }
        let _waiting = Waiting(waiting);
        let patience = Instant::now() + Duration::from_secs_f64(self.queue.settings.max_wait_seconds);
        let permit = tokio::time::timeout_at(until.min(patience), Arc::clone(turns).acquire_owned()).await;
        // The semaphore is never closed.
        permit.ok().and_then(Result::ok).map(|permit| Permit::new(self, Some(permit))).ok_or_else(full)
    }
}
