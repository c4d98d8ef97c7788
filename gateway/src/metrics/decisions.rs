//! The metrics of the decision log: lines written, what was dropped, and feedback.

use prometheus::{IntCounter, IntCounterVec};

use super::register::Families;

/// See the module.
#[derive(Debug)]
pub(super) struct Lines {
    results: [IntCounter; 4],
    feedback: IntCounter,
}

const RESULTS: [&str; 4] = ["written", "queue_full", "disk_error", "no_room_for_text"];

impl Lines {
    pub(super) fn new(families: &mut Families) -> Self {
        let lines: IntCounterVec = families.counters(
            "api_gateway_decision_log_lines_total",
            "Lines of the decision log: written, or dropped because the queue was full (queue_full), the disk refused them \
             (disk_error), or too many texts waited (no_room_for_text).",
            &["result"],
        );
        let feedback =
            families.counter("api_gateway_feedback_total", "Feedback on answers that the decision log took.");
        Self { results: RESULTS.map(|result| lines.with_label_values(&[result])), feedback }
    }
}

impl super::Metrics {
    /// Counts feedback that was taken.
    pub fn feedback(&self) {
        self.decisions.feedback.inc();
    }

    /// Updates what became of the decision log's lines since the start: written, queue full, disk error, no room for text.
    pub fn set_decision_log(&self, totals: [u64; 4]) {
        let _scrape = self.lock_scrape();
        for (series, total) in self.decisions.results.iter().zip(totals) {
            series.inc_by(total.saturating_sub(series.get()));
        }
    }
}
