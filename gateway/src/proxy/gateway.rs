//! The state that all client requests share.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::memory::Memory;
use super::watchdog::Watchdog;
use crate::config::Server;
use crate::dispatch::Budgets;
use crate::metrics::Metrics;
use crate::net::files::Files;
use crate::routing::Router;
use crate::state::{Serving, Snapshot};
use crate::telemetry::decisions::Decisions;
use wasmgate_base::time::UnixSeconds;
use wasmgate_ledger::Ledger;
use wasmgate_shared::Shared;

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
    /// Whether only clients of this machine reach the listener.
    pub is_loopback: bool,
    /// Most requests in flight for which the process may open connections.
    pub most_in_flight: usize,
    /// The bytes that requests and answers hold.
    pub memory: Arc<Memory>,
    /// Ends answers that their clients hold up.
    pub watchdog: Watchdog,
    /// The ledger of what requests with a key used, if one is kept: from the first group on.
    pub ledger: Arc<OnceLock<Ledger>>,
    /// The decision log, if one is kept.
    pub decisions: Option<Decisions>,
    /// Who shares the limits with other gateways, if they are shared.
    pub shared: Option<Arc<Shared>>,
    /// When the gateway started.
    pub started: Instant,
}

impl Gateway {
    /// A gateway that serves the snapshots of `serving`, with as many connections and requests as `files` allows.
    /// `is_loopback`: only clients of this machine reach its listener.
    #[must_use]
    pub fn new(
        serving: Arc<Serving>,
        metrics: Arc<Metrics>,
        ledger: Arc<OnceLock<Ledger>>,
        decisions: Option<Decisions>,
        shared: Option<Arc<Shared>>,
        files: Files,
        is_loopback: bool,
    ) -> Self {
        let max_connections = files.max_connections;
        Self {
            limits: Server { max_connections, ..serving.snapshot().limits.clone() },
            router: Router::new(Arc::clone(&serving)),
            serving,
            metrics,
            budgets: Budgets::default(),
            in_flight: AtomicUsize::new(0),
            is_loopback,
            most_in_flight: files.room_in_flight(),
            memory: Arc::default(),
            watchdog: Watchdog::default(),
            ledger,
            decisions,
            shared,
            started: Instant::now(),
        }
    }

    /// The time by which limits begin and end.
    #[must_use]
    pub fn now(&self) -> UnixSeconds {
        self.serving.now()
    }

    /// Requests in flight at which the next one is refused.
    #[must_use]
    pub fn limit(&self, snapshot: &Snapshot) -> usize {
        snapshot.limits.max_in_flight.min(self.most_in_flight)
    }
}
