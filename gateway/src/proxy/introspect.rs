//! Pages about the gateway itself: models, totals, health, metrics. They are read-only and call no model.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::body::ResponseBody;
use super::caller::Caller;
use super::gateway::Gateway;
use super::gzip;
use super::models;
use crate::backend::{Capability, HealthState, LiveModel};
use crate::metrics;
use crate::state::{Deciders, Snapshot};
use crate::telemetry::gauges;
use wasmgate_base::json_text;
use wasmgate_base::money::{Price, Rates};

/// A page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Page {
    /// `/`: the process is alive.
    Alive,
    /// `/health`: whether the gateway can answer requests, in detail.
    Health,
    /// `/metrics`.
    Metrics,
    /// `/api/v1/models`.
    Models,
    /// `/api/v1/stats`.
    Stats,
    /// `/v1/models`, in OpenAI's form, or in Anthropic's if the client sends `anthropic-version`.
    SdkModels,
    /// `/api/tags`, in Ollama's form.
    OllamaTags,
    /// `/api/ps`, in Ollama's form.
    OllamaRunning,
    /// `/api/version`, in Ollama's form.
    OllamaVersion,
    /// `/api/hello`, by which some clients of Anthropic see that the server is there.
    Hello,
}

impl Page {
    /// Whether it lists models.
    pub(super) fn names_models(self) -> bool {
        matches!(self, Self::Models | Self::SdkModels | Self::OllamaTags | Self::OllamaRunning)
    }

    /// Answers a request for it.
    pub(super) async fn answer(self, gateway: &Arc<Gateway>, caller: Caller, head: &Parts) -> Response<ResponseBody> {
        let snapshot = &caller.snapshot;
        let mut status = StatusCode::OK;
        let body: Vec<u8> = match self {
            Self::Alive => alive(snapshot),
            Self::Health => {
                if !is_healthy(snapshot) {
                    status = StatusCode::SERVICE_UNAVAILABLE;
                }
                match snapshot.shows_operators_pages() {
                    true => health_page(gateway),
                    false => json_text::json(&json!({"status": health_word(snapshot)})),
                }
            }
            Self::Metrics => return metrics_response(gateway, &head.headers).await,
            Self::Models => json_text::json(&own_models(&caller)),
            Self::Stats => stats_page(gateway),
            Self::Hello => json_text::json(&json!({"message": "hello"})),
            Self::SdkModels => return models::list(gateway, caller, head),
            Self::OllamaTags => return models::tags(&caller),
            Self::OllamaRunning => return models::running(&caller),
            Self::OllamaVersion => return models::version(),
        };
        response(status, "application/json", body.into())
    }
}

/// `/metrics`, in gzip for a client that accepts it: thousands of series shrink to less than a fifth.
async fn metrics_response(gateway: &Arc<Gateway>, headers: &HeaderMap) -> Response<ResponseBody> {
    let page = Bytes::from(metrics_page(gateway));
    let coded = if gzip::is_accepted(headers) { gzip::coded(page.clone()).await } else { None };
    let is_coded = coded.is_some();
    let mut response = response(StatusCode::OK, metrics::CONTENT_TYPE, coded.unwrap_or(page));
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    if is_coded {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::plain(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Healthy while at least one backend is not down. Policies need no check: a snapshot exists only with them loaded.
fn is_healthy(snapshot: &Snapshot) -> bool {
    snapshot.catalog.backends().iter().any(|backend| backend.health().state() != HealthState::Down)
}

fn health_word(snapshot: &Snapshot) -> &'static str {
    if is_healthy(snapshot) { "healthy" } else { "unhealthy" }
}

fn alive(snapshot: &Snapshot) -> Vec<u8> {
    let mut page = json!({
        "name": "wasmgate",
        "version": env!("CARGO_PKG_VERSION"),
        "status": "alive",
        "models": "/api/v1/models",
        "health": "/health",
    });
    if snapshot.shows_operators_pages() {
        page["metrics"] = json!("/metrics");
    }
    json_text::json(&page)
}

/// The text of `/health`, in JSON and in detail.
#[must_use]
pub fn health_page(gateway: &Gateway) -> Vec<u8> {
    json_text::json(&health(gateway, &gateway.serving.snapshot()))
}

fn health(gateway: &Gateway, snapshot: &Snapshot) -> Value {
    let backends = snapshot.catalog.backends().iter().map(|backend| {
        json!({
            "name": backend.settings().name,
            "location": backend.settings().location.as_str(),
            "health": backend.health().state().as_str(),
            "in_flight": backend.in_flight(),
            "waiting": backend.waiting(),
        })
    });
    let models = snapshot.catalog.models().iter().map(|live| {
        json!({
            "name": live.model.name,
            "backend": live.backend.settings().name,
            "breaker": live.breaker.state(Instant::now()).as_str(),
        })
    });
    // Null if the hook is disabled.
    let policy = |deciders: &Deciders| {
        deciders.active.as_ref().map(|active| {
            let version = &active.version;
            let state = version.policy.pool_state();
            json!({
                "name": version.policy.manifest().name,
                "version": version.version,
                "digest": version.policy.digest(),
                "breaker": if version.is_open() { "open" } else { "closed" },
                "instances": {"idle": state.idle, "busy": state.busy},
            })
        })
    };
    json!({
        "status": health_word(snapshot),
        "version": env!("CARGO_PKG_VERSION"),
        "wasmtime": wasmgate_policy_host::WASMTIME_VERSION,
        "uptime_seconds": gateway.started.elapsed().as_secs(),
        "in_flight": gateway.in_flight.load(std::sync::atomic::Ordering::Relaxed),
        "generation": snapshot.generation,
        "policies": {"routing": policy(&snapshot.routing), "cost": policy(&snapshot.cost)},
        "backends": backends.collect::<Vec<_>>(),
        "models": models.collect::<Vec<_>>(),
    })
}

fn own_models(caller: &Caller) -> Value {
    let group = caller.group();
    let permitted = |live: &&LiveModel| group.is_none_or(|group| group.permits(&live.model.name));
    let models = caller.snapshot.catalog.models().iter().filter(permitted).map(|live| {
        let model = &live.model;
        json!({
            "model": model.name,
            "backend": live.backend.settings().name,
            "location": live.location().as_str(),
            "available": live.backend.health().state() != HealthState::Down,
            "health": live.backend.health().state().as_str(),
            "context_window": model.context_window,
            "capabilities": model.capabilities.iter().map(Capability::as_str).collect::<Vec<_>>(),
            // Null is unpriced, which is not free.
            "price": model.price.map(|price| price_json(&price)),
            "price_source": model.priced.as_str(),
            "price_version": model.price_version.as_deref(),
        })
    });
    json!({"models": models.collect::<Vec<_>>(), "routed": "auto"})
}

fn price_json(price: &Price) -> Value {
    let of = |rates: &Rates| {
        json!({
            "input_usd_per_million_tokens": rates.input.usd(),
            "output_usd_per_million_tokens": rates.output.usd(),
            "cache_read_usd_per_million_tokens": rates.cache_read.usd(),
            "cache_write_usd_per_million_tokens": rates.cache_write.usd(),
            "reasoning_usd_per_million_tokens": rates.reasoning.usd(),
        })
    };
    let mut shown = of(&price.rates);
    let bands = price.bands.iter().flatten().map(|band| {
        let mut shown = of(&band.rates);
        shown["input_tokens"] = json!(band.above);
        shown
    });
    let bands: Vec<Value> = bands.collect();
    if !bands.is_empty() {
        shown["above"] = json!(bands);
    }
    shown
}

/// The text of `/metrics`.
#[must_use]
pub fn metrics_page(gateway: &Gateway) -> Vec<u8> {
    let snapshot = gateway.serving.snapshot();
    if let Some(shared) = &gateway.shared {
        let counts = shared.counts();
        let borrows = [counts.ahead, counts.waiting];
        gateway.metrics.set_shared(shared.is_up(), shared.gateways(), borrows, shared.entries());
    }
    if let Some(ledger) = gateway.ledger.get() {
        gateway.metrics.set_ledger(ledger.status());
    }
    if let Some(decisions) = &gateway.decisions {
        let totals = decisions.totals();
        let dropped = [totals.queue_full, totals.disk, totals.texts_dropped];
        gateway.metrics.set_decision_log([totals.written, dropped[0], dropped[1], dropped[2]]);
    }
    gateway.metrics.set_keys(snapshot.access.accounts.keys().len(), snapshot.registry.len());
    gateway.metrics.set_buffered(gateway.memory.used());
    gateway.metrics.set_limits(gateway.limit(&snapshot), snapshot.limits.max_buffered_bytes);
    gauges::text(&gateway.metrics, &gateway.serving, &snapshot, is_healthy(&snapshot))
}

/// The text of `/api/v1/stats`, in JSON.
#[must_use]
pub fn stats_page(gateway: &Gateway) -> Vec<u8> {
    let (totals, local_share) = gauges::totals(&gateway.metrics, &gateway.serving.snapshot());
    let mut stats = json!(totals);
    stats["local_share"] = json!(local_share);
    stats["uptime_seconds"] = json!(gateway.started.elapsed().as_secs());
    json_text::json(&stats)
}
