//! A request in flight: its record, its permit and the snapshot that serves it, held by whatever its life hangs on: the
//! handler at first, the response's body after. Closing it observes the record once: metrics, the log line, the averages
//! that policies see. Dropping it unclosed means that the client left.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::base::money::NanoDollars;
use crate::dialect::{Dialect, Total};
use crate::error::{Failure, Kind};
use crate::gateway::Gateway;
use crate::metrics::labels::{Ending, Evaluation, Status};
use crate::policy::FailureClass;
use crate::record::{Record, Spent};
use crate::snapshot::Snapshot;

/// A record that must be closed, and the permit that the request holds.
pub struct Open {
    /// The facts.
    pub record: Box<Record>,
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    closed: bool,
}

impl Open {
    /// A request came.
    #[must_use]
    pub fn new(gateway: &Arc<Gateway>) -> Self {
        gateway.in_flight.fetch_add(1, Ordering::Relaxed);
        gateway.metrics.request_began();
        let (gateway, snapshot) = (Arc::clone(gateway), gateway.snapshot());
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

    /// Whether there is room for one more.
    ///
    /// # Errors
    /// Where too many requests are in flight.
    pub fn admit(&self) -> Result<(), Failure> {
        if self.gateway.in_flight.load(Ordering::Relaxed) > self.snapshot.limits.max_in_flight {
            return Err(Failure::new(Kind::Overloaded, "too many requests are in flight; try again shortly"));
        }
        Ok(())
    }

    /// What the answer came to by now.
    #[must_use]
    pub fn total(&self) -> Total {
        self.record.total(self.snapshot.price(self.record.model))
    }

    /// It failed.
    pub fn fail(&mut self, failure: &Failure) {
        self.record.detail.clone_from(if failure.detail.is_empty() { &failure.message } else { &failure.detail });
        self.close(Ending::of(&failure.kind));
    }

    /// It was explained, not answered: the decision counts, a request there was none.
    pub fn close_explained(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.gateway.metrics.observe_decision(&self.record);
        }
    }

    /// It ended. Only the first ending counts.
    pub fn close(&mut self, ending: Ending) {
        if !std::mem::replace(&mut self.closed, true) {
            self.gateway.metrics.observe(&self.record, &self.snapshot, ending);
            if let Some(by) = self.record.follows() {
                match ending {
                    Ending::Finished => by.version.tally.note_ending(false),
                    Ending::Failed(_) => by.version.tally.note_ending(true),
                    Ending::Rejected(_) | Ending::Abandoned | Ending::Shutdown => {}
                }
            }
            let chat = ending == Ending::Finished && self.record.dialect.is_some();
            if let (true, Some(model), Some(called)) = (chat, self.record.model, self.record.called) {
                let first = self.record.first_token.map(|first| first.duration_since(called));
                let recent = &self.snapshot.catalog.models()[model].recent;
                recent.note(called.elapsed(), first, self.record.billable().output);
            }
            // A stream that broke off counted as answered when it began.
            if let (Ending::Failed(_), Some(_), Some(model)) = (ending, self.record.first_token, self.record.model) {
                self.snapshot.catalog.models()[model].breaker.note_broken(Instant::now());
            }
            if self.snapshot.log_requests {
                log(&self.record, &self.snapshot, ending);
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close(Ending::Abandoned);
        self.gateway.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.gateway.metrics.request_ended();
    }
}

/// One line a request, with the same facts that the metrics count and never a word of the prompt.
fn log(record: &Record, snapshot: &Snapshot, ending: Ending) {
    let names = |index: usize| &*snapshot.catalog.models()[index].model.name;
    let billed = record.model.filter(|_| record.is_billed(ending)).map(|_| record.billable());
    let failed_attempts: Vec<String> = record
        .failed_attempts
        .iter()
        .map(|attempt| format!("{}: {}", names(attempt.model), attempt.reason.as_str()))
        .collect();
    let cost_of = |spent: &Spent| snapshot.price(Some(spent.model)).map(|price| price.of(&spent.usage).usd());
    let spent = record.spent.iter().filter_map(cost_of).reduce(|sum, cost| sum + cost);
    let took = |evaluation: Option<Evaluation>| evaluation.map(|evaluation| evaluation.took.as_secs_f64());
    let class = |evaluation: Option<Evaluation>| {
        evaluation.and_then(|evaluation| evaluation.outcome.err()).map(FailureClass::as_str)
    };
    let reason = match ending {
        Ending::Rejected(rejection) => Some(rejection.as_str()),
        Ending::Failed(reason) => Some(reason.as_str()),
        Ending::Finished | Ending::Abandoned | Ending::Shutdown => None,
    };
    tracing::info!(
        target: "request",
        request_id = record.id,
        ending = ending.as_str(),
        status = ending.status().map(Status::as_str),
        reason,
        detail = (!record.detail.is_empty()).then_some(&*record.detail),
        dialect = record.dialect.map(Dialect::as_str),
        stream = record.stream,
        model = record.model.map(names),
        backend = record.model.map(|index| &*snapshot.catalog.models()[index].backend.settings().name),
        location = record.model.map(|index| snapshot.catalog.models()[index].location()),
        chosen = record.chosen.map(names),
        failed_attempts = (!failed_attempts.is_empty()).then(|| failed_attempts.join(", ")),
        hedge = record.hedge.map(|hedge| hedge.result.as_str()),
        policy = record.policy_label(),
        mode = record.routed_by.as_ref().map(|by| by.metrics.mode()),
        generation = snapshot.generation,
        by_default = record.by_default,
        complexity = record.score,
        tier = record.complexity.as_str(),
        routing_failure = class(record.routing_evaluation),
        cost_failure = class(record.cost_evaluation),
        routing_seconds = record.routing_took.map(|took| took.as_secs_f64()),
        routing_policy_seconds = took(record.routing_evaluation),
        cost_policy_seconds = took(record.cost_evaluation),
        estimated_cost_usd = record.estimated_cost.map(NanoDollars::usd),
        cost_usd = billed.and_then(|_| record.cost(snapshot.price(record.model))).map(NanoDollars::usd),
        failed_attempts_cost_usd = spent,
        input_tokens = billed.map(|usage| usage.input_total()),
        output_tokens = billed.map(|usage| usage.output),
        usage_reported = billed.map(|_| record.usage.is_some()),
        first_token_seconds = record.first_token.map(|first| first.duration_since(record.started).as_secs_f64()),
        seconds = record.started.elapsed().as_secs_f64(),
        "request"
    );
}
