//! Probes a backend at an interval, so that the gateway learns of an outage before traffic does.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Collected, Limited};
use hyper::Method;
use serde::Deserialize;

use super::Backend;
use super::sent::Outgoing;

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
        let before = backend.health.state();
        once(backend).await;
        let now = backend.health.state();
        if before != now {
            let (name, state) = (&*backend.settings.name, now.as_str());
            tracing::info!(backend = name, health = state, "backend health changed");
        }
    }
}

async fn once(backend: &Backend) {
    let Some(url) = &backend.probe_url else { return };
    let asked = async {
        let response = backend.http.send(Method::GET, url, backend.headers.clone(), Outgoing::empty()).await.ok()?;
        // Any status below 500 proves that the server is up. Traffic shows whether the server accepts the key.
        let (status, wanted) = (response.status(), backend.settings.kind.loads_models);
        let body = match wanted && status.is_success() {
            true => Limited::new(response.into_body(), MAX_BYTES).collect().await.ok(),
            false => None,
        };
        Some((status.as_u16() < 500, body.map(Collected::to_bytes)))
    };
    let (answered, body) = tokio::time::timeout(TIMEOUT, asked).await.ok().flatten().unwrap_or_default();
    backend.health.note(answered);
    let loaded = body.and_then(|body| serde_json::from_slice::<Loaded>(&body).ok());
    backend.loaded.store(loaded.map(|loaded| Arc::new(loaded.models.into_iter().map(|model| model.name).collect())));
}
