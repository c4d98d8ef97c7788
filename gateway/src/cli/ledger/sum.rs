//! `ledger sum`: requests, tokens and cost, added up by what the operator names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use clap::ValueEnum;
use wasmgate_accounts::time;
use wasmgate_base::money::NanoDollars;
use wasmgate_ledger::{Call, Entry, Report, read};

use super::super::table::Table;
use super::filter::Filter;

/// What has a line of its own.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    Group,
    Key,
    Model,
    /// The routing policy that chose the model, with its version.
    Policy,
    /// Days of UTC.
    Day,
}

impl By {
    fn head(self) -> &'static str {
        match self {
            Self::Group => "GROUP",
            Self::Key => "KEY",
            Self::Model => "MODEL",
            Self::Policy => "POLICY",
            Self::Day => "DAY",
        }
    }

    fn of(self, entry: &Entry, call: Option<&Call>) -> String {
        let none = || "-".to_owned();
        match self {
            Self::Group => entry.group.clone(),
            Self::Key => entry.key.clone(),
            Self::Model => call.map_or_else(none, |call| call.model.clone()),
            Self::Policy => entry.policy.clone().unwrap_or_else(none),
            Self::Day => time::format(entry.at).chars().take(10).collect(),
        }
    }
}

/// What a line adds up.
#[derive(Default)]
struct Sum {
    requests: u64,
    input: u64,
    output: u64,
    cost: u64,
}

impl Sum {
    /// Adds a request with these calls, and what it had reserved if it was interrupted.
    fn add(&mut self, calls: &[Call], reserved: u64) {
        self.requests += 1;
        self.cost = self.cost.saturating_add(reserved);
        for call in calls {
            self.input += call.input + call.cache_read + call.cache_write;
            self.output += call.output;
            self.cost = self.cost.saturating_add(call.cost.unwrap_or_default());
        }
    }

    fn cells(&self) -> impl Iterator<Item = String> {
        let cost = format!("{:.6}", NanoDollars(self.cost).usd());
        [self.requests, self.input, self.output].map(|number| number.to_string()).into_iter().chain([cost])
    }
}

/// The sums of a ledger, as a table.
pub(super) fn sum(folder: &Path, by: &[By], filter: &Filter, text: &mut String) -> io::Result<Report> {
    let mut sums: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
    let (mut total, mut interrupted) = (Sum::default(), Sum::default());
    let report = read(folder, |entry| {
        let Some(entry) = filter.apply(entry) else { return };
        let reserved = entry.reserved.map_or(0, |reserved| reserved.money);
        total.add(&entry.calls, reserved);
        if entry.reserved.is_some() {
            interrupted.add(&[], reserved);
        }
        let line = |call: Option<&Call>| by.iter().map(|by| by.of(&entry, call)).collect::<Vec<_>>();
        // A request that fell back called several.
        if by.contains(&By::Model) && !entry.calls.is_empty() {
            for call in &entry.calls {
                sums.entry(line(Some(call))).or_default().add(std::slice::from_ref(call), 0);
            }
        } else {
            sums.entry(line(None)).or_default().add(&entry.calls, reserved);
        }
    })?;
    let numbers = ["REQUESTS", "INPUT TOKENS", "OUTPUT TOKENS", "US DOLLARS"];
    let head: Vec<&'static str> = by.iter().map(|by| by.head()).chain(numbers).collect();
    let mut table = Table::new(&head);
    for (names, sum) in sums {
        table.row(names.into_iter().chain(sum.cells()));
    }
    let names = (0..by.len()).map(|column| if column == 0 { "total".to_owned() } else { String::new() });
    table.row(names.chain(total.cells()));
    let _ = write!(text, "{table}");
    let usd = |money: u64| NanoDollars(money).usd();
    if interrupted.requests > 0 {
        let Sum { requests, cost, .. } = interrupted;
        let _ = writeln!(text, "of these, ${:.6} is what {requests} interrupted requests had reserved", usd(cost));
    }
    if report.open > 0 {
        let (open, money) = (report.open, report.reserved.money);
        let _ = writeln!(text, "not in it: {open} requests are in flight and have reserved ${:.6}", usd(money));
    }
    Ok(report)
}
