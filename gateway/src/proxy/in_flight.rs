//! An in-flight request: its record, concurrency permit and snapshot. The handler owns it until the response body takes
//! it over. Closing it observes the record once: metrics, the log line, the averages that policies see. Dropping it
//! unclosed means that the client disconnected.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::gateway::Gateway;
use crate::error::{Failure, Kind};
use crate::metrics::labels::{Abandonment, Ending};
use crate::state::Snapshot;
use crate::telemetry;
use crate::telemetry::Record;
use wasmgate_dialect::Total;

/// A record that must be closed, and the request's permit.
pub struct InFlight {
    /// The facts.
    pub record: Box<Record>,
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    closed: bool,
}

impl InFlight {
    /// Begins a request: counts it, and takes the snapshot that serves now.
    #[must_use]
    pub fn new(gateway: &Arc<Gateway>) -> Self {
        gateway.in_flight.fetch_add(1, Ordering::Relaxed);
        gateway.metrics.request_began();
        let (gateway, snapshot) = (Arc::clone(gateway), gateway.serving.snapshot());
        Self { record: Box::new(Record::new()), gateway, snapshot, closed: false }
    }

    /// The gateway.
    #[must_use]
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// The policies and models that serve this request from its beginning to its end.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Admits the request if the concurrency limit allows it.
    ///
    /// # Errors
    /// If too many requests are in flight.
    pub fn admit(&self) -> Result<(), Failure> {
        if self.gateway.in_flight.load(Ordering::Relaxed) > self.snapshot.limits.max_in_flight {
            return Err(Failure::new(Kind::Overloaded, "too many requests are in flight; retry shortly"));
        }
        Ok(())
    }

    /// Usage, cost and latency of the answer so far.
    #[must_use]
    pub fn total(&self) -> Total {
        self.record.total(self.snapshot.price(self.record.model))
    }

    /// Closes the record with a failure.
    pub fn fail(&mut self, failure: &Failure) {
        self.record.detail.clone_from(if failure.detail.is_empty() { &failure.message } else { &failure.detail });
        self.close(Ending::of(&failure.kind));
    }

    /// Closes the record of a request that was explained, not answered: only its decision counts.
    pub fn close_explained(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            telemetry::observe_decision(&self.gateway.metrics, &self.record);
        }
    }

    /// Closes the record. Only the first call counts.
    pub fn close(&mut self, ending: Ending) {
        if !std::mem::replace(&mut self.closed, true) {
            telemetry::observe(&self.gateway.metrics, &self.record, &self.snapshot, ending);
            if let Some(by) = self.record.follows() {
                match ending {
                    Ending::Finished => by.version.stats.note_ending(false),
                    Ending::Failed(_) => by.version.stats.note_ending(true),
                    Ending::Rejected(_) | Ending::Abandoned(_) | Ending::Shutdown => {}
                }
            }
            let chat = ending == Ending::Finished && self.record.dialect.is_some();
            let took = self.record.model_took();
            if let (true, Some(model), Some(called), Some(took)) = (chat, self.record.model, self.record.called, took) {
                let first = self.record.first_token.map(|first| first.duration_since(called));
                let recent = &self.snapshot.catalog.models()[model].recent;
                recent.note(took, first, self.record.billable().output);
            }
            // The breaker counted the stream as answered when it began; a broken stream corrects that.
            if let (Ending::Failed(_), Some(_), Some(model)) = (ending, self.record.first_token, self.record.model) {
                self.snapshot.catalog.models()[model].breaker.note_broken(Instant::now());
            }
            if self.snapshot.log_requests {
                telemetry::log(&self.record, &self.snapshot, ending);
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.close(Ending::Abandoned(Abandonment::Disconnected));
        self.gateway.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.gateway.metrics.request_ended();
    }
}
