//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::backend::retry::Budget;
use crate::base::tokens::TokenEstimator;
use crate::config::Server;
use crate::metrics::Metrics;
use crate::routing::shadow::Shadows;
use crate::state::draining::Draining;
use crate::state::snapshot::Snapshot;

/// See the module.
pub struct Gateway {
    /// Limits of connections, as they were at the start: changes of these need a restart.
    pub limits: Server,
    /// Counts.
    pub metrics: Metrics,
    /// Estimates prompts.
    pub tokens: TokenEstimator,
    /// Requests in flight.
    pub in_flight: AtomicUsize,
    /// Cancelled when requests in flight have had their time and must end.
    pub cut: CancellationToken,
    /// Told when a policy failed: whether that was once too often is not a request's business.
    pub policy_failed: Notify,
    /// What repeated attempts may add to the traffic.
    pub retry_budget: Budget,
    /// What asking a second model beside a slow one may add to it.
    pub hedge_budget: Budget,
    /// Snapshots that were replaced.
    pub generations: Draining,
    /// Where shadows are asked.
    pub shadows: Shadows,
    /// When the gateway started.
    pub started: Instant,
    snapshot: ArcSwap<Snapshot>,
}

impl Gateway {
    /// A gateway that serves `snapshot`.
    #[must_use]
    pub fn new(metrics: Metrics, snapshot: Snapshot) -> Self {
        Self {
            limits: snapshot.limits.clone(),
            metrics,
            tokens: TokenEstimator::new(),
            in_flight: AtomicUsize::new(0),
            cut: CancellationToken::new(),
            policy_failed: Notify::new(),
            retry_budget: Budget::default(),
            hedge_budget: Budget::default(),
            generations: Draining::default(),
            shadows: Shadows::default(),
            started: Instant::now(),
            snapshot: ArcSwap::from_pointee(snapshot),
        }
    }

    /// What serves now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Lets `snapshot` serve all requests that come from now on; gives back the one that did.
    pub fn swap(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        self.snapshot.swap(Arc::new(snapshot))
    }
}
