//! An in-flight request: its record, concurrency permit and snapshot. The handler owns it until the response body takes
//! it over. Closing it observes the record once: limits, metrics, the log line, the averages that policies see. Dropping it
//! unclosed means that the client disconnected.
//!
//! It gets its permit when its body has arrived: a client that sends only a head takes nobody's place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::caller::Caller;
use super::gateway::Gateway;
use crate::error::{Failure, Kind};
use crate::metrics::labels::{Abandonment, Ending};
use crate::routing::Router;
use crate::state::Snapshot;
use crate::telemetry;
use crate::telemetry::Record;
use wasmgate_accounts::{Group, Reservation};
use wasmgate_dialect::chat::Chat;
use wasmgate_ledger::Written;

/// The longest time that a request waits until the kernel has what the ledger notes of it.
const NOTED: Duration = Duration::from_secs(1);

/// A record that must be closed, and the request's permit.
pub(super) struct InFlight {
    /// The facts.
    pub(super) record: Box<Record>,
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    // What it holds of its groups' limits; boxed, because most requests have none.
    reservation: Option<Box<Reservation>>,
    // Comes when the ledger has noted that.
    noted: Option<oneshot::Receiver<()>>,
    admitted: bool,
    closed: bool,
    // Whether a drop means that the client was too slow.
    slow_client: Option<Arc<AtomicBool>>,
}

impl InFlight {
    /// Begins a request that is refused before it is known who sent it.
    #[must_use]
    pub(super) fn new(gateway: &Arc<Gateway>) -> Self {
        Self::of(gateway, Caller::anyone(&gateway.serving.snapshot()))
    }

    /// Begins a request, which keeps its caller's snapshot.
    #[must_use]
    pub(super) fn of(gateway: &Arc<Gateway>, caller: Caller) -> Self {
        let Caller { snapshot, key, group } = caller;
        let mut record = Box::new(Record::new());
        (record.key, record.group) = (key, group);
        let gateway = Arc::clone(gateway);
        Self {
            record,
            gateway,
            snapshot,
            reservation: None,
            noted: None,
            admitted: false,
            closed: false,
            slow_client: None,
        }
    }

    /// The group whose key the request has.
    #[must_use]
    pub(super) fn group(&self) -> Option<&Group> {
        self.snapshot.group(self.record.group)
    }

    /// The gateway.
    #[must_use]
    pub(super) fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// The policies and models that serve this request from its beginning to its end.
    #[must_use]
    pub(super) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Keeps what the request reserved until it is closed. The ledger notes it too, so that it counts if the process ends first.
    pub(super) fn hold(&mut self, reservation: Reservation) {
        if let Some(ledger) = self.gateway.ledger.get()
            && let Some(reserved) = telemetry::ledger::reserved(&self.record, &self.snapshot, &reservation)
        {
            let spends = reserved.amount.money > 0 && ledger.is_prompt();
            let written = spends.then(|| {
                let (sender, receiver) = oneshot::channel();
                self.noted = Some(receiver);
                // Nobody waits for it if the client has left.
                Box::new(move || {
                    let _ = sender.send(());
                }) as Written
            });
            ledger.reserve(reserved, written);
        }
        self.reservation = Some(Box::new(reservation));
    }

    /// Waits until the kernel has what the ledger notes of a request that costs money, so that no end of the process forgets it:
    /// some microseconds, if the disk is not held up. If it is, a request waits for a second once, and those after it do not.
    pub(super) async fn noted(&mut self) {
        let (Some(noted), Some(ledger)) = (self.noted.take(), self.gateway.ledger.get()) else { return };
        if tokio::time::timeout(NOTED, noted).await.is_err() {
            ledger.is_late();
        }
    }

    /// Checks whether the concurrency limit would admit the request now, so that the body of one that it would not
    /// need not be read.
    ///
    /// # Errors
    /// If too many requests are in flight.
    pub(super) fn check_limit(&self) -> Result<(), Failure> {
        if self.gateway.in_flight.load(Ordering::Relaxed) < self.limit() {
            return Ok(());
        }
        Err(Failure::new(Kind::Overloaded, "too many requests are in flight; retry shortly"))
    }

    /// Admits the request if the concurrency limit allows it. It is in flight from now on.
    ///
    /// # Errors
    /// If too many requests are in flight.
    pub(super) fn admit(&mut self) -> Result<(), Failure> {
        let before = self.gateway.in_flight.fetch_add(1, Ordering::Relaxed);
        if before >= self.limit() {
            self.gateway.in_flight.fetch_sub(1, Ordering::Relaxed);
            return Err(Failure::new(Kind::Overloaded, "too many requests are in flight; retry shortly"));
        }
        self.gateway.metrics.request_began();
        self.admitted = true;
        Ok(())
    }

    fn limit(&self) -> usize {
        self.gateway.limit(&self.snapshot)
    }

    /// A switch for the owner of a future that holds this request: set it before the future is dropped because the
    /// client is too slow.
    pub(super) fn slow_client(&mut self) -> Arc<AtomicBool> {
        Arc::clone(self.slow_client.get_or_insert_default())
    }

    /// Hands the texts of a decided chat to the decision log, if the operator wants them to be kept.
    pub(super) fn keep_text(&self, chat: &Chat) {
        if let Some(decisions) = self.gateway.decisions.as_ref().filter(|_| self.record.decided.is_some()) {
            let access = &self.snapshot.access;
            let keep = access.keep_content.of(&access.accounts, self.record.group);
            decisions.text(&self.record.id, keep, || chat.texts().map(str::len).sum(), || Router::texts(chat));
        }
    }

    /// Closes the record with a failure.
    pub(super) fn fail(&mut self, failure: &Failure) {
        self.record.detail.clone_from(if failure.detail.is_empty() { &failure.message } else { &failure.detail });
        if let Kind::Denied(code) = &failure.kind {
            self.record.denial_code = Some(code.clone());
        }
        self.close(Ending::of(&failure.kind));
    }

    /// Closes the record of a request that was explained, not answered: only its decision counts.
    pub(super) fn close_explained(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            telemetry::observe_decision(&self.gateway.metrics, &self.record);
        }
    }

    /// Closes the record. Only the first call counts.
    pub(super) fn close(&mut self, ending: Ending) {
        if !std::mem::replace(&mut self.closed, true) {
            let admitted = self.reservation.as_ref().map(|reservation| reservation.at());
            if let Some(reservation) = self.reservation.take() {
                reservation.settle(self.record.spent(ending, |model| self.snapshot.price(Some(model))));
            }
            if let Some(ledger) = self.gateway.ledger.get()
                && let Some(entry) = telemetry::ledger::entry(&self.record, &self.snapshot, ending, admitted)
            {
                ledger.append(entry);
            }
            telemetry::observe(&self.gateway.metrics, &self.record, &self.snapshot, ending);
            if let Some(decisions) = &self.gateway.decisions {
                decisions.closed(&self.record, &self.snapshot, ending);
            }
            // A request that named its model says nothing about a policy that had nothing to choose.
            if let Some(by) = self.record.follows().filter(|_| self.record.choices > 1) {
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
                self.gateway.router.answered(&self.record, &self.snapshot);
            }
            // The breaker counted the stream as answered when it began; a broken stream corrects that.
            if let (Ending::Failed(_), Some(_), Some(model)) = (ending, self.record.first_token, self.record.model) {
                self.snapshot.catalog.models()[model].breaker.note_broken(Instant::now());
            }
            if self.snapshot.log_requests {
                self.record.budget_left = self.snapshot.budget_left(self.record.group, self.gateway.now());
                telemetry::log_request(&self.record, &self.snapshot, ending);
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let slow = self.slow_client.as_ref().is_some_and(|slow| slow.load(Ordering::Relaxed));
        let why = if slow { Abandonment::SlowClient } else { Abandonment::Disconnected };
        self.close(Ending::Abandoned(why));
        if self.admitted {
            self.gateway.in_flight.fetch_sub(1, Ordering::Relaxed);
            self.gateway.metrics.request_ended();
        }
    }
}
