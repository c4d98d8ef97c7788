//! The file as written, and its conversion into the checked configuration.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;

use super::access::{AuthFile, GroupFile, KeyFile, mean_access};
use super::address::listen_address;
use super::admin::AdminFile;
use super::backends::{BackendFile, mean_backend};
use super::checks::is_header_name;
use super::cors::CorsFile;
use super::decisions::DecisionsFile;
use super::document;
use super::egress::{Shared, mean_roots};
use super::explore::ExploreFile;
use super::ledger::LedgerFile;
use super::limits::BudgetsFile;
use super::log_filter::{WrongFilter, check_filter};
use super::models::{ModelFile, mean_models};
use super::policies::{PoliciesFile, mean_hook};
use super::prices::PricesFile;
use super::problem::{Code, Problems, wrong};
use super::shared::SharedFile;
use super::warnings;
use super::{Config, Examined, Log, LogFormat, Place, Reload, Runtime, Server, Translation};
use crate::backend::{self, ProxyVariables, SECRET_HEADERS, seconds};
use wasmgate_base::digest::sha256;
use wasmgate_base::range::Range;
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
    ledger: LedgerFile,
    decisions: DecisionsFile,
    backends: IndexMap<String, BackendFile>,
    models: IndexMap<String, ModelFile>,
    groups: IndexMap<String, GroupFile>,
    budgets: BudgetsFile,
    shared: SharedFile,
    keys: IndexMap<String, KeyFile>,
    prices: PricesFile,
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
            ledger: LedgerFile::default(),
            decisions: DecisionsFile::default(),
            backends: IndexMap::new(),
            models: IndexMap::new(),
            groups: IndexMap::new(),
            budgets: BudgetsFile::default(),
            shared: SharedFile::default(),
            keys: IndexMap::new(),
            prices: PricesFile::default(),
            policies: PoliciesFile::default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ServerFile {
    auth: Option<AuthFile>,
    runtime: Runtime,
    threads: usize,
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
    metrics_for_clients: Option<bool>,
    ca_file: Option<PathBuf>,
}

impl Default for ServerFile {
    fn default() -> Self {
        let Bounds { messages: max_messages, parts: max_parts, tools: max_tools } = Bounds::default();
        Self {
            auth: None,
            runtime: Runtime::PerCore,
            threads: 0,
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
            metrics_for_clients: None,
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

/// The numbers that the settings of `[server]` may have.
pub(super) const SERVER: &[(&str, Range)] = &[
    ("threads", Range::ZeroOrWhole("one for each core", 1, 1024)),
    ("max_in_flight", Range::Whole(1, 1_000_000)),
    ("max_connections", Range::Whole(1, 1_000_000)),
    ("max_connections_per_address", Range::ZeroOrWhole("no limit", 1, 1_000_000)),
    ("max_connection_age_seconds", Range::ZeroOr("any age", 0.001, 86_400.0)),
    ("max_concurrent_streams", Range::Whole(1, 10_000)),
    ("max_body_bytes", Range::Whole(1 << 10, 1 << 30)),
    ("max_buffered_bytes", Range::Whole(3 << 10, 1 << 40)),
    ("max_prompt_chars", Range::Whole(1, 1 << 30)),
    ("max_messages", Range::Whole(1, 1_000_000)),
    ("max_parts", Range::Whole(1, 1_000_000)),
    ("max_tools", Range::Whole(1, 1_000_000)),
    ("max_head_bytes", Range::Whole(8 << 10, 1 << 20)),
    ("head_timeout_seconds", backend::SECONDS),
    ("body_timeout_seconds", backend::SECONDS),
    ("write_timeout_seconds", backend::SECONDS),
    ("drain_timeout_seconds", backend::SECONDS),
    ("retry_budget_percent", Range::Whole(0, 100)),
    ("hedge_budget_percent", Range::Whole(0, 100)),
    ("max_models_per_request", Range::Whole(1, 100)),
    ("guarded_max_bytes", Range::Whole(1 << 10, 1 << 26)),
    ("keep_alive_seconds", Range::ZeroOr("none", 0.001, 86_400.0)),
];

/// The same for `[reload]`.
pub(super) const RELOAD: &[(&str, Range)] = &[
    ("settle_ms", Range::Whole(10, 60_000)),
    ("rescan_seconds", backend::SECONDS),
    ("drain_seconds", backend::SECONDS),
    ("keep_series_seconds", backend::SECONDS),
];

/// Reads a text: the configuration, as far as it can be read, and all mistakes.
pub(super) fn examine(text: &str, name: &str, folder: &Path) -> Examined {
    let mut problems = Problems::default();
    if text.trim().is_empty() {
        let expected = "at least one [backends.NAME] and one [models.NAME]";
        problems.add(wrong(&[], Code::Missing, "the file is empty", expected));
        return Examined { config: None, problems: problems.finish(name, None) };
    }
    let (file, tree) = document::read::<File>(text, &mut problems);
    let mut config = file.map(|file| mean(file, folder, &mut problems));
    if let Some(config) = &mut config {
        warnings::add(config, &mut problems);
        let place = |path: &[&str]| {
            let below = |keys: &[&str]| path.iter().chain(keys).map(|&part| part.to_owned()).collect::<Vec<_>>();
            let table = tree.get(&below(&["settings"])).and_then(|settings| settings.get_ref().as_table());
            let names = table.into_iter().flat_map(|table| table.keys()).map(|name| name.get_ref().to_string());
            let lines = names.filter_map(|name| Some((name.clone(), tree.line_of(&below(&["settings", &name]))?)));
            let source = ["file", "builtin"].into_iter().find(|key| tree.get(&below(&[key])).is_some());
            let line = tree.line_of(&below(source.as_slice()));
            Place { file: name.to_owned(), line, key: path.join("."), settings: lines.collect() }
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
        config.prices.place = place(&["prices"]);
        config.digest = sha256(text.as_bytes());
    }
    let problems = problems.finish(name, Some(&tree));
    if let Some(config) = &mut config {
        config.warnings = problems.iter().filter(|problem| !problem.is_error()).cloned().collect();
    }
    Examined { config, problems }
}

fn mean(file: File, folder: &Path, problems: &mut Problems) -> Config {
    let listen = problems.take(listen_address(&file.listen).map_err(|expected| {
        wrong(&["listen"], Code::InvalidValue, format!("{:?} is not an address", file.listen), expected)
    }));
    let admin = file.admin.meant(folder, problems);
    if let (Some(listen), Some(admin)) = (listen, admin.listen)
        && listen == admin
        && listen.port() != 0
    {
        let found = format!("{listen} is also the address for clients");
        problems.add(wrong(&["admin", "listen"], Code::Conflict, found, "another port"));
    }
    let roots = mean_roots(file.server.ca_file.as_deref(), folder, problems);
    let variables = ProxyVariables::read(|name| std::env::var(name).ok());
    let shared = Shared { folder, roots: &roots, variables: &variables };
    let auth = file.server.auth;
    let server = mean_server(file.server, problems);
    if file.models.is_empty() {
        let expected = "at least one table [models.NAME]";
        problems.add(wrong(&["models"], Code::Missing, "no model is configured", expected));
    }
    let mut backends = Vec::with_capacity(file.backends.len());
    for (name, backend) in file.backends {
        backends.extend(mean_backend(name, backend, &shared, problems));
    }
    let models = mean_models(file.models, &backends, problems);
    let keep = file.decisions.content.mean();
    let mut access = mean_access(auth, file.groups, file.keys, file.budgets.mean(), keep, &models, problems);
    access.explore = file.decisions.explore.map(ExploreFile::mean);
    let decisions = file.decisions.mean(folder, problems);
    if decisions.dir.is_none() && access.explores() {
        let found = "requests are to be explored, and no decision log is kept, without which none is";
        problems.warn(wrong(&["decisions", "dir"], Code::Unused, found, "the path of a folder"));
    }
    if decisions.dir.is_none() && access.keep_content.any() {
        let found = "texts are to be kept, and no decision log is";
        problems.warn(wrong(&["decisions", "dir"], Code::Unused, found, "the path of a folder"));
    }
    if let Some(Err(message)) = listen.map(|listen| access.auth.check_reach(listen)) {
        problems.add(wrong(&["listen"], Code::Conflict, message, ""));
    }
    match check_filter(&file.log.level) {
        Err(WrongFilter { found, expected, nearest }) => {
            problems.add(wrong(&["log", "level"], Code::UnknownValue, found, expected).near(nearest));
        }
        Ok(false) => {
            let found = format!("{:?} names no level for everything else, which then logs nothing", file.log.level);
            problems.warn(wrong(&["log", "level"], Code::Advice, found, format!("\"info,{}\"", file.log.level)));
        }
        Ok(true) => {}
    }
    Config {
        file: None,
        digest: String::new(),
        warnings: Vec::new(),
        listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
        admin,
        server,
        access,
        reload: Reload {
            enabled: file.reload.enabled,
            settle: Duration::from_millis(file.reload.settle_ms),
            rescan: seconds(file.reload.rescan_seconds),
            drain: seconds(file.reload.drain_seconds),
            keep_series: seconds(file.reload.keep_series_seconds),
        },
        state_dir: file.state_dir.map(|path| folder.join(path)),
        cache_dir: file.cache_dir.map(|path| folder.join(path)),
        ledger: file.ledger.mean(),
        decisions,
        shared: file.shared.meant(folder, problems),
        log: Log { format: file.log.format, level: file.log.level, requests: file.log.requests },
        backends,
        models,
        prices: file.prices.mean(folder, problems),
        routing: mean_hook(Hook::Routing, file.policies.routing, folder, problems),
        cost: mean_hook(Hook::Cost, file.policies.cost, folder, problems),
    }
}

fn mean_server(file: ServerFile, problems: &mut Problems) -> Server {
    for header in &file.label_headers {
        let path = ["server", "label_headers"];
        if !is_header_name(header) {
            let found = format!("{header:?} is not a header name");
            problems.add(wrong(&path, Code::InvalidValue, found, "lower-case letters, digits and `-`"));
        } else if SECRET_HEADERS.contains(&header.as_str()) {
            let found = format!("{header} holds secrets; policies never see it");
            problems.add(wrong(&path, Code::Conflict, found, ""));
        }
    }
    let cors = file.cors.meant(file.allowed_origins, problems);
    for host in &file.allowed_hosts {
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
            let found = format!("{host:?} is not a host name");
            let expected = "one like \"gateway.example\", without a port";
            problems.add(wrong(&["server", "allowed_hosts"], Code::InvalidValue, found, expected));
        }
    }
    // Less would have no room for the largest body, which is in memory three times.
    let least = 3 * file.max_body_bytes;
    let max_buffered_bytes = file.max_buffered_bytes.unwrap_or(least.max(512 << 20));
    if max_buffered_bytes < least {
        let expected = format!("at least {least}, three times `max_body_bytes`");
        let found = max_buffered_bytes.to_string();
        problems.add(wrong(&["server", "max_buffered_bytes"], Code::Conflict, found, expected));
    }
    let unless_0 = |value: f64| (value != 0.0).then(|| seconds(value));
    Server {
        runtime: file.runtime,
        threads: NonZero::new(file.threads),
        max_in_flight: file.max_in_flight,
        max_connections: file.max_connections,
        max_connections_per_address: Some(file.max_connections_per_address).filter(|most| *most != 0),
        max_connection_age: unless_0(file.max_connection_age_seconds),
        max_concurrent_streams: file.max_concurrent_streams,
        max_body_bytes: file.max_body_bytes,
        max_buffered_bytes,
        max_prompt_chars: file.max_prompt_chars,
        bounds: Bounds { messages: file.max_messages, parts: file.max_parts, tools: file.max_tools },
        max_head_bytes: file.max_head_bytes,
        head_timeout: seconds(file.head_timeout_seconds),
        body_timeout: seconds(file.body_timeout_seconds),
        write_timeout: seconds(file.write_timeout_seconds),
        drain_timeout: seconds(file.drain_timeout_seconds),
        retry_budget_percent: file.retry_budget_percent,
        hedge_budget_percent: file.hedge_budget_percent,
        max_models_per_request: file.max_models_per_request,
        content_filter_falls_back: file.content_filter_falls_back,
        strip_reasoning: file.strip_reasoning,
        translation: file.translation,
        keep_alive: unless_0(file.keep_alive_seconds),
        guarded_max_bytes: file.guarded_max_bytes,
        label_headers: file.label_headers,
        affinity: file.affinity,
        cors,
        allowed_hosts: file.allowed_hosts,
        metrics_for_clients: file.metrics_for_clients,
    }
}
