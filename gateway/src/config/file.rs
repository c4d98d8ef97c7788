//! The file as written, and its conversion into the checked configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;

use super::admin::AdminFile;
use super::backends::{BackendFile, mean_backend};
use super::checks::seconds;
use super::cors::CorsFile;
use super::egress::{Shared, mean_roots};
use super::error::{ConfigError, Wrong, wrong};
use super::locate::{key_at, line_at, line_of};
use super::models::{ModelFile, mean_models};
use super::policies::{PoliciesFile, is_header_name, mean_hook};
use super::{Config, Log, LogFormat, Reload, Server, Translation};
use crate::backend::ProxyVariables;
use wasmgate_base::digest::sha256;
use wasmgate_dialect::Bounds;
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
    max_connections_per_address: usize,
    max_connection_age_seconds: f64,
    max_concurrent_streams: u32,
    max_body_bytes: usize,
    max_buffered_bytes: Option<usize>,
    max_prompt_chars: Option<usize>,
    max_messages: usize,
    max_parts: usize,
    max_tools: usize,
    max_head_bytes: usize,
    head_timeout_seconds: f64,
    body_timeout_seconds: f64,
    write_timeout_seconds: f64,
    drain_timeout_seconds: f64,
    retry_budget_percent: u32,
    hedge_budget_percent: u32,
    max_models_per_request: usize,
    content_filter_falls_back: bool,
    strip_reasoning: bool,
    translation: Translation,
    guarded_max_bytes: usize,
    keep_alive_seconds: f64,
    label_headers: Vec<String>,
    affinity: bool,
    cors: CorsFile,
    // The older name of `cors.origins`.
    allowed_origins: Option<Vec<String>>,
    allowed_hosts: Vec<String>,
    metrics_for_clients: bool,
    ca_file: Option<PathBuf>,
}

impl Default for ServerFile {
    fn default() -> Self {
        let Bounds { messages: max_messages, parts: max_parts, tools: max_tools } = Bounds::default();
        Self {
            max_in_flight: 1024,
            max_connections: 4096,
            max_connections_per_address: 0,
            max_connection_age_seconds: 3600.0,
            max_concurrent_streams: 100,
            max_body_bytes: 32 << 20,
            max_buffered_bytes: None,
            max_prompt_chars: None,
            max_messages,
            max_parts,
            max_tools,
            max_head_bytes: 32 << 10,
            head_timeout_seconds: 60.0,
            body_timeout_seconds: 60.0,
            write_timeout_seconds: 60.0,
            drain_timeout_seconds: 30.0,
            retry_budget_percent: 20,
            hedge_budget_percent: 5,
            max_models_per_request: 3,
            content_filter_falls_back: false,
            strip_reasoning: false,
            translation: Translation::Lenient,
            guarded_max_bytes: 1 << 20,
            keep_alive_seconds: 0.0,
            label_headers: Vec::new(),
            affinity: true,
            cors: CorsFile::default(),
            allowed_origins: None,
            allowed_hosts: Vec::new(),
            metrics_for_clients: true,
            ca_file: None,
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

fn mean(file: File, folder: &Path) -> Result<Config, Wrong> {
    let listen = file.listen.parse().map_err(|_| {
        wrong(&["listen"], format!("{:?} is not an address, expected one like 127.0.0.1:8080", file.listen))
    })?;
    let admin = file.admin.meant(folder)?;
    let roots = mean_roots(file.server.ca_file.as_deref(), folder)?;
    let variables = ProxyVariables::read(|name| std::env::var(name).ok());
    let shared = Shared { folder, roots: &roots, variables: &variables };
    let server = mean_server(file.server)?;
    if file.models.is_empty() {
        return Err(wrong(&["models"], "no model is configured, expected at least one [models.NAME]"));
    }
    let mut backends = Vec::with_capacity(file.backends.len());
    for (name, backend) in file.backends {
        backends.push(mean_backend(name, backend, &shared)?);
    }
    let models = mean_models(file.models, &backends)?;
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
    let cors = file.cors.meant(file.allowed_origins)?;
    for host in &file.allowed_hosts {
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
            let message = format!("{host:?} is not a host name, expected one like \"gateway.example\", without a port");
            return Err(wrong(&["server", "allowed_hosts"], message));
        }
    }
    let max_body_bytes = count("max_body_bytes", file.max_body_bytes, 1 << 10, 1 << 30)?;
    // Less would have no room for the largest body, which is in memory three times.
    let least = 3 * max_body_bytes;
    let max_buffered_bytes = file.max_buffered_bytes.unwrap_or(least.max(512 << 20));
    let max_buffered_bytes = count("max_buffered_bytes", max_buffered_bytes, least, 1 << 40)?;
    if !(1..=10_000).contains(&file.max_concurrent_streams) {
        let message = format!("{}, expected 1 to 10000", file.max_concurrent_streams);
        return Err(wrong(&["server", "max_concurrent_streams"], message));
    }
    Ok(Server {
        max_in_flight: count("max_in_flight", file.max_in_flight, 1, 1_000_000)?,
        max_connections: count("max_connections", file.max_connections, 1, 1_000_000)?,
        max_connections_per_address: match file.max_connections_per_address {
            0 => None,
            most => Some(count("max_connections_per_address", most, 1, 1_000_000)?),
        },
        max_connection_age: match file.max_connection_age_seconds {
            0.0 => None,
            age => Some(seconds(&["server", "max_connection_age_seconds"], age)?),
        },
        max_concurrent_streams: file.max_concurrent_streams,
        max_body_bytes,
        max_buffered_bytes,
        max_prompt_chars: file.max_prompt_chars.map(|most| count("max_prompt_chars", most, 1, 1 << 30)).transpose()?,
        bounds: Bounds {
            messages: count("max_messages", file.max_messages, 1, 1_000_000)?,
            parts: count("max_parts", file.max_parts, 1, 1_000_000)?,
            tools: count("max_tools", file.max_tools, 1, 1_000_000)?,
        },
        max_head_bytes: count("max_head_bytes", file.max_head_bytes, 8 << 10, 1 << 20)?,
        head_timeout: seconds(&["server", "head_timeout_seconds"], file.head_timeout_seconds)?,
        body_timeout: seconds(&["server", "body_timeout_seconds"], file.body_timeout_seconds)?,
        write_timeout: seconds(&["server", "write_timeout_seconds"], file.write_timeout_seconds)?,
        drain_timeout: seconds(&["server", "drain_timeout_seconds"], file.drain_timeout_seconds)?,
        retry_budget_percent: percent("retry_budget_percent", file.retry_budget_percent)?,
        hedge_budget_percent: percent("hedge_budget_percent", file.hedge_budget_percent)?,
        max_models_per_request: count("max_models_per_request", file.max_models_per_request, 1, 100)?,
        content_filter_falls_back: file.content_filter_falls_back,
        strip_reasoning: file.strip_reasoning,
        translation: file.translation,
        keep_alive: match file.keep_alive_seconds {
            0.0 => None,
            every => Some(seconds(&["server", "keep_alive_seconds"], every)?),
        },
        guarded_max_bytes: count("guarded_max_bytes", file.guarded_max_bytes, 1 << 10, 1 << 26)?,
        label_headers: file.label_headers,
        affinity: file.affinity,
        cors,
        allowed_hosts: file.allowed_hosts,
        metrics_for_clients: file.metrics_for_clients,
    })
}
