//! The metrics of policies, by version and slot: decisions, estimated costs, failures and latency.

use std::time::Duration;

use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};

use super::buckets::EVALUATION;
use super::labels::{DecisionOutcome, Evaluation, Status};
use super::place::{PLACE, PolicyLabels, place};
use super::register::Families;
use crate::backend::Catalog;
use wasmgate_base::money::NanoDollars;
use wasmgate_policy_host::{FailureClass, Hook, PoolState};

/// A version in a slot, for the gauges.
#[derive(Debug)]
pub struct InSlot<'a> {
    /// Its labels.
    pub labels: &'a PolicyLabels,
    /// SHA-256 of its component.
    pub digest: &'a str,
    /// Whether its circuit breaker is open.
    pub open: bool,
    /// How long one call of it may run.
    pub call_limit: Duration,
    /// Its share of the requests, 0 to 1; `None` for a shadow.
    pub share: Option<f64>,
    /// How many names in its settings no configured model has.
    pub unknown_models: usize,
}

/// The families of policies.
#[derive(Debug)]
pub(super) struct Policies {
    decisions: IntCounterVec,
    evaluation_seconds: HistogramVec,
    failures: IntCounterVec,
    requests: IntCounterVec,
    estimated_cost: CounterVec,
    billed_cost: CounterVec,
    gauges: PolicyGauges,
}

/// The gauges of policies.
#[derive(Debug)]
struct PolicyGauges {
    info: IntGaugeVec,
    instances: IntGaugeVec,
    memory: IntGaugeVec,
    traffic: GaugeVec,
    breaker_open: IntGaugeVec,
    call_limit: GaugeVec,
    unknown_models: IntGaugeVec,
    live_snapshots: IntGauge,
    draining_seconds: Gauge,
}

/// The series of one version in one slot.
#[derive(Debug)]
pub struct PolicyMetrics {
    /// Their labels.
    pub labels: PolicyLabels,
    seconds: Histogram,
    failures: Vec<IntCounter>,
    // Only routing policies decide.
    decisions: Option<Decisions>,
}

/// The decisions of one routing policy.
#[derive(Debug)]
struct Decisions {
    // By model.
    routed: Vec<IntCounter>,
    fallback: Vec<IntCounter>,
    denied: IntCounter,
    passed: IntCounter,
    // A shadow routes no requests.
    routed_requests: Option<RoutedRequests>,
    estimated_cost: Counter,
}

/// The requests that one routing policy routed.
#[derive(Debug)]
struct RoutedRequests {
    // Those that ended, by status.
    ended: [IntCounter; 2],
    billed_cost: Counter,
}

impl Policies {
    pub(super) fn new(families: &mut Families) -> Self {
        Self {
            decisions: families.counters(
                "api_gateway_policy_decisions_total",
                "Routing decisions, by policy, chosen model and outcome (fallback: the policy failed and the \
                 gateway's default decided; pass: the policy had no opinion).",
                &place(&["model", "backend", "outcome"]),
            ),
            evaluation_seconds: families.histograms(
                "api_gateway_policy_evaluation_seconds",
                "Duration of one call of a policy, including instantiation, checks and failed calls.",
                &PLACE,
                &EVALUATION,
            ),
            failures: families.counters(
                "api_gateway_policy_failures_total",
                "Calls of a policy that returned no valid answer, by class.",
                &place(&["reason"]),
            ),
            requests: families.counters(
                "api_gateway_policy_requests_total",
                "Requests that this version routed, by how they ended.",
                &place(&["status"]),
            ),
            estimated_cost: families.sums(
                "api_gateway_policy_estimated_cost_usd_total",
                "Cost that the cost policy expected of the models that this version chose, in US dollars.",
                &PLACE,
            ),
            billed_cost: families.sums(
                "api_gateway_policy_billed_cost_usd_total",
                "Cost of the requests that this version routed, by the tokens of all their calls, in US dollars.",
                &PLACE,
            ),
            gauges: PolicyGauges::new(families),
        }
    }

    /// The series of a version in a slot, all at 0. Only routing policies have decisions and requests.
    pub(super) fn of(&self, labels: PolicyLabels, catalog: &Catalog) -> PolicyMetrics {
        let failures = FailureClass::ALL.iter();
        let failures = failures.map(|class| self.failures.with_label_values(&labels.and([class.as_str()])));
        let decided = |model: &str, backend: &str, outcome: &str| {
            self.decisions.with_label_values(&labels.and([model, backend, outcome]))
        };
        let by_model = |outcome: &str| -> Vec<IntCounter> {
            catalog.models().iter().map(|live| decided(&live.model.name, live.location().as_str(), outcome)).collect()
        };
        let decisions = || Decisions {
            routed: by_model("route"),
            fallback: by_model("fallback"),
            denied: decided("none", "none", "deny"),
            passed: decided("none", "none", "pass"),
            routed_requests: (labels.mode != "shadow").then(|| RoutedRequests {
                ended: Status::ALL.map(|status| self.requests.with_label_values(&labels.and([status.as_str()]))),
                billed_cost: self.billed_cost.with_label_values(&labels.values()),
            }),
            estimated_cost: self.estimated_cost.with_label_values(&labels.values()),
        };
        PolicyMetrics {
            seconds: self.evaluation_seconds.with_label_values(&labels.values()),
            failures: failures.collect(),
            decisions: (labels.hook == Hook::Routing).then(decisions),
            labels,
        }
    }

    /// Updates the gauges of the versions in slots.
    pub(super) fn set(&self, slots: &[InSlot<'_>]) {
        let gauges = &self.gauges;
        gauges.info.reset();
        gauges.traffic.reset();
        gauges.breaker_open.reset();
        gauges.call_limit.reset();
        gauges.unknown_models.reset();
        for InSlot { labels, digest, open, call_limit, share, unknown_models } in slots {
            let place = labels.values();
            gauges.info.with_label_values(&labels.and([digest])).set(1);
            gauges.breaker_open.with_label_values(&place).set(i64::from(*open));
            gauges.call_limit.with_label_values(&place).set(call_limit.as_secs_f64());
            gauges.unknown_models.with_label_values(&place).set(i64::try_from(*unknown_models).unwrap_or(i64::MAX));
            if let Some(share) = share {
                gauges.traffic.with_label_values(&place).set(*share);
            }
        }
    }

    /// Updates the gauges that a scrape reads: the pools of all versions in slots, the number of snapshots held, and
    /// how long the oldest has been draining, in seconds.
    pub(super) fn read<'a>(
        &self,
        pools: impl Iterator<Item = (&'a PolicyLabels, PoolState)>,
        (live, oldest_seconds): (usize, f64),
    ) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        // An empty slot has no series. Instances of draining snapshots end with their requests.
        self.gauges.instances.reset();
        self.gauges.memory.reset();
        for (labels, PoolState { idle, busy, memory_bytes }) in pools {
            self.gauges.instances.with_label_values(&labels.and(["idle"])).set(gauge(idle));
            self.gauges.instances.with_label_values(&labels.and(["busy"])).set(gauge(busy));
            self.gauges.memory.with_label_values(&labels.values()).set(gauge(memory_bytes));
        }
        self.gauges.live_snapshots.set(gauge(live));
        self.gauges.draining_seconds.set(oldest_seconds);
    }
}

impl PolicyGauges {
    fn new(families: &mut Families) -> Self {
        Self {
            info: families.gauges(
                "api_gateway_policy_info",
                "1, with the content digest of a loaded policy.",
                &place(&["digest"]),
            ),
            instances: families.gauges(
                "api_gateway_policy_instances",
                "Guest instances, idle and in a call.",
                &place(&["state"]),
            ),
            memory: families.gauges(
                "api_gateway_policy_memory_bytes",
                "Largest memory of a policy's idle instances; during calls also what the last instance had after its call.",
                &PLACE,
            ),
            traffic: families.ratios(
                "api_gateway_policy_traffic_ratio",
                "Share of the requests that a version decides, 0 to 1.",
                &PLACE,
            ),
            breaker_open: families.gauges(
                "api_gateway_policy_breaker_open",
                "1: the version failed too often, and the gateway does not call it.",
                &PLACE,
            ),
            call_limit: families.ratios(
                "api_gateway_policy_call_limit_seconds",
                "How long one call of the version may run (`call_time_ms`), in seconds.",
                &PLACE,
            ),
            unknown_models: families.gauges(
                "api_gateway_policy_unknown_models",
                "Names of models in a policy's settings, or in a script's constants, that no configured model has.",
                &PLACE,
            ),
            live_snapshots: families.gauge(
                "api_gateway_live_snapshots",
                "Snapshots of policies and models that requests hold, including the serving one.",
            ),
            draining_seconds: families.seconds(
                "api_gateway_oldest_snapshot_draining_seconds",
                "How long the oldest replaced snapshot has been draining; 0 if there is none.",
            ),
        }
    }
}

impl PolicyMetrics {
    /// Records a call of the policy.
    pub fn observe(&self, evaluation: Option<Evaluation>) {
        let Some(evaluation) = evaluation else { return };
        if let Err(class) = evaluation.outcome {
            self.failures[class as usize].inc();
            // There was no call, so there is no duration.
            if class == FailureClass::BreakerOpen {
                return;
            }
        }
        self.seconds.observe(evaluation.took.as_secs_f64());
    }

    /// Records a decision by the policy or the gateway's default: the model, and its estimated cost.
    pub fn observe_decision(
        &self,
        outcome: Option<Result<DecisionOutcome, FailureClass>>,
        model: Option<usize>,
        cost: Option<NanoDollars>,
    ) {
        let Some(decisions) = &self.decisions else { return };
        match (outcome, model) {
            (Some(Ok(DecisionOutcome::Deny)), _) => decisions.denied.inc(),
            (Some(Ok(DecisionOutcome::Pass)), _) => decisions.passed.inc(),
            (Some(Ok(DecisionOutcome::Route)), Some(model)) => {
                decisions.routed[model].inc();
                if let Some(cost) = cost {
                    decisions.estimated_cost.inc_by(cost.usd());
                }
            }
            (Some(Err(_)), Some(model)) => decisions.fallback[model].inc(),
            // Fail-closed: the failure is counted, but there is no decision.
            _ => {}
        }
    }

    /// Records the end of a request that it routed.
    pub fn observe_ending(&self, status: Status) {
        if let Some(requests) = self.routed_requests() {
            requests.ended[status as usize].inc();
        }
    }

    /// Records the cost of a request that it routed, with that of calls that failed.
    pub fn observe_cost(&self, cost: NanoDollars) {
        if let Some(requests) = self.routed_requests() {
            requests.billed_cost.inc_by(cost.usd());
        }
    }

    fn routed_requests(&self) -> Option<&RoutedRequests> {
        self.decisions.as_ref()?.routed_requests.as_ref()
    }
}
