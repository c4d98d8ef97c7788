//! The snapshot that serves, and how the control task replaces it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::draining::Draining;
use super::snapshot::Snapshot;
use wasmgate_base::time::{Clock, UnixSeconds};

/// The snapshot that serves now. Requests load it; only the control task swaps it.
#[derive(Debug)]
pub struct Serving {
    snapshot: ArcSwap<Snapshot>,
    draining: Draining,
    clock: Clock,
    /// Notified on every policy failure; the control task decides whether to open the breaker.
    pub policy_failed: Notify,
}

impl Serving {
    /// Serves `snapshot` first. `clock`: by which the limits of all snapshots begin and end.
    #[must_use]
    pub fn new(snapshot: Snapshot, clock: Clock) -> Self {
        let (snapshot, draining) = (ArcSwap::from_pointee(snapshot), Draining::default());
        Self { snapshot, draining, clock, policy_failed: Notify::new() }
    }

    /// The time by which limits begin and end.
    #[must_use]
    pub fn now(&self) -> UnixSeconds {
        self.clock.now()
    }

    /// The snapshot that serves now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Serves `snapshot` to all requests that arrive from now on. The previous snapshot drains.
    pub fn swap(&self, snapshot: Snapshot) {
        let replaced = self.snapshot.swap(Arc::new(snapshot));
        // Generation 0 is the empty snapshot from before the start: it served no request.
        if replaced.generation > 0 {
            self.draining.replaced(&replaced);
        }
    }

    /// The number of snapshots held, the serving one included, and for how many seconds the oldest has been draining.
    #[must_use]
    pub fn live(&self) -> (usize, f64) {
        self.draining.live()
    }

    /// Releases policies that no longer serve and whose snapshot has drained for longer than `cap`.
    pub fn release(&self, cap: Duration) {
        self.draining.release(&self.snapshot(), cap);
    }
}
