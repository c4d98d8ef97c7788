//! `wasmgate policy`: for authors. The commands use the gateway's own code, so a gateway admits what passes here.
//!
//! Exit codes: 0 done; 1 fixtures were not met, a condition of a replay holds, a target is not reached, or the machine did not
//! allow it; 2 wrong usage, or the policy was refused or failed.

pub(super) mod again;
mod bench;
mod calibrate;
mod calibrated;
mod format;
mod inspect;
mod new;
mod progress;
mod quality;
mod replay;
mod replayed;
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

pub(crate) use calibrate::Calibrate;
use target::Subject;

/// The contract between gateway and policies.
const WIT: &str = include_str!("../../../../wit/policy.wit");
/// The major version before it, which the gateway supports too.
const WIT_1: &str = include_str!("../../../../wit/v1/policy.wit");

/// What the standard libraries of many languages import, as far as a policy has it.
const WASI: &str = include_str!("../../../../policies/bindings/wasi.wat");

/// See the module.
#[derive(Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a policy: a small project that builds, with fixtures and a README.
    New(new::New),
    /// Show a policy's imports with their grants, size, limits and settings, and whether a gateway would admit it.
    Inspect {
        #[command(flatten)]
        subject: Subject,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run a policy's fixtures and show the differences.
    Test {
        #[command(flatten)]
        subject: Subject,
        /// Files of fixtures, JSON or TOML (default: POLICY's own, NAME.fixtures.json next to NAME.wasm).
        #[arg(value_name = "FIXTURES")]
        fixtures: Vec<PathBuf>,
        /// Run the published suite instead: the decisions of the example policy, which are the same in every language.
        #[arg(long, conflicts_with_all = ["fixtures", "update"])]
        conformance: bool,
        /// Update the files with the policy's decisions if they differ from the expected ones.
        #[arg(long)]
        update: bool,
        /// Print JSON, one line per fixture.
        #[arg(long, conflicts_with = "update")]
        json: bool,
    },
    /// Call a policy once.
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
        /// Another policy to measure for comparison.
        #[arg(long, value_name = "POLICY")]
        against: Option<PathBuf>,
        /// Calls of warm instances; a tenth as many instances are created.
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
        calls: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ask a policy again about the requests of a decision log, and show what it would change.
    Replay(replay::Replay),
    /// Print all keys of fixture files.
    Fixtures,
    /// Print the contract between gateway and policies.
    Wit {
        /// The major version.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
        major: u8,
    },
    /// Print a module in the text format that implements WASI's first version for a policy, for compilers that need it.
    Wasi,
}

/// Why a command failed.
#[derive(Debug)]
enum Failed {
    /// The user can fix it.
    Refused(String),
    /// The machine did not allow it.
    Machine(String),
    /// Fixtures were not met, a condition of a replay holds, or a target is not reached. Holds the report.
    Unmet(String),
    /// As `Refused`, but holds a whole report for standard output.
    Told(String),
}

/// Runs the command.
pub(crate) fn run(policy: Policy) -> ExitCode {
    finish(perform(policy.action))
}

/// Runs `wasmgate calibrate`, which asks a policy as `replay` does.
pub(crate) fn run_calibrate(asked: &Calibrate) -> ExitCode {
    finish(calibrate::calibrate(asked))
}

/// Does the work of a command, and prints its result.
fn finish(work: impl Future<Output = Result<String, Failed>>) -> ExitCode {
    start_log();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(work),
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

/// Prints text. Ignores write errors, because a reader such as `head` may close the pipe early. Replaces control
/// characters other than line ends, because text from untrusted components could move a terminal's cursor.
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
        Action::Replay(replay) => replay::replay(&replay).await,
        Action::Fixtures => Ok(wasmgate_policy_host::fixtures::reference()),
        Action::Wit { major: 1 } => Ok(WIT_1.to_owned()),
        Action::Wit { .. } => Ok(WIT.to_owned()),
        Action::Wasi => Ok(WASI.to_owned()),
    }
}

/// Whether to hide the policies' log lines.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Does work in which a policy decides samples, and hides its log lines, which would bury the result.
async fn quietly<T>(work: impl Future<Output = T>) -> T {
    QUIET.store(true, Ordering::Relaxed);
    let done = work.await;
    QUIET.store(false, Ordering::Relaxed);
    done
}

/// Starts the log: all lines of the policy for its author, and the gateway's warnings.
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
