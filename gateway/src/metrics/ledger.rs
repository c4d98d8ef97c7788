//! The metric of the ledger: entries written and lost.

use prometheus::{IntCounter, IntCounterVec};

use super::register::Families;

/// See the module.
#[derive(Debug)]
pub(super) struct Entries {
    written: IntCounter,
    lost: IntCounter,
}

impl Entries {
    pub(super) fn new(families: &mut Families) -> Self {
        let entries: IntCounterVec = families.counters(
            "api_gateway_ledger_entries_total",
            "Requests that the ledger kept (written), or that found no room in its queue or that the disk refused (lost).",
            &["result"],
        );
        Self { written: entries.with_label_values(&["written"]), lost: entries.with_label_values(&["lost"]) }
    }
}

impl super::Metrics {
    /// Updates how many entries the ledger has written and lost since the start.
    pub fn set_ledger(&self, written: u64, lost: u64) {
        let _scrape = self.lock_scrape();
        for (series, total) in [(&self.ledger.written, written), (&self.ledger.lost, lost)] {
            series.inc_by(total.saturating_sub(series.get()));
        }
    }
}
