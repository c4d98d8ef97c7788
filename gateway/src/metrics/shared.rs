//! The metrics of what several gateways share. A gateway that shares nothing has no series.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::register::Families;

/// The kind of server, as its label has it.
const STORE: &str = "redis";

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    up: IntGaugeVec,
    gateways: IntGaugeVec,
    borrows: IntCounterVec,
    untold: IntGaugeVec,
    conflicts: IntCounterVec,
}

impl Shared {
    pub(super) fn new(families: &mut Families) -> Self {
        Self {
            up: families.gauges(
                "api_gateway_shared_up",
                "1 while the server answers in which gateways share their limits, else 0. None if no limits are shared.",
                &["store"],
            ),
            gateways: families.gauges(
                "api_gateway_shared_gateways",
                "Gateways that share the limits, as the server last said, this one included.",
                &["store"],
            ),
            borrows: families.counters(
                "api_gateway_shared_borrows_total",
                "Times that the gateway asked to borrow of a limit, ahead of requests or for a request that waited, and whether \
                 it was granted, refused (too little is left) or failed (no answer in time).",
                &["by", "result"],
            ),
            untold: families.gauges(
                "api_gateway_shared_untold_changes",
                "Keys and groups that were changed here and that the other gateways have not been told, because the server of the \
                 shared state does not answer.",
                &["store"],
            ),
            conflicts: families.counters(
                "api_gateway_shared_conflicts_total",
                "Changes of keys and groups made here while another gateway changed the same one, so that they do not count as \
                 they were made.",
                &["store"],
            ),
        }
    }
}

impl super::Metrics {
    /// Updates what is known of the shared state. `borrows`: those ahead of requests and those for one that waited, each granted,
    /// refused and failed. `entries`: keys and groups that are not told, and conflicts.
    pub fn set_shared(&self, is_up: bool, gateways: u32, borrows: [[u64; 3]; 2], entries: [u64; 2]) {
        let _scrape = self.lock_scrape();
        self.shared.up.with_label_values(&[STORE]).set(i64::from(is_up));
        self.shared.gateways.with_label_values(&[STORE]).set(gateways.into());
        let [untold, conflicts] = entries;
        self.shared.untold.with_label_values(&[STORE]).set(i64::try_from(untold).unwrap_or(i64::MAX));
        let series = self.shared.conflicts.with_label_values(&[STORE]);
        series.inc_by(conflicts.saturating_sub(series.get()));
        for (by, results) in ["ahead", "request"].into_iter().zip(borrows) {
            for (result, total) in ["granted", "refused", "failed"].into_iter().zip(results) {
                let series = self.shared.borrows.with_label_values(&[by, result]);
                series.inc_by(total.saturating_sub(series.get()));
            }
        }
    }
}
