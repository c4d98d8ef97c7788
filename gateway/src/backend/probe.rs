//! Probes a backend at an interval, so that the gateway learns of an outage before traffic does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Limited};
use hyper::{Method, Uri};
use serde::Deserialize;
use tokio::time::Instant;

use super::http::{Http, Lost, Outgoing};
use super::{Backend, Body, Sent};

/// Timeout of a probe. A local server that is busy with a prompt still answers probes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest answer that a probe reads, in bytes: room for thousands of models.
const MAX_BYTES: usize = 4 << 20;

/// Ollama's `/api/ps`: the models in memory.
#[derive(Deserialize)]
struct Loaded {
    models: Vec<LoadedModel>,
}

#[derive(Deserialize)]
struct LoadedModel {
    name: String,
}

pub(super) async fn run(backend: &Arc<Backend>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let before = backend.health().state();
        once(backend).await;
        let now = backend.health().state();
        if before != now {
            let (name, state) = (&*backend.settings.name, now.as_str());
            tracing::info!(backend = name, health = state, "backend health changed");
        }
    }
}

async fn once(backend: &Backend) {
    let (Some(http), Some(url)) = (&backend.live.http, &backend.probe_url) else { return };
    let answer = match tokio::time::timeout(TIMEOUT, ask(backend, http, url)).await {
        // Its own calls use all connections: that says nothing of the server.
        Ok(Err(Lost::Full)) => return,
        Ok(answer) => answer.ok(),
        Err(_elapsed) => None,
    };
    backend.live.health.note(answer.as_ref().is_some_and(|(answered, _)| *answered));
    let body = answer.and_then(|(_, body)| body);
    let loaded = body.and_then(|body| serde_json::from_slice::<Loaded>(&body).ok());
    let names = loaded.map(|loaded| Arc::new(loaded.models.into_iter().map(|model| model.name).collect()));
    backend.live.loaded.store(names);
}

/// Whether the backend answered, and the body if the probe reads it.
async fn ask(backend: &Backend, http: &Http, url: &Uri) -> Result<(bool, Option<Bytes>), Lost> {
    let (headers, sent) = (&backend.headers, &Sent::default());
    let request = Outgoing { method: Method::GET, to: url, headers, body: Bytes::new(), sent };
    let response = http.send(&request, backend.settings.timeouts.connect, Instant::now() + TIMEOUT).await?;
    // Any status below 500 proves that the server is up. Traffic shows whether the server accepts the key.
    let status = response.status();
    let body = if backend.settings.kind.loads_models && status.is_success() {
        Limited::new(response.into_body(), MAX_BYTES).collect().await.ok().map(Collected::to_bytes)
    } else {
        Body::unpermitted(response.into_body(), None).finish();
        None
    };
    Ok((status.as_u16() < 500, body))
}
