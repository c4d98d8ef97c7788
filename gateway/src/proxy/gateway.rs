//! The state that all client requests share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use crate::config::Server;
use crate::dispatch::Budgets;
use crate::metrics::Metrics;
use crate::routing::Router;
use crate::state::Serving;

/// See the module.
#[derive(Debug)]
pub struct Gateway {
    /// Connection limits, read at the start: changing them needs a restart.
    pub limits: Server,
    /// The snapshot that serves now.
    pub serving: Arc<Serving>,
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// Ranks the models for a request.
    pub router: Router,
    /// Budgets of retries and hedges, and the cutoff of a drain.
    pub budgets: Budgets,
    /// Number of in-flight requests.
    pub in_flight: AtomicUsize,
    /// When the gateway started.
    pub started: Instant,
}

impl Gateway {
    /// A gateway that serves the snapshots of `serving`.
    #[must_use]
    pub fn new(serving: Arc<Serving>, metrics: Arc<Metrics>) -> Self {
        Self {
            limits: serving.snapshot().limits.clone(),
            router: Router::new(Arc::clone(&serving)),
            serving,
            metrics,
            budgets: Budgets::default(),
            in_flight: AtomicUsize::new(0),
            started: Instant::now(),
        }
    }
}
