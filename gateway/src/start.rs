//! From a configuration to a serving gateway: everything is loaded and checked before the port is bound.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::config::{Config, PolicyChoice, PolicySource};
use crate::decision::LineLimit;
use crate::gateway::Gateway;
use crate::metrics::Metrics;
use crate::policy::{Engine, Hook, LoadError, Policy, Source, Stage};
use crate::server;
use crate::snapshot::{Active, Snapshot};

/// The gateway did not start.
#[derive(Debug)]
pub enum StartError {
    /// What the configuration asks for cannot be had: a policy was refused, a backend cannot be set up.
    Refused(String),
    /// The machine does not play along: the address is taken, a thread cannot be started.
    Failed(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) | Self::Failed(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for StartError {}

/// Everything that a configuration asks for, loaded and checked.
struct Loaded {
    engine: Engine,
    snapshot: Snapshot,
    metrics: Metrics,
}

/// Loads everything that a configuration asks for, policies side by side.
async fn load(config: &Config) -> Result<Loaded, StartError> {
    let engine = Engine::new().map_err(|error| StartError::Failed(format!("the Wasm engine: {error:#}")))?;
    let catalog = Catalog::new(config.backends.clone(), config.models.clone()).map_err(StartError::Refused)?;
    let metrics = Metrics::new();
    let (routing, cost) =
        tokio::try_join!(policy(&engine, Hook::Routing, &config.routing), policy(&engine, Hook::Cost, &config.cost))?;
    let active = |policy: Policy, choice: &PolicyChoice| Active {
        label: format!("{}@{}", policy.manifest().name, policy.manifest().version),
        metrics: metrics.policy(&policy, "active", &catalog),
        on_failure: choice.on_failure,
        failure_lines: LineLimit::default(),
        policy,
    };
    let (routing, cost) = (active(routing, &config.routing), active(cost, &config.cost));
    let models = catalog.models().iter().map(|live| metrics.model(live)).collect();
    Ok(Loaded { engine, snapshot: Snapshot { catalog, routing, cost, models }, metrics })
}

/// Loads all that a configuration asks for and says what would serve.
///
/// # Errors
/// As `run`, but for the address.
pub async fn check(config: &Config) -> Result<String, StartError> {
    let Loaded { snapshot, .. } = load(config).await?;
    let count = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    Ok(format!(
        "valid: {}, {}, routing {}, cost {}",
        count(snapshot.catalog.backends().len(), "backend"),
        count(snapshot.catalog.models().len(), "model"),
        snapshot.routing.label,
        snapshot.cost.label
    ))
}

async fn policy(engine: &Engine, hook: Hook, choice: &PolicyChoice) -> Result<Policy, StartError> {
    let refused = |error: LoadError| StartError::Refused(format!("{}: {error}", choice.place));
    let source = match &choice.source {
        PolicySource::BuiltIn(name) => Source {
            origin: format!("{name} (built in)"),
            bytes: crate::builtin::component(name).unwrap_or_default().to_vec(),
        },
        PolicySource::File(path) => read(path).map_err(refused)?,
    };
    Policy::load(engine, &source, hook, &choice.settings, choice.limits.clone()).await.map_err(refused)
}

fn read(path: &Path) -> Result<Source, LoadError> {
    let origin = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => Ok(Source { origin, bytes }),
        Err(error) => Err(LoadError { origin, stage: Stage::Parsed, reason: format!("cannot be read: {error}") }),
    }
}

/// Serves `config` until `stop` is cancelled, then drains. `listening` is told the address once it is bound.
///
/// # Errors
/// Where something cannot be loaded, or the address cannot be bound.
pub async fn run(
    config: Config,
    stop: CancellationToken,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), StartError> {
    let Loaded { engine, snapshot, metrics } = load(&config).await?;
    let pooling = engine.pooling();
    let gateway = Arc::new(Gateway::new(config.server, config.log.requests, metrics, snapshot));
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| StartError::Failed(format!("cannot listen on {}: {error}", config.listen)))?;
    let addr = listener
        .local_addr()
        .map_err(|error| StartError::Failed(format!("the bound address cannot be read: {error}")))?;
    tell(&gateway, pooling, addr);
    let probes: tokio::task::JoinSet<()> =
        gateway.snapshot().catalog.backends().iter().map(|backend| Arc::clone(backend).keep_probing()).collect();
    listening(addr);
    server::serve(Arc::clone(&gateway), listener, stop).await;
    drop(probes);
    tracing::info!(in_flight = gateway.in_flight.load(std::sync::atomic::Ordering::Relaxed), "stopped");
    // Guests are interrupted for as long as the engine lives.
    drop(gateway);
    drop(engine);
    Ok(())
}

/// The start-up lines: who decides, which models there are, where to ask, and what to try.
fn tell(gateway: &Gateway, pooling: bool, addr: SocketAddr) {
    let snapshot = gateway.snapshot();
    for active in [&snapshot.routing, &snapshot.cost] {
        let policy = &active.policy;
        tracing::info!(
            hook = policy.hook().as_str(),
            policy = active.label,
            digest = policy.digest(),
            isolation = ?policy.limits().isolation,
            call_time_ms = policy.limits().call_time_ms,
            on_failure = ?active.on_failure,
            "policy active"
        );
    }
    let models: Vec<&str> = snapshot.catalog.models().iter().map(|live| &*live.model.name).collect();
    tracing::info!(models = models.join(", "), instances = if pooling { "pooled" } else { "on demand" }, "serving");
    tracing::info!(%addr, "listening");
    tracing::info!(
        "try: curl http://{addr}/api/v1/chat -d '{{\"prompt\": \"What is Rust?\"}}' -H 'content-type: application/json'"
    );
    tracing::info!("try: curl http://{addr}/metrics");
}
