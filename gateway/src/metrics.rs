//! Every metric: name, help, labels, buckets with the reason for their edges, and `observe`, which takes one closed
//! record. Only this file and its parts name the metrics library.
//!
//! Labels come from the configuration, from policies' checked manifests and from closed sets of ours; never from a
//! request. All series that can be known are created at 0, so that the first event is an increase. Handles are looked
//! up once, not for each request.

pub mod labels;
mod make;
mod models;
mod policies;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{
    CounterVec, Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::backend::{BreakerState, Location};
use crate::base::time::UnixSeconds;
use crate::catalog::{Catalog, LiveModel};
use crate::error::{Reason, Rejection};
use crate::record::Record;
use crate::snapshot::{Snapshot, Version};
use labels::{Ending, HedgeResult};
use make::{Labels, Maker, sweep};
use models::Endings;
pub use models::ModelMetrics;
pub use policies::{Comparison, Labelled, LastReload, PolicyMetrics, Reload, ShadowMetrics};

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
    breaker_state: IntGaugeVec,
    retries: IntCounterVec,
    fallbacks: IntCounterVec,
    hedges: IntCounterVec,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    abandoned: IntCounterVec,
    cost: CounterVec,
    cost_per_request: GaugeVec,
    model_seconds: HistogramVec,
    first_token_seconds: HistogramVec,
    tokens: IntCounterVec,
    estimated_tokens: IntCounterVec,
    untargeted: Endings,
    config_reloads: IntCounterVec,
    config_successful: IntGauge,
    config_success: IntGauge,
    policies: policies::Policies,
    // Held while gauges are set anew, so that no scrape sees half of them.
    scrape: Mutex<()>,
    retired: Mutex<Retired>,
}

/// Series of what is no longer in place, and since when: they stay a while, so that the last of what it did is scraped.
#[derive(Debug, Default)]
struct Retired {
    versions: HashMap<Labelled, Instant>,
    models: HashMap<String, Instant>,
    upstreams: HashMap<String, Instant>,
}

impl Retired {
    /// All that `snapshot` has is in place now.
    fn note(&mut self, snapshot: &Snapshot, now: Instant) {
        for deciders in [&snapshot.routing, &snapshot.cost] {
            self.versions.extend(policies::labelled(deciders).map(|labelled| (labelled, now)));
        }
        self.models.extend(snapshot.catalog.models().iter().map(|live| (live.model.name.clone(), now)));
        let upstreams = snapshot.catalog.backends().iter();
        self.upstreams.extend(upstreams.map(|backend| (backend.settings().name.clone(), now)));
    }
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
        let config_reloads = make.counters(
            "api_gateway_config_reloads_total",
            "Changes of the configuration file, by what became of them.",
            &["result"],
        );
        for result in ["success", "rejected"] {
            config_reloads.with_label_values(&[result]);
        }
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
            breaker_state: make.gauges(
                "api_gateway_breaker_state",
                "1: the state that the breaker of a model at its backend is in.",
                &["upstream", "model", "state"],
            ),
            retries: make.counters(
                "api_gateway_retries_total",
                "Calls that were made again at the same backend, by why the one before failed.",
                &["upstream", "reason"],
            ),
            // From and to are both configured names: their pairs grow with the square of the models, so only those
            // that happen are made. The first of a pair is therefore not an increase.
            fallbacks: make.counters(
                "api_gateway_fallbacks_total",
                "Requests answered by another model than chosen, by the chosen one's failure.",
                &["from_model", "to_model", "reason"],
            ),
            hedges: make.counters(
                "api_gateway_hedges_total",
                "Requests for which the next model was asked beside one that took long, by that one and whether the next \
                 one answered.",
                &["model", "result"],
            ),
            config_reloads,
            config_successful: make.gauge(
                "api_gateway_config_last_reload_successful",
                "1: the configuration file as it stands serves. 0: it was refused, the last good one serves.",
            ),
            config_success: make.gauge(
                "api_gateway_config_last_reload_success_timestamp_seconds",
                "When the configuration that serves was taken in, in seconds since 1970.",
            ),
            policies: policies::Policies::new(&make),
            scrape: Mutex::default(),
            retired: Mutex::default(),
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
        for reason in [Reason::Connect, Reason::Upstream5xx, Reason::Upstream429] {
            self.retries.with_label_values(&[&*live.backend.settings().name, reason.as_str()]);
        }
        if live.model.timeouts.hedge.is_some() {
            for result in HedgeResult::ALL {
                self.hedges.with_label_values(&[model, result.as_str()]);
            }
        }
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

    /// The series of a version in a mode, all at 0. Only routing policies have decisions and requests.
    #[must_use]
    pub fn policy(&self, version: &Version, mode: &'static str, catalog: &Catalog) -> PolicyMetrics {
        self.policies.place(version, mode, catalog)
    }

    /// The series of a shadow's comparisons with the policy that decides.
    #[must_use]
    pub fn shadow(&self, active: Option<&Version>, shadow: &Version) -> ShadowMetrics {
        self.policies.shadow(active, shadow)
    }

    /// A change of a policy's files was taken in or refused; `policy` is the one that serves after it.
    pub fn policy_reloaded(&self, policy: &str, result: Reload) {
        self.policies.reloaded(policy, result);
    }

    /// A change of the configuration was taken in or refused.
    pub fn config_reloaded(&self, successful: bool) {
        self.config_reloads.with_label_values(&[if successful { "success" } else { "rejected" }]).inc();
    }

    /// Tells what serves: `last` is how each policy's last change went, `config` how the configuration's did and since
    /// when it serves.
    pub fn serving(&self, snapshot: &Snapshot, last: &[LastReload], config: (bool, UnixSeconds)) {
        let _scrape = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.policies.serving(snapshot, last);
        // Also what is replaced before the next sweep has series to take out.
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).note(snapshot, Instant::now());
        self.config_successful.set(i64::from(config.0));
        self.config_success.set(i64::try_from(config.1).unwrap_or(i64::MAX));
    }

    /// Takes out the series of what has not been in place for `kept`.
    pub fn sweep(&self, snapshot: &Snapshot, kept: Duration) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        retired.note(snapshot, now);
        let recent = |seen: &mut Instant| now.duration_since(*seen) < kept || *seen == now;
        let before = retired.versions.len() + retired.models.len() + retired.upstreams.len();
        retired.versions.retain(|_, seen| recent(seen));
        retired.models.retain(|_, seen| recent(seen));
        retired.upstreams.retain(|_, seen| recent(seen));
        if before == retired.versions.len() + retired.models.len() + retired.upstreams.len() {
            return;
        }
        let is_model = |name: &str| ["none", "other"].contains(&name) || retired.models.contains_key(name);
        self.policies.sweep(&retired.versions.keys().cloned().collect::<HashSet<_>>(), &is_model);
        let keep = |labels: &Labels<'_>| {
            ["model", "from_model", "to_model"].iter().all(|name| labels.get(name).is_none_or(|model| is_model(model)))
                && labels.get("upstream").is_none_or(|upstream| retired.upstreams.contains_key(*upstream))
        };
        for family in [&self.requests, &self.abandoned, &self.tokens, &self.estimated_tokens] {
            sweep(family, &keep);
        }
        for family in [&self.fallbacks, &self.hedges, &self.retries] {
            sweep(family, &keep);
        }
        for family in [&self.request_seconds, &self.model_seconds, &self.first_token_seconds] {
            sweep(family, &keep);
        }
        sweep(&self.cost, &keep);
        sweep(&self.cost_per_request, &keep);
        sweep(&self.upstream_up, &keep);
        sweep(&self.breaker_state, &keep);
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
    pub fn observe_decision(&self, record: &Record) {
        if let Some(took) = record.routing_took {
            self.routing_seconds.observe(took.as_secs_f64());
        }
        if let Some(by) = &record.costed_by {
            by.metrics.observe(record.cost_evaluation);
        }
        if let Some(by) = &record.routed_by {
            by.metrics.observe(record.routing_evaluation);
            let outcome = record.routing_evaluation.map(|evaluation| evaluation.outcome);
            by.metrics.observe_decision(outcome, record.chosen, record.estimated_cost);
        }
    }

    /// A request ended.
    pub fn observe(&self, record: &Record, snapshot: &Snapshot, ending: Ending) {
        self.observe_decision(record);
        for attempt in record.failed_attempts.iter().filter(|attempt| attempt.repeated) {
            let backend = &snapshot.catalog.models()[attempt.model].backend.settings().name;
            self.retries.with_label_values(&[&**backend, attempt.reason.as_str()]).inc();
        }
        if let Some(hedge) = record.hedge {
            let model = &snapshot.catalog.models()[hedge.model].model.name;
            self.hedges.with_label_values(&[&**model, hedge.result.as_str()]).inc();
        }
        for spent in &record.spent {
            snapshot.models[spent.model].bill(&spent.usage, spent.reported, snapshot.price(Some(spent.model)));
        }
        let endings = record.model.map_or(&self.untargeted, |model| &snapshot.models[model].endings);
        if let Ending::Rejected(rejection) = ending {
            self.reject(rejection);
            return;
        }
        match ending.status() {
            None => endings.abandoned.inc(),
            Some(status) => {
                endings.requests[status as usize][record.complexity as usize].inc();
                endings.seconds.observe(record.started.elapsed().as_secs_f64());
                if let Some(by) = record.follows() {
                    by.metrics.observe_ending(status);
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
            if let Some(first) = record.fell_back() {
                let (from, to) = (&snapshot.catalog.models()[first.model], &snapshot.catalog.models()[to]);
                let labels = [&*from.model.name, &*to.model.name, first.reason.as_str()];
                self.fallbacks.with_label_values(&labels).inc();
            }
        }
    }

    /// The text of `/metrics`, with gauges that are read when asked for. `live` is how many snapshots are held and how
    /// long the oldest has been draining, in seconds.
    #[must_use]
    pub fn text(&self, snapshot: &Snapshot, healthy: bool, live: (usize, f64)) -> Vec<u8> {
        let _scrape = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.health.set(i64::from(healthy));
        let mut loaded = 0;
        for backend in snapshot.catalog.backends() {
            let up = backend.health().state() != crate::backend::HealthState::Down;
            self.upstream_up.with_label_values(&[&*backend.settings().name]).set(i64::from(up));
            loaded += i64::try_from(backend.loaded_models()).unwrap_or(i64::MAX);
        }
        for live in snapshot.catalog.models() {
            let is = live.breaker.state(Instant::now());
            for state in BreakerState::ALL {
                let labels = [&*live.backend.settings().name, &*live.model.name, state.as_str()];
                self.breaker_state.with_label_values(&labels).set(i64::from(state == is));
            }
        }
        self.ollama_models_loaded.set(loaded);
        self.policies.read(snapshot, live);
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
            if live.location() == Location::Local.as_str() {
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
