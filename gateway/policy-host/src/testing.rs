//! Helpers of the policies' unit tests: the built-in components, loaded in this process.

use std::sync::Arc;

use crate::component::Policy;
use crate::fixtures::Fixtures;
use crate::hook::Hook;
use crate::limits::GivenLimits;
use crate::load::Source;
use crate::loader::{Loader, LoaderOptions};
use crate::pace::Pace;
use crate::stage::LoadError;

pub(super) fn component(name: &str) -> Arc<[u8]> {
    super::builtin::component(name).expect("built in").into()
}

pub(super) fn digest(wasm: &[u8]) -> String {
    wasmgate_base::digest::sha256(wasm)
}

pub(super) async fn load(name: &str, limits: GivenLimits, fixtures: Option<&str>) -> Result<Policy, LoadError> {
    // Dropping the loader here stops the ticks, which is safe because these guests do not spin.
    let loaded = load_with(LoaderOptions::default(), name, &settings_of(name, None), limits, fixtures).await;
    loaded.map(|(policy, _loader)| policy)
}

/// The settings that a built-in policy needs, with a script of the test's own.
pub(super) fn settings_of(name: &str, script: Option<&str>) -> serde_json::Map<String, serde_json::Value> {
    let mut settings = serde_json::Map::new();
    if name == "script" {
        let script = script.unwrap_or("fn route(request, candidates) { route_to(candidates, \"as given\") }");
        settings.insert("script".into(), script.into());
    }
    settings
}

/// Loads a built-in policy, and returns the loader, whose ticks end with it.
pub(super) async fn load_with(
    options: LoaderOptions,
    name: &str,
    settings: &serde_json::Map<String, serde_json::Value>,
    limits: GivenLimits,
    fixtures: Option<&str>,
) -> Result<(Policy, Loader), LoadError> {
    let loader = Loader::new(options).expect("an engine");
    let hook = if name == "token-cost" { Hook::Cost } else { Hook::Routing };
    let fixtures = fixtures.map(|text| Fixtures { origin: format!("{name}.fixtures.json"), text: text.to_owned() });
    let source = Source { origin: name.to_owned(), bytes: component(name), fixtures };
    let policy = Policy::load(&loader, &source, hook, settings, &limits, Pace::Serving).await?;
    Ok((policy, loader))
}

/// Limits that even a busy machine can meet.
pub(super) fn patient() -> GivenLimits {
    GivenLimits { call_time_ms: Some(5000), ..GivenLimits::default() }
}
