//! `wasmgate ledger`: reads the ledger of a gateway, also while that writes to it.
//!
//! Exit codes: 0 done; 1 the ledger cannot be read, or is damaged; 2 wrong usage.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use wasmgate::config::Config;
use wasmgate_accounts::time;
use wasmgate_base::money::NanoDollars;
use wasmgate_ledger::{Call, Entry, Report, read};

use super::table::Table;

/// See the module.
#[derive(Args)]
pub(crate) struct Ledger {
    #[command(subcommand)]
    verb: Verb,
    /// The gateway's configuration file, which says where its ledger is.
    #[arg(long, env = "WASMGATE_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The folder of the ledger, in place of a configuration.
    #[arg(long, value_name = "FOLDER", global = true)]
    folder: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Verb {
    /// Print all entries, one JSON object a line.
    Show(Filter),
    /// Add up requests, tokens and cost.
    Sum {
        /// What has a line of its own.
        #[arg(long, value_enum, default_value_t = By::Group)]
        by: By,
        #[command(flatten)]
        filter: Filter,
    },
    /// Check that each line is complete and intact.
    Verify,
}

/// Which entries count.
#[derive(Args)]
struct Filter {
    /// Entries of this group only.
    #[arg(long)]
    group: Option<String>,
    /// Entries since this time, as in 2026-11-29T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = at)]
    since: Option<u64>,
    /// Entries before this time.
    #[arg(long, value_name = "TIME", value_parser = at)]
    until: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    Group,
    Key,
    Model,
    /// Days of UTC.
    Day,
}

fn at(text: &str) -> Result<u64, String> {
    time::parse(text).ok_or_else(|| "expected a time as in 2026-11-29T12:00:00Z".to_owned())
}

impl Filter {
    fn admits(&self, entry: &Entry) -> bool {
        self.group.as_ref().is_none_or(|group| *group == entry.group)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

/// What a line of a sum adds up.
#[derive(Default)]
struct Sum {
    requests: u64,
    input: u64,
    output: u64,
    cost: u64,
}

impl Sum {
    /// Adds a request with these calls.
    fn add(&mut self, calls: &[Call]) {
        self.requests += 1;
        for call in calls {
            self.input += call.input + call.cache_read + call.cache_write;
            self.output += call.output;
            self.cost += call.cost.unwrap_or_default();
        }
    }
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
    let done = match &ledger.verb {
        Verb::Show(filter) => read(&folder, |entry| {
            if filter.admits(&entry)
                && let Ok(line) = serde_json::to_string(&entry)
            {
                // A reader that has enough, such as `head`, is no error.
                let _ = writeln!(out, "{line}");
            }
        }),
        Verb::Sum { by, filter } => sum(&folder, *by, filter, &mut out),
        Verb::Verify => read(&folder, |_| ()),
    };
    let report = match done {
        Ok(report) => report,
        Err(error) => {
            eprintln!("wasmgate: {}: {error}", folder.display());
            return ExitCode::from(1);
        }
    };
    if matches!(ledger.verb, Verb::Verify) {
        let _ = writeln!(out, "{}: {} entries in {} files", folder.display(), report.entries, report.segments);
    }
    let _ = out.flush();
    say_damage(&report)
}

/// Says what is not intact.
fn say_damage(report: &Report) -> ExitCode {
    if let Some(torn) = &report.torn {
        let (file, bytes) = (torn.path.display(), torn.bytes);
        eprintln!(
            "wasmgate: {file}: the last {bytes} bytes are no complete line; the gateway cuts them off at its next start"
        );
    }
    if report.unknown > 0 {
        eprintln!("wasmgate: a later version of wasmgate wrote {} lines; they do not count", report.unknown);
    }
    if report.damaged > 0 {
        eprintln!("wasmgate: {} lines are damaged and do not count", report.damaged);
        return ExitCode::from(1);
    }
    ExitCode::SUCCESS
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

fn sum(folder: &std::path::Path, by: By, filter: &Filter, out: &mut impl Write) -> io::Result<Report> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    let mut total = Sum::default();
    let report = read(folder, |entry| {
        if !filter.admits(&entry) {
            return;
        }
        total.add(&entry.calls);
        let name = match by {
            // A request that fell back called several.
            By::Model => {
                for call in &entry.calls {
                    sums.entry(call.model.clone()).or_default().add(std::slice::from_ref(call));
                }
                return;
            }
            By::Group => entry.group,
            By::Key => entry.key,
            By::Day => time::format(entry.at).chars().take(10).collect(),
        };
        sums.entry(name).or_default().add(&entry.calls);
    })?;
    let mut table = Table::new(&["NAME", "REQUESTS", "INPUT TOKENS", "OUTPUT TOKENS", "US DOLLARS"]);
    for (name, sum) in sums.iter().map(|(name, sum)| (name.as_str(), sum)).chain([("total", &total)]) {
        let cost = format!("{:.6}", NanoDollars(sum.cost).usd());
        let numbers = [sum.requests, sum.input, sum.output].map(|number| number.to_string());
        table.row([name.to_owned()].into_iter().chain(numbers).chain([cost]));
    }
    write!(out, "{table}")?;
    Ok(report)
}
