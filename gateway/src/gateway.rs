//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::config::Server;
use crate::metrics::Metrics;
use crate::snapshot::Snapshot;
use crate::tokens::TokenEstimator;

/// See the module.
pub struct Gateway {
    /// Limits of the server.
    pub limits: Server,
    /// Whether each request gets a log line.
    pub log_requests: bool,
    /// Counts.
    pub metrics: Metrics,
    /// Estimates prompts.
    pub tokens: TokenEstimator,
    /// Requests in flight.
    pub in_flight: AtomicUsize,
    /// Cancelled when requests in flight have had their time and must end.
    pub cut: CancellationToken,
    /// When the gateway started.
    pub started: Instant,
    snapshot: Arc<Snapshot>,
}

impl Gateway {
    /// A gateway that serves `snapshot`.
    #[must_use]
    pub fn new(limits: Server, log_requests: bool, metrics: Metrics, snapshot: Snapshot) -> Self {
        Self {
            limits,
            log_requests,
            metrics,
            tokens: TokenEstimator::new(),
            in_flight: AtomicUsize::new(0),
            cut: CancellationToken::new(),
            started: Instant::now(),
            snapshot: Arc::new(snapshot),
        }
    }

    /// What serves now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }
}
