//! The metrics of a canary's comparison with the active version. They are gauges of what a scrape finds, so that nothing stays
//! when the canary ends.

use prometheus::{GaugeVec, IntGaugeVec};

use super::place::{PolicyLabels, place};
use super::register::Families;

/// One measure of a canary's comparison.
#[derive(Debug)]
pub struct ComparedMeasure<'a> {
    /// The canary's labels.
    pub labels: &'a PolicyLabels,
    /// `failures`, `latency` or `cost`.
    pub measure: &'static str,
    /// The difference, and the ends of its interval; `None`: there are too few requests.
    pub difference: Option<[f64; 3]>,
    /// The canary's requests that count, and the active version's.
    pub requests: [u64; 2],
}

/// The families of canaries.
#[derive(Debug)]
pub(super) struct Canaries {
    difference: GaugeVec,
    bound: GaugeVec,
    requests: IntGaugeVec,
}

impl Canaries {
    pub(super) fn new(families: &mut Families) -> Self {
        Self {
            difference: families.ratios(
                "api_gateway_canary_comparison_difference",
                "How much more of the measure a canary has than the active version: failures in shares of the requests, latency \
                 relative to the active version's, cost in US dollars for each request.",
                &place(&["measure"]),
            ),
            bound: families.ratios(
                "api_gateway_canary_comparison_bound",
                "Ends of the interval of the difference. All intervals of a canary hold at all times together with 95 %.",
                &place(&["measure", "bound"]),
            ),
            requests: families.gauges(
                "api_gateway_canary_comparison_requests",
                "Requests that a canary's comparison counts, by the version that decided them.",
                &place(&["measure", "decided_by"]),
            ),
        }
    }

    /// Updates the gauges of what is compared now.
    pub(super) fn read<'a>(&self, compared: impl Iterator<Item = ComparedMeasure<'a>>) {
        self.difference.reset();
        self.bound.reset();
        self.requests.reset();
        for ComparedMeasure { labels, measure, difference, requests } in compared {
            for (by, requests) in ["canary", "active"].into_iter().zip(requests) {
                let gauge = self.requests.with_label_values(&labels.and([measure, by]));
                gauge.set(i64::try_from(requests).unwrap_or(i64::MAX));
            }
            if let Some([difference, low, high]) = difference {
                self.difference.with_label_values(&labels.and([measure])).set(difference);
                self.bound.with_label_values(&labels.and([measure, "low"])).set(low);
                self.bound.with_label_values(&labels.and([measure, "high"])).set(high);
            }
        }
    }
}
