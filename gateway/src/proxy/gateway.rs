//! What all requests of clients share.

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
    /// Limits of connections, as they were at the start: a change of these needs a restart.
    pub limits: Server,
    /// What serves now.
    pub serving: Arc<Serving>,
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// Ranks the models for a request.
    pub router: Router,
    /// What retries and hedges may add to the traffic, and when calls must end.
    pub budgets: Budgets,
    /// Requests in flight.
    pub in_flight: AtomicUsize,
    /// When the gateway started.
    pub started: Instant,
}

impl Gateway {
    /// A gateway of what serves.
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
