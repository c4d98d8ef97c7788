//! The policy that a command is about: a component, a script or a built-in policy, with settings and limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value as Json};
use wasmgate::builtin;
use wasmgate::lifecycle::cache_folder;
use wasmgate::policy::inspect::Inspection;
use wasmgate::policy::{Fixtures, GivenLimits, Hook, Loader, LoaderOptions, Pace, Policy, Source};

use super::Failed;
use super::progress;
use super::units::bytes;

/// The built-in policy that runs scripts, and its setting that holds one.
const SCRIPT: &str = "script";

/// See the module.
#[derive(Args)]
pub(super) struct Subject {
    /// A component, a script whose name ends in .rhai, or the name of a built-in policy.
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    /// Only as a policy of that hook; without it, each that it has.
    #[arg(long)]
    hook: Option<HookName>,
    /// A file with its settings, JSON or TOML.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// A limit other than the usual one, as in call_time_ms=50; names as in the configuration.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    limits: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum HookName {
    Routing,
    Cost,
}

impl From<HookName> for Hook {
    fn from(name: HookName) -> Self {
        match name {
            HookName::Routing => Self::Routing,
            HookName::Cost => Self::Cost,
        }
    }
}

/// A subject whose files were read.
pub(super) struct Loaded {
    /// What to call it.
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) inspection: Inspection,
    pub(super) settings: Map<String, Json>,
    pub(super) limits: GivenLimits,
    /// The hooks that were asked for.
    pub(super) hooks: Vec<Hook>,
    loader: Loader,
}

impl Subject {
    /// Another policy under the same conditions.
    pub(super) fn beside(&self, policy: &Path) -> Self {
        let (settings, limits) = (self.settings.clone(), self.limits.clone());
        Self { policy: policy.to_owned(), hook: self.hook, settings, limits }
    }

    /// Where its fixtures are, if they are nowhere else.
    pub(super) fn own_fixtures(&self) -> PathBuf {
        self.policy.with_extension("fixtures.json")
    }

    /// Reads all that there is to read.
    pub(super) fn read(&self) -> Result<Loaded, Failed> {
        let mut settings = self.settings.as_deref().map_or(Ok(Map::new()), table)?;
        let (origin, component) = self.component(&mut settings)?;
        let inspection = Inspection::of(&component)
            .map_err(|reason| Failed::Refused(format!("{origin} is no policy (not parsed): {reason}")))?;
        let hooks = match (self.hook.map(Hook::from), settings.get(SCRIPT).and_then(Json::as_str)) {
            (Some(hook), _) => vec![hook],
            (None, Some(script)) => script_hooks(script),
            (None, None) => inspection.hooks.clone(),
        };
        // What is compiled here need not be compiled when a gateway of this user takes it.
        let cache = cache_folder(None);
        let loader = Loader::new(LoaderOptions { cache, ..LoaderOptions::default() })
            .map_err(|error| Failed::Machine(error.to_string()))?;
        Ok(Loaded {
            name: origin.clone(),
            source: Source { origin, bytes: component, fixtures: None },
            inspection,
            settings,
            limits: limits(&self.limits)?,
            hooks,
            loader,
        })
    }

    /// The component and what to call it. A script becomes a setting.
    fn component(&self, settings: &mut Map<String, Json>) -> Result<(String, Arc<[u8]>), Failed> {
        let shown = self.policy.display().to_string();
        if self.policy.extension().is_some_and(|extension| extension == "rhai") {
            settings.insert(SCRIPT.into(), text(&self.policy)?.into());
            return Ok((shown, builtin::component(SCRIPT).unwrap_or_default().into()));
        }
        if let Some(component) = builtin::component(&shown).filter(|_| !self.policy.exists()) {
            return Ok((shown, component.into()));
        }
        match std::fs::read(&self.policy) {
            Ok(component) => Ok((shown, component.into())),
            Err(error) => {
                let names = builtin::names().join(", ");
                let hint = format!("expected a component, a script (.rhai), or one of the built-in policies: {names}");
                Err(Failed::Refused(format!("{shown}: cannot be read: {error}; {hint}")))
            }
        }
    }
}

impl Loaded {
    /// Takes it through all stages, as a gateway would. `Err` is the refusal.
    pub(super) async fn load(&self, hook: Hook) -> Result<Policy, Failed> {
        let what = format!("compiling {} ({})", self.name, bytes(self.source.bytes.len()));
        let load = Policy::load(&self.loader, &self.source, hook, &self.settings, &self.limits, Pace::Background);
        progress::shown(&what, load).await.map_err(|refusal| Failed::Refused(refusal.to_string()))
    }

    /// The hooks to ask it for.
    pub(super) fn some_hooks(&self) -> Result<&[Hook], Failed> {
        match (&self.inspection.refusal, &self.hooks[..]) {
            (Some(reason), []) => {
                Err(Failed::Refused(format!("{} would be refused (not admitted): {reason}", self.name)))
            }
            (_, hooks) => Ok(hooks),
        }
    }
}

/// The hooks that a script has functions for; where it has none, both, so that it is said what it lacks.
fn script_hooks(script: &str) -> Vec<Hook> {
    let has = |hook: &Hook| match hook {
        Hook::Routing => script.contains("fn route("),
        Hook::Cost => script.contains("fn estimate("),
    };
    match Hook::ALL.into_iter().filter(has).collect::<Vec<_>>() {
        hooks if hooks.is_empty() => Hook::ALL.to_vec(),
        hooks => hooks,
    }
}

/// A file of fixtures.
pub(super) fn fixtures(path: &Path) -> Result<Fixtures, Failed> {
    Ok(Fixtures { origin: path.display().to_string(), text: text(path)? })
}

/// A file's text.
pub(super) fn text(path: &Path) -> Result<String, Failed> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| Failed::Refused(format!("{shown}: cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| Failed::Refused(format!("{shown}: {}", error.utf8_error())))
}

/// A file of names and values.
fn table(path: &Path) -> Result<Map<String, Json>, Failed> {
    let (text, shown) = (text(path)?, path.display());
    let table = match path.extension().is_some_and(|extension| extension == "toml") {
        true => toml::from_str(&text).map_err(|error| error.to_string()),
        false => serde_json::from_str(&text).map_err(|error| error.to_string()),
    };
    table.map_err(|error| Failed::Refused(format!("{shown}: expected settings as an object: {error}")))
}

/// Limits as they are typed.
fn limits(given: &[String]) -> Result<GivenLimits, Failed> {
    let mut table = Map::new();
    for limit in given {
        let Some((name, value)) = limit.split_once('=') else {
            return Err(Failed::Refused(format!("--limit {limit}: expected NAME=VALUE, as in call_time_ms=50")));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Json::String(value.to_owned()));
        table.insert(name.to_owned(), value);
    }
    serde_json::from_value(Json::Object(table)).map_err(|error| Failed::Refused(format!("--limit: {error}")))
}
