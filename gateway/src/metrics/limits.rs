//! The metrics of groups' limits: how they stand at a scrape, and how many requests each refused. Groups that share the label
//! `other` have none.

use prometheus::{GaugeVec, IntCounterVec};
use wasmgate_accounts::{Measure, Period, Standing};
use wasmgate_base::money::NanoDollars;

use super::groups::OTHER;
use super::register::Families;

const LABELS: [&str; 3] = ["group", "limit", "period"];

/// The families of limits.
#[derive(Debug)]
pub(super) struct Limits {
    most: GaugeVec,
    left: GaugeVec,
    refused: IntCounterVec,
}

impl Limits {
    pub(super) fn new(families: &mut Families) -> Self {
        Self {
            most: families.ratios(
                "api_gateway_group_limit",
                "The most that a group may use in a period: requests, tokens, usd (US dollars), or requests at a time \
                 (concurrent).",
                &LABELS,
            ),
            left: families.ratios(
                "api_gateway_group_limit_left",
                "What is left of a group's limit in the current period, reservations of requests in flight taken off.",
                &LABELS,
            ),
            refused: families.counters(
                "api_gateway_group_limit_refusals_total",
                "Requests refused with 429, by the group whose limit had no room and by the limit.",
                &LABELS,
            ),
        }
    }
}

/// An amount as its metric has it.
#[expect(clippy::cast_precision_loss, reason = "only shown")]
fn shown(measure: Measure, amount: u64) -> f64 {
    if measure == Measure::Money { NanoDollars(amount).usd() } else { amount as f64 }
}

impl super::Metrics {
    /// Updates how the limits stand: the label of their group, what they count, their period, and how they stand.
    pub fn set_group_limits<'a>(&self, limits: impl Iterator<Item = (&'a str, Measure, Period, Standing)>) {
        let _scrape = self.lock_scrape();
        // A limit that left the configuration has no value.
        self.limits.most.reset();
        self.limits.left.reset();
        for (group, measure, period, standing) in limits.filter(|(group, ..)| *group != OTHER) {
            let labels = [group, measure.as_str(), period.as_str()];
            self.limits.most.with_label_values(&labels).set(shown(measure, standing.most));
            self.limits.left.with_label_values(&labels).set(shown(measure, standing.left));
            self.limits.refused.with_label_values(&labels);
        }
    }

    /// A limit had no room for a request; `group`: the label of its group.
    pub fn limit_refused(&self, group: &str, measure: Measure, period: Period) {
        if group != OTHER {
            self.limits.refused.with_label_values(&[group, measure.as_str(), period.as_str()]).inc();
        }
    }
}
