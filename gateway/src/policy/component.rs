//! From a component's bytes to a policy that decided a sample: parsed, admitted, compiled, linked, configured, probed.
//! Any stage may refuse it, with a reason that says what was found and what would be right.
//!
//! This module must not know: where bytes come from, what becomes of a refusal.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use wasmparser::{Encoding, FuncValidatorAllocations, Payload, ValidPayload, Validator, WasmFeatures};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use super::bindings::cost::CostPolicyIndices;
use super::bindings::routing::wasmgate::policy::{log, settings, types};
use super::bindings::routing::{RoutingPolicyIndices, wasmgate};
use super::host::{Guest, Log};
use super::pool::Pool;
use super::sandbox::{Answer, Call, Instance};
use super::verdict;
use super::{
    Breaker, Candidate, Capabilities, CostEstimate, Dialect, Engine, FailureClass, Health, Hook, Limits, Location,
    Message, PolicyFailure, Price, Request, Role, Settings, Value, Verdict,
};

pub use wasmgate::policy::types::Manifest;

/// Largest component, in bytes. A Python policy has some 20 MiB.
const MAX_COMPONENT_BYTES: usize = 64 << 20;
/// Wall time for what happens at load only (`describe`, the first `configure`, the probe): the guest's code and
/// memory are touched for the first time.
const LOAD_TIME: Duration = Duration::from_secs(5);

/// Where a component came from.
#[derive(Debug)]
pub struct Source {
    /// For messages: a path, or `built in`.
    pub origin: String,
    /// The component.
    pub bytes: Vec<u8>,
}

/// How far a component came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its bytes are read as a component.
    Parsed,
    /// It needs nothing that it is not granted, and uses no refused feature.
    Admitted,
    /// It became machine code.
    Compiled,
    /// Its imports were met and its exports are those of the contract.
    Linked,
    /// It described itself and took its settings.
    Configured,
    /// It decided a sample request within its limits.
    Probed,
}

impl Stage {
    /// The word in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parsed => "parsed",
            Self::Admitted => "admitted",
            Self::Compiled => "compiled",
            Self::Linked => "linked",
            Self::Configured => "configured",
            Self::Probed => "probed",
        }
    }
}

/// A component was refused.
#[derive(Debug)]
pub struct LoadError {
    /// Where it came from.
    pub origin: String,
    /// The stage it did not reach.
    pub stage: Stage,
    /// What was found and what would be right.
    pub reason: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {} was refused (not {}): {}", self.origin, self.stage.as_str(), self.reason)
    }
}

impl std::error::Error for LoadError {}

/// A policy that is ready to decide.
pub struct Policy {
    hook: Hook,
    manifest: Manifest,
    digest: String,
    limits: Limits,
    pool: Pool,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({} {}@{})", self.hook.as_str(), self.manifest.name, self.manifest.version)
    }
}

impl Policy {
    /// Takes a component through all stages. Compiling takes tens of milliseconds for a Rust policy and seconds for
    /// one with a language engine inside; it blocks, so this belongs on a thread where that is fine.
    ///
    /// # Errors
    /// Where any stage refuses it.
    pub async fn load(
        engine: &Engine,
        source: &Source,
        hook: Hook,
        given: &serde_json::Map<String, Json>,
        limits: Limits,
    ) -> Result<Self, LoadError> {
        let refuse = |stage: Stage, reason: String| LoadError { origin: source.origin.clone(), stage, reason };
        let outline = parse(&source.bytes).map_err(|reason| refuse(Stage::Parsed, reason))?;
        admit(&outline, hook).map_err(|reason| refuse(Stage::Admitted, reason))?;
        let component = Component::from_binary(&engine.inner, &source.bytes)
            .map_err(|error| refuse(Stage::Compiled, format!("{error:#}")))?;
        let linked = Arc::new(link(engine, &component, hook).map_err(|reason| refuse(Stage::Linked, reason))?);

        let configured = |failure: PolicyFailure| refuse(Stage::Configured, failure.to_string());
        let unnamed = Arc::new(Log::new(source.origin.clone()));
        let mut first =
            Instance::new(&linked, &limits, &Arc::default(), &unnamed, LOAD_TIME).await.map_err(configured)?;
        let Answer::Manifest(manifest) = first.call(Call::Describe, LOAD_TIME).await.map_err(configured)? else {
            return Err(refuse(Stage::Configured, "describe did not answer with a manifest".into()));
        };
        drop(first);
        verdict::check_manifest(&manifest).map_err(|reason| refuse(Stage::Configured, reason))?;
        let settings = resolve(&manifest, given).map_err(|reason| refuse(Stage::Configured, reason))?;

        let log = Arc::new(Log::new(manifest.name.clone()));
        let pool = Pool::new(linked, limits.clone(), Arc::new(settings), log);
        let policy = Self { hook, digest: hex(&Sha256::digest(&source.bytes)), manifest, limits, pool };
        policy.pool.fill(LOAD_TIME).await.map_err(configured)?;
        policy.probe().await.map_err(|failure| refuse(Stage::Probed, failure.to_string()))?;
        Ok(policy)
    }

    /// What it decides.
    #[must_use]
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the component, in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Its instances at this moment.
    #[must_use]
    pub fn pool_state(&self) -> super::PoolState {
        self.pool.state()
    }

    /// Which model answers. Messages beyond the input limit are left out, oldest first.
    ///
    /// # Errors
    /// Where the policy does not give a valid verdict within its limits.
    pub async fn route(&self, request: Request<'_>, candidates: &[Candidate<'_>]) -> Result<Verdict, PolicyFailure> {
        let newest = self.newest(request.messages);
        let request = Request { messages: &newest, ..request };
        match self.pool.call(Call::Route(request, candidates)).await? {
            Answer::Verdict(verdict) => {
                verdict::check_verdict(&verdict, candidates.len()).map_err(invalid)?;
                Ok(verdict)
            }
            other => Err(other.unexpected()),
        }
    }

    /// What the request is expected to cost on each candidate, in their order.
    ///
    /// # Errors
    /// Where the policy does not give valid estimates within its limits.
    pub async fn estimate(
        &self,
        request: Request<'_>,
        candidates: &[Candidate<'_>],
    ) -> Result<Vec<CostEstimate>, PolicyFailure> {
        let newest = self.newest(request.messages);
        let request = Request { messages: &newest, ..request };
        match self.pool.call(Call::Estimate(request, candidates)).await? {
            Answer::Estimates(estimates) => {
                verdict::check_estimates(&estimates, candidates.len()).map_err(invalid)?;
                Ok(estimates)
            }
            other => Err(other.unexpected()),
        }
    }

    /// The newest messages that fit the input limit. Where not even the newest does, its beginning.
    fn newest<'m, 't>(&self, messages: &'m [Message<'t>]) -> Cow<'m, [Message<'t>]> {
        let limit = self.limits.input_bytes;
        let mut bytes = 0;
        let fitting = messages.iter().rev().take_while(|message| {
            bytes += message.text.len();
            bytes <= limit
        });
        match (fitting.count(), messages.last()) {
            (0, Some(Message { role, text })) => {
                Cow::Owned(vec![Message { role: *role, text: &text[..text.floor_char_boundary(limit)] }])
            }
            (count, _) => Cow::Borrowed(&messages[messages.len() - count..]),
        }
    }

    /// Decides one sample request in production limits.
    async fn probe(&self) -> Result<(), PolicyFailure> {
        let messages = [Message { role: Role::User, text: "What is the capital of France?" }];
        let request = Request {
            id: "probe",
            dialect: Dialect::Native,
            requested_model: "auto",
            messages: &messages,
            prompt_tokens: 11,
            max_tokens: None,
            streaming: false,
            tools: false,
            images: false,
            tenant: None,
            budget: None,
            labels: &[],
            hints: &[],
        };
        let candidate = |model, location, price| Candidate {
            model,
            backend: "probe",
            location,
            price,
            context_window: Some(4096),
            capabilities: Capabilities::empty(),
            health: Health::Healthy,
            breaker: Breaker::Closed,
            in_flight: 0,
            observed: None,
            estimate: None,
        };
        let candidates = [
            candidate("probe-small", Location::Local, Some(Price { input: 0, output: 0 })),
            candidate("probe-large", Location::Cloud, Some(Price { input: 3_000_000_000, output: 15_000_000_000 })),
        ];
        match self.hook {
            Hook::Routing => self.route(request, &candidates).await.map(|_| ()),
            Hook::Cost => self.estimate(request, &candidates).await.map(|_| ()),
        }
    }
}

fn invalid(detail: String) -> PolicyFailure {
    PolicyFailure { class: FailureClass::InvalidDecision, detail }
}

/// What a component asks for and offers, by name.
#[derive(Debug, Default)]
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
}

/// Only components, only proposals that policy toolchains need: whatever the runtime's defaults may become.
fn parse(bytes: &[u8]) -> Result<Outline, String> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(format!("{} bytes, expected at most {MAX_COMPONENT_BYTES}", bytes.len()));
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err("machine code compiled ahead of time, expected a WebAssembly component".into());
    }
    let features = WasmFeatures::WASM2
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::MULTI_MEMORY;
    let mut validator = Validator::new_with_features(features);
    let mut outline = Outline::default();
    let mut depth = 0_u32;
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| error.to_string())?;
        match &payload {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err("a core WebAssembly module, expected a component (as `wasm32-wasip2` builds give, or \
                     `wasm-tools component new` makes)"
                    .into());
            }
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section.clone() {
                    outline.imports.push(import.map_err(|error| error.to_string())?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section.clone() {
                    outline.exports.push(export.map_err(|error| error.to_string())?.name.name.to_owned());
                }
            }
            _ => {}
        }
        if let ValidPayload::Func(function, body) = validator.payload(&payload).map_err(|error| error.to_string())? {
            let mut function = function.into_validator(FuncValidatorAllocations::default());
            function.validate(&body).map_err(|error| error.to_string())?;
        }
    }
    Ok(outline)
}

/// Imports within what policies are granted, the wanted hook among the exports.
fn admit(outline: &Outline, hook: Hook) -> Result<(), String> {
    // Filesystem and sockets too: standard libraries import them even where nothing uses them. All of WASI is
    // linked and empty.
    const GRANTED: [&str; 9] = [
        "wasmgate:policy/types@1.0.",
        "wasmgate:policy/settings@1.0.",
        "wasmgate:policy/log@1.0.",
        "wasi:cli/",
        "wasi:clocks/",
        "wasi:filesystem/",
        "wasi:io/",
        "wasi:random/",
        "wasi:sockets/",
    ];
    for name in &outline.imports {
        if !GRANTED.iter().any(|granted| name.starts_with(granted)) {
            return Err(format!(
                "it imports `{name}`, which policies are not granted; they may import wasmgate:policy@1.0 \
                 (settings, log) and WASI 0.2, which is empty"
            ));
        }
    }
    let wanted = format!("wasmgate:policy/{}@1.0.0", hook.as_str());
    if !outline.exports.contains(&wanted) {
        return Err(format!("it does not export `{wanted}`; it exports {:?}", outline.exports));
    }
    Ok(())
}

/// A component with its imports met, and where its exports are.
pub(super) struct Linked {
    pub(super) pre: InstancePre<Guest>,
    pub(super) exports: Exports,
}

pub(super) enum Exports {
    Routing(RoutingPolicyIndices),
    Cost(CostPolicyIndices),
}

fn link(engine: &Engine, component: &Component, hook: Hook) -> Result<Linked, String> {
    let link = || -> wasmtime::Result<Linked> {
        let mut linker = Linker::<Guest>::new(&engine.inner);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        types::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
        settings::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
        log::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
        let pre = linker.instantiate_pre(component)?;
        let exports = match hook {
            Hook::Routing => Exports::Routing(RoutingPolicyIndices::new(&pre)?),
            Hook::Cost => Exports::Cost(CostPolicyIndices::new(&pre)?),
        };
        Ok(Linked { pre, exports })
    };
    link().map_err(|error| format!("{error:#}"))
}

/// The operator's settings as the manifest types them.
fn resolve(manifest: &Manifest, given: &serde_json::Map<String, Json>) -> Result<Settings, String> {
    let mut settings = Settings::new();
    for (name, json) in given {
        let Some(setting) = manifest.settings.iter().find(|s| &s.name == name) else {
            let names = manifest.settings.iter().map(|s| s.name.as_str());
            return Err(match crate::nearest(name, names) {
                Some(near) => format!("unknown setting `{name}`, did you mean `{near}`?"),
                None => format!("unknown setting `{name}`; {} has {} settings", manifest.name, manifest.settings.len()),
            });
        };
        let value = typed(json, &setting.default)
            .ok_or_else(|| format!("setting `{name}` is {json}, expected {}", type_name(&setting.default)))?;
        settings.insert(name.clone(), value);
    }
    Ok(settings)
}

fn typed(json: &Json, like: &Value) -> Option<Value> {
    Some(match like {
        Value::Boolean(_) => Value::Boolean(json.as_bool()?),
        Value::Integer(_) => Value::Integer(json.as_i64()?),
        Value::Number(_) => Value::Number(json.as_f64().filter(|n| n.is_finite())?),
        Value::Text(_) => Value::Text(json.as_str()?.to_owned()),
        Value::Texts(_) => {
            let texts = json.as_array()?.iter().map(|item| item.as_str().map(str::to_owned));
            Value::Texts(texts.collect::<Option<_>>()?)
        }
    })
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Boolean(_) => "true or false",
        Value::Integer(_) => "a whole number",
        Value::Number(_) => "a number",
        Value::Text(_) => "a text",
        Value::Texts(_) => "a list of texts",
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
