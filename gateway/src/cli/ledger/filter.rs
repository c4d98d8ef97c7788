//! Which entries count, and which of their calls.

use clap::Args;
use wasmgate_accounts::time;
use wasmgate_ledger::{Call, Entry};

/// See the module.
#[derive(Args)]
pub(super) struct Filter {
    /// Entries of this group only.
    #[arg(long)]
    group: Option<String>,
    /// Calls of this model only.
    #[arg(long)]
    model: Option<String>,
    /// Entries since this time, as in 2026-11-29T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = at)]
    since: Option<u64>,
    /// Entries before this time.
    #[arg(long, value_name = "TIME", value_parser = at)]
    until: Option<u64>,
}

fn at(text: &str) -> Result<u64, String> {
    time::parse(text).ok_or_else(|| "expected a time as in 2026-11-29T12:00:00Z".to_owned())
}

impl Filter {
    /// The entry with the calls that count; `None` if it does not count.
    pub(super) fn apply(&self, mut entry: Entry) -> Option<Entry> {
        let counts = self.group.as_ref().is_none_or(|group| *group == entry.group)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until);
        if let Some(model) = &self.model {
            entry.calls.retain(|call: &Call| call.model == *model);
            if entry.calls.is_empty() {
                return None;
            }
        }
        counts.then_some(entry)
    }
}
