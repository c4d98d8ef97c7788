//! The series of each model: what it took, what it cost, how its requests ended.

use prometheus::{Counter, Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::Totals;
use super::labels::{Complexity, Ending, Status};
use crate::base::money::Price;
use crate::base::usage::Usage;
use crate::record::Record;
use crate::snapshot::Snapshot;

/// The series of one model.
#[derive(Debug)]
pub struct ModelMetrics {
    pub(super) endings: Endings,
    pub(super) cost: Counter,
    pub(super) cost_per_request: Gauge,
    pub(super) model_seconds: Histogram,
    pub(super) first_token_seconds: Histogram,
    pub(super) input_tokens: IntCounter,
    pub(super) output_tokens: IntCounter,
    pub(super) estimated_input_tokens: IntCounter,
    pub(super) estimated_output_tokens: IntCounter,
}

/// How requests ended that reached one model, or none.
#[derive(Debug)]
pub(super) struct Endings {
    // By status, then complexity.
    pub(super) requests: [Vec<IntCounter>; 2],
    pub(super) seconds: Histogram,
    pub(super) abandoned: IntCounter,
}

impl ModelMetrics {
    pub(super) fn observe(&self, record: &Record, snapshot: &Snapshot, ending: Ending) {
        if record.is_billed(ending) {
            self.bill(&record.billable(), record.usage.is_some(), snapshot.price(record.model));
        }
        if let (Ending::Finished, Some(called)) = (ending, record.called) {
            self.model_seconds.observe(called.elapsed().as_secs_f64());
        }
        if let Some(first) = record.first_token {
            self.first_token_seconds.observe(first.duration_since(record.started).as_secs_f64());
        }
        let finished: u64 = self.endings.requests.iter().flatten().map(IntCounter::get).sum();
        if finished > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
            self.cost_per_request.set(self.cost.get() / finished as f64);
        }
    }

    /// Adds what was used, `reported` by the backend or estimated by us, and what that costs.
    pub(super) fn bill(&self, usage: &Usage, reported: bool, price: Option<Price>) {
        let (input, output) = match reported {
            true => (&self.input_tokens, &self.output_tokens),
            false => (&self.estimated_input_tokens, &self.estimated_output_tokens),
        };
        input.inc_by(usage.input_total());
        output.inc_by(usage.output);
        if let Some(price) = price {
            self.cost.inc_by(price.of(usage).usd());
        }
    }
}

impl Endings {
    pub(super) fn new(
        requests: &IntCounterVec,
        seconds: &HistogramVec,
        abandoned: &IntCounterVec,
        target: [&str; 2],
    ) -> Self {
        let [model, backend] = target;
        Self {
            requests: Status::ALL.map(|status| {
                let of = |complexity: &Complexity| {
                    requests.with_label_values(&[model, backend, status.as_str(), complexity.as_str()])
                };
                Complexity::ALL.iter().map(of).collect()
            }),
            seconds: seconds.with_label_values(&target),
            abandoned: abandoned.with_label_values(&target),
        }
    }

    /// Adds these endings to the totals; how many there were.
    pub(super) fn add_to(&self, totals: &mut Totals) -> u64 {
        let [succeeded, failed] = self.requests.each_ref().map(|by| by.iter().map(IntCounter::get).sum::<u64>());
        totals.requests += succeeded + failed;
        totals.errors += failed;
        totals.abandoned += self.abandoned.get();
        succeeded + failed
    }
}
