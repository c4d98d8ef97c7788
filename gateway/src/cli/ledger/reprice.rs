//! `wasmgate ledger reprice`: what the requests in the ledger would have cost by other prices. It reads; what was billed stays.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use wasmgate::config::Config;
use wasmgate_base::money::NanoDollars;
use wasmgate_base::usage::Usage;
use wasmgate_ledger::{Call, Entry, Report, read};
use wasmgate_prices::Catalogue;

use crate::cli::table::Table;

/// See the module.
#[derive(Args)]
pub(super) struct Reprice {
    /// The catalogue to go by; without it, that of the configuration. Prices in the configuration beat it.
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// What has a line of its own.
    #[arg(long, value_enum, default_value_t = By::Model)]
    by: By,
    /// Also write the sums to a file, as JSON, in nano-dollars.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    Model,
    Group,
}

/// What a line adds up, in nano-dollars.
#[derive(Default)]
struct Sum {
    calls: u64,
    billed: u64,
    /// Calls that were billed without a price.
    unbilled: u64,
    repriced: u64,
    /// Calls for which there is no price now: those keep what they were billed.
    unpriced: u64,
}

impl Sum {
    fn add(&mut self, call: &Call, new: Option<u64>) {
        self.calls += 1;
        self.unbilled += u64::from(call.cost.is_none());
        self.unpriced += u64::from(new.is_none());
        let billed = call.cost.unwrap_or_default();
        self.billed = self.billed.saturating_add(billed);
        self.repriced = self.repriced.saturating_add(new.unwrap_or(billed));
    }
}

impl Reprice {
    /// The prices by which to count.
    pub(super) fn catalogue(&self, config: &Config) -> Result<Option<Catalogue>, String> {
        let Some(file) = self.prices.as_ref().or(config.prices.file.as_ref()) else {
            return Ok(config.prices.builtin.then(wasmgate_prices::builtin));
        };
        let shown = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
        wasmgate_prices::read(&shown, &text).map(Some)
    }

    /// Prints the sums of what `narrowed` leaves of each entry.
    pub(super) fn run(
        &self,
        folder: &Path,
        config: &Config,
        catalogue: Option<&Catalogue>,
        narrowed: impl Fn(Entry) -> Option<Entry>,
        out: &mut impl Write,
    ) -> io::Result<Report> {
        let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
        let mut total = Sum::default();
        let report = read(folder, |entry| {
            let Some(entry) = narrowed(entry) else { return };
            for call in &entry.calls {
                let new = cost(call, entry.at, config, catalogue);
                total.add(call, new);
                let name = match self.by {
                    By::Model => &call.model,
                    By::Group => &entry.group,
                };
                sums.entry(name.clone()).or_default().add(call, new);
            }
        })?;
        let head = ["NAME", "CALLS", "BILLED", "BY THESE PRICES", "DIFFERENCE", "BILLED UNPRICED", "UNPRICED NOW"];
        let mut table = Table::new(&head);
        for (name, sum) in sums.iter().map(|(name, sum)| (name.as_str(), sum)).chain([("total", &total)]) {
            let usd = |nano: u64| format!("{:.6}", NanoDollars(nano).usd());
            let sign = if sum.repriced < sum.billed { "-" } else { "+" };
            let difference = format!("{sign}{}", usd(sum.repriced.abs_diff(sum.billed)));
            let counts = [sum.unbilled, sum.unpriced].map(|count| count.to_string());
            let cells = [name.to_owned(), sum.calls.to_string(), usd(sum.billed), usd(sum.repriced), difference];
            table.row(cells.into_iter().chain(counts));
        }
        write!(out, "{table}")?;
        if let Some(file) = &self.output {
            let row = |(name, sum): (&str, &Sum)| {
                json!({
                    "name": name,
                    "calls": sum.calls,
                    "billed_nano_usd": sum.billed,
                    "repriced_nano_usd": sum.repriced,
                    "billed_unpriced_calls": sum.unbilled,
                    "unpriced_calls": sum.unpriced,
                })
            };
            let rows: Vec<_> = sums.iter().map(|(name, sum)| row((name, sum))).collect();
            let version = catalogue.map(Catalogue::version);
            let json = json!({"catalogue": version, "sums": rows, "total": row(("total", &total))});
            fs::write(file, format!("{json:#}\n"))?;
        }
        Ok(report)
    }
}

/// What a call costs by the prices of its time; `None` if its model has none, or is no longer configured.
fn cost(call: &Call, at: u64, config: &Config, catalogue: Option<&Catalogue>) -> Option<u64> {
    let price = config.price(&call.model, catalogue, at)?;
    let Call { input, cache_read, cache_write, output, reasoning, .. } = *call;
    Some(price.of(&Usage { input, cache_read, cache_write, output, reasoning }).0)
}
