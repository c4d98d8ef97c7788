//! The metrics of the ledger: what became of entries, what waits for its disk, and whether this process writes.

use prometheus::{IntCounter, IntCounterVec, IntGauge};
use wasmgate_ledger::Status;

use super::register::Families;

/// See the module.
#[derive(Debug)]
pub(super) struct Entries {
    // In the order of `RESULTS`.
    results: [IntCounter; RESULTS.len()],
    errors: IntCounter,
    waiting: IntGauge,
    is_writer: IntGauge,
}

const RESULTS: [&str; 5] = ["written", "lost", "interrupted", "torn", "damaged"];

impl Entries {
    pub(super) fn new(families: &mut Families) -> Self {
        let entries: IntCounterVec = families.counters(
            "api_gateway_ledger_entries_total",
            "Requests that the ledger kept (written), that found no room in its queue or that the disk refused to the end (lost), \
             that an earlier process was ended with (interrupted), ends of files that were not complete and were cut off (torn), \
             and lines that do not count (damaged).",
            &["result"],
        );
        Self {
            results: RESULTS.map(|result| entries.with_label_values(&[result])),
            errors: families.counter(
                "api_gateway_ledger_errors_total",
                "Errors of the ledger's disk. What it refuses waits and is written again.",
            ),
            waiting: families.gauge(
                "api_gateway_ledger_waiting_records",
                "Records of the ledger that wait for its disk. From 32,768 on, requests of groups with a budget are refused.",
            ),
            is_writer: families.gauge(
                "api_gateway_ledger_writer",
                "1: this process writes the ledger. 0: it has none, or waits until the process ends that does.",
            ),
        }
    }
}

impl super::Metrics {
    /// Updates what became of the ledger's entries since the start.
    pub fn set_ledger(&self, status: &Status) {
        let _scrape = self.lock_scrape();
        let totals = [status.written(), status.lost(), status.interrupted(), status.torn(), status.damaged()];
        for (series, total) in self.ledger.results.iter().zip(totals) {
            series.inc_by(total.saturating_sub(series.get()));
        }
        self.ledger.errors.inc_by(status.errors().saturating_sub(self.ledger.errors.get()));
        self.ledger.waiting.set(i64::try_from(status.waiting()).unwrap_or(i64::MAX));
        self.ledger.is_writer.set(status.is_writer().into());
    }
}
