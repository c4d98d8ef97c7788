//! The metrics of keys: how many there are, and why requests were refused for theirs.

use prometheus::{IntCounter, IntGauge};

use super::register::Families;

/// Why a request was refused for its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefusal {
    /// It has none.
    Missing,
    /// No key has this text.
    Unknown,
    /// An operator blocked it.
    Blocked,
    /// It has expired.
    Expired,
    /// A newer one replaced it, and its grace is over.
    Replaced,
    /// Its group is not there, or cannot be used.
    Suspended,
}

impl KeyRefusal {
    /// The words in the metric, in the order of the variants.
    const WORDS: [&str; 6] = ["missing", "unknown", "blocked", "expired", "replaced", "suspended"];
}

/// See the module.
#[derive(Debug)]
pub(super) struct Keys {
    // Of the configuration, of the API.
    counts: [IntGauge; 2],
    // In the order of `KeyRefusal::WORDS`.
    refusals: [IntCounter; KeyRefusal::WORDS.len()],
}

impl Keys {
    pub(super) fn new(families: &mut Families) -> Self {
        let counts = families.gauges(
            "api_gateway_keys",
            "Keys that the gateway knows: of the configuration, or made by the admin API; also those that are blocked or expired.",
            &["source"],
        );
        let refusals = families.counters(
            "api_gateway_key_refusals_total",
            "Requests that were refused for their key, by reason.",
            &["reason"],
        );
        Self {
            counts: ["configuration", "api"].map(|source| counts.with_label_values(&[source])),
            refusals: KeyRefusal::WORDS.map(|reason| refusals.with_label_values(&[reason])),
        }
    }
}

impl super::Metrics {
    /// A request was refused for its key.
    pub fn key_refused(&self, why: KeyRefusal) {
        self.keys.refusals[why as usize].inc();
    }

    /// Updates how many keys there are: of the configuration, and of the API.
    pub fn set_keys(&self, configured: usize, made: usize) {
        for (series, count) in self.keys.counts.iter().zip([configured, made]) {
            series.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
