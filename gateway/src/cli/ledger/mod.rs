//! `wasmgate ledger`: reads the ledger of a gateway, also while that writes to it.
//!
//! Exit codes: 0 done; 1 the ledger cannot be read, or is damaged; 2 wrong usage.

mod export;
mod filter;
mod reprice;
mod sum;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use wasmgate::config::Config;
use wasmgate_ledger::{Report, read, verify};

use export::Format;
use filter::Filter;
use reprice::Reprice;
use sum::By;

/// See the module.
#[derive(Args)]
pub(crate) struct Ledger {
    #[command(subcommand)]
    verb: Verb,
    /// The gateway's configuration file, which says where its ledger is.
    #[arg(long, env = "WASMGATE_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The folder of the ledger, in place of the one that the configuration names. `reprice` also needs --config, for its models.
    #[arg(long, value_name = "FOLDER", global = true)]
    folder: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Verb {
    /// Print all entries, one JSON object a line.
    Show(Filter),
    /// Add up requests, tokens and cost.
    Sum {
        /// What has a line of its own, as in `group,model`.
        #[arg(long, value_enum, value_delimiter = ',', default_value = "group")]
        by: Vec<By>,
        #[command(flatten)]
        filter: Filter,
    },
    /// Print a row for each call, for spreadsheets and databases.
    Export {
        /// How rows are written.
        #[arg(long, value_enum)]
        format: Format,
        #[command(flatten)]
        filter: Filter,
    },
    /// Report what the requests would have cost by other prices. What was billed stays as it is.
    Reprice {
        #[command(flatten)]
        reprice: Reprice,
        #[command(flatten)]
        filter: Filter,
    },
    /// Check that each line is complete and intact, and that snapshots have the sums of the lines that they cover.
    Verify,
}

/// Does what was asked for.
pub(crate) fn run(ledger: &Ledger) -> ExitCode {
    let folder = match folder(ledger) {
        Ok(folder) => folder,
        Err(message) => {
            eprintln!("wasmgate: {message}");
            return ExitCode::from(2);
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut wrong = Vec::new();
    let done = match &ledger.verb {
        Verb::Show(filter) => read(&folder, |entry| {
            if let Some(entry) = filter.apply(entry)
                && let Ok(line) = serde_json::to_string(&entry)
            {
                // A reader that has enough, such as `head`, is no error.
                let _ = writeln!(out, "{line}");
            }
        }),
        Verb::Sum { by, filter } => {
            let mut text = String::new();
            sum::sum(&folder, by, filter, &mut text).inspect(|_| {
                let _ = out.write_all(text.as_bytes());
            })
        }
        Verb::Export { format, filter } => export::export(&folder, *format, filter, &mut out),
        Verb::Reprice { reprice, filter } => {
            let read = ledger.config.as_deref().ok_or("expected --config FILE, whose models are priced".to_owned());
            let read = read.and_then(|file| Config::read(Some(file)).map_err(|error| error.to_string()));
            match read.and_then(|config| Ok((reprice.catalogue(&config)?, config))) {
                Ok((catalogue, config)) => {
                    reprice.run(&folder, &config, catalogue.as_ref(), |entry| filter.apply(entry), &mut out)
                }
                Err(message) => {
                    eprintln!("wasmgate: {message}");
                    return ExitCode::from(2);
                }
            }
        }
        Verb::Verify => verify(&folder).map(|(report, found)| {
            wrong = found;
            let Report { entries, segments, open, .. } = report;
            let shown = folder.display();
            let _ = writeln!(out, "{shown}: {entries} entries in {segments} files, {open} requests in flight");
            report
        }),
    };
    let report = match done {
        Ok(report) => report,
        Err(error) => {
            eprintln!("wasmgate: {}: {error}", folder.display());
            return ExitCode::from(1);
        }
    };
    let _ = out.flush();
    wrong.iter().for_each(|message| eprintln!("wasmgate: {message}"));
    match say_damage(&report) || !wrong.is_empty() {
        true => ExitCode::from(1),
        false => ExitCode::SUCCESS,
    }
}

/// Says what is not intact. Returns whether something is damaged.
fn say_damage(report: &Report) -> bool {
    if let Some(torn) = &report.torn {
        let (file, bytes) = (torn.path.display(), torn.bytes);
        eprintln!(
            "wasmgate: {file}: the last {bytes} bytes are no complete line; the gateway cuts them off at its next start"
        );
    }
    if report.unknown > 0 {
        eprintln!("wasmgate: a later version of wasmgate wrote {} lines; they do not count", report.unknown);
    }
    if report.missing > 0 {
        eprintln!("wasmgate: {} files between the first and the last are gone", report.missing);
    }
    if report.damaged > 0 {
        eprintln!("wasmgate: {} lines are damaged and do not count", report.damaged);
    }
    report.damaged > 0 || report.missing > 0
}

fn folder(ledger: &Ledger) -> Result<PathBuf, String> {
    if let Some(folder) = &ledger.folder {
        return Ok(folder.clone());
    }
    let Some(file) = &ledger.config else {
        return Err("expected --config FILE, --folder FOLDER or the environment variable WASMGATE_CONFIG".to_owned());
    };
    let config = Config::read(Some(file)).map_err(|error| error.to_string())?;
    let folder = config.ledger_folder().map_err(|error| error.to_string())?;
    folder.ok_or_else(|| "there is no state folder; set `state_dir`".to_owned())
}
