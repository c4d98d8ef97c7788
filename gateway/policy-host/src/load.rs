//! Loads a policy from a component's bytes in stages: parsed, admitted, compiled, linked, configured, probed (it
//! decided the samples and its operator's fixtures). Any stage may refuse it, with a reason that says what was found
//! and what was expected.
//!
//! This module must not know: where bytes come from, how a refusal is handled.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value as Json;

use super::admission::{self, Outline};
use super::background::aside;
use super::builtin;
use super::component::{LOAD_TIME, Policy, Probed};
use super::constants;
use super::contract;
use super::contract::call::{Answer, Call};
use super::contract::types::{Manifest, Reads};
use super::declared;
use super::failure::{FailureClass, PolicyFailure};
use super::fixtures::{self, Checked, Fixture, Fixtures};
use super::hook::Hook;
use super::host::Log;
use super::limits::{GivenLimits, Grants, Limits, Profile, PromptGrant};
use super::link::link;
use super::loader::Loader;
use super::models::{KnownModel, Naming, in_words};
use super::pace::Pace;
use super::pool::Pool;
use super::sandbox::{CallTime, Instance};
use super::script;
use super::settings::{Unsuitable, resolve, with_tiers};
use super::stage::{LoadError, Stage};
use super::validate;

/// Where a component came from.
#[derive(Debug, Clone)]
pub struct Source {
    /// A path or `built in`, for messages.
    pub origin: String,
    /// The component.
    pub bytes: Arc<[u8]>,
    /// The operator's fixtures.
    pub fixtures: Option<Fixtures>,
    /// The name of a script that states none; `None` if it is a component, or there is no such name.
    pub default_name: Option<String>,
}

impl Policy {
    /// Takes a component through all stages. Reading and compiling it take milliseconds for a Rust policy and seconds
    /// for one with a language engine inside, on other threads or in another process. The guest runs here as in
    /// production: it yields at each tick. `pace` applies to this and to all later calls. `models` are the configured models;
    /// without them, names in settings are not checked, and unset tiers have the manifest's defaults.
    ///
    /// # Errors
    /// If any stage refuses the component.
    pub async fn load(
        loader: &Loader,
        source: &Source,
        hook: Hook,
        given: &serde_json::Map<String, Json>,
        limits: &GivenLimits,
        models: Option<&[KnownModel]>,
        pace: Pace,
    ) -> Result<Self, LoadError> {
        let named = OnceLock::new();
        let refuse = |stage: Stage, reason: String| {
            let (origin, policy) = (source.origin.clone(), named.get().cloned());
            LoadError { origin, stage, reason, policy, settings: Vec::new() }
        };
        let reached = |stage: Stage| {
            tracing::debug!(stage = stage.as_str(), origin = source.origin, "policy stage reached");
        };
        let fixtures = source.fixtures.as_ref().map_or(Ok(Vec::new()), Fixtures::parse);
        let fixtures = fixtures.map_err(|reason| refuse(Stage::Parsed, reason))?;
        let bytes = Arc::clone(&source.bytes);
        let read = aside(move || (wasmgate_base::digest::sha256(&bytes), admission::parse(&bytes))).await;
        let (digest, outline) = read.map_err(|reason| refuse(Stage::Parsed, reason))?;
        let outline = outline.map_err(|reason| refuse(Stage::Parsed, reason))?;
        reached(Stage::Parsed);
        let grants = limits.grants.clone();
        let version = contract::version(&outline.exports).unwrap_or_default().to_owned();
        let (profile, limits) = admit(&outline, hook, limits).map_err(|reason| refuse(Stage::Admitted, reason))?;
        reached(Stage::Admitted);
        let component = loader.component(&source.bytes, &digest).await;
        let component = component.map_err(|reason| refuse(Stage::Compiled, reason))?;
        reached(Stage::Compiled);
        let linked = link(&loader.engine, &component, hook).map_err(|reason| refuse(Stage::Linked, reason))?;
        let linked = Arc::new(linked);
        reached(Stage::Linked);

        let configured = |failure: PolicyFailure| refuse(Stage::Configured, failure.to_string());
        let unnamed = Arc::new(Log::new(source.origin.clone()));
        let at_load = CallTime::new(LOAD_TIME, pace);
        let mut first =
            Instance::new(&linked, &limits, &Arc::default(), &unnamed, at_load).await.map_err(configured)?;
        let Answer::Manifest(manifest) = first.call(Call::Describe, at_load).await.map_err(configured)? else {
            return Err(refuse(Stage::Configured, "describe did not answer with a manifest".into()));
        };
        drop(first);
        validate::check_manifest(&manifest).map_err(|reason| refuse(Stage::Configured, reason))?;
        let name = |manifest: &Manifest| format!("{}@{}", manifest.name, manifest.version);
        if manifest.name != script::COMPONENT {
            let _ = named.set(name(&manifest));
        }
        let settings = resolve(&manifest, given)
            .map_err(|Unsuitable { settings, reason }| LoadError { settings, ..refuse(Stage::Configured, reason) })?;

        let naming = Naming::of(&manifest, &settings, models);
        if let Some(reason) = models.and_then(|models| naming.refusal(models)) {
            return Err(refuse(Stage::Configured, reason));
        }

        // The built-in policies that can deny have a setting for it; since version 2 of the contract every manifest says it.
        let says = builtin::is(&source.bytes) || !version.starts_with("1.");
        let other = (hook == Hook::Cost || says).then_some(false);
        let declares = declared::denies(&manifest, &settings).filter(|_| hook == Hook::Routing).or(other);
        let denied = AtomicBool::new(false);
        // Another component of that name is no interpreter.
        let script = script::of(&manifest, &settings).filter(|_| builtin::is(&source.bytes));
        let is_script = script.is_some();
        // A cost policy names no models.
        let constants = script.filter(|_| hook == Hook::Routing).map(constants::models).unwrap_or_default();
        let naming = naming.with_constants(constants);
        let (manifest, digest) = match script {
            None => (manifest, digest),
            Some(text) => {
                let identity = script::identity(manifest, text, source.default_name.as_deref());
                let (manifest, digest) = identity.map_err(|reason| refuse(Stage::Configured, reason))?;
                validate::check_manifest(&manifest)
                    .map_err(|reason| refuse(Stage::Configured, format!("script, in its first comments: {reason}")))?;
                (manifest, digest)
            }
        };
        let _ = named.set(name(&manifest));
        let reads = declared::reads(&manifest, &settings);
        validate::check_labels(&reads.labels).map_err(|reason| refuse(Stage::Configured, reason))?;
        granted(&grants, &reads, &version).map_err(|reason| refuse(Stage::Admitted, reason))?;
        let log = Arc::new(Log::new(manifest.name.clone()));
        let with_tiers = Arc::new(with_tiers(settings.clone(), &naming));
        let pool = Pool::new(linked, limits.clone(), pace, with_tiers, log);
        pool.renew(at_load).await.map_err(|failure| match (&naming.made, failure.class) {
            // A script compiles when its component is configured with it.
            (_, FailureClass::GuestError) if is_script => refuse(Stage::Compiled, failure.detail),
            // The author may not have expected an empty tier.
            (Some(made), _) => refuse(
                Stage::Configured,
                format!(
                    "{failure}; its settings leave tiers unset, which the gateway made from the configured models: {}",
                    in_words(&made.models)
                ),
            ),
            (None, _) => configured(failure),
        })?;
        reached(Stage::Configured);
        let none = Probed { calls: 0, median: Duration::ZERO, worst: Duration::ZERO, memory_bytes: 0 };
        let mut policy = Self {
            hook,
            digest,
            manifest,
            profile,
            limits,
            pool,
            probed: none,
            declares,
            // What a script calls can be told by its text only in part.
            must_declare: hook == Hook::Routing && !is_script && !version.starts_with("1."),
            denied,
            // Version 1 has no place for it, and shows everything.
            reads_tenants: reads.tenant && !version.starts_with("1."),
            reads,
            given: settings,
            naming,
        };
        policy.probed = policy.probe().await.map_err(|failure| refuse(Stage::Probed, failure.to_string()))?;
        policy.satisfies(&fixtures).await.map_err(|reason| refuse(Stage::Probed, reason))?;
        // Requests must not see what samples and fixtures left in the guest's memory.
        policy.pool.renew(at_load).await.map_err(configured)?;
        reached(Stage::Probed);
        Ok(policy)
    }

    /// Checks the operator's fixtures. The error lists the first differences.
    async fn satisfies(&self, fixtures: &[Fixture]) -> Result<(), String> {
        const TOLD: usize = 3;
        let checked = fixtures::check(self, fixtures).await;
        let unmet: Vec<String> = checked.iter().filter(|checked| !checked.passed()).map(Checked::to_string).collect();
        match unmet.len() {
            0 => Ok(()),
            count @ ..=TOLD => Err(format!("{count} of {} fixtures failed: {}", checked.len(), unmet.join(" | "))),
            count => {
                let told = unmet[..TOLD].join(" | ");
                Err(format!("{count} of {} fixtures failed: {told} | and {} more", checked.len(), count - TOLD))
            }
        }
    }
}

/// Refuses a policy that reads more than the operator grants.
fn granted(grants: &Grants, reads: &Reads, version: &str) -> Result<(), String> {
    let needed = PromptGrant::needed(reads.prompt);
    match grants.prompt {
        Some(granted) if needed > granted => {
            let (needed, granted) = (needed.as_str(), granted.as_str());
            let why = match version.starts_with("1.") {
                true => format!(", as every policy that was built against version {version} of the contract"),
                false => String::new(),
            };
            Err(format!("it reads `{needed}` of the prompt{why}; expected at most `{granted}`, which `grants` allows"))
        }
        _ => Ok(()),
    }
}

/// Admits a component that has the hook and imports only what policies may; returns its profile and its limits.
fn admit(outline: &Outline, hook: Hook, given: &GivenLimits) -> Result<(Profile, Limits), String> {
    contract::check(&outline.imports, &outline.exports, hook)?;
    let profile = Profile::of(outline.code_bytes);
    Ok((profile, given.over(profile)?))
}
