//! The configuration, in two stages: the file as written (`config/file.rs`) and the checked form (here), with addresses
//! parsed, durations typed, names resolved and secrets read. After that, nothing is half-configured.
//!
//! Only this module and its parts know the file's format. Errors name the file, the line and the key.

mod access;
mod address;
mod admin;
mod backends;
mod checks;
mod cors;
mod decisions;
mod document;
mod egress;
mod elsewhere;
mod encoding;
mod explore;
mod file;
mod ledger;
mod limits;
mod log_filter;
mod managed;
mod models;
mod policies;
mod prices;
mod problem;
mod quirks;
mod ranges;
mod secret;
mod shared;
mod suggest;
mod threads;
mod token;
mod tree;
mod warnings;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;

use crate::backend;
use crate::backend::Model;
use crate::rollout::analysis::{AbortRules, BreakerRules};
use crate::rollout::slot::{Role, Slot};
pub use access::{Access, Auth};
pub use address::listen_address;
pub use admin::Admin;
pub use cors::Cors;
pub use decisions::{Decisions, KeepContent};
pub use ledger::Ledger;
pub use limits::Reserve;
pub use log_filter::{WrongFilter, check_filter};
pub use managed::{ManagedGroup, Suspended, check_key_labels};
pub use prices::Prices;
pub use problem::{Code, ConfigError, Problem, Severity};
pub use threads::Runtime;
pub use token::Token;
use wasmgate_base::money::Price;
use wasmgate_base::paths::{configuration_folder, platform};
use wasmgate_base::time::UnixSeconds;
use wasmgate_dialect::Bounds;
use wasmgate_policy_host::{GivenLimits, Hook, LoadError, script};
use wasmgate_prices::Catalogue;
use wasmgate_shared::Settings as Shared;

/// The configuration without a file: the documented example, whose models are simulated.
pub const EMBEDDED: &str = include_str!("../../../examples/wasmgate.toml");

/// Longest prompt of the gateway's own dialect if `max_prompt_chars` is not set, in characters.
pub const OWN_PROMPT_CHARS: usize = 100_000;

/// A complete, checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its file; `None`: the embedded configuration.
    pub file: Option<PathBuf>,
    /// SHA-256 of its text, in hexadecimal digits.
    pub digest: String,
    /// What is valid, but probably not meant.
    pub warnings: Vec<Problem>,
    /// Address for clients.
    pub listen: SocketAddr,
    /// The admin listener.
    pub admin: Admin,
    /// Limits of the server.
    pub server: Server,
    /// Who may use it.
    pub access: Access,
    /// The log.
    pub log: Log,
    /// Backends, in the file's order.
    pub backends: Vec<backend::Settings>,
    /// Models, in the file's order. The gateway prefers them in this order if no policy ranks them.
    pub models: Vec<Model>,
    /// Which catalogue prices the models for which the file states no price.
    pub prices: Prices,
    /// The routing policy.
    pub routing: HookChoice,
    /// The cost policy.
    pub cost: HookChoice,
    /// Hot reload.
    pub reload: Reload,
    /// Folder of good versions of policies; `None`: the platform's state folder.
    pub state_dir: Option<PathBuf>,
    /// Folder of compiled components; `None`: the platform's cache folder.
    pub cache_dir: Option<PathBuf>,
    /// The ledger of what requests with a key used.
    pub ledger: Ledger,
    /// The decision log.
    pub decisions: Decisions,
    /// The server in which it shares limits with other gateways; `None`: it shares none.
    pub shared: Option<Shared>,
}

/// Hot reload: how the gateway applies changes of files while it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload {
    /// Whether the gateway applies changes.
    pub enabled: bool,
    /// How long a file must stay unchanged before the gateway reads it (debounce).
    pub settle: Duration,
    /// Interval at which the gateway checks all files, with or without a notification from the system.
    pub rescan: Duration,
    /// How long requests may hold the policies of a replaced snapshot. Then the gateway frees their memory.
    pub drain: Duration,
    /// How long the metrics of removed versions, models and backends stay.
    pub keep_series: Duration,
}

/// Limits of the server.
#[derive(Debug, Clone)]
pub struct Server {
    /// How connections of clients are shared out among threads.
    pub runtime: Runtime,
    /// Threads that serve clients, 1 to 1,024; `None`: one for each core that the process may use.
    pub threads: Option<NonZero<usize>>,
    /// Maximum of in-flight requests, streams included. The gateway refuses more with 503.
    pub max_in_flight: usize,
    /// Maximum of open connections. More wait until the gateway accepts them.
    pub max_connections: usize,
    /// Maximum of open connections of one client address; `None`: any number. The gateway closes more at once.
    pub max_connections_per_address: Option<usize>,
    /// Age at which the gateway ends a connection, once its requests have ended; `None`: any age.
    pub max_connection_age: Option<Duration>,
    /// Maximum of requests at a time on one HTTP/2 connection, 1 to 10,000.
    pub max_concurrent_streams: u32,
    /// Longest request body, in bytes.
    pub max_body_bytes: usize,
    /// Bytes that all requests and complete answers may hold in memory. The gateway refuses more requests with 503.
    pub max_buffered_bytes: usize,
    /// Longest prompt, in characters of everything that the model reads; `None`: 100,000 in the gateway's own dialect, any
    /// in the others. An image counts as a fixed number of characters.
    pub max_prompt_chars: Option<usize>,
    /// Maximum of messages, parts and tools of a request.
    pub bounds: Bounds,
    /// Largest request head, in bytes.
    pub max_head_bytes: usize,
    /// How long a client may take to send a request's head, and how long a keep-alive connection may be idle.
    pub head_timeout: Duration,
    /// How long a client may take to send the body.
    pub body_timeout: Duration,
    /// How long a client may read nothing of its answer before the gateway closes the connection.
    pub write_timeout: Duration,
    /// Drain: how long in-flight requests may continue after a signal to stop.
    pub drain_timeout: Duration,
    /// Retry budget, in percent of the requests, 0 to 100.
    pub retry_budget_percent: u32,
    /// Hedge budget, in percent of the requests that may be hedged, 0 to 100.
    pub hedge_budget_percent: u32,
    /// Most models that the gateway calls for one request, fallbacks and hedges included.
    pub max_models_per_request: usize,
    /// Interval of SSE keep-alive comments before the first token; `None`: none.
    pub keep_alive: Option<Duration>,
    /// Bytes of a guarded stream that the gateway buffers. A longer stream starts before it is complete.
    pub guarded_max_bytes: usize,
    /// Whether the gateway falls back to the next model if a provider's content filter refused the prompt.
    pub content_filter_falls_back: bool,
    /// Whether thinking that one backend encrypted is left out for others, instead of tying the conversation to the one.
    pub strip_reasoning: bool,
    /// What becomes of hints that a backend's dialect cannot express.
    pub translation: Translation,
    /// Request headers that policies may see, in lower case.
    pub label_headers: Vec<String>,
    /// Whether the gateway tells conversations apart: for canaries, and to remember which model answered.
    pub affinity: bool,
    /// Web pages of other origins.
    pub cors: Cors,
    /// Names by which clients may call a gateway that listens on a loopback address, besides `localhost`.
    pub allowed_hosts: Vec<String>,
    /// Whether clients may read metrics, totals and the health of each backend, which name models and groups; `None`: if
    /// requests need no key. Operators always may, on the admin listener.
    pub metrics_for_clients: Option<bool>,
}

/// Settings of the log.
#[derive(Debug, Clone)]
pub struct Log {
    /// JSON or text.
    pub format: LogFormat,
    /// A filter, as in `info` or `info,policy=debug`.
    pub level: String,
    /// Whether the gateway logs one line per request.
    pub requests: bool,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

/// What becomes of a hint in a request that the dialect of a backend cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Translation {
    /// It is left out, and the client is told so.
    Lenient,
    /// The request does not go to that backend.
    Strict,
}

/// The policies of one hook.
#[derive(Debug, Clone)]
pub struct HookChoice {
    /// What happens when the deciding policy fails.
    pub on_failure: Option<OnFailure>,
    /// When the policy circuit breaker opens for a deciding version.
    pub breaker: BreakerRules,
    /// The active policy.
    pub active: PolicyChoice,
    /// The canary, which decides for a share of the requests.
    pub canary: Option<CanaryChoice>,
    /// Shadows, by name.
    pub shadows: IndexMap<String, PolicyChoice>,
}

/// A canary: a policy that decides for a share of the requests.
#[derive(Debug, Clone)]
pub struct CanaryChoice {
    /// The policy.
    pub policy: PolicyChoice,
    /// Its share, in percent, 0 to 100.
    pub percent: f64,
    /// Request header whose value pins a client to one version. Requests without it are assigned individually.
    pub sticky_header: Option<String>,
    /// When canary analysis aborts it.
    pub abort: AbortRules,
}

/// The configuration of one slot: a component with its limits and settings.
#[derive(Debug, Clone)]
pub struct PolicyChoice {
    /// Its location in the configuration, for messages.
    pub place: Place,
    /// Whether the slot is enabled.
    pub enabled: bool,
    /// Its component: built in or a file.
    pub source: PolicySource,
    /// Its limits.
    pub limits: GivenLimits,
    /// Its settings, not yet checked against its manifest.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Settings whose text is the content of a file, such as a script or a long list: the file by the setting's name.
    pub setting_files: BTreeMap<String, PathBuf>,
}

impl PolicyChoice {
    /// Whether another choice has the same component, settings and limits, regardless of its location in the file.
    #[must_use]
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let Self { place: _, enabled, source, limits, settings, setting_files } = self;
        (enabled, source, limits) == (&other.enabled, &other.source, &other.limits)
            && (settings, setting_files) == (&other.settings, &other.setting_files)
    }

    /// Path of the operator's fixtures, which need not exist: next to the component's file or, for a built-in policy,
    /// next to its script.
    #[must_use]
    pub fn fixtures(&self) -> Option<PathBuf> {
        let file = match &self.source {
            PolicySource::File(path) => Some(path),
            PolicySource::BuiltIn(_) => self.setting_files.get(script::SETTING),
        };
        file.map(|file| file.with_extension("fixtures.json"))
    }

    /// The name of its script if the script states none; `None` if it is a component.
    #[must_use]
    pub fn script(&self) -> Option<String> {
        match &self.source {
            PolicySource::BuiltIn(name) if name == script::COMPONENT => {
                let file = self.setting_files.get(script::SETTING).and_then(|file| script::name_from(file));
                Some(file.unwrap_or_else(|| script::COMPONENT.to_owned()))
            }
            PolicySource::BuiltIn(_) | PolicySource::File(_) => None,
        }
    }

    /// All files that it consists of, whether or not they exist.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let component = match &self.source {
            PolicySource::File(path) => Some(path),
            PolicySource::BuiltIn(_) => None,
        };
        component.into_iter().chain(self.setting_files.values()).map(PathBuf::as_path)
    }
}

/// A place in the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1, if the key is in the file.
    pub line: Option<usize>,
    /// The key.
    pub key: String,
    /// The lines of the settings there, by name.
    pub settings: BTreeMap<String, usize>,
}

impl Place {
    /// The place of what a policy was refused for: the first setting that is wrong, or the policy itself.
    #[must_use]
    pub fn of(&self, error: &LoadError) -> Self {
        let setting = error.settings.iter().filter_map(|setting| self.settings.get(setting)).min();
        Self { line: setting.copied().or(self.line), ..self.clone() }
    }
}

/// As in `wasmgate.toml:7: policies.routing`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map_or(String::new(), |line| format!(":{line}"));
        write!(f, "{}{line}: {}", self.file, self.key)
    }
}

/// The source of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicySource {
    /// Built into this binary, by name.
    BuiltIn(String),
    /// A file.
    File(PathBuf),
}

/// What the gateway does when a policy fails on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The gateway's default decides (routing), or the candidates get no cost estimates (cost).
    DefaultDecision,
    /// The gateway refuses the request with 503.
    FailClosed,
}

impl OnFailure {
    /// The word in the configuration and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DefaultDecision => "default-decision",
            Self::FailClosed => "fail-closed",
        }
    }
}

/// Values from flags or the environment. They override the file, at the start and after each reload.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// Address for clients.
    pub listen: Option<SocketAddr>,
    /// Address of the admin listener.
    pub admin_listen: Option<SocketAddr>,
}

impl Config {
    /// Keys that differ from `new` and take effect only at a restart.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let fixed = |config: &Self| {
            let server = &config.server;
            [
                ("listen", format!("{:?}", config.listen)),
                ("admin", format!("{:?}", config.admin)),
                ("log.format", format!("{:?}", config.log.format)),
                ("log.level", config.log.level.clone()),
                ("server.runtime", format!("{:?}", server.runtime)),
                ("server.threads", format!("{:?}", server.threads)),
                ("server.max_connections", format!("{}", server.max_connections)),
                ("server.max_connections_per_address", format!("{:?}", server.max_connections_per_address)),
                ("server.max_connection_age_seconds", format!("{:?}", server.max_connection_age)),
                ("server.max_concurrent_streams", format!("{}", server.max_concurrent_streams)),
                ("server.max_head_bytes", format!("{}", server.max_head_bytes)),
                ("server.head_timeout_seconds", format!("{:?}", server.head_timeout)),
                ("server.write_timeout_seconds", format!("{:?}", server.write_timeout)),
                ("server.drain_timeout_seconds", format!("{:?}", server.drain_timeout)),
                ("reload.enabled", format!("{}", config.reload.enabled)),
                ("state_dir", format!("{:?}", config.state_dir)),
                ("cache_dir", format!("{:?}", config.cache_dir)),
                ("ledger.enabled", format!("{}", config.ledger.enabled)),
                ("decisions", format!("{:?}", config.decisions)),
                ("shared", format!("{:?}", config.shared)),
                ("ledger.segment_bytes", format!("{}", config.ledger.segment_bytes)),
                ("ledger.max_age_days", format!("{:?}", config.ledger.max_age)),
                ("ledger.max_bytes", format!("{:?}", config.ledger.max_bytes)),
            ]
        };
        fixed(self).into_iter().zip(fixed(new)).filter(|(old, new)| old.1 != new.1).map(|(old, _)| old.0).collect()
    }

    /// The folder of state of all configurations: the configured one, else the platform's; `None`: the platform has none.
    #[must_use]
    pub fn state_folder(&self) -> Option<PathBuf> {
        self.state_dir.clone().or_else(|| platform("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state"))
    }

    /// The folder of the keys and groups that the gateway keeps itself; `None`: the platform has no folder for it.
    ///
    /// # Errors
    /// If the current folder cannot be read.
    pub fn accounts_folder(&self) -> io::Result<Option<PathBuf>> {
        let folder = |state: PathBuf| configuration_folder(&state, self.file.as_deref());
        Ok(self.state_folder().map(folder).transpose()?.map(|folder| folder.join("accounts")))
    }

    /// The folder of the ledger; `None`: the platform has no folder for it.
    ///
    /// # Errors
    /// If the current folder cannot be read.
    pub fn ledger_folder(&self) -> io::Result<Option<PathBuf>> {
        let folder = |state: PathBuf| configuration_folder(&state, self.file.as_deref());
        Ok(self.state_folder().map(folder).transpose()?.map(|folder| folder.join("ledger")))
    }

    /// The price of a model, by its name in the file, at a time: the file's, else the catalogue's. `None`: it has none, or the
    /// file has no such model.
    #[must_use]
    pub fn price(&self, model: &str, catalogue: Option<&Catalogue>, at: UnixSeconds) -> Option<Price> {
        let model = self.models.iter().find(|known| known.name == model)?;
        backend::price_at(model, &self.backends, catalogue, at)
    }

    /// The configuration of a hook.
    #[must_use]
    pub fn hook(&self, hook: Hook) -> &HookChoice {
        match hook {
            Hook::Routing => &self.routing,
            Hook::Cost => &self.cost,
        }
    }

    /// All configured slots, with their policies.
    pub fn policies(&self) -> impl Iterator<Item = (Slot, &PolicyChoice)> {
        Hook::ALL.into_iter().flat_map(|hook| {
            let choice = self.hook(hook);
            let canary = choice.canary.iter().map(move |canary| (Slot::canary(hook), &canary.policy));
            let shadows = choice.shadows.iter();
            let shadows = shadows.map(move |(name, policy)| (Slot { hook, role: Role::Shadow(name.clone()) }, policy));
            std::iter::once((Slot::active(hook), &choice.active)).chain(canary).chain(shadows)
        })
    }

    /// The share of the canary of the slot's hook, in percent; 0 if there is no canary.
    #[must_use]
    pub fn percent(&self, slot: &Slot) -> f64 {
        self.hook(slot.hook).canary.as_ref().map_or(0.0, |canary| canary.percent)
    }

    /// The policy configured for a slot.
    #[must_use]
    pub fn policy(&self, slot: &Slot) -> Option<&PolicyChoice> {
        let choice = self.hook(slot.hook);
        match &slot.role {
            Role::Active => Some(&choice.active),
            Role::Canary => choice.canary.as_ref().map(|canary| &canary.policy),
            Role::Shadow(name) => choice.shadows.get(name),
        }
    }

    /// Reads a file, or the embedded configuration if `path` is `None`.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or has an unknown key or an invalid value: all mistakes.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        match path {
            None => Self::parse(EMBEDDED, "embedded configuration", Path::new(".")),
            Some(path) => Examined::file(path).valid(),
        }
    }

    /// Reads the content of a file.
    ///
    /// # Errors
    /// As `read`.
    pub fn parse_file(content: &[u8], path: &Path) -> Result<Self, ConfigError> {
        Examined::content(content, path).valid()
    }

    /// Reads a text. Relative paths in it are relative to `folder`.
    ///
    /// # Errors
    /// As `read`.
    pub fn parse(text: &str, file: &str, folder: &Path) -> Result<Self, ConfigError> {
        file::examine(text, file, folder).valid()
    }
}

/// What was found in a configuration.
#[derive(Debug)]
pub struct Examined {
    /// The configuration, as far as it can be read. It may serve only if no problem is an error.
    pub config: Option<Config>,
    /// All mistakes, and what is valid but probably not meant, in the file's order.
    pub problems: Vec<Problem>,
}

impl Examined {
    /// Reads a file as far as possible.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        match encoding::read(path) {
            Ok(content) => Self::content(&content, path),
            Err(wrong) => Self::refused(path, None, wrong),
        }
    }

    /// Reads the content of a file as far as possible.
    #[must_use]
    pub fn content(content: &[u8], path: &Path) -> Self {
        let text = match encoding::text(content) {
            Ok(text) => text,
            Err((line, wrong)) => return Self::refused(path, line, wrong),
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        let Self { config, problems } = file::examine(text, &path.display().to_string(), folder);
        Self { config: config.map(|config| Config { file: Some(path.to_owned()), ..config }), problems }
    }

    fn refused(path: &Path, line: Option<usize>, wrong: problem::Wrong) -> Self {
        let mut problems = problem::Problems::default();
        problems.add_at(line, wrong);
        Self { config: None, problems: problems.finish(&path.display().to_string(), None) }
    }

    /// The configuration if nothing is wrong with it.
    ///
    /// # Errors
    /// If something is: all errors.
    pub fn valid(self) -> Result<Config, ConfigError> {
        let errors: Vec<Problem> = self.problems.into_iter().filter(Problem::is_error).collect();
        match self.config {
            Some(config) if errors.is_empty() => Ok(config),
            _ => Err(ConfigError(errors)),
        }
    }
}
