//! The metrics of requests across models: in progress, rejected, failed, retried, hedged, fallen back.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use super::buckets::ROUTING;
use super::labels::{CountSource, HedgeResult};
use super::pairs::PairCounters;
use super::register::Families;
use crate::backend::LiveModel;
use crate::backend::Location;
use crate::error::{Reason, Rejection};

/// Why only one backend can answer a request, as labels.
pub const PINNED: [&str; 3] = ["previous_response", "reasoning", "encrypted_content"];

/// See the module.
#[derive(Debug)]
pub(super) struct Requests {
    in_progress: IntGauge,
    in_progress_limit: IntGauge,
    buffered: IntGauge,
    buffered_limit: IntGauge,
    routing_seconds: Histogram,
    rejected: Vec<IntCounter>,
    // By the model's location, then reason.
    errors: [Vec<IntCounter>; 3],
    retries: IntCounterVec,
    fallbacks: PairCounters,
    hedges: IntCounterVec,
    skipped_frames: IntCounterVec,
    pinned: [IntCounter; PINNED.len()],
    token_counts: Vec<IntCounter>,
    dropped_fields: IntCounterVec,
}

impl Requests {
    pub(super) fn new(families: &mut Families) -> Self {
        let errors = families.counters(
            "api_gateway_errors_total",
            "Accepted requests that failed, by where the model runs (none: the request reached no model) and reason.",
            &["backend", "reason"],
        );
        let rejected = families.counters(
            "api_gateway_rejected_requests_total",
            "Requests rejected, by the gateway or a policy before a model was called or by the backend itself, by reason.",
            &["reason"],
        );
        let pinned = families.counters(
            "api_gateway_pinned_requests_total",
            "Requests that only one backend could answer, because it made a part of them that no other understands.",
            &["reason"],
        );
        let token_counts = families.counters(
            "api_gateway_token_counts_total",
            "Answers to POST /v1/messages/count_tokens, by who counted. They are free and no requests to a model.",
            &["source"],
        );
        let dropped_fields = families.counters(
            "api_gateway_dropped_fields_total",
            "Requests of which the backend that answered did not get a field, or got it with another value, because of \
             its dialect or a quirk, by field.",
            &["field"],
        );
        for field in crate::backend::hint_labels() {
            dropped_fields.with_label_values(&[field]);
        }
        Self {
            pinned: PINNED.map(|reason| pinned.with_label_values(&[reason])),
            token_counts: CountSource::ALL.iter().map(|by| token_counts.with_label_values(&[by.as_str()])).collect(),
            in_progress: families.gauge(
                "api_gateway_requests_in_progress",
                "Requests in flight, streams included, from the arrival of their body on.",
            ),
            in_progress_limit: families.gauge(
                "api_gateway_requests_in_progress_limit",
                "Requests in flight at which the gateway rejects the next one: server.max_in_flight, or fewer if the \
                 process may open too few files.",
            ),
            buffered_limit: families.gauge("api_gateway_buffered_bytes_limit", "server.max_buffered_bytes."),
            buffered: families.gauge(
                "api_gateway_buffered_bytes",
                "Bytes that requests and complete answers hold in memory, bounded by server.max_buffered_bytes.",
            ),
            routing_seconds: families.histogram(
                "api_gateway_routing_latency_seconds",
                "Duration of the whole routing decision, including both policies.",
                &ROUTING,
            ),
            rejected: Rejection::ALL.iter().map(|reason| rejected.with_label_values(&[reason.as_str()])).collect(),
            errors: ["none", Location::Local.as_str(), Location::Cloud.as_str()].map(|backend| {
                Reason::ALL.iter().map(|reason| errors.with_label_values(&[backend, reason.as_str()])).collect()
            }),
            retries: families.counters(
                "api_gateway_retries_total",
                "Retries at the same backend, by the reason why the call before failed.",
                &["upstream", "reason"],
            ),
            // A series is created only when its pair first occurs. The first event of a pair is therefore not an increase.
            fallbacks: PairCounters::new(
                families,
                "api_gateway_fallbacks_total",
                "Requests that another model answered because the chosen model failed, by the reason of that failure \
                 (other: another pair than the first 50 of that reason).",
                &["reason"],
                ["from_model", "to_model"],
            ),
            hedges: families.counters(
                "api_gateway_hedges_total",
                "Hedged requests: the next model was called in addition to a slow one, by the slow model and by \
                 whether the next one answered.",
                &["model", "result"],
            ),
            skipped_frames: families.counters(
                "api_gateway_skipped_frames_total",
                "Frames of a backend's streams that the gateway skipped because they are not of the backend's dialect.",
                &["upstream"],
            ),
            dropped_fields,
        }
    }

    /// Creates the series of a model at 0.
    pub(super) fn create(&self, live: &LiveModel) {
        for reason in [Reason::Connect, Reason::Upstream5xx, Reason::Upstream429] {
            self.retries.with_label_values(&[&*live.backend.settings().name, reason.as_str()]);
        }
        self.skipped_frames.with_label_values(&[&*live.backend.settings().name]);
        if live.model.timeouts.hedge.is_some() {
            for result in HedgeResult::ALL {
                self.hedges.with_label_values(&[&*live.model.name, result.as_str()]);
            }
        }
    }

    /// Frees the places of pairs whose series were removed.
    pub(super) fn follow_removals(&self) {
        self.fallbacks.follow_removals();
    }

    /// Requests rejected since the start.
    pub(super) fn rejections(&self) -> u64 {
        self.rejected.iter().map(IntCounter::get).sum()
    }
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl super::Metrics {
    /// A request got its permit.
    pub fn request_began(&self) {
        self.requests.in_progress.inc();
    }

    /// A request released its permit.
    pub fn request_ended(&self) {
        self.requests.in_progress.dec();
    }

    /// Updates how many bytes requests and answers hold.
    pub fn set_buffered(&self, bytes: usize) {
        self.requests.buffered.set(gauge(bytes));
    }

    /// Updates the limits at which the gateway rejects requests as overloaded: requests in flight, and bytes held.
    pub fn set_limits(&self, in_flight: usize, bytes: usize) {
        self.requests.in_progress_limit.set(gauge(in_flight));
        self.requests.buffered_limit.set(gauge(bytes));
    }

    /// A request was rejected.
    pub fn reject(&self, rejection: Rejection) {
        self.requests.rejected[rejection as usize].inc();
    }

    /// An accepted request failed; `location`: where the model runs, `None` if no model was reached.
    pub fn failed(&self, location: Option<Location>, reason: Reason) {
        let place = match location {
            None => 0,
            Some(Location::Local) => 1,
            Some(Location::Cloud) => 2,
        };
        self.requests.errors[place][reason as usize].inc();
    }

    /// A routing decision was made or failed.
    pub fn routed(&self, took: Duration) {
        self.requests.routing_seconds.observe(took.as_secs_f64());
    }

    /// A call to `backend` was retried.
    pub fn retried(&self, backend: &str, reason: Reason) {
        self.requests.retries.with_label_values(&[backend, reason.as_str()]).inc();
    }

    /// The tokens of a prompt were counted.
    pub fn counted_tokens(&self, source: CountSource) {
        self.requests.token_counts[source as usize].inc();
    }

    /// The relay skipped frames of a stream of `backend`.
    pub fn skipped_frames(&self, backend: &str, frames: u64) {
        self.requests.skipped_frames.with_label_values(&[backend]).inc_by(frames);
    }

    /// Only one backend could answer a request, for this reason: its place in `PINNED`.
    pub fn pinned(&self, reason: usize) {
        if let Some(counter) = self.requests.pinned.get(reason) {
            counter.inc();
        }
    }

    /// A backend answered without a field of the request; `field` is one of `backend::hint_labels`.
    pub fn dropped(&self, field: &'static str) {
        self.requests.dropped_fields.with_label_values(&[field]).inc();
    }

    /// The chosen model failed, and another one answered.
    pub fn fell_back(&self, from: &str, to: &str, reason: Reason) {
        self.requests.fallbacks.inc(&[reason.as_str()], [from, to]);
    }

    /// A request to `model` was hedged.
    pub fn hedged(&self, model: &str, result: HedgeResult) {
        self.requests.hedges.with_label_values(&[model, result.as_str()]).inc();
    }
}
