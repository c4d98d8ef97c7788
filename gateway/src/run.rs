//! Starts the gateway: loads and checks everything that the configuration names before it binds a port.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::config::{Config, Examined, Overrides, Problem};
use crate::control;
use crate::control::{Checked, Control, StartError};
use crate::demo::Demo;
use crate::net::files::{Files, raise_limit};
use crate::proxy;
use crate::proxy::gateway::Gateway;
use crate::rollout::api::Operator;
use crate::server;
use wasmgate_base::paths::cache_folder;
use wasmgate_policy_host::{Loader, LoaderOptions};

/// Operator requests that may wait for the control task.
const QUESTIONS: usize = 16;

/// Start options that are not part of the configuration file.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Settings from flags and the environment, which override the file.
    pub overrides: Overrides,
    /// The program that compiles components when called with `compile-component`; `None`: this process compiles them.
    pub compiler: Option<PathBuf>,
    /// The demo, if it is what serves.
    pub demo: Option<Demo>,
}

fn loader(config: &Config, options: &Options) -> Result<Loader, StartError> {
    let cache = cache_folder(config.cache_dir.as_deref());
    let options = LoaderOptions { helper: options.compiler.clone(), cache, ..LoaderOptions::default() };
    Loader::new(options).map_err(|error| StartError::Failed(error.to_string()))
}

/// Loads and checks everything that a configuration names, as far as it can be read. Reports what would serve and all
/// problems, in the file's order.
///
/// # Errors
/// If the machine does not allow it, or a backend cannot be set up.
pub async fn check(examined: Examined, options: &Options) -> Result<Checked, StartError> {
    let Examined { config, mut problems } = examined;
    let Some(config) = config else { return Ok(Checked { summary: String::new(), problems }) };
    let is_wrong = problems.iter().any(Problem::is_error);
    let files = fit_files(&config)?;
    let is_about_models = |problem: &Problem| ["models", "backends"].iter().any(|table| problem.key.starts_with(table));
    let all_models = !problems.iter().any(|problem| problem.is_error() && is_about_models(problem));
    let Checked { summary, problems: more } = control::check(&config, loader(&config, options)?, all_models).await?;
    // Advice on a configuration that is wrong may follow from what is wrong.
    problems.extend(more.into_iter().filter(|problem| problem.is_error() || !is_wrong));
    if let Some(lowered) = files.lowered(config.server.max_connections, config.server.max_in_flight) {
        problems.push(Problem::advice(&config.routing.active.place.file, &lowered));
    }
    problems.sort_by_key(|problem| problem.line);
    Ok(Checked { summary, problems })
}

/// Raises the limit of open files, and fits the configured connections into it.
fn fit_files(config: &Config) -> Result<Files, StartError> {
    Files::fit(raise_limit(), config.server.max_connections, config.server.max_in_flight)
        .map_err(|error| StartError::Failed(error.to_string()))
}

/// Serves `config` until `stop` is cancelled, then drains. Calls `listening` with the bound address.
///
/// # Errors
/// If something cannot be loaded, or an address cannot be bound.
pub async fn run(
    config: Config,
    options: Options,
    stop: CancellationToken,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), StartError> {
    let loader = loader(&config, &options)?;
    let (pooling, listen) = (loader.pooling(), options.overrides.listen.unwrap_or(config.listen));
    let mut admin = config.admin.clone();
    if let Some(listen) = options.overrides.admin_listen {
        let named = |message| StartError::Refused(format!("--admin-listen or WASMGATE_ADMIN_LISTEN: {message}"));
        admin.listen_on(listen).map_err(named)?;
    }
    let files = fit_files(&config)?;
    if let Some(lowered) = files.lowered(config.server.max_connections, config.server.max_in_flight) {
        tracing::warn!("{lowered}");
    }
    let lifecycle = Control::begin(config, loader).await?;
    let (serving, metrics) = (Arc::clone(lifecycle.serving()), Arc::clone(lifecycle.metrics()));
    let gateway = Arc::new(Gateway::new(serving, metrics, files, listen.ip().is_loopback()));
    let (listener, addr) = bind(listen, "listen").await?;
    let admin_listener = match admin.listen {
        Some(listen) => Some(bind(listen, "admin.listen").await?),
        None => None,
    };
    tell(&gateway, pooling, addr, admin_listener.as_ref().map(|(_, addr)| (*addr, admin.token.is_some())));
    if let Some(demo) = &options.demo {
        demo.tell();
    }
    let (operator, questions) = mpsc::channel(QUESTIONS);
    listening(addr);
    let operators = async {
        if let Some((listener, _)) = admin_listener {
            let (metrics_of, stats_of) = (Arc::clone(&gateway), Arc::clone(&gateway));
            let pages = admin::Pages {
                metrics: Box::new(move || proxy::metrics_page(&metrics_of)),
                stats: Box::new(move || proxy::stats_page(&stats_of)),
            };
            admin::serve(listener, Operator(operator), admin.token, pages, stop.clone()).await;
        }
    };
    // The control task ends last: it owns the engine, and guests are interrupted only while the engine lives.
    let ended = CancellationToken::new();
    let lifecycle = tokio::spawn(lifecycle.run(questions, stop.clone(), ended.clone()));
    tokio::join!(server::serve(Arc::clone(&gateway), listener, stop.clone()), operators);
    ended.cancel();
    let _ = lifecycle.await;
    tracing::info!(in_flight = gateway.in_flight.load(std::sync::atomic::Ordering::Relaxed), "stopped");
    Ok(())
}

/// Binds the address that `key` of the configuration, or its flag, gives.
async fn bind(address: SocketAddr, key: &str) -> Result<(TcpListener, SocketAddr), StartError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Failed(format!("cannot listen on {address} ({key}): {error}")))?;
    let bound = listener
        .local_addr()
        .map_err(|error| StartError::Failed(format!("cannot read the bound address ({key}): {error}")))?;
    Ok((listener, bound))
}

/// Logs the start-up lines: active policies, models, addresses and commands to try. `admin`: the admin listener's
/// address, and whether it requires a token.
fn tell(gateway: &Gateway, pooling: bool, addr: SocketAddr, admin: Option<(SocketAddr, bool)>) {
    let snapshot = gateway.serving.snapshot();
    for decider in snapshot.routing.all().chain(snapshot.cost.all()) {
        let policy = &decider.version.policy;
        tracing::info!(
            hook = policy.hook().as_str(),
            mode = decider.metrics.labels.mode,
            policy = decider.version.label,
            digest = policy.digest(),
            profile = policy.profile().as_str(),
            isolation = ?policy.limits().isolation,
            call_time_ms = policy.limits().call_time_ms,
            on_failure = ?decider.on_failure(),
            "policy active"
        );
    }
    let models: Vec<&str> = snapshot.catalog.models().iter().map(|live| &*live.model.name).collect();
    tracing::info!(models = models.join(", "), instances = if pooling { "pooled" } else { "on demand" }, "serving");
    if let Some((addr, token)) = admin {
        tracing::info!(%addr, authentication = if token { "token" } else { "none" }, "admin listening");
        tracing::info!("try: wasmgate policies list --admin http://{addr}");
    }
    tracing::info!(%addr, "listening");
    tracing::info!(
        "try: curl http://{addr}/api/v1/chat -d '{{\"prompt\": \"What is Rust?\"}}' -H 'content-type: application/json'"
    );
    tracing::info!("try: curl http://{addr}/metrics");
}
