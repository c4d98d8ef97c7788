//! Measures the gateway as it is shipped against a bare proxy of the same libraries and against the model itself, on two
//! cores of one machine, in turn: `make bench`.
//!
//! What is measured has one core, the simulated model and the load the other. Each figure is a round's own; the report tells
//! the median of the rounds, and their least and most in parentheses.

mod connection;
mod load;
mod machine;
mod measure;
mod peer;
mod process;
mod prompt;
mod report;
mod run;
mod settings;
mod stats;
mod table;
mod targets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tempfile::TempDir;
use wasmgate_bench::figures;

use crate::machine::Others;
use crate::run::Run;

/// Measures the whole gateway.
#[derive(Debug, Parser)]
struct Arguments {
    /// One round, to see that all of it works.
    #[arg(long)]
    quick: bool,
    /// Only these, separated by commas: latency, saturation, rate, threads, streams, memory, start, scale, slow.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where the report is written, beside stdout.
    #[arg(long)]
    report: Option<PathBuf>,
}

fn main() -> ExitCode {
    match measured(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("wasmgate-bench: {wrong}");
            ExitCode::FAILURE
        }
    }
}

fn measured(arguments: &Arguments) -> Result<(), String> {
    if let Some(unknown) = arguments.only.iter().find(|name| measure::ALL.iter().all(|(known, ..)| known != name)) {
        return Err(format!("nothing is called {unknown:?}"));
    }
    process::pin_self()?;
    let cache = TempDir::new().map_err(|error| error.to_string())?;
    let (rounds, time) = if arguments.quick { (1, 500) } else { (3, 1000) };
    let run = Run {
        rounds,
        time: Duration::from_millis(time),
        cache: cache.path().join("compiled"),
        answers: 0.into(),
        undecided: 0.into(),
        others: 0.0.into(),
    };
    let other = std::env::var_os("BENCH_FIGURES").map(PathBuf::from);
    let mut known: BTreeMap<String, f64> = other.map(|path| figures::read(&path)).unwrap_or_default();
    let mut sections = Vec::new();
    for (name, title, measure) in measure::ALL {
        if arguments.only.is_empty() || arguments.only.iter().any(|wanted| wanted == name) {
            eprintln!("measuring: {name}");
            let others = Others::now()?;
            let section = measure(&run)?;
            let others = others.since()?;
            run.others.set(run.others.get().max(others));
            known.extend(section.figures.iter().map(|(name, value)| ((*name).to_owned(), *value)));
            sections.push(format!(
                "## {title}\n\n{}\nOther processes had {others:.2} of a core meanwhile.\n",
                section.text
            ));
        }
    }
    let report = report::text(&run, &known, &sections)?;
    println!("{report}");
    match &arguments.report {
        None => Ok(()),
        Some(path) => std::fs::write(path, report).map_err(|error| format!("{}: {error}", path.display())),
    }
}
