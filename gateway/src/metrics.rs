//! Every metric: name, help, labels, buckets with the reason for their edges, and `observe`, which takes one closed
//! record. Only this file names the metrics library.
//!
//! Labels come from the configuration, from policies' checked manifests and from closed sets of ours; never from a
//! request. All series that can be known are created at 0, so that the first event is an increase. Handles are looked
//! up once, not for each request.

use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::catalog::{Catalog, LiveModel, location_name};
use crate::error::{Reason, Rejection};
use crate::policy::{FailureClass, Hook, Location, Policy};
use crate::record::{Complexity, Ending, Evaluation, Record, Verdict};
use crate::snapshot::Snapshot;

/// The content type of `/metrics`. Prometheus 3 refuses a scrape without it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whole requests and model calls: from a cached word to a long answer of a slow model. The last bound must lie well
/// beyond any alert's threshold, or a quantile can never exceed it.
const DURATION: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];
/// A routing decision: tens of microseconds for Rust policies, milliseconds for those with a language engine inside.
const ROUTING: [f64; 15] =
    [1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// One call of one policy: the same a decade lower.
const EVALUATION: [f64; 15] =
    [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.05, 0.25];
/// Time to first token, with the edges that vLLM uses, so that the two can be compared.
const FIRST_TOKEN: [f64; 19] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0];

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    in_progress: IntGauge,
    routing_seconds: Histogram,
    rejected: Vec<IntCounter>,
    errors_local: Vec<IntCounter>,
    errors_cloud: Vec<IntCounter>,
    errors_none: Vec<IntCounter>,
    health: IntGauge,
    ollama_models_loaded: IntGauge,
    upstream_up: IntGaugeVec,
    fallbacks: IntCounterVec,
    policy_instances: IntGaugeVec,
    policy_memory: IntGaugeVec,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    abandoned: IntCounterVec,
    cost: CounterVec,
    cost_per_request: GaugeVec,
    model_seconds: HistogramVec,
    first_token_seconds: HistogramVec,
    tokens: IntCounterVec,
    estimated_tokens: IntCounterVec,
    decisions: IntCounterVec,
    evaluation_seconds: HistogramVec,
    policy_failures: IntCounterVec,
    policy_requests: IntCounterVec,
    policy_estimated_cost: CounterVec,
    policy_info: IntGaugeVec,
    untargeted: Endings,
}

/// The series of one model.
#[derive(Debug)]
pub struct ModelMetrics {
    endings: Endings,
    cost: Counter,
    cost_per_request: Gauge,
    model_seconds: Histogram,
    first_token_seconds: Histogram,
    input_tokens: IntCounter,
    output_tokens: IntCounter,
    estimated_input_tokens: IntCounter,
    estimated_output_tokens: IntCounter,
}

/// How requests ended that reached one model, or none.
#[derive(Debug)]
struct Endings {
    // By status (success, error), then complexity.
    requests: [Vec<IntCounter>; 2],
    seconds: Histogram,
    abandoned: IntCounter,
}

/// The series of one policy.
#[derive(Debug)]
pub struct PolicyMetrics {
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
    succeeded: IntCounter,
    failed: IntCounter,
    estimated_cost: Counter,
}

/// Totals since start, as the statistics page tells them.
#[derive(Debug, Default, serde::Serialize)]
pub struct Totals {
    /// Requests that were routed and ended, well or not.
    pub requests: u64,
    /// Of those, the ones that failed.
    pub errors: u64,
    /// Requests of clients that left.
    pub abandoned: u64,
    /// Requests turned away.
    pub rejected: u64,
    /// US dollars.
    pub cost: f64,
    /// As the backends reported them.
    pub input_tokens: u64,
    /// As the backends reported them.
    pub output_tokens: u64,
}

/// Makes and registers metrics. Registration fails for a name that is not valid or taken: both are mistakes in this
/// file that any start of the gateway shows.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn add<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let metric = made.expect("names and labels in this file are valid");
        self.0.register(Box::new(metric.clone())).expect("names in this file are unique");
        metric
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn sums(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        self.add(CounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
    }
}

impl Metrics {
    /// All metrics, at 0.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let make = Maker(&registry);
        let errors = make.counters(
            "api_gateway_errors_total",
            "Accepted requests that failed, by where the model runs (none: no model was reached) and why.",
            &["backend", "reason"],
        );
        let errors_of = |backend: &str| -> Vec<IntCounter> {
            Reason::ALL.iter().map(|reason| errors.with_label_values(&[backend, reason.as_str()])).collect()
        };
        let rejected = make.counters(
            "api_gateway_rejected_requests_total",
            "Requests turned away before a model was asked, by reason.",
            &["reason"],
        );
        let build = make.gauges("api_gateway_build_info", "1, with the version that runs.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let requests = make.counters(
            "api_gateway_requests_total",
            "Requests that reached routing and ended, by model, where it runs, status and complexity.",
            &["model", "backend", "status", "complexity"],
        );
        let request_seconds = make.histograms(
            "api_gateway_request_duration_seconds",
            "Whole request, to its answer's last byte.",
            &["model", "backend"],
            &DURATION,
        );
        let abandoned = make.counters(
            "api_gateway_abandoned_requests_total",
            "Requests whose client left before the answer was whole.",
            &["model", "backend"],
        );
        let cost = make.sums("api_gateway_cost_total", "Estimated spend in US dollars.", &["model"]);
        let cost_per_request = make.add(GaugeVec::new(
            Opts::new("api_gateway_cost_per_request", "US dollars a request that ended, since start."),
            &["model"],
        ));
        let model_seconds = make.histograms(
            "api_gateway_model_latency_seconds",
            "The backend call that gave the answer, to its end.",
            &["model"],
            &DURATION,
        );
        let first_token_seconds = make.histograms(
            "api_gateway_time_to_first_token_seconds",
            "From the request to the first token of a streamed answer.",
            &["model"],
            &FIRST_TOKEN,
        );
        let tokens =
            make.counters("api_gateway_tokens_total", "Tokens as the backends reported them.", &["model", "type"]);
        let estimated_tokens = make.counters(
            "api_gateway_estimated_tokens_total",
            "Tokens as the gateway estimated them, of answers whose backend reported none.",
            &["model", "type"],
        );
        let untargeted = Endings::new(&requests, &request_seconds, &abandoned, ["none", "none"]);
        #[cfg(target_os = "linux")]
        {
            let process = prometheus::process_collector::ProcessCollector::for_self();
            registry.register(Box::new(process)).expect("names in this file are unique");
        }
        Self {
            in_progress: make.gauge("api_gateway_requests_in_progress", "Requests in flight, streams included."),
            routing_seconds: make.add(Histogram::with_opts(
                HistogramOpts::new(
                    "api_gateway_routing_latency_seconds",
                    "Whole routing decision, both policies included.",
                )
                .buckets(ROUTING.to_vec()),
            )),
            rejected: Rejection::ALL.iter().map(|reason| rejected.with_label_values(&[reason.as_str()])).collect(),
            errors_local: errors_of("local"),
            errors_cloud: errors_of("cloud"),
            errors_none: errors_of("none"),
            health: make.gauge("api_gateway_health", "1: policies are loaded and at least one backend is not down."),
            ollama_models_loaded: make
                .gauge("ollama_models_loaded", "Models in memory at the Ollama backends, as last probed."),
            upstream_up: make.gauges("api_gateway_upstream_up", "0: the backend is down.", &["upstream"]),
            // From and to are both configured names: their pairs grow with the square of the models, so only those
            // that happen are made. The first of a pair is therefore not an increase.
            fallbacks: make.counters(
                "api_gateway_fallbacks_total",
                "Requests answered by another model than chosen, by the chosen one's failure.",
                &["from_model", "to_model", "reason"],
            ),
            policy_instances: make.gauges(
                "api_gateway_policy_instances",
                "Guest instances, waiting and in a call.",
                &["policy", "state"],
            ),
            policy_memory: make.gauges(
                "api_gateway_policy_memory_bytes",
                "Largest memory of a policy's waiting instances.",
                &["policy"],
            ),
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
            policy_failures: make.counters(
                "api_gateway_policy_failures_total",
                "Calls of a policy that gave no valid answer, by class.",
                &["policy", "version", "mode", "reason"],
            ),
            policy_requests: make.counters(
                "api_gateway_policy_requests_total",
                "How requests routed by this version ended.",
                &["policy", "version", "mode", "status"],
            ),
            policy_estimated_cost: make.sums(
                "api_gateway_policy_estimated_cost_usd_total",
                "What the cost policy expected of the models that this version chose, in US dollars.",
                &["policy", "version", "mode"],
            ),
            policy_info: make.gauges(
                "api_gateway_policy_info",
                "1, with the content digest of a loaded policy.",
                &["policy", "version", "mode", "digest"],
            ),
            requests,
            request_seconds,
            abandoned,
            cost,
            cost_per_request,
            model_seconds,
            first_token_seconds,
            tokens,
            estimated_tokens,
            untargeted,
            registry,
        }
    }

    /// The series of one model, all at 0.
    #[must_use]
    pub fn model(&self, live: &LiveModel) -> ModelMetrics {
        let (model, backend) = (&*live.model.name, live.location());
        ModelMetrics {
            endings: Endings::new(&self.requests, &self.request_seconds, &self.abandoned, [model, backend]),
            cost: self.cost.with_label_values(&[model]),
            cost_per_request: self.cost_per_request.with_label_values(&[model]),
            model_seconds: self.model_seconds.with_label_values(&[model]),
            first_token_seconds: self.first_token_seconds.with_label_values(&[model]),
            input_tokens: self.tokens.with_label_values(&[model, "input"]),
            output_tokens: self.tokens.with_label_values(&[model, "output"]),
            estimated_input_tokens: self.estimated_tokens.with_label_values(&[model, "input"]),
            estimated_output_tokens: self.estimated_tokens.with_label_values(&[model, "output"]),
        }
    }

    /// The series of one policy, all at 0. Only routing policies have decisions and requests.
    #[must_use]
    pub fn policy(&self, policy: &Policy, mode: &str, catalog: &Catalog) -> PolicyMetrics {
        let (name, version) = (&*policy.manifest().name, &*policy.manifest().version);
        self.policy_info.with_label_values(&[name, version, mode, policy.digest()]).set(1);
        let failures = FailureClass::ALL.iter();
        let failures =
            failures.map(|class| self.policy_failures.with_label_values(&[name, version, mode, class.as_str()]));
        let failures = failures.collect();
        let seconds = self.evaluation_seconds.with_label_values(&[name, version, mode]);
        if policy.hook() == Hook::Cost {
            return PolicyMetrics { seconds, failures, decisions: None };
        }
        let decided = |model: &str, backend: &str, outcome: &str| {
            self.decisions.with_label_values(&[name, version, mode, model, backend, outcome])
        };
        let by_model = |outcome: &str| -> Vec<IntCounter> {
            catalog.models().iter().map(|live| decided(&live.model.name, live.location(), outcome)).collect()
        };
        let decisions = Decisions {
            routed: by_model("route"),
            fallback: by_model("fallback"),
            denied: decided("none", "none", "deny"),
            passed: decided("none", "none", "pass"),
            succeeded: self.policy_requests.with_label_values(&[name, version, mode, "success"]),
            failed: self.policy_requests.with_label_values(&[name, version, mode, "error"]),
            estimated_cost: self.policy_estimated_cost.with_label_values(&[name, version, mode]),
        };
        PolicyMetrics { seconds, failures, decisions: Some(decisions) }
    }

    /// A request came.
    pub fn request_began(&self) {
        self.in_progress.inc();
    }

    /// Its permit is free again.
    pub fn request_ended(&self) {
        self.in_progress.dec();
    }

    /// A request was turned away before it had a record.
    pub fn reject(&self, rejection: Rejection) {
        self.rejected[rejection as usize].inc();
    }

    /// A routing decision that no model was asked about (`/api/v1/complexity`).
    pub fn observe_decision(&self, record: &Record, snapshot: &Snapshot) {
        if let Some(took) = record.routing_took {
            self.routing_seconds.observe(took.as_secs_f64());
        }
        snapshot.cost.metrics.observe(record.cost_evaluation);
        snapshot.routing.metrics.observe(record.routing_evaluation);
        snapshot.routing.metrics.observe_decision(record);
    }

    /// A request ended.
    pub fn observe(&self, record: &Record, snapshot: &Snapshot, ending: Ending) {
        self.observe_decision(record, snapshot);
        let endings = record.model.map_or(&self.untargeted, |model| &snapshot.models[model].endings);
        match ending {
            Ending::Rejected(rejection) => {
                self.reject(rejection);
                return;
            }
            Ending::Abandoned => endings.abandoned.inc(),
            Ending::Finished | Ending::Failed(_) | Ending::Shutdown => {
                let failed = ending != Ending::Finished;
                endings.requests[usize::from(failed)][record.complexity as usize].inc();
                endings.seconds.observe(record.started.elapsed().as_secs_f64());
                let routed = matches!(record.routing_evaluation, Some(Evaluation { outcome: Ok(Verdict::Route), .. }));
                if let (Some(decisions), true) = (&snapshot.routing.metrics.decisions, routed) {
                    if failed { decisions.failed.inc() } else { decisions.succeeded.inc() }
                }
            }
        }
        let reason = match ending {
            Ending::Failed(reason) => Some(reason),
            Ending::Shutdown => Some(Reason::Shutdown),
            Ending::Rejected(_) | Ending::Finished | Ending::Abandoned => None,
        };
        if let Some(reason) = reason {
            let errors = match record.model.map(|model| snapshot.catalog.models()[model].backend.settings().location) {
                None => &self.errors_none,
                Some(Location::Local) => &self.errors_local,
                Some(Location::Cloud) => &self.errors_cloud,
            };
            errors[reason as usize].inc();
        }
        if let Some(to) = record.model {
            snapshot.models[to].observe(record, snapshot, ending);
            if let (Some(chosen), Some(first)) =
                (record.chosen.filter(|&chosen| chosen != to), record.fell_back.first())
            {
                let (from, to) = (&snapshot.catalog.models()[chosen], &snapshot.catalog.models()[to]);
                let labels = [&*from.model.name, &*to.model.name, first.reason.as_str()];
                self.fallbacks.with_label_values(&labels).inc();
            }
        }
    }

    /// The text of `/metrics`, with gauges that are read when asked for.
    #[must_use]
    pub fn text(&self, snapshot: &Snapshot, healthy: bool) -> Vec<u8> {
        self.health.set(i64::from(healthy));
        let mut loaded = 0;
        for backend in snapshot.catalog.backends() {
            let up = backend.health().state() != crate::backend::HealthState::Down;
            self.upstream_up.with_label_values(&[&*backend.settings().name]).set(i64::from(up));
            loaded += i64::from(backend.loaded_models());
        }
        self.ollama_models_loaded.set(loaded);
        for active in [&snapshot.routing, &snapshot.cost] {
            let (name, state) = (&*active.policy.manifest().name, active.policy.pool_state());
            let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            self.policy_instances.with_label_values(&[name, "idle"]).set(gauge(state.idle));
            self.policy_instances.with_label_values(&[name, "busy"]).set(gauge(state.busy));
            self.policy_memory.with_label_values(&[name]).set(gauge(state.memory_bytes));
        }
        let mut text = Vec::with_capacity(64 << 10);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }

    /// Totals since start, and the share of local ones among requests that reached a model (`None` before the first).
    #[must_use]
    pub fn totals(&self, snapshot: &Snapshot) -> (Totals, Option<f64>) {
        let mut totals = Totals { rejected: self.rejected.iter().map(IntCounter::get).sum(), ..Totals::default() };
        let (mut local, mut targeted) = (0, 0);
        for (model, live) in snapshot.models.iter().zip(snapshot.catalog.models()) {
            let ended = model.endings.add_to(&mut totals);
            targeted += ended;
            if live.location() == location_name(Location::Local) {
                local += ended;
            }
            totals.cost += model.cost.get();
            totals.input_tokens += model.input_tokens.get();
            totals.output_tokens += model.output_tokens.get();
        }
        self.untargeted.add_to(&mut totals);
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = (targeted > 0).then(|| local as f64 / targeted as f64);
        (totals, share)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl ModelMetrics {
    fn observe(&self, record: &Record, snapshot: &Snapshot, ending: Ending) {
        let usage = record.billable();
        let (input, output) = match record.usage {
            Some(_) => (&self.input_tokens, &self.output_tokens),
            None => (&self.estimated_input_tokens, &self.estimated_output_tokens),
        };
        // A backend that failed before it said anything is not known to have counted the prompt.
        if record.usage.is_some() || record.output_pieces > 0 || ending == Ending::Finished {
            input.inc_by(usage.input_total());
            output.inc_by(usage.output);
            if let Some(cost) = record.cost(snapshot.price(record.model)) {
                self.cost.inc_by(cost.usd());
            }
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
}

impl Endings {
    fn new(requests: &IntCounterVec, seconds: &HistogramVec, abandoned: &IntCounterVec, target: [&str; 2]) -> Self {
        let [model, backend] = target;
        Self {
            requests: ["success", "error"].map(|status| {
                let of = |complexity: &Complexity| {
                    requests.with_label_values(&[model, backend, status, complexity.as_str()])
                };
                Complexity::ALL.iter().map(of).collect()
            }),
            seconds: seconds.with_label_values(&target),
            abandoned: abandoned.with_label_values(&target),
        }
    }

    /// Adds these endings to the totals; how many there were.
    fn add_to(&self, totals: &mut Totals) -> u64 {
        let [succeeded, failed] = self.requests.each_ref().map(|by| by.iter().map(IntCounter::get).sum::<u64>());
        totals.requests += succeeded + failed;
        totals.errors += failed;
        totals.abandoned += self.abandoned.get();
        succeeded + failed
    }
}

impl PolicyMetrics {
    fn observe(&self, evaluation: Option<Evaluation>) {
        if let Some(evaluation) = evaluation {
            self.seconds.observe(evaluation.took.as_secs_f64());
            if let Err(class) = evaluation.outcome {
                self.failures[class as usize].inc();
            }
        }
    }

    fn observe_decision(&self, record: &Record) {
        let Some(decisions) = &self.decisions else { return };
        match (record.routing_evaluation.map(|evaluation| evaluation.outcome), record.chosen) {
            (Some(Ok(Verdict::Deny)), _) => decisions.denied.inc(),
            (Some(Ok(Verdict::Pass)), _) => decisions.passed.inc(),
            (Some(Ok(Verdict::Route)), Some(model)) => {
                decisions.routed[model].inc();
                if let Some(cost) = record.estimated_cost {
                    decisions.estimated_cost.inc_by(cost.usd());
                }
            }
            (Some(Err(_)), Some(model)) => decisions.fallback[model].inc(),
            // Fail-closed: the failure is counted, a decision there was none.
            _ => {}
        }
    }
}
