//! The file as written, and its conversion into the checked configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;

use super::admin::AdminFile;
use super::locate::{key_at, line_at, line_of};
use super::policies::{PoliciesFile, is_header_name, mean_hook};
use super::secret::{self, Readers};
use super::{Config, ConfigError, Log, LogFormat, Reload, Server};
use crate::backend::Model;
use crate::backend::retry::Retries;
use crate::backend::{self, Capability, Kind, Location, Secret, Timeouts};
use wasmgate_base::digest::sha256;
use wasmgate_base::money;
use wasmgate_base::money::Price;
use wasmgate_policy_host::Hook;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    listen: String,
    state_dir: Option<PathBuf>,
    cache_dir: Option<PathBuf>,
    admin: AdminFile,
    server: ServerFile,
    reload: ReloadFile,
    log: LogFile,
    backends: IndexMap<String, BackendFile>,
    models: IndexMap<String, ModelFile>,
    policies: PoliciesFile,
}

impl Default for File {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            state_dir: None,
            cache_dir: None,
            admin: AdminFile::default(),
            server: ServerFile::default(),
            reload: ReloadFile::default(),
            log: LogFile::default(),
            backends: IndexMap::new(),
            models: IndexMap::new(),
            policies: PoliciesFile::default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ServerFile {
    max_in_flight: usize,
    max_connections: usize,
    max_body_bytes: usize,
    max_prompt_chars: usize,
    max_head_bytes: usize,
    head_timeout_seconds: f64,
    body_timeout_seconds: f64,
    write_timeout_seconds: f64,
    drain_timeout_seconds: f64,
    retry_budget_percent: u32,
    hedge_budget_percent: u32,
    content_filter_falls_back: bool,
    guarded_max_bytes: usize,
    keep_alive_seconds: f64,
    label_headers: Vec<String>,
}

impl Default for ServerFile {
    fn default() -> Self {
        Self {
            max_in_flight: 1024,
            max_connections: 4096,
            max_body_bytes: 8 << 20,
            max_prompt_chars: 100_000,
            max_head_bytes: 32 << 10,
            head_timeout_seconds: 60.0,
            body_timeout_seconds: 30.0,
            write_timeout_seconds: 60.0,
            drain_timeout_seconds: 30.0,
            retry_budget_percent: 20,
            hedge_budget_percent: 5,
            content_filter_falls_back: false,
            guarded_max_bytes: 1 << 20,
            keep_alive_seconds: 0.0,
            label_headers: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReloadFile {
    enabled: bool,
    settle_ms: u64,
    rescan_seconds: f64,
    drain_seconds: f64,
    keep_series_seconds: f64,
}

impl Default for ReloadFile {
    fn default() -> Self {
        Self { enabled: true, settle_ms: 300, rescan_seconds: 2.0, drain_seconds: 300.0, keep_series_seconds: 300.0 }
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogFile {
    format: LogFormat,
    level: String,
    requests: bool,
}

impl Default for LogFile {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: "info".into(), requests: true }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackendFile {
    kind: &'static Kind,
    url: Option<String>,
    location: Option<Location>,
    api_key_env: Option<String>,
    api_key_file: Option<PathBuf>,
    #[serde(default)]
    timeouts: backend::TimeoutsFile,
    #[serde(default)]
    retries: Retries,
    #[serde(default)]
    breaker: backend::BreakerSettings,
    #[serde(default)]
    queue: backend::QueueSettings,
    probe_interval_seconds: Option<f64>,
    sim: Option<backend::SimSettings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    backend: String,
    name: Option<String>,
    context_window: Option<u32>,
    max_output_tokens: Option<u32>,
    #[serde(default)]
    capabilities: Vec<Capability>,
    #[serde(default)]
    timeouts: backend::TimeoutsFile,
    price: Option<PriceFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFile {
    input_usd_per_million_tokens: f64,
    output_usd_per_million_tokens: f64,
    cache_read_usd_per_million_tokens: Option<f64>,
    cache_write_usd_per_million_tokens: Option<f64>,
}

pub(super) fn parse(text: &str, name: &str, folder: &Path) -> Result<Config, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let offset = error.span().map(|span| span.start);
        ConfigError {
            file: name.to_owned(),
            line: offset.map(|offset| line_at(text, offset)),
            key: offset.map(|offset| key_at(text, offset)).unwrap_or_default(),
            message: with_nearest(error.message()),
        }
    })?;
    let at = |path: &[&str], message: String| ConfigError {
        file: name.to_owned(),
        line: line_of(text, path),
        key: path.join("."),
        message,
    };
    let mut config = mean(file, folder)
        .map_err(|(path, message)| at(&path.iter().map(String::as_str).collect::<Vec<_>>(), message))?;
    let place = |path: &[&str]| {
        let line = line_of(text, &[path, &["settings"]].concat());
        format!("{name}{}: {}", line.map_or(String::new(), |line| format!(":{line}")), path.join("."))
    };
    for (hook, choice) in [("routing", &mut config.routing), ("cost", &mut config.cost)] {
        choice.active.place = place(&["policies", hook]);
        if let Some(canary) = &mut choice.canary {
            canary.policy.place = place(&["policies", hook, "canary"]);
        }
        for (shadow, policy) in &mut choice.shadows {
            policy.place = place(&["policies", hook, "shadows", shadow]);
        }
    }
    config.digest = sha256(text.as_bytes());
    Ok(config)
}

/// Suggests the nearest known key or value, taken from the parser's message.
fn with_nearest(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    match quoted.next() {
        Some(unknown) if message.starts_with("unknown field") || message.starts_with("unknown variant") => {
            match wasmgate_base::nearest::nearest(unknown, quoted) {
                Some(near) => format!("unknown key `{unknown}`, did you mean `{near}`?").replace(
                    "unknown key",
                    if message.starts_with("unknown field") { "unknown key" } else { "unknown value" },
                ),
                None => message.replace("unknown field", "unknown key").replace("unknown variant", "unknown value"),
            }
        }
        _ => message.to_owned(),
    }
}

/// An error: the path of keys, and a message.
pub(super) type Wrong = (Vec<String>, String);

pub(super) fn wrong(path: &[&str], message: impl Into<String>) -> Wrong {
    (path.iter().map(|&part| part.to_owned()).collect(), message.into())
}

fn mean(file: File, folder: &Path) -> Result<Config, Wrong> {
    let listen = file.listen.parse().map_err(|_| {
        wrong(&["listen"], format!("{:?} is not an address, expected one like 127.0.0.1:8080", file.listen))
    })?;
    let admin = file.admin.meant(folder)?;
    let server = mean_server(file.server)?;
    if file.models.is_empty() {
        return Err(wrong(&["models"], "no model is configured, expected at least one [models.NAME]"));
    }
    let mut backends = Vec::with_capacity(file.backends.len());
    for (name, backend) in file.backends {
        backends.push(mean_backend(name, backend, folder)?);
    }
    let mut models = Vec::with_capacity(file.models.len());
    for (name, model) in file.models {
        models.push(mean_model(name, model, &backends)?);
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&file.log.level) {
        return Err(wrong(
            &["log", "level"],
            format!("{:?} is not a filter like \"info,policy=debug\": {error}", file.log.level),
        ));
    }
    let rescan = seconds(&["reload", "rescan_seconds"], file.reload.rescan_seconds)?;
    let drain = seconds(&["reload", "drain_seconds"], file.reload.drain_seconds)?;
    let keep_series = seconds(&["reload", "keep_series_seconds"], file.reload.keep_series_seconds)?;
    if !(10..=60_000).contains(&file.reload.settle_ms) {
        return Err(wrong(&["reload", "settle_ms"], format!("{}, expected 10 to 60000", file.reload.settle_ms)));
    }
    Ok(Config {
        file: None,
        digest: String::new(),
        listen,
        admin,
        server,
        reload: Reload {
            enabled: file.reload.enabled,
            settle: Duration::from_millis(file.reload.settle_ms),
            rescan,
            drain,
            keep_series,
        },
        state_dir: file.state_dir.map(|path| folder.join(path)),
        cache_dir: file.cache_dir.map(|path| folder.join(path)),
        log: Log { format: file.log.format, level: file.log.level, requests: file.log.requests },
        backends,
        models,
        routing: mean_hook(Hook::Routing, file.policies.routing, folder)?,
        cost: mean_hook(Hook::Cost, file.policies.cost, folder)?,
    })
}

fn mean_server(file: ServerFile) -> Result<Server, Wrong> {
    let count = |key: &str, value: usize, low: usize, high: usize| {
        if (low..=high).contains(&value) {
            Ok(value)
        } else {
            Err(wrong(&["server", key], format!("{value}, expected {low} to {high}")))
        }
    };
    for header in &file.label_headers {
        let secret = ["authorization", "proxy-authorization", "cookie", "x-api-key"];
        if !is_header_name(header) {
            let message = format!("{header:?} is not a header name, expected lower-case letters, digits and `-`");
            return Err(wrong(&["server", "label_headers"], message));
        }
        if secret.contains(&header.as_str()) {
            return Err(wrong(&["server", "label_headers"], format!("{header} holds secrets; policies never see it")));
        }
    }
    let percent = |key: &str, value: u32| match value {
        0..=100 => Ok(value),
        _ => Err(wrong(&["server", key], format!("{value}, expected 0 to 100"))),
    };
    Ok(Server {
        max_in_flight: count("max_in_flight", file.max_in_flight, 1, 1_000_000)?,
        max_connections: count("max_connections", file.max_connections, 1, 1_000_000)?,
        max_body_bytes: count("max_body_bytes", file.max_body_bytes, 1 << 10, 1 << 30)?,
        max_prompt_chars: count("max_prompt_chars", file.max_prompt_chars, 1, 1 << 30)?,
        max_head_bytes: count("max_head_bytes", file.max_head_bytes, 8 << 10, 1 << 20)?,
        head_timeout: seconds(&["server", "head_timeout_seconds"], file.head_timeout_seconds)?,
        body_timeout: seconds(&["server", "body_timeout_seconds"], file.body_timeout_seconds)?,
        write_timeout: seconds(&["server", "write_timeout_seconds"], file.write_timeout_seconds)?,
        drain_timeout: seconds(&["server", "drain_timeout_seconds"], file.drain_timeout_seconds)?,
        retry_budget_percent: percent("retry_budget_percent", file.retry_budget_percent)?,
        hedge_budget_percent: percent("hedge_budget_percent", file.hedge_budget_percent)?,
        content_filter_falls_back: file.content_filter_falls_back,
        keep_alive: match file.keep_alive_seconds {
            0.0 => None,
            every => Some(seconds(&["server", "keep_alive_seconds"], every)?),
        },
        guarded_max_bytes: count("guarded_max_bytes", file.guarded_max_bytes, 1 << 10, 1 << 26)?,
        label_headers: file.label_headers,
    })
}

/// A duration in seconds, above 0, at most one day.
fn seconds(path: &[&str], value: f64) -> Result<Duration, Wrong> {
    if value > 0.0 && value <= 86_400.0 {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(wrong(path, format!("{value}, expected a number of seconds above 0, at most 86400")))
    }
}

/// Checks a name, which becomes a label, a header value and part of log lines.
fn check_name(path: &[&str], name: &str) -> Result<(), Wrong> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
        return Err(wrong(path, "invalid name, expected 1 to 128 letters, digits, `-`, `_`, `.`, `:` and `/`"));
    }
    Ok(())
}

fn mean_backend(name: String, file: BackendFile, folder: &Path) -> Result<backend::Settings, Wrong> {
    let at = |key: &str| vec!["backends".to_owned(), name.clone(), key.to_owned()];
    check_name(&["backends", &name], &name)?;
    let kind = file.kind;
    let sim = match (kind.simulated, file.sim) {
        (true, sim) => Some(sim.unwrap_or_default()),
        (false, None) => None,
        (false, Some(_)) => return Err((at("sim"), "only a backend of kind \"sim\" has these settings".into())),
    };
    if let Some(message) = sim.as_ref().and_then(backend::SimSettings::out_of_range) {
        return Err((at("sim"), message));
    }
    let url = match file.url.as_deref().or(kind.default_url) {
        Some(_) if kind.simulated => return Err((at("url"), "a simulated backend has no address".into())),
        None if kind.simulated => None,
        None => return Err((at("url"), "missing, expected one like \"http://127.0.0.1:11434\"".into())),
        Some(url) => {
            let parsed = reqwest::Url::parse(url)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty());
            match parsed {
                Some(_) => Some(url.trim_end_matches('/').to_owned()),
                None => return Err((at("url"), format!("{url:?} is not an http or https address without a user"))),
            }
        }
    };
    let api_key = match (&file.api_key_env, &file.api_key_file) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err((at("api_key_file"), "`api_key_env` is also set, expected only one of them".into()));
        }
        (Some(variable), None) => match std::env::var(variable) {
            Ok(key) if !key.trim().is_empty() => Some(Secret::new(key.trim().to_owned())),
            _ => return Err((at("api_key_env"), format!("the environment variable {variable} is not set"))),
        },
        (None, Some(path)) => {
            let key =
                secret::read(&folder.join(path), Readers::Anyone).map_err(|message| (at("api_key_file"), message))?;
            Some(Secret::new(key))
        }
    };
    let location = file.location.unwrap_or(kind.location);
    let timeouts = file.timeouts.or(&Timeouts::defaults(location)).map_err(|(key, message)| {
        (vec!["backends".to_owned(), name.clone(), "timeouts".to_owned(), key.to_owned()], message)
    })?;
    if let Some(message) = file.retries.out_of_range() {
        return Err((at("retries"), message));
    }
    if let Some(message) = file.breaker.out_of_range() {
        return Err((at("breaker"), message));
    }
    if let Some(message) = file.queue.out_of_range() {
        return Err((at("queue"), message));
    }
    let probe_interval = match file.probe_interval_seconds {
        None if location == Location::Local && url.is_some() => Some(Duration::from_secs(15)),
        None => None,
        Some(0.0) => None,
        Some(interval) => Some(seconds(&["backends", &name, "probe_interval_seconds"], interval)?),
    };
    let (retries, breaker, queue) = (file.retries, file.breaker, file.queue);
    Ok(backend::Settings { name, kind, sim, url, location, api_key, timeouts, probe_interval, retries, breaker, queue })
}

fn mean_model(name: String, file: ModelFile, backends: &[backend::Settings]) -> Result<Model, Wrong> {
    let at = |key: &str| vec!["models".to_owned(), name.clone(), key.to_owned()];
    check_name(&["models", &name], &name)?;
    if ["auto", "none", "other"].contains(&name.as_str()) {
        return Err((
            vec!["models".to_owned(), name.clone()],
            "`auto`, `none` and `other` are reserved, expected another name".into(),
        ));
    }
    let Some(backend) = backends.iter().position(|backend| backend.name == file.backend) else {
        let near = wasmgate_base::nearest::nearest(&file.backend, backends.iter().map(|b| b.name.as_str()));
        let hint = near.map_or(String::new(), |near| format!(", did you mean {near:?}?"));
        return Err((at("backend"), format!("there is no [backends.{}]{hint}", file.backend)));
    };
    for (key, value) in [("context_window", file.context_window), ("max_output_tokens", file.max_output_tokens)] {
        if value == Some(0) {
            return Err((at(key), "0, expected at least 1".into()));
        }
    }
    if file.timeouts.connect_seconds.is_some() {
        let message = "models share their backend's connections: set this in the backend's `timeouts`";
        return Err((
            vec!["models".to_owned(), name.clone(), "timeouts".to_owned(), "connect_seconds".to_owned()],
            message.into(),
        ));
    }
    let timeouts = file.timeouts.or(&backends[backend].timeouts).map_err(|(key, message)| {
        (vec!["models".to_owned(), name.clone(), "timeouts".to_owned(), key.to_owned()], message)
    })?;
    let location = backends[backend].location;
    let price = match file.price {
        Some(price) => Some(mean_price(&price).map_err(|(key, message)| {
            (vec!["models".to_owned(), name.clone(), "price".to_owned(), key.to_owned()], message)
        })?),
        // A local model is free: nobody bills its electricity. A cloud model without a price is unpriced, not free.
        None if location == Location::Local => Some(Price {
            input: money::NanoDollars(0),
            output: money::NanoDollars(0),
            cache_read: money::NanoDollars(0),
            cache_write: money::NanoDollars(0),
        }),
        None => None,
    };
    Ok(Model {
        backend_name: file.name.unwrap_or_else(|| name.clone()),
        name,
        backend,
        context_window: file.context_window,
        max_output_tokens: file.max_output_tokens.unwrap_or(4096),
        capabilities: file.capabilities.into_iter().collect(),
        timeouts,
        price,
    })
}

fn mean_price(file: &PriceFile) -> Result<Price, (&'static str, String)> {
    let amount = |key: &'static str, usd: f64| {
        money::from_usd(usd).ok_or_else(|| (key, format!("{usd}, expected 0 to 1000000 US dollars")))
    };
    let input = amount("input_usd_per_million_tokens", file.input_usd_per_million_tokens)?;
    let cached = |key, usd: Option<f64>| usd.map_or(Ok(input), |usd| amount(key, usd));
    Ok(Price {
        input,
        output: amount("output_usd_per_million_tokens", file.output_usd_per_million_tokens)?,
        cache_read: cached("cache_read_usd_per_million_tokens", file.cache_read_usd_per_million_tokens)?,
        cache_write: cached("cache_write_usd_per_million_tokens", file.cache_write_usd_per_million_tokens)?,
    })
}
