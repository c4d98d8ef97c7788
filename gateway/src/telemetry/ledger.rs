//! The ledger's records of a request, and the ledger at a start: what groups had used before it counts again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::Record;
use super::billing::Bill;
use crate::metrics::labels::Ending;
use crate::state::{Serving, Snapshot};
use wasmgate_accounts::{Amount, Group, Meters, Reservation};
use wasmgate_base::log_limit::LogLimit;
use wasmgate_base::money::Rates;
use wasmgate_base::time::UnixSeconds;
use wasmgate_ledger::{Call, Entry, Event, Ledger, Notice, Options, Report, Reserved};

/// The longest time that the end of the process waits for the disk.
pub const FLUSH: Duration = Duration::from_secs(5);

/// What a request reserved that was admitted; `None` if it has no key.
#[must_use]
pub fn reserved(record: &Record, snapshot: &Snapshot, reservation: &Reservation) -> Option<Reserved> {
    let Amount { tokens, money } = reservation.held();
    let group = snapshot.group(record.group)?;
    Some(Reserved {
        at: reservation.at(),
        request: record.id.clone(),
        group: group.name.to_string(),
        above: Some(above(group, snapshot)),
        key: record.key.as_ref()?.id.to_string(),
        amount: wasmgate_ledger::Amount { tokens, money },
    })
}

/// The entry of a request with a key; `None` if it has none, or was refused before it used anything. `admitted`: when its groups
/// admitted it.
#[must_use]
pub fn entry(record: &Record, snapshot: &Snapshot, ending: Ending, admitted: Option<UnixSeconds>) -> Option<Entry> {
    let (group, key) = (snapshot.group(record.group)?, record.key.as_ref()?);
    let calls: Vec<Call> = record.bills(ending).map(|bill| call(&bill, snapshot)).collect();
    if calls.is_empty() && admitted.is_none() {
        return None;
    }
    Some(Entry {
        at: admitted.unwrap_or_else(|| record.created()),
        request: record.id.clone(),
        group: group.name.to_string(),
        above: Some(above(group, snapshot)),
        key: key.id.to_string(),
        ending: ending.as_str().to_owned(),
        policy: record.policy_label().map(str::to_owned),
        calls,
        reserved: None,
    })
}

/// The names of the groups above a group, the nearest first.
fn above(group: &Group, snapshot: &Snapshot) -> Vec<String> {
    let groups = snapshot.access.accounts.groups();
    group.chain.iter().skip(1).map(|&position| groups[position].name.to_string()).collect()
}

fn call(bill: &Bill, snapshot: &Snapshot) -> Call {
    let live = &snapshot.catalog.models()[bill.model];
    let price = live.model.price.map(|price| *price.rates(bill.usage.input_total()));
    let rates = |rates: Rates| [rates.input, rates.cache_read, rates.cache_write, rates.output].map(|rate| rate.0);
    let of_its_own = price.filter(|rates| rates.reasoning != rates.output);
    Call {
        model: live.model.name.clone(),
        backend: live.backend.settings().name.clone(),
        input: bill.usage.input,
        cache_read: bill.usage.cache_read,
        cache_write: bill.usage.cache_write,
        output: bill.usage.output,
        reasoning: bill.usage.reasoning,
        reported: bill.reported == [true; 2],
        price: price.map(rates),
        reasoning_price: of_its_own.map(|rates| rates.reasoning.0),
        price_version: live.model.price_version.as_deref().map(str::to_owned),
        cost: price.map(|rates| rates.of(&bill.usage).0),
    }
}

/// Opens the ledger in a folder, and counts what is in it: in each group that was above a request's when the request was
/// admitted, whatever became of these groups since. `None`: it cannot be opened, and no group has a limit.
///
/// # Errors
/// If it cannot be opened and a group has a limit: nobody would know what was used of it.
pub fn open(
    folder: &Path,
    meters: Arc<Meters>,
    serving: Arc<Serving>,
    options: Options,
) -> Result<Option<Ledger>, String> {
    let is_limited = serving.snapshot().access.accounts.groups().iter().any(|group| !group.limits.is_empty());
    let mut names = Names::default();
    let replay = move |event: Event<'_>| {
        let (snapshot, now) = (serving.snapshot(), serving.now());
        // Of lines that do not say which groups were above: those that are now.
        let mut chain = |group: &str| names.position(&snapshot, group).and_then(|at| snapshot.chain(Some(at)));
        match event {
            Event::Counted(group, history) => meters.of(group).restore(history, now),
            Event::Past(group, history) => match chain(group) {
                Some(chain) => chain.restore(history, now),
                None => meters.of(group).restore(history, now),
            },
            Event::Entry(entry) => {
                let used = Amount { tokens: entry.tokens(), money: entry.cost() };
                match (entry.groups(), chain(&entry.group)) {
                    (Some(groups), _) => groups.for_each(|group| meters.of(group).replay(entry.at, used, now)),
                    (None, Some(chain)) => chain.replay(entry.at, used, now),
                    (None, None) => meters.of(&entry.group).replay(entry.at, used, now),
                }
            }
        }
    };
    let shown = folder.display();
    let (ledger, report) = match Ledger::open(folder, Options { notify, ..options }, replay) {
        Ok(opened) => opened,
        Err(error) if is_limited => {
            return Err(format!(
                "the ledger in {shown} cannot be opened: {error}; without it limits of groups would begin with nothing used: make \
                 the folder one that can be read and written, set `state_dir` to another, or `ledger.enabled = false`"
            ));
        }
        Err(error) => {
            tracing::error!(%error, folder = %shown, "the ledger cannot be opened: what groups use is not kept");
            return Ok(None);
        }
    };
    say(&report);
    let status = ledger.status();
    if status.interrupted() > 0 {
        let (requests, usd) = (status.interrupted(), wasmgate_base::money::NanoDollars(report.reserved.money).usd());
        tracing::warn!(
            requests,
            usd,
            "the process before was ended with requests in flight: they count for what they had reserved"
        );
    }
    if !status.is_writer() {
        tracing::warn!(folder = %shown, "another gateway writes the ledger; this one reads along, and takes it over when that one ends");
    }
    let Report { entries, segments, bytes, .. } = report;
    tracing::info!(entries, segments, bytes, folder = %shown, "ledger read");
    Ok(Some(ledger))
}

/// The positions of groups by name, in the snapshot that served when they were last asked for.
#[derive(Default)]
struct Names {
    generation: u64,
    positions: HashMap<Box<str>, usize>,
}

impl Names {
    fn position(&mut self, snapshot: &Snapshot, name: &str) -> Option<usize> {
        if self.generation != snapshot.generation {
            let groups = snapshot.access.accounts.groups().iter().enumerate();
            self.positions = groups.map(|(position, group)| (group.name.clone(), position)).collect();
            self.generation = snapshot.generation;
        }
        self.positions.get(name).copied()
    }
}

/// Logs what is not as it should be.
fn say(report: &Report) {
    if let Some(torn) = &report.torn {
        let (file, bytes) = (torn.path.display(), torn.bytes);
        tracing::warn!(%file, bytes, "the ledger's last line is not complete; the process before was ended while it wrote");
    }
    if report.damaged > 0 {
        tracing::error!(lines = report.damaged, "lines of the ledger are damaged and do not count");
    }
    if report.unknown > 0 {
        let lines = report.unknown;
        tracing::error!(lines, "a later version of the gateway wrote lines of the ledger; they do not count");
    }
    if report.damaged_snapshots > 0 {
        let snapshots = report.damaged_snapshots;
        tracing::error!(snapshots, "snapshots of the ledger are damaged; the gateway read an older one and more lines");
    }
    if report.missing > 0 {
        tracing::error!(
            files = report.missing,
            "files of the ledger are gone that no snapshot covers; they do not count"
        );
    }
}

/// Logs what the ledger's thread has to say; errors not more often than other lines of that kind.
fn notify(notice: &Notice<'_>) {
    static LINES: LazyLock<LogLimit> = LazyLock::new(LogLimit::default);
    match notice {
        Notice::Error(error) => {
            if let Some(suppressed) = LINES.admit() {
                tracing::error!(%error, suppressed, "the ledger cannot be written; its records wait for the disk");
            }
        }
        Notice::Recovered => tracing::info!("the ledger is written again"),
        Notice::TookOver(report) => {
            say(report);
            tracing::info!(
                entries = report.entries,
                "the gateway that wrote the ledger has ended; this one took the ledger over"
            );
        }
        Notice::Lost(entries) => {
            tracing::error!(
                entries,
                "the process ends and the ledger's disk did not take all; a restart forgets the rest"
            );
        }
    }
}
