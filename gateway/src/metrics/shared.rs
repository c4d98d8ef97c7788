//! The metrics of limits that several gateways share. A gateway that shares none has no series.

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
        }
    }
}

impl super::Metrics {
    /// Updates what is known of the shared state. `borrows`: those ahead of requests and those for one that waited, each granted,
    /// refused and failed.
    pub fn set_shared(&self, is_up: bool, gateways: u32, borrows: [[u64; 3]; 2]) {
        let _scrape = self.lock_scrape();
        self.shared.up.with_label_values(&[STORE]).set(i64::from(is_up));
        self.shared.gateways.with_label_values(&[STORE]).set(gateways.into());
        for (by, results) in ["ahead", "request"].into_iter().zip(borrows) {
            for (result, total) in ["granted", "refused", "failed"].into_iter().zip(results) {
                let series = self.shared.borrows.with_label_values(&[by, result]);
                series.inc_by(total.saturating_sub(series.get()));
            }
        }
    }
}
