//! The ledger's entry of a request, and the ledger at a start: what groups had used before it counts again.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use super::Record;
use super::billing::Bill;
use crate::metrics::labels::Ending;
use crate::state::Snapshot;
use wasmgate_accounts::Amount;
use wasmgate_base::log_limit::LogLimit;
use wasmgate_base::money::Rates;
use wasmgate_base::time::{UnixSeconds, now};
use wasmgate_ledger::{Call, Entry, Ledger, Opened, Options};

/// The longest time that the end of the process waits for the disk.
pub const FLUSH: Duration = Duration::from_secs(5);

/// The entry of a request with a key; `None` if it has none, or was refused before it used anything. `admitted`: when its groups
/// admitted it, if they have limits.
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
        key: key.id.to_string(),
        ending: ending.as_str().to_owned(),
        policy: record.policy_label().map(str::to_owned),
        calls,
    })
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

/// Opens the ledger in a folder, and counts what is in it. Without one the gateway serves, and says so.
#[must_use]
pub fn open(folder: &Path, snapshot: &Snapshot) -> Option<Ledger> {
    let names = snapshot.access.accounts.groups().iter().zip(&snapshot.chains);
    let chains: HashMap<&str, _> = names.map(|(group, chain)| (&*group.name, chain)).collect();
    let now = now();
    let replay = |entry: Entry| {
        if let Some(chain) = chains.get(&*entry.group) {
            chain.replay(entry.at, Amount { tokens: entry.tokens(), money: entry.cost() }, now);
        }
    };
    let shown = folder.display();
    let options = Options { report, ..Options::default() };
    let Opened { ledger, report } = match Ledger::open(folder, options, replay) {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(%error, folder = %shown, "the ledger cannot be opened: a restart forgets what groups used");
            return None;
        }
    };
    if let Some(torn) = &report.torn {
        let (file, bytes) = (torn.path.display(), torn.bytes);
        tracing::warn!(%file, bytes, "the ledger's last line is not complete; the process before was ended while it wrote");
    }
    if report.damaged > 0 {
        tracing::error!(lines = report.damaged, folder = %shown, "lines of the ledger are damaged and do not count");
    }
    if report.unknown > 0 {
        let lines = report.unknown;
        tracing::error!(lines, folder = %shown, "a later version of the gateway wrote lines of the ledger; they do not count");
    }
    if ledger.is_none() {
        tracing::warn!(folder = %shown, "another gateway writes the ledger; a restart forgets what groups use here");
    }
    tracing::info!(entries = report.entries, segments = report.segments, folder = %shown, "ledger read");
    ledger
}

/// Logs an error of the ledger's disk, not more often than other lines of that kind.
fn report(error: &std::io::Error) {
    static LINES: std::sync::LazyLock<LogLimit> = std::sync::LazyLock::new(LogLimit::default);
    if let Some(suppressed) = LINES.admit() {
        tracing::error!(%error, suppressed, "the ledger cannot be written: a restart forgets what groups used");
    }
}
