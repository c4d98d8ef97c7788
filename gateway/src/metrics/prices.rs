//! The metrics of prices: which catalogue is in force, how old it is, and what became of changes of its file.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use super::register::Families;
use wasmgate_base::time::UnixSeconds;

/// The catalogue in force.
#[derive(Debug, Clone, Copy)]
pub struct PriceCatalogue<'a> {
    /// `file` or `builtin`.
    pub origin: &'static str,
    /// Its version.
    pub version: &'a str,
    /// The beginning of the day as of which its prices hold.
    pub date: UnixSeconds,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Prices {
    date: IntGaugeVec,
    successful: IntGauge,
    reloads: IntCounterVec,
}

impl Prices {
    pub(super) fn new(families: &mut Families) -> Self {
        let reloads = families.counters(
            "api_gateway_price_reloads_total",
            "Changes of the file of prices, by result.",
            &["result"],
        );
        for result in ["success", "rejected"] {
            reloads.with_label_values(&[result]);
        }
        Self {
            date: families.gauges(
                "api_gateway_price_catalogue_timestamp_seconds",
                "The day as of which the prices of the catalogue in force hold, in seconds since 1970.",
                &["origin", "catalogue"],
            ),
            successful: families.gauge(
                "api_gateway_price_last_reload_successful",
                "1: the current file of prices is in force. 0: the gateway refused it, and the last good one stays in force.",
            ),
            reloads,
        }
    }
}

impl super::Metrics {
    /// Counts a change of the file of prices as applied or refused.
    pub fn prices_reloaded(&self, successful: bool) {
        self.prices.reloads.with_label_values(&[if successful { "success" } else { "rejected" }]).inc();
    }

    /// Sets the gauges of the catalogue in force. `current`: whether it is what the file has.
    pub fn set_prices(&self, catalogue: Option<PriceCatalogue<'_>>, current: bool) {
        let _scrape = self.lock_scrape();
        self.prices.date.reset();
        if let Some(PriceCatalogue { origin, version, date }) = catalogue {
            let date = i64::try_from(date).unwrap_or(i64::MAX);
            self.prices.date.with_label_values(&[origin, version]).set(date);
        }
        self.prices.successful.set(i64::from(current));
    }
}
