//! Cases that call the library as the gateway does.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tracing::Level;
use wasmgate::backend::Catalog;
use wasmgate::config::{Config, OnFailure};
use wasmgate::log::{Format, Line};
use wasmgate::metrics::Metrics;
use wasmgate::metrics::labels::{Complexity, DecisionOutcome, Ending, Evaluation};
use wasmgate::rollout::slot::Slot;
use wasmgate::state::{Decider, Deciders, Snapshot, Version};
use wasmgate::telemetry;
use wasmgate::telemetry::Record;
use wasmgate_base::tokens::TokenEstimator;
use wasmgate_base::usage::Usage;
use wasmgate_dialect::chat::Deltas;
use wasmgate_dialect::frames::{Frames, Framing};
use wasmgate_dialect::{Bounds, Decoder, Dialect, Encoder, Facts, Routing};
use wasmgate_policy_host::Isolation;
use wasmgate_policy_host::Isolation::{PerCall, Warm};
use wasmgate_policy_host::builtin;
use wasmgate_policy_host::{GivenLimits, Hook, Loader, LoaderOptions, Message, Models, Role};

use crate::{Case, How, cache, common};

/// The policies that cases need.
const POLICIES: [&str; 2] = ["complexity", "token-cost"];
/// Under valgrind a guest takes fifty times as long.
const CALL_TIME_MS: u64 = 10_000;

pub(crate) fn cases() -> [Case; 15] {
    let case = |name, counts, work| Case { name, counts, how: How::Library(work) };
    // A warm instance is replaced after 128 calls, so that these are counted in whole lives of instances.
    [
        case("complexity, warm, 300 B", [128, 1408], |n| decide("complexity", Warm, 300, 3, n)),
        case("complexity, warm, 4 KB", [128, 768], |n| decide("complexity", Warm, 4096, 3, n)),
        case("complexity, warm, 100 KB", [128, 256], |n| decide("complexity", Warm, 100_000, 3, n)),
        case("complexity, warm, 300 B, 30 models", [128, 768], |n| decide("complexity", Warm, 300, 30, n)),
        case("complexity, per call, 300 B", [100, 500], |n| decide("complexity", PerCall, 300, 3, n)),
        case("token-cost, warm, 300 B", [128, 1408], |n| decide("token-cost", Warm, 300, 3, n)),
        case("estimate of tokens, 300 B", [100, 2100], |n| estimate(300, n)),
        case("estimate of tokens, 4 KB", [100, 2100], |n| estimate(4096, n)),
        case("request read, OpenAI, 300 B", [100, 2100], |n| read(300, n)),
        case("request read, OpenAI, 4 KB", [100, 2100], |n| read(4096, n)),
        case("event cut and read", [100, 10_100], |n| relay(false, n)),
        case("event cut, read and translated", [100, 10_100], |n| relay(true, n)),
        case("answer read and written anew", [100, 2100], answer),
        case("record observed", [1000, 51_000], observe),
        case("record logged", [1000, 51_000], log),
    ]
}

fn component(name: &str) -> &'static [u8] {
    builtin::component(name).expect("built in")
}

/// Compiles the policies and keeps them.
pub(crate) fn compile() {
    let loader = loader();
    runtime().block_on(async {
        for name in POLICIES {
            let _ = common::load(&loader, name, component(name), common::hook(name), &GivenLimits::default()).await;
        }
    });
}

fn decide(name: &str, isolation: Isolation, bytes: usize, models: usize, count: u32) {
    let (loader, hook) = (loader(), common::hook(name));
    let limits = limits(isolation);
    runtime().block_on(async {
        let policy = common::load(&loader, name, component(name), hook, &limits).await;
        let text = common::text(bytes);
        let messages = [Message { role: Role::User, text: &text }];
        let models = common::models(models);
        let candidates = common::candidates(&models, hook);
        let request = common::request(&messages, u32::try_from(bytes / 4).expect("small"));
        for _ in 0..count {
            match hook {
                Hook::Routing => drop(policy.route(&request, &models, &candidates).await.expect("a verdict")),
                Hook::Cost => drop(policy.estimate(&request, &models, &candidates).await.expect("estimates")),
            }
        }
    });
}

fn estimate(bytes: usize, count: u32) {
    let estimator = TokenEstimator::new();
    let text = common::text(bytes);
    for _ in 0..count {
        black_box(estimator.estimate(std::iter::once(black_box(text.as_str()))));
    }
}

fn read(bytes: usize, count: u32) {
    let body = format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"{}"}}]}}"#, common::text(bytes));
    for _ in 0..count {
        black_box(Dialect::OpenAi.decode(black_box(body.as_bytes()), &Bounds::default()).expect("a request"));
    }
}

/// What the relay does with each event of an OpenAI backend, for a client of its dialect or of another, but for sockets
/// and timers.
fn relay(translated: bool, count: u32) {
    let event = Bytes::from_static(
        br#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"model-0","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}

"#,
    );
    let mut frames = Frames::new(Framing::Sse, 4 << 20);
    let mut decoder = Decoder::new(Dialect::OpenAi);
    let mut encoder = translated.then(|| Encoder::new(Dialect::Anthropic, facts()));
    let mut deltas = Deltas::new();
    for _ in 0..count {
        frames.push(black_box(event.clone()));
        while let Some(frame) = frames.next().expect("a short frame") {
            decoder.frame(&frame, &mut deltas).expect("an event");
            let mut written = Vec::new();
            for delta in deltas.drain(..) {
                match &mut encoder {
                    Some(encoder) => encoder.delta(delta, &mut written),
                    None => drop(black_box(delta)),
                }
            }
            black_box(written);
        }
    }
}

fn answer(count: u32) {
    let body = br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"model-0","choices":[{"index":0,"message":{"role":"assistant","content":"An answer of one sentence, which says little."},"finish_reason":"stop"}],"usage":{"prompt_tokens":75,"completion_tokens":10,"total_tokens":85}}"#;
    let (facts, total) = (facts(), wasmgate_dialect::Total::default());
    for _ in 0..count {
        let reply = Dialect::OpenAi.decode_reply(black_box(body)).expect("an answer");
        black_box(Dialect::OpenAi.encode_reply(&reply, &facts, &total));
    }
}

/// A request that ended well, both policies asked, its record observed.
fn observe(count: u32) {
    with_record(|metrics, record, snapshot| {
        for _ in 0..count {
            telemetry::observe(metrics, black_box(record), snapshot, Ending::Finished);
        }
    });
}

/// The line of such a request, but for its copy into the log's buffer.
fn log(count: u32) {
    let mut line = Vec::new();
    with_record(|_, record, snapshot| {
        for _ in 0..count {
            line.clear();
            Line::write(&mut line, Format::Json, Level::INFO, "request", "request", |line| {
                telemetry::describe(black_box(record), snapshot, Ending::Finished, line);
            });
            black_box(&line);
        }
    });
}

fn with_record(work: impl FnOnce(&Metrics, &Record, &Snapshot)) {
    let config = Config::read(None).expect("the built-in configuration");
    let catalog = Arc::new(Catalog::new(None, config.backends, config.models).expect("simulated backends"));
    let metrics = Metrics::new();
    let loader = loader();
    let decider = |name: &str| {
        let limits = limits(Warm);
        let policy = runtime().block_on(common::load(&loader, name, component(name), common::hook(name), &limits));
        let version = Arc::new(Version::new(policy, "1.0.0".to_owned(), "0123456789ab".to_owned()));
        let series = metrics.policy(version.labels(&Slot::active(common::hook(name))), &catalog);
        Arc::new(Decider { version, on_failure: Some(OnFailure::DefaultDecision), metrics: series })
    };
    let (routing, cost) = (decider("complexity"), decider("token-cost"));
    let deciders = |decider: &Arc<Decider>| Deciders { active: Some(Arc::clone(decider)), ..Deciders::default() };
    let snapshot = Snapshot {
        generation: 1,
        limits: config.server,
        log_requests: false,
        policy_models: Models::new([]),
        models: catalog.models().iter().map(|live| metrics.model(live)).collect(),
        access: config.access.clone(),
        registry: Arc::default(),
        groups: Vec::new(),
        chains: Vec::new(),
        routing: deciders(&routing),
        cost: deciders(&cost),
        catalog: Arc::clone(&catalog),
    };
    // In the midst of a bucket, so that the search for it takes the same each time.
    let started = Instant::now().checked_sub(Duration::from_secs(12)).expect("the machine runs for longer");
    let evaluation = |verdict| Some(Evaluation { took: Duration::from_micros(20), outcome: Ok(verdict) });
    let record = Record {
        started,
        dialect: Some(wasmgate_dialect::Dialect::OpenAi),
        routing_took: Some(Duration::from_micros(40)),
        costed_by: Some(cost),
        routed_by: Some(routing),
        cost_evaluation: evaluation(DecisionOutcome::Route),
        routing_evaluation: evaluation(DecisionOutcome::Route),
        complexity: Complexity::Low,
        chosen: Some(0),
        model: Some(0),
        called: Some(started),
        usage: Some(Usage { input: 75, output: 10, ..Usage::default() }),
        ..Record::new()
    };
    work(&metrics, &record, &snapshot);
}

pub(crate) fn facts() -> Facts {
    Facts {
        request_id: "01a207fe441174d09bc39cee5a43cb5d".to_owned(),
        model: "model-0".to_owned(),
        backend: "bench".to_owned(),
        created: 1,
        include_usage: false,
        estimated_input_tokens: 75,
        routing: Routing {
            complexity: Some(0.5),
            tier: "medium",
            reasoning: "neither short nor long".to_owned(),
            estimated_cost: None,
            policy: "complexity".to_owned(),
            version: "1.0.0".to_owned(),
        },
        echo: None,
        tool_names: None,
        seal: None,
    }
}

fn loader() -> Loader {
    let options = LoaderOptions { cache: Some(cache().to_owned()), ..LoaderOptions::default() };
    Loader::new(options).expect("an engine")
}

fn limits(isolation: Isolation) -> GivenLimits {
    GivenLimits { isolation: Some(isolation), call_time_ms: Some(CALL_TIME_MS), ..GivenLimits::default() }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}
