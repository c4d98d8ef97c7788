//! Routes to the candidate that is expected to answer soonest.
//!
//! The expected time is the observed time to the first token plus the expected output at the observed speed; if no
//! stream was observed, the observed time of whole calls. The time of a candidate without calls is unknown, and so is
//! whether a slow one has recovered. So the policy explores in two ways:
//! - a candidate without observations goes first while fewer than `explore-in-flight` requests are in flight to it, and
//!   after all observed ones otherwise: one call is enough to observe it;
//! - a small share of requests, picked by a hash of the request's id (a policy has neither a clock nor random numbers),
//!   goes to one of the other candidates, so that its averages stay fresh.
//!
//! Degraded candidates come after healthy ones, and candidates that cannot take the request are the last resort. The
//! policy explores neither.

#![no_std]

use core::cmp::Ordering;
use wasmgate_policy::money::expected_output;
use wasmgate_policy::prelude::*;

const EXPECTED_OUTPUT_TOKENS: Integer = Integer {
    name: "expected-output-tokens",
    summary: "Output tokens to expect of an answer where no cost policy estimates them: 0 to 10000000.",
    range: 0..=10_000_000,
    default: 500,
};
const EXPLORE_IN_FLIGHT: Integer = Integer {
    name: "explore-in-flight",
    summary: "Requests at a time that may go to a model whose speed is not known yet: 0 to 1000.",
    range: 0..=1000,
    default: 1,
};
const EXPLORE_SHARE: Number = Number {
    name: "explore-share",
    summary: "Share of requests, 0 to 0.5, that go to another than the fastest model, to keep its averages fresh.",
    range: 0.0..=0.5,
    default: 0.01,
};

/// The reasons, by number: each with the expected milliseconds, and each without.
const REASONS: [&str; 10] = [
    "{model}: expected to answer soonest, {0} ms expected",
    "{model}: expected to answer soonest, speed not known",
    "{model}: explored to refresh its averages, {0} ms expected",
    "{model}: explored to refresh its averages, speed not known",
    "{model}: not called yet, to learn its speed, {0} ms expected",
    "{model}: not called yet, to learn its speed, speed not known",
    "{model}: soonest of the degraded candidates, {0} ms expected",
    "{model}: soonest of the degraded candidates, speed not known",
    "{model}: no candidate is fit to answer, {0} ms expected",
    "{model}: no candidate is fit to answer, speed not known",
];

/// The configured policy.
pub struct LatencyAware {
    expected_output_tokens: u32,
    explore_in_flight: u32,
    explore_share: f64,
}

/// The class of a candidate, best first; within a class, the expected seconds decide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    ToExplore,
    Known,
    Unknown,
    Strained,
    Unable,
}

impl Policy for LatencyAware {
    fn manifest() -> Manifest {
        manifest(
            "latency-aware",
            env!("CARGO_PKG_VERSION"),
            "The model that is expected to answer soonest.",
            Reads::nothing(),
            &[EXPECTED_OUTPUT_TOKENS.entry(), EXPLORE_IN_FLIGHT.entry(), EXPLORE_SHARE.entry()],
        )
        .with_reasons(&REASONS)
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            expected_output_tokens: EXPECTED_OUTPUT_TOKENS.read(settings)?,
            explore_in_flight: EXPLORE_IN_FLIGHT.read(settings)?,
            explore_share: EXPLORE_SHARE.read(settings)?,
        })
    }
}

impl Routing for LatencyAware {
    fn route(&self, request: &Request, candidates: &[Candidate]) -> Result<Verdict, String> {
        let key = |candidate: &Candidate| (self.place(request, candidate), self.expected_seconds(request, candidate));
        let mut ranking = rank::sorted(candidates, |a, b| {
            let ((place_a, seconds_a), (place_b, seconds_b)) = (key(a), key(b));
            place_a.cmp(&place_b).then(sooner(seconds_a, seconds_b)).then(a.in_flight.cmp(&b.in_flight))
        });
        let known = |&&index: &&u32| key(&candidates[index as usize]).0 == Place::Known;
        let explored = match ranking.iter().take_while(known).count() {
            known if known > 1 && self.explore_share > 0.0 => self.explored(&request.id(), known),
            _ => None,
        };
        if let Some(explored) = explored {
            // The fastest candidate becomes the fallback.
            ranking[..=explored].rotate_right(1);
        }
        let first = ranking.first().map(|&index| &candidates[index as usize]).ok_or("there is no candidate")?;
        let why = match key(first).0 {
            _ if explored.is_some() => 2,
            Place::ToExplore => 4,
            Place::Known | Place::Unknown => 0,
            Place::Strained => 6,
            Place::Unable => 8,
        };
        let reason = match self.expected_seconds(request, first) {
            // In whole milliseconds: people need no more.
            Some(seconds) => Reason::coded(why, &[(seconds * 1e3 + 0.5) as u64 as f64]),
            None => Reason::coded(why + 1, &[]),
        };
        Ok(Decision::unscored(ranking, reason).into())
    }
}

impl LatencyAware {
    fn place(&self, request: &Request, candidate: &Candidate) -> Place {
        if !rank::able(request, candidate) {
            Place::Unable
        } else if rank::strain(candidate) > 0 {
            Place::Strained
        } else if candidate.observed.is_some() {
            Place::Known
        } else if candidate.in_flight < self.explore_in_flight {
            Place::ToExplore
        } else {
            Place::Unknown
        }
    }

    /// Expected seconds until the answer is complete; `None` if nothing was observed.
    fn expected_seconds(&self, request: &Request, candidate: &Candidate) -> Option<f64> {
        let observed = candidate.observed?;
        let estimated = candidate.estimate.map(|estimate| estimate.output_tokens);
        let tokens = estimated.unwrap_or_else(|| expected_output(request, self.expected_output_tokens));
        Some(match (observed.time_to_first_token, observed.tokens_per_second) {
            (Some(first), Some(speed)) => first + f64::from(tokens) / speed,
            _ => observed.latency,
        })
    }

    /// The index among the `known` fastest candidates that this request explores, never 0; mostly none.
    fn explored(&self, id: &str, known: usize) -> Option<usize> {
        let hash = hash(id);
        // The upper half decides whether to explore, the lower half which candidate.
        let (whether, whom) = ((hash >> 32) as u32, hash as u32);
        let explores = f64::from(whether) < self.explore_share * f64::from(u32::MAX);
        explores.then(|| 1 + whom as usize % (known - 1))
    }
}

/// Compares expected times; an unknown one comes last.
fn sooner(a: Option<f64>, b: Option<f64>) -> Ordering {
    a.unwrap_or(f64::INFINITY).total_cmp(&b.unwrap_or(f64::INFINITY))
}

/// FNV-1a with a final mix, because ids of the same second differ in few bits.
fn hash(id: &str) -> u64 {
    let hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

wasmgate_policy::export!(routing: LatencyAware);

#[cfg(test)]
mod tests;
