//! The command: flags, configuration, logging, signals, exit codes.
//!
//! Exit codes: 0 for success and an orderly stop; 1 if the machine did not allow it (an address in use); 2 for a user's
//! error (flags, configuration, a policy that is refused).

#[cfg(feature = "jemalloc")]
mod allocator;
mod cli;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use wasmgate::config::{Config, Examined, LogFormat, Overrides, Runtime, WrongFilter, check_filter, listen_address};
use wasmgate::log;
use wasmgate::{Options, StartError};
use wasmgate_policy_host::compile_component;

/// An AI gateway that operators program with WebAssembly policies.
#[derive(Parser)]
#[command(name = "wasmgate", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT.
    Serve(Serve),
    /// Check a configuration without serving it: keys, values, policies and their settings.
    Check {
        /// The configuration file.
        #[arg(long, env = "WASMGATE_CONFIG", value_name = "FILE")]
        config: PathBuf,
        /// Print all problems as JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Write a configuration for this machine: models of Ollama, API keys in the environment.
    Init(cli::init::Init),
    /// Make keys for clients, list and change them.
    Keys(cli::keys::Keys),
    /// Make groups of keys, list and change them.
    Groups(cli::groups::Groups),
    /// Read what requests with a key used.
    Ledger(cli::ledger::Ledger),
    /// Explain a request: what the policies saw and said, what was tried, what it cost.
    Explain(cli::explain::Explain),
    /// Make a catalogue of prices from a public one.
    Prices(cli::prices::Prices),
    /// Inspect and operate the policies of a running gateway.
    Policies(cli::policies::Policies),
    /// Develop a policy: create, inspect, test, run and benchmark it.
    Policy(cli::policy::Policy),
    /// Find the value of a policy's setting that reaches a target, on the requests of a decision log.
    Calibrate(cli::policy::Calibrate),
    /// Check whether a running gateway is healthy.
    Health(cli::health::Health),
    /// Compile the component on standard input to machine code on standard output. The gateway runs itself this way.
    #[command(hide = true)]
    CompileComponent {
        /// Compile for an engine with pooled instances.
        #[arg(long)]
        pooling: bool,
    },
}

/// A flag overrides the environment, which overrides the file.
#[derive(Args)]
struct Serve {
    /// The configuration file; without it, the gateway serves the demo: simulated models, and a policy to edit.
    #[arg(long, env = "WASMGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on for clients, such as 127.0.0.1:8080; port 0 picks a free port.
    #[arg(long, env = "WASMGATE_LISTEN", value_name = "ADDR", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// Address to listen on for operators, such as 127.0.0.1:8081; port 0 picks a free port.
    #[arg(long, env = "WASMGATE_ADMIN_LISTEN", value_name = "ADDR", value_parser = listen_address)]
    admin_listen: Option<SocketAddr>,
    /// Format of log lines.
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
}

fn main() -> ExitCode {
    let _flush = log::FlushAtEnd;
    let outcome = match Cli::parse().command {
        // The parent process reads standard output: start no log and no runtime.
        Command::CompileComponent { pooling } => {
            return match compile_component(pooling) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::from(1)
                }
            };
        }
        Command::Serve(serve) => read(serve.config.as_deref()).and_then(|config| {
            start_log(&config, serve.log_format)?;
            let demo = serve.config.is_none();
            let overrides = Overrides { listen: serve.listen, admin_listen: serve.admin_listen };
            // The threads of each core are started apart; what is left is the control of them.
            let threads = match config.server.runtime {
                Runtime::PerCore => 1,
                Runtime::Shared => config.server.threads(),
            };
            block_on(threads, async {
                let stop = stop_on_signal()
                    .map_err(|error| StartError::Failed(format!("cannot install signal handlers: {error}")))?;
                wasmgate::run(config, Options { demo, ..options(overrides) }, stop, |_| ()).await
            })
        }),
        Command::Check { config: file, json } => {
            let examined = Examined::file(&file);
            match block_on(1, wasmgate::check(examined, &options(Overrides::default()))) {
                Ok(checked) => return cli::check::print(&file, &checked.summary, &checked.problems, json),
                Err(error) => Err(error),
            }
        }
        Command::Init(init) => return cli::init::run(&init),
        Command::Keys(keys) => return cli::keys::run(&keys),
        Command::Groups(groups) => return cli::groups::run(&groups),
        Command::Ledger(ledger) => return cli::ledger::run(&ledger),
        Command::Explain(explain) => return cli::explain::run(&explain),
        Command::Prices(prices) => return cli::prices::run(&prices),
        Command::Policies(policies) => return cli::policies::run(&policies),
        Command::Policy(policy) => return cli::policy::run(policy),
        Command::Calibrate(calibrate) => return cli::policy::run_calibrate(&calibrate),
        Command::Health(health) => return cli::health::run(&health),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                log::print(&format!("wasmgate: {line}"));
            }
            match error {
                StartError::Refused(_) => ExitCode::from(2),
                StartError::Failed(_) => ExitCode::from(1),
            }
        }
    }
}

fn read(file: Option<&Path>) -> Result<Config, StartError> {
    Config::read(file).map_err(|error| StartError::Refused(error.to_string()))
}

fn options(overrides: Overrides) -> Options {
    // The running executable, even if its file was replaced since the start.
    Options { overrides, compiler: Some(PathBuf::from("/proc/self/exe")), demo: false }
}

fn block_on<T>(threads: usize, work: impl Future<Output = Result<T, StartError>>) -> Result<T, StartError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| StartError::Failed(format!("cannot start the async runtime: {error}")))?
        .block_on(work)
}

fn start_log(config: &Config, format: Option<LogFormat>) -> Result<(), StartError> {
    let named = |name| std::env::var(name).ok().filter(|filter| !filter.is_empty()).map(|filter| (name, filter));
    let (origin, level) =
        named("WASMGATE_LOG").or(named("RUST_LOG")).unwrap_or_else(|| ("log.level", config.log.level.clone()));
    check_filter(&level).map_err(|WrongFilter { found, expected, nearest }| {
        let near = nearest.map_or(String::new(), |near| format!(", did you mean {near:?}?"));
        StartError::Refused(format!("{origin}: {found}, expected {expected}{near}"))
    })?;
    let mut filter = EnvFilter::new(&level);
    // `trace` is meant for the gateway; the policy compiler would log megabytes per policy.
    for loud in ["cranelift=warn", "regalloc2=warn", "wasmtime=warn"] {
        filter = filter.add_directive(loud.parse().expect("a directive as the library writes them"));
    }
    // Audit lines are kept even if little else is logged, unless the filter names them.
    if !level.contains("audit") {
        filter = filter.add_directive("audit=info".parse().expect("a directive as the library writes them"));
    }
    let colors = std::io::stderr().is_terminal();
    let format = match format.unwrap_or(config.log.format) {
        LogFormat::Json => log::Format::Json,
        LogFormat::Text => log::Format::Text { colors },
    };
    log::start(format).map_err(|error| StartError::Failed(format!("cannot start the thread of the log: {error}")))?;
    // Off: the library would report a failed log write on standard error itself.
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log::Lines).log_internal_errors(false);
    match format {
        log::Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
        log::Format::Text { colors } => lines.with_ansi(colors).init(),
    }
    // The standard hook writes to standard error itself, and waits for a reader that stalls.
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs a panic, whatever the log's filter is.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let trace = Backtrace::capture();
    log::write(Level::ERROR, "panic", "panicked", |line| {
        line.text("detail", panic.payload_as_str());
        line.text("thread", std::thread::current().name());
        if let Some(location) = panic.location() {
            line.text("location", &*location.to_string());
        }
        if trace.status() == BacktraceStatus::Captured {
            line.text("backtrace", &*trace.to_string());
        }
    });
}

/// The first SIGTERM or SIGINT begins the drain; a second ends the process at once.
fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopping = stop.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stopping.is_cancelled() {
                log::flush();
                std::process::exit(1);
            }
            tracing::info!("stopping: draining in-flight requests");
            stopping.cancel();
        }
    });
    Ok(stop)
}
