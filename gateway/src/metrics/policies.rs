//! The metrics of policies: what each version in each mode decides, costs, how often it fails, how fast it is, what
//! shadows would have done, and what became of changes.

use std::collections::{BTreeMap, HashSet};

use prometheus::{
    Counter, CounterVec, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

use super::EVALUATION;
use super::labels::{Evaluation, Status, Verdict};
use super::make::{Labels, Maker, sweep};
use crate::base::money::NanoDollars;
use crate::base::time::UnixSeconds;
use crate::catalog::Catalog;
use crate::policy::{FailureClass, Hook, Stage};
use crate::snapshot::{Deciders, Snapshot, Version};

/// A version in a mode, as its series are labelled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Labelled {
    /// The policy's name.
    pub policy: String,
    /// Its version as a label.
    pub version: String,
    /// `active`, `canary` or `shadow`.
    pub mode: &'static str,
}

/// What became of a change of a policy's files, as the label of `api_gateway_policy_reloads_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// It serves.
    Success,
    /// A file was touched, its content is the same.
    Unchanged,
    /// It could not be read, or is no component.
    RejectedRead,
    /// It asks for more than it is granted, or does not offer what the contract says.
    RejectedAbi,
    /// It could not be compiled.
    RejectedCompile,
    /// It did not take its settings, or failed on a sample.
    RejectedSelftest,
    /// It served, failed too often, and was taken out.
    RolledBack,
}

impl Reload {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::Unchanged,
        Self::RejectedRead,
        Self::RejectedAbi,
        Self::RejectedCompile,
        Self::RejectedSelftest,
        Self::RolledBack,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Unchanged => "unchanged",
            Self::RejectedRead => "rejected_read",
            Self::RejectedAbi => "rejected_abi",
            Self::RejectedCompile => "rejected_compile",
            Self::RejectedSelftest => "rejected_selftest",
            Self::RolledBack => "rolled_back",
        }
    }
}

impl From<Stage> for Reload {
    /// What a change is that did not reach a stage.
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Observed | Stage::Stable | Stage::Parsed => Self::RejectedRead,
            Stage::Admitted | Stage::Linked => Self::RejectedAbi,
            Stage::Compiled => Self::RejectedCompile,
            Stage::Configured | Stage::Probed | Stage::Placed => Self::RejectedSelftest,
        }
    }
}

/// How a shadow's answer compares with what was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Comparison {
    /// It is the same.
    Agree,
    /// It is another.
    Disagree,
    /// It failed.
    Failed,
    /// There was no spare capacity to ask it.
    Skipped,
}

impl Comparison {
    /// All, in the order of their numbers.
    const ALL: [(Self, &'static str); 4] = [
        (Self::Agree, "agree"),
        (Self::Disagree, "disagree"),
        (Self::Failed, "shadow_failed"),
        (Self::Skipped, "skipped"),
    ];
}

/// How a policy's last change went.
#[derive(Debug, Clone)]
pub struct LastReload {
    /// The policy that serves.
    pub policy: String,
    /// Whether its files' last state is what serves.
    pub successful: bool,
    /// When a change last came to serve.
    pub at: UnixSeconds,
}

/// All metrics of policies.
#[derive(Debug)]
pub(super) struct Policies {
    decisions: IntCounterVec,
    evaluation_seconds: HistogramVec,
    failures: IntCounterVec,
    requests: IntCounterVec,
    estimated_cost: CounterVec,
    info: IntGaugeVec,
    instances: IntGaugeVec,
    memory: IntGaugeVec,
    comparisons: IntCounterVec,
    choices: IntCounterVec,
    reloads: IntCounterVec,
    last_successful: IntGaugeVec,
    last_success: IntGaugeVec,
    traffic: GaugeVec,
    breaker_open: IntGaugeVec,
    live_snapshots: IntGauge,
    draining_seconds: prometheus::Gauge,
}

/// The series of one version in one mode.
#[derive(Debug)]
pub struct PolicyMetrics {
    labelled: Labelled,
    seconds: Histogram,
    failures: Vec<IntCounter>,
    // Only routing policies decide.
    decisions: Option<Decisions>,
}

/// What one routing policy decided.
#[derive(Debug)]
struct Decisions {
    // By model.
    routed: Vec<IntCounter>,
    fallback: Vec<IntCounter>,
    denied: IntCounter,
    passed: IntCounter,
    // How requests that it routed ended, by status.
    requests: [IntCounter; 2],
    estimated_cost: Counter,
}

/// The series of one shadow's comparisons.
#[derive(Debug)]
pub struct ShadowMetrics {
    labelled: Labelled,
    compared: Vec<IntCounter>,
    choices: IntCounterVec,
}

impl Policies {
    pub(super) fn new(make: &Maker<'_>) -> Self {
        Self {
            decisions: make.counters(
                "api_gateway_policy_decisions_total",
                "Routing decisions, by policy, chosen model and outcome (fallback: the policy failed, the gateway's \
                 default decided; pass: it had no opinion).",
                &["policy", "version", "mode", "model", "backend", "outcome"],
            ),
            evaluation_seconds: make.histograms(
                "api_gateway_policy_evaluation_seconds",
                "One call of a policy, instantiation and checks included, failed ones too.",
                &["policy", "version", "mode"],
                &EVALUATION,
            ),
            failures: make.counters(
                "api_gateway_policy_failures_total",
                "Calls of a policy that gave no valid answer, by class.",
                &["policy", "version", "mode", "reason"],
            ),
            requests: make.counters(
                "api_gateway_policy_requests_total",
                "How requests routed by this version ended.",
                &["policy", "version", "mode", "status"],
            ),
            estimated_cost: make.sums(
                "api_gateway_policy_estimated_cost_usd_total",
                "What the cost policy expected of the models that this version chose, in US dollars.",
                &["policy", "version", "mode"],
            ),
            info: make.gauges(
                "api_gateway_policy_info",
                "1, with the content digest of a policy that is in place.",
                &["policy", "version", "mode", "digest"],
            ),
            instances: make.gauges(
                "api_gateway_policy_instances",
                "Guest instances, waiting and in a call.",
                &["policy", "state"],
            ),
            memory: make.gauges(
                "api_gateway_policy_memory_bytes",
                "Largest memory of a policy's waiting instances.",
                &["policy"],
            ),
            comparisons: make.counters(
                "api_gateway_policy_shadow_comparisons_total",
                "Requests that a shadow was to decide beside the active policy: the same choice, another, a failure, or \
                 no spare capacity to ask.",
                &["policy", "shadow_policy", "shadow_version", "result"],
            ),
            choices: make.counters(
                "api_gateway_policy_shadow_choices_total",
                "What the active policy chose and what a shadow would have (none: denied).",
                &["shadow_policy", "shadow_version", "active_model", "shadow_model"],
            ),
            reloads: make.counters(
                "api_gateway_policy_reloads_total",
                "Changes of a policy's component, settings or limits, by what became of them; a refused change counts \
                 for the policy that goes on serving.",
                &["policy", "result"],
            ),
            last_successful: make.gauges(
                "api_gateway_policy_last_reload_successful",
                "1: what a policy's files ask for is what serves. 0: it was refused or taken out.",
                &["policy"],
            ),
            last_success: make.gauges(
                "api_gateway_policy_last_reload_success_timestamp_seconds",
                "When a policy last came to serve, in seconds since 1970.",
                &["policy"],
            ),
            traffic: make.add(GaugeVec::new(
                Opts::new(
                    "api_gateway_policy_traffic_ratio",
                    "Share of the requests that a version decides, 0 to 1.",
                ),
                &["policy", "version"],
            )),
            breaker_open: make.gauges(
                "api_gateway_policy_breaker_open",
                "1: a version failed too often and is not called.",
                &["policy", "version", "mode"],
            ),
            live_snapshots: make.gauge(
                "api_gateway_live_snapshots",
                "Snapshots of policies and models that a request holds, the serving one included.",
            ),
            draining_seconds: make.add(prometheus::Gauge::new(
                "api_gateway_oldest_snapshot_draining_seconds",
                "How long the oldest snapshot has been draining that was replaced; 0 where there is none.",
            )),
        }
    }

    pub(super) fn place(&self, version: &Version, mode: &'static str, catalog: &Catalog) -> PolicyMetrics {
        let (name, number) = (&*version.policy.manifest().name, &*version.version);
        let failures = FailureClass::ALL.iter();
        let failures = failures.map(|class| self.failures.with_label_values(&[name, number, mode, class.as_str()]));
        let decided = |model: &str, backend: &str, outcome: &str| {
            self.decisions.with_label_values(&[name, number, mode, model, backend, outcome])
        };
        let by_model = |outcome: &str| -> Vec<IntCounter> {
            catalog.models().iter().map(|live| decided(&live.model.name, live.location(), outcome)).collect()
        };
        let decisions = || Decisions {
            routed: by_model("route"),
            fallback: by_model("fallback"),
            denied: decided("none", "none", "deny"),
            passed: decided("none", "none", "pass"),
            requests: Status::ALL.map(|status| self.requests.with_label_values(&[name, number, mode, status.as_str()])),
            estimated_cost: self.estimated_cost.with_label_values(&[name, number, mode]),
        };
        for result in Reload::ALL {
            self.reloads.with_label_values(&[name, result.as_str()]);
        }
        PolicyMetrics {
            labelled: Labelled { policy: name.to_owned(), version: number.to_owned(), mode },
            seconds: self.evaluation_seconds.with_label_values(&[name, number, mode]),
            failures: failures.collect(),
            decisions: (version.policy.hook() == Hook::Routing).then(decisions),
        }
    }

    pub(super) fn shadow(&self, active: Option<&Version>, shadow: &Version) -> ShadowMetrics {
        let policy = active.map_or("none", |active| &*active.policy.manifest().name);
        let (name, number) = (&*shadow.policy.manifest().name, &*shadow.version);
        let compared = Comparison::ALL.iter();
        let compared = compared.map(|(_, result)| self.comparisons.with_label_values(&[policy, name, number, result]));
        ShadowMetrics {
            compared: compared.collect(),
            labelled: Labelled { policy: name.to_owned(), version: number.to_owned(), mode: "shadow" },
            choices: self.choices.clone(),
        }
    }

    pub(super) fn reloaded(&self, policy: &str, result: Reload) {
        self.reloads.with_label_values(&[policy, result.as_str()]).inc();
    }

    /// Tells what is in place.
    pub(super) fn serving(&self, snapshot: &Snapshot, last: &[LastReload]) {
        self.info.reset();
        self.traffic.reset();
        self.breaker_open.reset();
        for deciders in [&snapshot.routing, &snapshot.cost] {
            for decider in deciders.all() {
                let Labelled { policy, version, mode } = &decider.metrics.labelled;
                let (policy, version, mode) = (&**policy, &**version, *mode);
                self.info.with_label_values(&[policy, version, mode, decider.version.policy.digest()]).set(1);
                let open = i64::from(decider.version.is_open());
                self.breaker_open.with_label_values(&[policy, version, mode]).set(open);
            }
            let percent = deciders.canary.as_ref().map_or(0.0, |canary| canary.percent);
            let canary = deciders.canary.iter().map(|canary| (&canary.decider, percent));
            for (decider, percent) in deciders.active.iter().map(|active| (active, 100.0 - percent)).chain(canary) {
                let Labelled { policy, version, .. } = &decider.metrics.labelled;
                // A canary may be the same component with other settings.
                self.traffic.with_label_values(&[policy, version]).add(percent / 100.0);
            }
        }
        let mut policies: BTreeMap<&str, (bool, UnixSeconds)> = BTreeMap::new();
        for LastReload { policy, successful, at } in last {
            let entry = policies.entry(policy).or_insert((true, 0));
            *entry = (entry.0 && *successful, entry.1.max(*at));
        }
        self.last_successful.reset();
        self.last_success.reset();
        for (policy, (successful, at)) in policies {
            self.last_successful.with_label_values(&[policy]).set(i64::from(successful));
            self.last_success.with_label_values(&[policy]).set(i64::try_from(at).unwrap_or(i64::MAX));
        }
    }

    /// Gauges that are read when asked for.
    pub(super) fn read(&self, snapshot: &Snapshot, (live, oldest_seconds): (usize, f64)) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        // Two versions of one policy may be in place.
        let mut pools: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
        for decider in snapshot.routing.all().chain(snapshot.cost.all()) {
            let state = decider.version.policy.pool_state();
            let (idle, busy, memory) = pools.entry(&decider.metrics.labelled.policy).or_default();
            *idle += state.idle;
            *busy += state.busy;
            *memory = (*memory).max(state.memory_bytes);
        }
        // A policy that is in no place has none; those of snapshots that drain end with their requests.
        self.instances.reset();
        self.memory.reset();
        for (policy, (idle, busy, memory)) in pools {
            self.instances.with_label_values(&[policy, "idle"]).set(gauge(idle));
            self.instances.with_label_values(&[policy, "busy"]).set(gauge(busy));
            self.memory.with_label_values(&[policy]).set(gauge(memory));
        }
        self.live_snapshots.set(gauge(live));
        self.draining_seconds.set(oldest_seconds);
    }

    /// Takes out the series of versions and models that are no more.
    pub(super) fn sweep(&self, versions: &HashSet<Labelled>, models: &dyn Fn(&str) -> bool) {
        let policies: HashSet<&str> = versions.iter().map(|version| &*version.policy).collect();
        let shadows: HashSet<(&str, &str)> = versions
            .iter()
            .filter(|version| version.mode == "shadow")
            .map(|version| (&*version.policy, &*version.version))
            .collect();
        let versions: HashSet<(&str, &str, &str)> =
            versions.iter().map(|version| (&*version.policy, &*version.version, version.mode)).collect();
        let keep = |labels: &Labels<'_>| {
            let has = |name: &str| labels.get(name).copied();
            let version = match (has("policy"), has("version"), has("mode")) {
                (Some(policy), Some(version), Some(mode)) => versions.contains(&(policy, version, mode)),
                (Some(policy), None, None) => policy == "none" || policies.contains(policy),
                _ => true,
            };
            let shadow = match (has("shadow_policy"), has("shadow_version")) {
                (Some(policy), Some(version)) => shadows.contains(&(policy, version)),
                _ => true,
            };
            version
                && shadow
                && ["model", "active_model", "shadow_model"].iter().all(|name| has(name).is_none_or(models))
        };
        for family in [&self.decisions, &self.failures, &self.requests, &self.comparisons, &self.choices, &self.reloads]
        {
            sweep(family, &keep);
        }
        sweep(&self.evaluation_seconds, &keep);
        sweep(&self.estimated_cost, &keep);
    }
}

/// The series' labels of all that is in place.
pub(super) fn labelled(deciders: &Deciders) -> impl Iterator<Item = Labelled> {
    deciders.all().map(|decider| decider.metrics.labelled.clone())
}

impl PolicyMetrics {
    /// `active`, `canary` or `shadow`.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        self.labelled.mode
    }

    /// A call ended.
    pub fn observe(&self, evaluation: Option<Evaluation>) {
        let Some(evaluation) = evaluation else { return };
        if let Err(class) = evaluation.outcome {
            self.failures[class as usize].inc();
            // No call was made, and none took no time.
            if class == FailureClass::BreakerOpen {
                return;
            }
        }
        self.seconds.observe(evaluation.took.as_secs_f64());
    }

    /// A decision was made, or left to the gateway's default, for this model at this cost.
    pub fn observe_decision(
        &self,
        outcome: Option<Result<Verdict, FailureClass>>,
        model: Option<usize>,
        cost: Option<NanoDollars>,
    ) {
        let Some(decisions) = &self.decisions else { return };
        match (outcome, model) {
            (Some(Ok(Verdict::Deny)), _) => decisions.denied.inc(),
            (Some(Ok(Verdict::Pass)), _) => decisions.passed.inc(),
            (Some(Ok(Verdict::Route)), Some(model)) => {
                decisions.routed[model].inc();
                if let Some(cost) = cost {
                    decisions.estimated_cost.inc_by(cost.usd());
                }
            }
            (Some(Err(_)), Some(model)) => decisions.fallback[model].inc(),
            // Fail-closed: the failure is counted, a decision there was none.
            _ => {}
        }
    }

    /// A request that it routed ended.
    pub fn observe_ending(&self, status: Status) {
        if let Some(decisions) = &self.decisions {
            decisions.requests[status as usize].inc();
        }
    }
}

impl ShadowMetrics {
    /// It was compared, or could not be.
    pub fn compared(&self, comparison: Comparison) {
        self.compared[comparison as usize].inc();
    }

    /// What was chosen and what it would have: positions in the catalog.
    pub fn chose(&self, catalog: &Catalog, actual: Option<usize>, shadow: Option<usize>) {
        let name = |model: Option<usize>| model.map_or("none", |model| &*catalog.models()[model].model.name);
        let labels = [&*self.labelled.policy, &*self.labelled.version, name(actual), name(shadow)];
        self.choices.with_label_values(&labels).inc();
    }
}
