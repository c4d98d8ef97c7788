//! Draining snapshots: replaced, but still held by requests. Counts them, measures how long they drain, and releases
//! the policies of those that drain too long. A stream may last for hours; the policies that chose its model need not.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::snapshot::{Decider, Snapshot};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Draining(Mutex<Vec<Replaced>>);

#[derive(Debug)]
struct Replaced {
    snapshot: Weak<Snapshot>,
    since: Instant,
    /// Whether the policies that only it held were released.
    released: bool,
}

impl Draining {
    /// Adds a replaced snapshot.
    pub(super) fn replaced(&self, snapshot: &Arc<Snapshot>) {
        let draining = Replaced { snapshot: Arc::downgrade(snapshot), since: Instant::now(), released: false };
        self.lock().push(draining);
    }

    /// The number of snapshots held, the serving one included, and for how many seconds the oldest has been draining.
    #[must_use]
    pub(super) fn live(&self) -> (usize, f64) {
        let mut draining = self.lock();
        draining.retain(|draining| draining.snapshot.strong_count() > 0);
        let oldest = draining.first().map_or(0.0, |draining| draining.since.elapsed().as_secs_f64());
        (draining.len() + 1, oldest)
    }

    /// Releases the instances and the code of policies that are not in `serving` and whose snapshot has drained for
    /// longer than `cap`. Their requests were routed long ago: reading a request takes less time than `cap`.
    pub(super) fn release(&self, serving: &Snapshot, cap: Duration) {
        let all = |snapshot: &Snapshot| -> Vec<Arc<Decider>> {
            snapshot.routing.all().chain(snapshot.cost.all()).cloned().collect()
        };
        let kept = all(serving);
        let is_kept = |decider: &Decider| kept.iter().any(|kept| Arc::ptr_eq(&kept.version, &decider.version));
        let mut late = Vec::new();
        let mut all_draining = self.lock();
        all_draining.retain(|draining| draining.snapshot.strong_count() > 0);
        for draining in all_draining.iter_mut().filter(|draining| !draining.released && draining.since.elapsed() >= cap)
        {
            let deciders = draining.snapshot.upgrade().map_or(Vec::new(), |snapshot| all(&snapshot));
            // A policy that still serves is checked again later, when it no longer does.
            draining.released = !deciders.iter().any(|decider| is_kept(decider));
            late.extend(deciders);
        }
        drop(all_draining);
        for decider in late {
            if !is_kept(&decider) && decider.version.policy.release() {
                tracing::info!(
                    policy = decider.version.label,
                    drained_seconds = cap.as_secs(),
                    "a replaced policy was released; requests that it routed continue"
                );
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Replaced>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
