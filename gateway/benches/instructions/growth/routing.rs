//! The routing decision: models, and messages for many models. No policy decides, since `gateway/policy-host` bounds what
//! policies take.

use std::hint::black_box;
use std::sync::Arc;

use tokio::runtime::Builder;
use wasmgate::backend::Catalog;
use wasmgate::config::Config;
use wasmgate::metrics::Metrics;
use wasmgate::routing::{Inbound, Router};
use wasmgate::state::{Deciders, Serving, Snapshot};
use wasmgate::telemetry::Record;
use wasmgate_base::time::Clock;
use wasmgate_dialect::chat::Chat;
use wasmgate_dialect::{Bounds, Dialect};
use wasmgate_policy_host::Models;

use super::{Dimension, Work, work};

pub(super) fn dimensions() -> Vec<Dimension> {
    vec![
        Dimension::new("decision, models", |n| {
            let auto = ["ollama", "openai", "anthropic"].map(|kind| decision(kind, n, 8, "auto"));
            auto.into_iter().chain(["unknown", "model-0"].map(|model| decision("ollama", n, 8, model))).collect()
        }),
        // A search through the messages for each model makes it quadratic.
        Dimension::new("decision, models and messages", |n| vec![decision("anthropic", n, n, "auto")]),
    ]
}

/// A decision for a request in OpenAI's dialect, with so many models of one backend.
fn decision(kind: &str, models: usize, messages: usize, model: &str) -> Work {
    let names: String = (0..models).map(|at| format!("[models.model-{at}]\nbackend = \"one\"\n")).collect();
    let config =
        format!("[backends.one]\nkind = \"{kind}\"\nurl = \"http://127.0.0.1:1\"\nlocation = \"local\"\n{names}");
    let config = Config::parse(&config, "growth", std::path::Path::new(".")).expect("a configuration");
    let catalog = Arc::new(Catalog::new(None, config.backends, config.models).expect("a backend"));
    let metrics = Metrics::new();
    let snapshot = || Snapshot {
        generation: 1,
        limits: config.server.clone(),
        log_requests: false,
        policy_models: Models::new([]),
        models: catalog.models().iter().map(|live| metrics.model(live)).collect(),
        access: config.access.clone(),
        registry: Arc::default(),
        groups: Vec::new(),
        chains: Vec::new(),
        routing: Deciders::default(),
        cost: Deciders::default(),
        catalog: Arc::clone(&catalog),
    };
    let serving = Arc::new(Serving::new(snapshot(), Clock::default()));
    let (router, snapshot) = (Router::new(Arc::clone(&serving)), serving.snapshot());
    let said = vec![r#"{"role":"user","content":"hi"}"#; messages].join(",");
    let body = format!(r#"{{"model":"{model}","messages":[{said}]}}"#);
    let chat: Chat = Dialect::OpenAi.decode(body.as_bytes(), &Bounds::default()).expect("a request");
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    work(format!("{kind} models, {model} asked for"), move || {
        let headers = hyper::HeaderMap::new();
        let inbound = Inbound { dialect: Dialect::OpenAi, chat: &chat, headers: &headers };
        let _ = black_box(runtime.block_on(router.decide(&mut Record::new(), &snapshot, inbound)));
    })
}
