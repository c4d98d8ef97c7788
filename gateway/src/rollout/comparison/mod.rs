//! Compares the requests that a canary decided with those that the active version decided at the same time: how many failed, how
//! long they took and what they cost. It informs operators; it gives and takes no traffic.
//!
//! A request belongs to the version that the lot gave it to, also if that version failed and the default decided: otherwise a
//! version that fails on difficult requests would look fast and cheap. The intervals assume that the lot decides each request
//! alone. If it keeps clients or conversations with one version, requests of one client resemble each other, and a few large clients
//! make the intervals narrower than they should be.
//!
//! This module must not know: how requests are decided, what the operator does with it.

mod effect;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

pub use effect::{ALPHA, MIN_REQUESTS, WARM_UP};
use effect::{Effect, Kind, Side};
use wasmgate_base::time::{UnixSeconds, now};

/// A request that took less than this counts as this, in seconds: the logarithm of almost nothing says nothing.
const SHORTEST: f64 = 0.001;
/// A request that took so many times as long as usual, or this part of it, counts as that.
const MOST_TIMES_AS_LONG: f64 = 20.0;
/// A request that cost so many times as much as those that cost something usually do counts as that.
const MOST_TIMES_AS_DEAR: f64 = 10.0;

/// The comparison of one canary with one active version, at one share.
#[derive(Debug)]
pub struct Comparison {
    since: UnixSeconds,
    share_percent: f64,
    failures: Effect,
    latency: Effect,
    cost: Effect,
    unpriced: [AtomicU64; 2],
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Whether it got no whole answer: an error or a denial. `None`: the client left, or the gateway stopped.
    pub failed: Option<bool>,
    /// How long its whole answer took, in seconds; `None`: it got none.
    pub seconds: Option<f64>,
    /// What its calls cost, in US dollars; `None`: a model without a price was called.
    pub cost: Option<f64>,
}

/// What the comparison says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Since when requests count: since then the two versions and the share are the same.
    pub since: UnixSeconds,
    /// The share of the requests that the canary decides, in percent, above 0 and below 100.
    pub share_percent: f64,
    /// How sure all intervals together are, 0 to 1, however often somebody looks.
    pub confidence: f64,
    /// Each measure.
    pub measures: Vec<Measured>,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of the requests that got no whole answer, 0 to 1.
    Failures,
    /// Time until the end of the answer; means are geometric, in seconds, and differences are relative (0.1: 10 % slower).
    Latency,
    /// Cost of a request, in US dollars.
    Cost,
}

/// What is known of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// There are too few requests.
    NotEnough,
    /// The interval has zero in it.
    NoDifference,
    /// The canary is better: it fails less, is faster or cheaper.
    Better,
    /// The canary is worse.
    Worse,
    /// Models without a price were called, so nobody knows what requests cost.
    Unpriced,
}

/// One measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Which.
    pub measure: Measure,
    /// What is known of the difference.
    pub standing: Standing,
    /// The estimate of the canary's mean less the active version's; null without enough requests.
    pub difference: Option<f64>,
    /// The lower end of the interval.
    pub low: Option<f64>,
    /// The upper end of the interval.
    pub high: Option<f64>,
    /// The canary's requests.
    pub canary: Sample,
    /// The active version's requests.
    pub active: Sample,
}

/// The requests of a version.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// How many counted. The first ones of both versions only say how large figures are.
    pub requests: u64,
    /// Their mean; null if there are none.
    pub mean: Option<f64>,
    /// Those that count as less or more than they were, because they were far from usual.
    pub bounded: u64,
    /// Those that called a model without a price.
    pub unpriced: u64,
}

impl Comparison {
    /// A comparison that begins now. `None` without a share of requests for each version.
    #[must_use]
    pub fn begin(share_percent: f64) -> Option<Self> {
        let share = share_percent / 100.0;
        (share > 0.0 && share < 1.0).then(|| Self {
            since: now(),
            share_percent,
            failures: Effect::new(Kind::Ones, share),
            latency: Effect::new(Kind::Logarithms(MOST_TIMES_AS_LONG.ln()), share),
            cost: Effect::new(Kind::Amounts(MOST_TIMES_AS_DEAR), share),
            unpriced: Default::default(),
        })
    }

    /// Counts a request that ended.
    pub fn note(&self, by_canary: bool, outcome: Outcome) {
        if let Some(failed) = outcome.failed {
            self.failures.note(by_canary, f64::from(u8::from(failed)));
        }
        if let Some(seconds) = outcome.seconds {
            self.latency.note(by_canary, seconds.max(SHORTEST).ln());
        }
        match outcome.cost {
            Some(cost) => self.cost.note(by_canary, cost),
            None => {
                self.unpriced[usize::from(by_canary)].fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What it says now.
    #[must_use]
    pub fn compared(&self) -> Compared {
        let measures =
            [(Measure::Failures, &self.failures), (Measure::Latency, &self.latency), (Measure::Cost, &self.cost)];
        Compared {
            since: self.since,
            share_percent: self.share_percent,
            confidence: 1.0 - ALPHA,
            measures: measures.into_iter().map(|(measure, effect)| self.measured(measure, effect)).collect(),
        }
    }

    fn measured(&self, measure: Measure, effect: &Effect) -> Measured {
        let found = effect.found();
        let unpriced = match measure {
            Measure::Cost => self.unpriced.each_ref().map(|count| count.load(Ordering::Relaxed)),
            Measure::Failures | Measure::Latency => [0; 2],
        };
        let sample = |side: Side, unpriced| Sample {
            requests: side.requests,
            mean: side.mean.map(|mean| if measure == Measure::Latency { mean.exp() } else { mean }),
            bounded: side.bounded,
            unpriced,
        };
        let interval = found.interval.filter(|_| unpriced == [0; 2]);
        let ends = interval.map(|interval| [interval.difference, interval.low, interval.high]);
        let ends = ends.map(|ends| if measure == Measure::Latency { ends.map(f64::exp_m1) } else { ends });
        Measured {
            measure,
            standing: match interval {
                None if unpriced != [0; 2] => Standing::Unpriced,
                None => Standing::NotEnough,
                Some(interval) if interval.low > 0.0 => Standing::Worse,
                Some(interval) if interval.high < 0.0 => Standing::Better,
                Some(_) => Standing::NoDifference,
            },
            difference: ends.map(|[difference, ..]| difference),
            low: ends.map(|[_, low, _]| low),
            high: ends.map(|[.., high]| high),
            canary: sample(found.canary, unpriced[1]),
            active: sample(found.active, unpriced[0]),
        }
    }
}

impl Measure {
    /// The word in labels and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Latency => "latency",
            Self::Cost => "cost",
        }
    }
}
