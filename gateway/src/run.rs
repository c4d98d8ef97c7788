//! Starts the gateway: reserves its addresses, loads and checks everything that the configuration names, and only then
//! accepts connections.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::accounts::{self, ManagedAccounts};
use crate::admin;
use crate::config::{Config, Examined, Overrides, Problem, Runtime};
use crate::control;
use crate::control::{Checked, Control, StartError};
use crate::demo::Demo;
use crate::net::Workers;
use crate::net::files::{Files, raise_limit};
use crate::proxy;
use crate::proxy::gateway::Gateway;
use crate::rollout::api::Operator;
use crate::rollout::slot::Slot;
use crate::server;
use crate::telemetry;
use crate::telemetry::decisions::Decisions;
use wasmgate_base::paths::cache_folder;
use wasmgate_base::time::Clock;
use wasmgate_decisions::{Input, ModelTable};
use wasmgate_ledger::Ledger;
use wasmgate_policy_host::{Loader, LoaderOptions};
use wasmgate_shared::Shared;

/// The longest time that the end of the process waits for the shared state.
const RETURN: Duration = Duration::from_secs(2);

/// Operator requests that may wait for the control task.
const QUESTIONS: usize = 16;

/// Start options that are not part of the configuration file.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Settings from flags and the environment, which override the file.
    pub overrides: Overrides,
    /// The program that compiles components when called with `compile-component`; `None`: this process compiles them.
    pub compiler: Option<PathBuf>,
    /// Whether the demo serves.
    pub demo: bool,
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
    mut config: Config,
    options: Options,
    stop: CancellationToken,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), StartError> {
    let listen = options.overrides.listen.unwrap_or(config.listen);
    let mut admin = config.admin.clone();
    if let Some(listen) = options.overrides.admin_listen {
        let named = |message| StartError::Refused(format!("--admin-listen or WASMGATE_ADMIN_LISTEN: {message}"));
        admin.listen_on(listen).map_err(named)?;
    }
    // First, so that a port in use is the only thing that happened. Connections are refused until everything is loaded.
    let reserved = reserve(listen, "listen", "--listen or WASMGATE_LISTEN")?;
    let admin_reserved =
        admin.listen.map(|listen| reserve(listen, "admin.listen", "--admin-listen or WASMGATE_ADMIN_LISTEN"));
    let admin_reserved = admin_reserved.transpose()?;
    let demo = options.demo.then(|| Demo::begin(&mut config));
    let named = |message| StartError::Refused(format!("--listen or WASMGATE_LISTEN: {message}"));
    config.access.auth.check_reach(listen).map_err(named)?;
    let loader = loader(&config, &options)?;
    let pooling = loader.pooling();
    let files = fit_files(&config)?;
    if let Some(lowered) = files.lowered(config.server.max_connections, config.server.max_in_flight) {
        tracing::warn!("{lowered}");
    }
    let workers = match config.server.runtime {
        Runtime::PerCore => Workers::start(config.server.threads())
            .map_err(|error| StartError::Failed(format!("cannot start the threads that serve clients: {error}")))?,
        Runtime::Shared => Workers::shared(),
    };
    let decisions = config.decisions.clone();
    let random = |error| StartError::Failed(format!("the system has no random numbers: {error}"));
    let shared = config.shared.clone().map(Shared::new).transpose().map_err(random)?;
    let meters = shared.as_ref().map_or_else(Arc::default, |shared| Arc::clone(shared.meters()));
    let clock = shared.clone().map_or_else(Clock::default, |shared| Clock::new(move || shared.now()));
    let accounts_folder = config.accounts_folder().map_err(|error| StartError::Failed(error.to_string()))?;
    let config = Arc::new(config);
    let accounts = {
        let config = Arc::clone(&config);
        let opened = tokio::task::spawn_blocking(move || ManagedAccounts::open(accounts_folder, config)).await;
        opened.map_err(|error| StartError::Failed(error.to_string()))?.map_err(StartError::Failed)?
    };
    let ledger_options = config.ledger.options();
    let ledger_folder = match config.ledger.enabled {
        true => config.ledger_folder().map_err(|error| StartError::Failed(error.to_string()))?,
        false => None,
    };
    let mut lifecycle = Control::begin(config, loader, Arc::clone(&meters), clock, Arc::clone(&accounts)).await?;
    let (serving, metrics) = (Arc::clone(lifecycle.serving()), Arc::clone(lifecycle.metrics()));
    let ledger: Arc<OnceLock<Ledger>> = Arc::default();
    if let Some(folder) = ledger_folder {
        let (kept, serving) = (Arc::clone(&ledger), Arc::clone(&serving));
        let has_groups = !serving.snapshot().groups.is_empty();
        let open = move || {
            let ledger = telemetry::ledger::open(&folder, meters, serving, ledger_options)?;
            // Nobody else opens one.
            drop(ledger.map(|ledger| kept.set(ledger)));
            Ok(())
        };
        match has_groups {
            true => open().map_err(StartError::Failed)?,
            false => lifecycle.at_first_group(move || {
                if let Err(error) = open() {
                    tracing::error!("{error}");
                }
            }),
        }
    }
    let readers: Arc<admin::Readers> = Arc::default();
    let published = Arc::clone(&readers);
    let decisions = Decisions::open(&decisions, move |decision| published.publish(decision));
    let is_loopback = listen.ip().is_loopback();
    let gateway = Gateway::new(serving, metrics, ledger, decisions, shared.clone(), files, is_loopback);
    let gateway = Arc::new(gateway);
    let (listener, addr) = reserved.listen()?;
    let admin_listener = admin_reserved.map(Reserved::listen).transpose()?;
    tell(&gateway, pooling, addr, admin_listener.as_ref().map(|(_, addr)| (*addr, admin.token.is_some())));
    if let Some(demo) = demo {
        demo.tell();
    }
    let accounts_shared = Arc::clone(&accounts);
    let (operator, questions) = mpsc::channel(QUESTIONS);
    listening(addr);
    let operators = async {
        if let Some((listener, _)) = admin_listener {
            let [metrics_of, stats_of, health_of] = [(); 3].map(|()| Arc::clone(&gateway));
            let pages = admin::Pages {
                metrics: Box::new(move || proxy::metrics_page(&metrics_of)),
                stats: Box::new(move || proxy::stats_page(&stats_of)),
                health: Box::new(move || proxy::health_page(&health_of)),
                decisions: decision_log(&gateway),
                readers: Arc::clone(&readers),
            };
            admin::serve(listener, Operator(operator), accounts, admin.token, pages, stop.clone()).await;
        }
    };
    // The control task ends last: it owns the engine, and guests are interrupted only while the engine lives.
    let ended = CancellationToken::new();
    let lifecycle = tokio::spawn(lifecycle.run(questions, stop.clone(), ended.clone()));
    let sharing = shared.map(|shared| {
        let spreading = accounts::spread(accounts_shared, Arc::clone(&shared), ended.clone());
        (tokio::spawn(shared.run(ended.clone())), tokio::spawn(spreading))
    });
    tokio::join!(server::serve(Arc::clone(&gateway), listener, &workers, stop.clone()), operators);
    workers.stop();
    ended.cancel();
    let _ = lifecycle.await;
    if let Some((sharing, spreading)) = sharing {
        // What is borrowed and not used goes back.
        let _ = tokio::time::timeout(RETURN, async { tokio::join!(sharing, spreading) }).await;
    }
    if let Some(ledger) = gateway.ledger.get() {
        ledger.flush(telemetry::ledger::FLUSH);
    }
    if let Some(decisions) = &gateway.decisions {
        decisions.flush();
    }
    tracing::info!(in_flight = gateway.in_flight.load(std::sync::atomic::Ordering::Relaxed), "stopped");
    Ok(())
}

/// The decision log as operators read it, with the policies that serve.
fn decision_log(gateway: &Arc<Gateway>) -> Option<Arc<admin::DecisionLog>> {
    let folder = gateway.decisions.as_ref()?.folder().to_owned();
    let (flushed, serves) = (Arc::clone(gateway), Arc::clone(gateway));
    let flush = move || flushed.decisions.iter().for_each(Decisions::flush);
    let policy = move |slot: &Slot| {
        let name = slot.to_string();
        let snapshot = serves.serving.snapshot();
        let decider = Arc::clone(snapshot.routing.all().find(|decider| decider.metrics.labels.slot == name)?);
        let policy = &decider.version.policy;
        Some(admin::LoadedPolicy {
            label: decider.version.label.clone(),
            digest: policy.digest().to_owned(),
            reads: policy.reads().clone(),
            ask: Box::new(move |input: Input, table: Arc<ModelTable>| -> admin::Asking {
                Box::pin(async move { admin::ask_policy(&decider.version.policy, &input, &table).await })
            }),
        })
    };
    Some(Arc::new(admin::DecisionLog::new(folder, flush, policy)))
}

/// Connections that the kernel keeps until the gateway accepts them.
const BACKLOG: u32 = 1024;

/// An address that no other process can bind any more, and at which nobody listens yet.
struct Reserved {
    socket: TcpSocket,
    address: SocketAddr,
    /// Its key in the configuration.
    key: &'static str,
    /// What overrides the key.
    flag: &'static str,
}

/// Reserves the address that `key` of the configuration, or its `flag`, gives.
fn reserve(address: SocketAddr, key: &'static str, flag: &'static str) -> Result<Reserved, StartError> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let bound = socket.and_then(|socket| {
        // So that a restart does not wait for the connections of the process before. A port that another process listens at
        // is refused all the same.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    });
    let socket = bound.map_err(|error| cannot_listen(address, key, flag, &error))?;
    Ok(Reserved { socket, address, key, flag })
}

impl Reserved {
    /// Listens, and returns the bound address.
    fn listen(self) -> Result<(TcpListener, SocketAddr), StartError> {
        let Self { socket, address, key, flag } = self;
        let listening = socket.listen(BACKLOG).and_then(|listener| {
            let bound = listener.local_addr()?;
            Ok((listener, bound))
        });
        listening.map_err(|error| cannot_listen(address, key, flag, &error))
    }
}

fn cannot_listen(address: SocketAddr, key: &str, flag: &str, error: &io::Error) -> StartError {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "another process has this port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have this address".to_owned(),
        io::ErrorKind::PermissionDenied => "the system does not permit it".to_owned(),
        _ => error.to_string(),
    };
    StartError::Failed(format!("cannot listen on {address} ({key}): {why}; {flag} gives another address"))
}

/// Logs the start-up lines: active policies, models, addresses and commands to try. `admin`: the admin listener's
/// address, and whether it requires a token.
fn tell(gateway: &Gateway, pooling: bool, addr: SocketAddr, admin: Option<(SocketAddr, bool)>) {
    let snapshot = gateway.serving.snapshot();
    for decider in snapshot.routing.all().chain(snapshot.cost.all()) {
        let policy = &decider.version.policy;
        tracing::info!(
            hook = policy.hook().as_str(),
            slot = decider.metrics.labels.slot,
            mode = decider.metrics.labels.mode,
            policy = decider.version.label,
            revision = decider.version.revision,
            digest = policy.digest(),
            profile = policy.profile().as_str(),
            isolation = policy.limits().isolation.as_str(),
            call_time_ms = policy.limits().call_time_ms,
            on_failure = decider.on_failure().as_str(),
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
    let metrics = if snapshot.shows_operators_pages() { Some(addr) } else { admin.map(|(addr, _)| addr) };
    if let Some(addr) = metrics {
        tracing::info!("try: curl http://{addr}/metrics");
    }
}
