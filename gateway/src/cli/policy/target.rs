//! The policy of a command: a component, a script or a built-in policy, with settings and limits.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value as Json};
use wasmgate_base::document;
use wasmgate_base::io_reason::io_reason;
use wasmgate_base::paths::cache_folder;
use wasmgate_policy_host::MAX_SETTING_BYTES;
use wasmgate_policy_host::builtin;
use wasmgate_policy_host::inspect::Inspection;
use wasmgate_policy_host::script;
use wasmgate_policy_host::{Fixtures, GivenLimits, Hook, KnownModel, Loader, LoaderOptions, Pace, Policy, Source};

use super::Failed;
use super::format::bytes;
use super::progress;
use crate::cli::table::clean;

/// See the module.
#[derive(Args)]
pub(super) struct Subject {
    /// A component, a script whose name ends in .rhai, or the name of a built-in policy.
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    /// Use only this hook (default: each hook of the policy).
    #[arg(long)]
    hook: Option<HookName>,
    /// File with its settings, JSON or TOML.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Override a limit, as in call_time_ms=50. Names are those of the configuration.
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

/// A subject with its files read.
pub(super) struct Loaded {
    /// Its name in messages.
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) inspection: Inspection,
    pub(super) settings: Map<String, Json>,
    pub(super) limits: GivenLimits,
    /// The requested hook, or all hooks of the component.
    pub(super) hooks: Vec<Hook>,
    /// The component that runs scripts has both hooks, but a script may be for one only.
    pub(super) some_hook_will_do: bool,
    loader: Loader,
}

impl Subject {
    /// A policy that routes, with these settings and the usual limits.
    pub(super) fn of(policy: &Path, settings: Option<&Path>) -> Self {
        let (policy, settings) = (policy.to_owned(), settings.map(Path::to_owned));
        Self { policy, hook: Some(HookName::Routing), settings, limits: Vec::new() }
    }

    /// Another policy with the same hook, settings and limits.
    pub(super) fn sibling(&self, policy: &Path) -> Self {
        let (settings, limits) = (self.settings.clone(), self.limits.clone());
        Self { policy: policy.to_owned(), hook: self.hook, settings, limits }
    }

    /// The same for the hook that routes.
    pub(super) fn routing(&self) -> Result<Self, Failed> {
        if matches!(self.hook, Some(HookName::Cost)) {
            return Err(Failed::Refused(
                "--hook: expected routing; the decision log has what routing policies are asked".into(),
            ));
        }
        Ok(Self { hook: Some(HookName::Routing), ..self.sibling(&self.policy) })
    }

    /// Default path of its fixtures.
    pub(super) fn own_fixtures(&self) -> PathBuf {
        self.policy.with_extension("fixtures.json")
    }

    fn is_script(&self) -> bool {
        script::is_script(&self.policy)
    }

    /// Reads all files of the subject.
    pub(super) fn read(&self) -> Result<Loaded, Failed> {
        let mut settings = self.settings.as_deref().map_or(Ok(Map::new()), table)?;
        let (origin, component) = self.component(&mut settings)?;
        let inspection = Inspection::of(&component)
            .map_err(|reason| Failed::Refused(format!("{origin} is not a policy (not parsed): {reason}")))?;
        let hooks = match self.hook {
            Some(hook) => vec![hook.into()],
            None => own_hooks(&inspection.hooks, settings.get(script::SETTING).filter(|_| self.is_script())),
        };
        // A gateway of this user need not compile the component again.
        let cache = cache_folder(None);
        let loader = Loader::new(LoaderOptions { cache, ..LoaderOptions::default() })
            .map_err(|error| Failed::Machine(error.to_string()))?;
        Ok(Loaded {
            name: origin.clone(),
            source: Source { origin, bytes: component, fixtures: None, default_name: script::name_from(&self.policy) },
            inspection,
            settings,
            limits: limits(&self.limits)?,
            hooks,
            some_hook_will_do: self.is_script() && self.hook.is_none(),
            loader,
        })
    }

    /// The component and its name in messages. A script becomes a setting.
    fn component(&self, settings: &mut Map<String, Json>) -> Result<(String, Arc<[u8]>), Failed> {
        let shown = self.policy.display().to_string();
        if self.is_script() {
            let text = text(&self.policy)?;
            if text.len() > MAX_SETTING_BYTES {
                let found = text.len();
                return Err(Failed::Refused(format!("{shown}: {found} bytes, expected at most {MAX_SETTING_BYTES}")));
            }
            settings.insert(script::SETTING.into(), text.into());
            return Ok((shown, builtin::component(script::COMPONENT).unwrap_or_default().into()));
        }
        if let Some(component) = builtin::component(&shown).filter(|_| !self.policy.exists()) {
            return Ok((shown, component.into()));
        }
        match std::fs::read(&self.policy) {
            Ok(component) => Ok((shown, component.into())),
            Err(error) => {
                let names = builtin::names().join(", ");
                let hint = format!("expected a component, a script (.rhai), or one of the built-in policies: {names}");
                Err(Failed::Refused(format!("{shown}: cannot be read: {}; {hint}", io_reason(&error))))
            }
        }
    }
}

impl Loaded {
    /// The policy for each of its hooks, loaded as by a gateway. Prints a note if a script lacks a hook.
    pub(super) async fn policies(&self) -> Result<Vec<Policy>, Failed> {
        if let (Some(reason), []) = (&self.inspection.refusal, &self.hooks[..]) {
            return Err(Failed::Refused(format!("{} would be refused (not admitted): {reason}", self.name)));
        }
        let (mut policies, mut refusals) = (Vec::new(), Vec::new());
        for &hook in &self.hooks {
            match self.load(hook).await {
                Ok(policy) => policies.push(policy),
                Err(Failed::Refused(reason)) if self.some_hook_will_do => refusals.push((hook, reason)),
                Err(other) => return Err(other),
            }
        }
        match refusals.into_iter().next() {
            Some((_, reason)) if policies.is_empty() => Err(Failed::Refused(reason)),
            Some((hook, reason)) => {
                let note = clean(&format!("not usable as a {} policy: {reason}", hook.as_str()));
                let _ = writeln!(std::io::stderr(), "note: {note}");
                Ok(policies)
            }
            None => Ok(policies),
        }
    }

    /// Loads the policy through all stages, like a gateway. `Err` is the refusal.
    pub(super) async fn load(&self, hook: Hook) -> Result<Policy, Failed> {
        self.load_for(hook, None).await
    }

    /// The same, like a gateway with these models.
    pub(super) async fn load_for(&self, hook: Hook, models: Option<&[KnownModel]>) -> Result<Policy, Failed> {
        let what = format!("compiling {} ({})", self.name, bytes(self.source.bytes.len()));
        let load =
            Policy::load(&self.loader, &self.source, hook, &self.settings, &self.limits, models, Pace::Background);
        let loaded = super::quietly(progress::shown(&what, load)).await;
        loaded.map_err(|refusal| Failed::Refused(refusal.to_string()))
    }
}

/// The hooks of a component; of a script, those whose functions it defines. If it defines none, the gateway says so.
fn own_hooks(all: &[Hook], script: Option<&Json>) -> Vec<Hook> {
    let defines = |hook: &Hook| script.and_then(Json::as_str).is_none_or(|script| script::defines(script, *hook));
    let defined: Vec<Hook> = all.iter().copied().filter(defines).collect();
    if defined.is_empty() { all.to_vec() } else { defined }
}

/// Reads a file of fixtures.
pub(super) fn fixtures(path: &Path) -> Result<Fixtures, Failed> {
    Ok(Fixtures { origin: path.display().to_string(), text: text(path)? })
}

/// Reads a text file.
pub(super) fn text(path: &Path) -> Result<String, Failed> {
    let shown = path.display();
    let cannot = |error| Failed::Refused(format!("{shown}: cannot be read: {}", io_reason(&error)));
    let bytes = std::fs::read(path).map_err(cannot)?;
    let text = wasmgate_base::text::of_bytes(&bytes);
    text.map(str::to_owned).map_err(|error| Failed::Refused(format!("{shown}: {error}")))
}

/// Reads a file of settings.
fn table(path: &Path) -> Result<Map<String, Json>, Failed> {
    let shown = path.display().to_string();
    match document::parse(&shown, &text(path)?).map_err(Failed::Refused)? {
        Json::Object(table) => Ok(table),
        other => Err(Failed::Refused(format!("{shown}: expected an object of settings, found {other}"))),
    }
}

/// Parses `--limit` arguments.
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
