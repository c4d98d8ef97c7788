//! The metrics of models: latency, cost, tokens, and how requests ended.

use std::time::Duration;

use prometheus::{Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::buckets::{DURATION, FIRST_TOKEN};
use super::labels::{Abandonment, Complexity, Status, Unaccounted};
use super::register::Families;
use crate::backend::LiveModel;
use wasmgate_base::money::{NanoDollars, Price};
use wasmgate_base::usage::Usage;

/// The families of models.
#[derive(Debug)]
pub(super) struct Models {
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    abandoned: IntCounterVec,
    cost: CounterVec,
    cost_per_request: GaugeVec,
    model_seconds: HistogramVec,
    first_token_seconds: HistogramVec,
    tokens: IntCounterVec,
    estimated_tokens: IntCounterVec,
    unpriced: IntCounterVec,
    unaccounted: IntCounterVec,
}

/// The series of one model.
#[derive(Debug)]
pub struct ModelMetrics {
    /// Endings of its requests.
    pub endings: Endings,
    cost: Counter,
    cost_per_request: Gauge,
    seconds: Histogram,
    first_token_seconds: Histogram,
    // Input, output.
    tokens: [IntCounter; 2],
    estimated_tokens: [IntCounter; 2],
    unpriced: IntCounter,
    unaccounted: [IntCounter; Unaccounted::ALL.len()],
}

/// Endings of requests that reached one model, or none.
#[derive(Debug)]
pub struct Endings {
    // By status, then complexity.
    requests: [Vec<IntCounter>; 2],
    seconds: Histogram,
    // By reason.
    abandoned: [IntCounter; 2],
}

/// Totals since the start, for the statistics page.
#[derive(Debug, Default, serde::Serialize)]
pub struct Totals {
    /// Requests that reached routing and ended, successfully or not.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Requests whose client disconnected, or read too slowly.
    pub abandoned: u64,
    /// Requests rejected.
    pub rejected: u64,
    /// Estimated spend, in US dollars.
    pub cost: f64,
    /// Input tokens that the backends reported.
    pub input_tokens: u64,
    /// Output tokens that the backends reported.
    pub output_tokens: u64,
}

impl Models {
    pub(super) fn new(families: &mut Families) -> Self {
        Self {
            requests: families.counters(
                "api_gateway_requests_total",
                "Requests that reached routing and ended, by model, where the model runs, status and complexity.",
                &["model", "backend", "status", "complexity"],
            ),
            request_seconds: families.histograms(
                "api_gateway_request_duration_seconds",
                "Duration of the whole request, to the last byte of its answer.",
                &["model", "backend"],
                &DURATION,
            ),
            abandoned: families.counters(
                "api_gateway_abandoned_requests_total",
                "Requests whose client did not take the whole answer, by reason: it disconnected, or read too slowly.",
                &["model", "backend", "reason"],
            ),
            cost: families.sums("api_gateway_cost_total", "Estimated spend in US dollars.", &["model"]),
            cost_per_request: families.ratios(
                "api_gateway_cost_per_request",
                "US dollars per request that ended, since start.",
                &["model"],
            ),
            model_seconds: families.histograms(
                "api_gateway_model_latency_seconds",
                "Duration of the backend call that gave the answer, to its end, without the time that a stream waited for \
                 its client.",
                &["model"],
                &DURATION,
            ),
            first_token_seconds: families.histograms(
                "api_gateway_time_to_first_token_seconds",
                "Time from the request to the first token of a streamed answer.",
                &["model"],
                &FIRST_TOKEN,
            ),
            tokens: families.counters(
                "api_gateway_tokens_total",
                "Tokens that the backends reported.",
                &["model", "type"],
            ),
            estimated_tokens: families.counters(
                "api_gateway_estimated_tokens_total",
                "Tokens that the gateway estimated, for calls whose backend reported no final count.",
                &["model", "type"],
            ),
            unpriced: families.counters(
                "api_gateway_unpriced_calls_total",
                "Calls of a model without a price. Nobody knows what they cost; they count as 0.",
                &["model"],
            ),
            unaccounted: families.counters(
                "api_gateway_unaccounted_calls_total",
                "Calls whose output nobody knows: the request was written, and neither usage nor output came back. \
                 Their input is among the estimated tokens.",
                &["model", "reason"],
            ),
        }
    }

    /// The series of one model, all at 0.
    pub(super) fn of(&self, live: &LiveModel) -> ModelMetrics {
        let model = &*live.model.name;
        let types = ["input", "output"];
        ModelMetrics {
            endings: self.endings([model, live.location().as_str()]),
            cost: self.cost.with_label_values(&[model]),
            cost_per_request: self.cost_per_request.with_label_values(&[model]),
            seconds: self.model_seconds.with_label_values(&[model]),
            first_token_seconds: self.first_token_seconds.with_label_values(&[model]),
            tokens: types.map(|which| self.tokens.with_label_values(&[model, which])),
            estimated_tokens: types.map(|which| self.estimated_tokens.with_label_values(&[model, which])),
            unpriced: self.unpriced.with_label_values(&[model]),
            unaccounted: Unaccounted::ALL.map(|reason| self.unaccounted.with_label_values(&[model, reason.as_str()])),
        }
    }

    /// The endings of requests that reached no model.
    pub(super) fn untargeted(&self) -> Endings {
        self.endings(["none", "none"])
    }

    fn endings(&self, target: [&str; 2]) -> Endings {
        let [model, backend] = target;
        Endings {
            requests: Status::ALL.map(|status| {
                let of = |complexity: &Complexity| {
                    self.requests.with_label_values(&[model, backend, status.as_str(), complexity.as_str()])
                };
                Complexity::ALL.iter().map(of).collect()
            }),
            seconds: self.request_seconds.with_label_values(&target),
            abandoned: Abandonment::ALL
                .map(|reason| self.abandoned.with_label_values(&[model, backend, reason.as_str()])),
        }
    }
}

impl ModelMetrics {
    /// Records a call that gave the answer, and the time to its end.
    pub fn answered(&self, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
    }

    /// Records the time from the request to the first token of a stream.
    pub fn first_token(&self, after: Duration) {
        self.first_token_seconds.observe(after.as_secs_f64());
    }

    /// Adds a call's usage and its cost. `reported`: whether the backend reported the input and the output; otherwise the
    /// gateway estimated them. Returns the cost; `None` without a price.
    pub fn bill(&self, usage: &Usage, reported: [bool; 2], price: Option<Price>) -> Option<NanoDollars> {
        for (which, tokens) in [usage.input_total(), usage.output].into_iter().enumerate() {
            let series = if reported[which] { &self.tokens } else { &self.estimated_tokens };
            series[which].inc_by(tokens);
        }
        let Some(price) = price else {
            self.unpriced.inc();
            return None;
        };
        let cost = price.of(usage);
        self.cost.inc_by(cost.usd());
        Some(cost)
    }

    /// Counts a call whose output nobody knows.
    pub fn unaccounted(&self, reason: Unaccounted) {
        self.unaccounted[reason as usize].inc();
    }

    /// Updates the mean cost of its requests.
    pub fn update_mean_cost(&self) {
        let finished: u64 = self.endings.requests.iter().flatten().map(IntCounter::get).sum();
        if finished > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
            self.cost_per_request.set(self.cost.get() / finished as f64);
        }
    }

    /// Adds its figures to the totals. Returns the number of its requests that ended.
    pub fn add_to(&self, totals: &mut Totals) -> u64 {
        totals.cost += self.cost.get();
        totals.input_tokens += self.tokens[0].get();
        totals.output_tokens += self.tokens[1].get();
        self.endings.add_to(totals)
    }
}

impl Endings {
    /// Records a request's end, and the time since it arrived.
    pub fn ended(&self, status: Status, complexity: Complexity, took: Duration) {
        self.requests[status as usize][complexity as usize].inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// The client did not take the whole answer.
    pub fn abandoned(&self, reason: Abandonment) {
        self.abandoned[reason as usize].inc();
    }

    /// Adds these endings to the totals. Returns their number.
    pub fn add_to(&self, totals: &mut Totals) -> u64 {
        let [succeeded, failed] = self.requests.each_ref().map(|by| by.iter().map(IntCounter::get).sum::<u64>());
        totals.requests += succeeded + failed;
        totals.errors += failed;
        totals.abandoned += self.abandoned.iter().map(IntCounter::get).sum::<u64>();
        succeeded + failed
    }
}
