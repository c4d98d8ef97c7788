//! Asks a backend from time to time whether it is there, so that health is known before traffic finds out.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::{Backend, Kind};

/// Longest wait for a probe's answer. A local server that is busy with a prompt still answers these.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Ollama's `/api/ps`: which models are in memory.
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
    let request = backend.http.get(url.clone()).headers(backend.headers.clone()).timeout(TIMEOUT);
    let answer = request.send().await;
    // Any status below 500 comes from a server that is there; whether it likes the key, traffic will tell.
    let answered = answer.as_ref().is_ok_and(|response| response.status().as_u16() < 500);
    backend.health.note(answered);
    if matches!(backend.settings.kind, Kind::Ollama) {
        let loaded = match answer {
            Ok(response) if response.status().is_success() => response.bytes().await.ok(),
            _ => None,
        };
        let loaded = loaded.and_then(|body| serde_json::from_slice::<Loaded>(&body).ok());
        let names = loaded.map(|loaded| Arc::new(loaded.models.into_iter().map(|model| model.name).collect()));
        backend.loaded.store(names);
    }
}
