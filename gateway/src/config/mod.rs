//! The configuration, in two stages: the file as written (`config/file.rs`) and as meant (here), with addresses
//! parsed, durations typed, names resolved, secrets fetched. After this nothing can be half-configured.
//!
//! Only this module and its parts know the file's format. Errors name the file, the line and the key.

mod admin;
mod file;
mod locate;
mod policies;
mod secret;
mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;

use crate::backend;
use crate::backend::Model;
use crate::rollout::analysis::{AbortRules, BreakerRules};
use crate::rollout::slot::{Role, Slot};
pub use admin::Admin;
pub use token::Token;
use wasmgate_policy_host::{GivenLimits, Hook};

/// The configuration that serves where no file is given: the documented example, whose models are simulated.
pub const EMBEDDED: &str = include_str!("../../../examples/wasmgate.toml");

/// A whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it came from; `None`: the embedded one.
    pub file: Option<PathBuf>,
    /// SHA-256 of its text, in hex.
    pub digest: String,
    /// Where the gateway listens.
    pub listen: SocketAddr,
    /// Where operators reach it.
    pub admin: Admin,
    /// Limits of the server.
    pub server: Server,
    /// What is logged.
    pub log: Log,
    /// Backends, in the file's order.
    pub backends: Vec<backend::Settings>,
    /// Models, in the file's order, which is the order of preference where no policy has one.
    pub models: Vec<Model>,
    /// The routing policy.
    pub routing: HookChoice,
    /// The cost policy.
    pub cost: HookChoice,
    /// How changes are taken in while the gateway serves.
    pub reload: Reload,
    /// Where good versions are kept; `None`: where the platform keeps state.
    pub state_dir: Option<PathBuf>,
    /// Where compiled components are kept; `None`: where the platform keeps caches.
    pub cache_dir: Option<PathBuf>,
}

/// How changes of files are taken in while the gateway serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload {
    /// Whether they are.
    pub enabled: bool,
    /// How long a file must hold still before it is read.
    pub settle: Duration,
    /// How often all files are looked at, whatever the system says of changes.
    pub rescan: Duration,
    /// How long requests may keep the policies of a snapshot that was replaced; then their memory is given back.
    pub drain: Duration,
    /// How long the series of versions, models and backends stay that are no longer in place.
    pub keep_series: Duration,
}

/// Limits of the server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Requests in flight, streams included; one more is refused with 503.
    pub max_in_flight: usize,
    /// Open connections; one more waits to be accepted.
    pub max_connections: usize,
    /// Longest request body, in bytes.
    pub max_body_bytes: usize,
    /// Longest prompt: characters of all messages together.
    pub max_prompt_chars: usize,
    /// Largest request head, in bytes.
    pub max_head_bytes: usize,
    /// How long a client may take to send a request's head; a kept connection that is idle as long is closed.
    pub head_timeout: Duration,
    /// How long it may take to send the body.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer that is there for it, before the connection is closed.
    pub write_timeout: Duration,
    /// How long requests in flight may go on after the gateway was told to stop.
    pub drain_timeout: Duration,
    /// How many attempts may be repeated, in percent of the requests.
    pub retry_budget_percent: u32,
    /// How many requests may be asked of a second model, in percent of those whose model is hedged.
    pub hedge_budget_percent: u32,
    /// After how long, and how often, a client of a stream that waits is sent a comment; `None`: never.
    pub keep_alive: Option<Duration>,
    /// Bytes of a guarded stream that are held back; beyond, it flows before it is whole.
    pub guarded_max_bytes: usize,
    /// Whether another model is asked where a provider's content filter refused the prompt.
    pub content_filter_falls_back: bool,
    /// Request headers that policies may see, in lower case.
    pub label_headers: Vec<String>,
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct Log {
    /// JSON or text.
    pub format: LogFormat,
    /// A filter as in `info` or `info,policy=debug`.
    pub level: String,
    /// Whether each request gets a line.
    pub requests: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Who decides at one hook.
#[derive(Debug, Clone)]
pub struct HookChoice {
    /// What happens when the policy that decides fails.
    pub on_failure: OnFailure,
    /// When a version that decides is taken out.
    pub breaker: BreakerRules,
    /// The policy that decides.
    pub active: PolicyChoice,
    /// The policy that decides for a share of the requests.
    pub canary: Option<CanaryChoice>,
    /// Policies that are asked beside, by name.
    pub shadows: IndexMap<String, PolicyChoice>,
}

/// A policy that decides for a share of the requests.
#[derive(Debug, Clone)]
pub struct CanaryChoice {
    /// The policy.
    pub policy: PolicyChoice,
    /// Its share, in percent.
    pub percent: f64,
    /// The request header whose value keeps a client with one version; requests without it are drawn one by one.
    pub sticky_header: Option<String>,
    /// When it is aborted.
    pub abort: AbortRules,
}

/// Which component, with what.
#[derive(Debug, Clone)]
pub struct PolicyChoice {
    /// Where the configuration says so, for messages: file, line and key.
    pub place: String,
    /// Whether it is to work.
    pub enabled: bool,
    /// Built in, or a file.
    pub source: PolicySource,
    /// What it may use.
    pub limits: GivenLimits,
    /// Its settings, to be checked against its manifest.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Settings whose text is the content of a file, by name: a script, a long list.
    pub setting_files: BTreeMap<String, PathBuf>,
}

impl PolicyChoice {
    /// Whether another choice asks for the same component with the same settings and limits, wherever it is written.
    #[must_use]
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let Self { place: _, enabled, source, limits, settings, setting_files } = self;
        (enabled, source, limits) == (&other.enabled, &other.source, &other.limits)
            && (settings, setting_files) == (&other.settings, &other.setting_files)
    }

    /// Where its operator's fixtures are, if there are any: beside its file, or where it is built in, beside its
    /// script's.
    #[must_use]
    pub fn fixtures(&self) -> Option<PathBuf> {
        let file = match &self.source {
            PolicySource::File(path) => Some(path),
            PolicySource::BuiltIn(_) => self.setting_files.get("script"),
        };
        file.map(|file| file.with_extension("fixtures.json"))
    }

    /// Every file that it is made of, there or not.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let component = match &self.source {
            PolicySource::File(path) => Some(path),
            PolicySource::BuiltIn(_) => None,
        };
        component.into_iter().chain(self.setting_files.values()).map(PathBuf::as_path)
    }
}

/// Where a component is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicySource {
    /// In this binary, by name.
    BuiltIn(String),
    /// In a file.
    File(PathBuf),
}

/// What happens when a policy fails on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The gateway's own default decides (routing), or the candidates have no estimates (cost).
    DefaultDecision,
    /// The request is refused with 503.
    FailClosed,
}

/// A configuration was refused.
#[derive(Debug)]
pub struct ConfigError {
    /// The file, or `embedded configuration`.
    pub file: String,
    /// The line, from 1, where there is one.
    pub line: Option<usize>,
    /// The key, as in `models.phi2.backend`; empty where there is none.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

/// What a flag or the environment says in place of the file, now and after each change of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// Where the gateway listens.
    pub listen: Option<SocketAddr>,
    /// Where operators are listened to.
    pub admin_listen: Option<SocketAddr>,
}

impl Config {
    /// What differs from `new` and is only read at a start.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let fixed = |config: &Self| {
            let server = &config.server;
            [
                ("listen", format!("{:?}", config.listen)),
                ("admin", format!("{:?}", config.admin)),
                ("log.format", format!("{:?}", config.log.format)),
                ("log.level", config.log.level.clone()),
                ("server.max_connections", format!("{}", server.max_connections)),
                ("server.max_head_bytes", format!("{}", server.max_head_bytes)),
                ("server.head_timeout_seconds", format!("{:?}", server.head_timeout)),
                ("server.write_timeout_seconds", format!("{:?}", server.write_timeout)),
                ("server.drain_timeout_seconds", format!("{:?}", server.drain_timeout)),
                ("reload.enabled", format!("{}", config.reload.enabled)),
                ("state_dir", format!("{:?}", config.state_dir)),
                ("cache_dir", format!("{:?}", config.cache_dir)),
            ]
        };
        fixed(self).into_iter().zip(fixed(new)).filter(|(old, new)| old.1 != new.1).map(|(old, _)| old.0).collect()
    }

    /// What is chosen for a hook.
    #[must_use]
    pub fn hook(&self, hook: Hook) -> &HookChoice {
        match hook {
            Hook::Routing => &self.routing,
            Hook::Cost => &self.cost,
        }
    }

    /// All places that it has policies for.
    pub fn policies(&self) -> impl Iterator<Item = (Slot, &PolicyChoice)> {
        Hook::ALL.into_iter().flat_map(|hook| {
            let choice = self.hook(hook);
            let canary = choice.canary.iter().map(move |canary| (Slot::canary(hook), &canary.policy));
            let shadows = choice.shadows.iter();
            let shadows = shadows.map(move |(name, policy)| (Slot { hook, role: Role::Shadow(name.clone()) }, policy));
            std::iter::once((Slot::active(hook), &choice.active)).chain(canary).chain(shadows)
        })
    }

    /// What it gives a place's canary, in percent; 0 where it has none.
    #[must_use]
    pub fn percent(&self, slot: &Slot) -> f64 {
        self.hook(slot.hook).canary.as_ref().map_or(0.0, |canary| canary.percent)
    }

    /// What it has for one place.
    #[must_use]
    pub fn policy(&self, slot: &Slot) -> Option<&PolicyChoice> {
        let choice = self.hook(slot.hook);
        match &slot.role {
            Role::Active => Some(&choice.active),
            Role::Canary => choice.canary.as_ref().map(|canary| &canary.policy),
            Role::Shadow(name) => choice.shadows.get(name),
        }
    }

    /// Reads a file, or the embedded configuration where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, is not TOML, has an unknown key, or means nothing that the gateway could do.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Self::parse(EMBEDDED, "embedded configuration", Path::new("."));
        };
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            file: file.clone(),
            line: None,
            key: String::new(),
            message: format!("cannot be read: {error}"),
        })?;
        Self::parse_file(&text, path)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// As `read`.
    pub fn parse_file(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let config = Self::parse(text, &path.display().to_string(), folder)?;
        Ok(Self { file: Some(path.to_owned()), ..config })
    }

    /// Reads a text. Relative paths in it are relative to `folder`.
    ///
    /// # Errors
    /// As `read`.
    pub fn parse(text: &str, file: &str, folder: &Path) -> Result<Self, ConfigError> {
        file::parse(text, file, folder)
    }
}
