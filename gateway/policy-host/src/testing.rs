//! Helpers of the policies' unit tests: the built-in components, loaded in this process.

use std::sync::Arc;

use crate::component::Policy;
use crate::contract::types::{Manifest, Reads, ReadsPrompt};
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
    load_with(name, "fn route(request, candidates) { route_to(candidates, \"as given\") }", limits, fixtures).await
}

/// Loads the built-in of this name; `script` is what the built-in of that name runs.
pub(super) async fn load_with(
    name: &str,
    script: &str,
    limits: GivenLimits,
    fixtures: Option<&str>,
) -> Result<Policy, LoadError> {
    // All tests share what was compiled: the interpreter of scripts takes some seconds.
    let cache = Some(concat!(env!("OUT_DIR"), "/compiled").into());
    let loader = Loader::new(LoaderOptions { cache, ..LoaderOptions::default() }).expect("an engine");
    load_by(&loader, name, script, limits, fixtures).await
}

/// Loads a built-in other than `script` in an engine that counts instructions.
pub(super) async fn load_counting(name: &str, limits: GivenLimits) -> Result<Policy, LoadError> {
    let options = LoaderOptions { count_instructions: true, ..LoaderOptions::default() };
    load_by(&Loader::new(options).expect("an engine"), name, "", limits, None).await
}

async fn load_by(
    loader: &Loader,
    name: &str,
    script: &str,
    limits: GivenLimits,
    fixtures: Option<&str>,
) -> Result<Policy, LoadError> {
    let hook = if name == "token-cost" { Hook::Cost } else { Hook::Routing };
    let fixtures = fixtures.map(|text| Fixtures { origin: format!("{name}.fixtures.json"), text: text.to_owned() });
    let source = Source { origin: name.to_owned(), bytes: component(name), fixtures, default_name: None };
    let mut settings = serde_json::Map::new();
    if name == "script" {
        settings.insert("script".into(), script.into());
    }
    // Dropping the loader here stops the ticks, which is safe because these guests do not spin.
    Policy::load(loader, &source, hook, &settings, &limits, None, Pace::Serving).await
}

/// Limits that even a busy machine can meet.
pub(super) fn patient() -> GivenLimits {
    GivenLimits { call_time_ms: Some(5000), ..GivenLimits::default() }
}

/// The manifest of a policy without settings that reads nothing.
pub(super) fn manifest(name: &str) -> Manifest {
    Manifest {
        name: name.into(),
        version: "1".into(),
        summary: String::new(),
        settings: Vec::new(),
        reads: Reads { prompt: ReadsPrompt::None, labels: Vec::new(), tenant: false },
        denies: false,
        reasons: Vec::new(),
    }
}
