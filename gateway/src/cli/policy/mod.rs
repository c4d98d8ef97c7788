//! `wasmgate policy`: for authors. Everything here goes through the code that serves, so that what passes here is admitted
//! there.
//!
//! Exit codes: 0 where it was done; 1 where fixtures were not met, or the machine did not allow it; 2 where the usage is
//! wrong, or a policy was refused or failed.

mod bench;
mod format;
mod inspect;
mod new;
mod progress;
mod run;
mod target;
mod test;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Subcommand};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use target::Subject;

/// The contract between gateway and policies.
const WIT: &str = include_str!("../../../../wit/policy.wit");

/// See the module.
#[derive(Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Begin a policy: a small project that builds, with fixtures and a README.
    New(new::New),
    /// Say what a policy is: its imports and what they grant, size, limits, settings, and whether it would be admitted.
    Inspect {
        #[command(flatten)]
        subject: Subject,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ask a policy its fixtures, and say what differs.
    Test {
        #[command(flatten)]
        subject: Subject,
        /// Files of fixtures, JSON or TOML; without any, POLICY's own: NAME.fixtures.json beside NAME.wasm.
        #[arg(value_name = "FIXTURES")]
        fixtures: Vec<PathBuf>,
        /// Ask the published suite instead: what the example policy must decide, whatever it is written in.
        #[arg(long, conflicts_with_all = ["fixtures", "update"])]
        conformance: bool,
        /// Write what was decided into the files, where it is not what was expected.
        #[arg(long)]
        update: bool,
        /// Print JSON, a line for each fixture.
        #[arg(long, conflicts_with = "update")]
        json: bool,
    },
    /// Ask a policy once.
    Run {
        #[command(flatten)]
        subject: Subject,
        #[command(flatten)]
        asked: run::Asked,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measure a policy: instances, first and later calls, memory, instructions.
    Bench {
        #[command(flatten)]
        subject: Subject,
        #[command(flatten)]
        asked: run::Asked,
        /// Another policy, to be measured beside.
        #[arg(long, value_name = "POLICY")]
        against: Option<PathBuf>,
        /// Calls of a warm instance; a tenth as many instances are made.
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
        calls: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the contract between gateway and policies.
    Wit,
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
enum Failed {
    /// Its user can do something about it.
    Refused(String),
    /// The machine did not allow it.
    Machine(String),
    /// Fixtures were not met; this says which.
    Unmet(String),
    /// As `Refused`, with all that there is to say of it.
    Told(String),
}

/// Runs the command.
pub(crate) fn run(policy: Policy) -> ExitCode {
    start_log();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(perform(policy.action)),
        Err(error) => Err(Failed::Machine(format!("the async runtime: {error}"))),
    };
    let (message, code) = match outcome {
        Ok(text) => {
            print(&text);
            return ExitCode::SUCCESS;
        }
        Err(Failed::Unmet(text)) => {
            print(&text);
            return ExitCode::from(1);
        }
        Err(Failed::Told(text)) => {
            print(&text);
            return ExitCode::from(2);
        }
        Err(Failed::Refused(message)) => (message, 2),
        Err(Failed::Machine(message)) => (message, 1),
    };
    let _ = writeln!(std::io::stderr(), "wasmgate: {}", super::table::clean(&message));
    ExitCode::from(code)
}

/// A reader that has seen enough, such as `head`, is no failure. Nothing in it moves a terminal's cursor but line ends:
/// components may have been written by anyone.
fn print(text: &str) {
    let text: String = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    let _ = std::io::stdout().write_all(text.as_bytes());
}

async fn perform(action: Action) -> Result<String, Failed> {
    match action {
        Action::New(new) => new::write(&new),
        Action::Inspect { subject, json } => inspect::inspect(&subject, json).await,
        Action::Test { subject, fixtures, conformance, update, json } => {
            let asked = if conformance { test::Asked::Conformance } else { test::Asked::Files(fixtures) };
            test::test(&subject, &asked, update, json).await
        }
        Action::Run { subject, asked, json } => run::run(&subject, &asked, json).await,
        Action::Bench { subject, asked, against, calls, json } => {
            bench::bench(&subject, &asked, against.as_deref(), calls as usize, json).await
        }
        Action::Wit => Ok(WIT.to_owned()),
    }
}

/// Whether what policies log is not worth showing now.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Does work in which a policy decides samples: what it logs for each would bury what the author asked for.
async fn quietly<T>(work: impl Future<Output = T>) -> T {
    QUIET.store(true, Ordering::Relaxed);
    let done = work.await;
    QUIET.store(false, Ordering::Relaxed);
    done
}

/// What the policy logs is for its author to see; of the gateway's own lines, warnings.
fn start_log() {
    let filter = std::env::var("WASMGATE_LOG").ok().and_then(|filter| EnvFilter::try_new(filter).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new("warn,policy=debug"));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .log_internal_errors(false)
        .with_filter(filter_fn(|line| line.target() != "policy" || !QUIET.load(Ordering::Relaxed)));
    tracing_subscriber::registry().with(filter).with(lines).init();
}
