//! Routes to the cheapest healthy candidate that can take the request.
//!
//! The cost is the cost policy's estimate, else derived from the configured price. The order is: healthy before
//! degraded candidates, priced before unpriced ones (an unknown price may be high), then by cost, then by requests in
//! flight, then as configured. Candidates that cannot take the request are the last resort.

#![no_std]

use core::cmp::Reverse;
use wasmgate_policy::money::expected_cost;
use wasmgate_policy::prelude::*;

const EXPECTED_OUTPUT_TOKENS: Integer = Integer {
    name: "expected-output-tokens",
    summary: "Output tokens to expect of an answer where no cost policy estimates them: 0 to 10000000.",
    range: 0..=10_000_000,
    default: 500,
};

/// The reasons, by number.
const REASONS: [&str; 2] = [
    "cheapest of those that can answer: {model}, {0} nano-dollars expected",
    "cheapest of those that can answer: {model}, of unknown price",
];

/// The configured policy.
pub struct CheapestHealthy {
    expected_output_tokens: u32,
}

impl Policy for CheapestHealthy {
    fn manifest() -> Manifest {
        manifest(
            "cheapest-healthy",
            env!("CARGO_PKG_VERSION"),
            "The cheapest model that is healthy and can take the request.",
            Reads::nothing(),
            &[EXPECTED_OUTPUT_TOKENS.entry()],
        )
        .with_reasons(&REASONS)
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self { expected_output_tokens: EXPECTED_OUTPUT_TOKENS.read(settings)? })
    }
}

impl Routing for CheapestHealthy {
    fn route(&self, request: &Request, candidates: &[Candidate]) -> Result<Verdict, String> {
        let cost = |candidate: &Candidate| expected_cost(request, candidate, self.expected_output_tokens);
        let key = |candidate: &Candidate| {
            let cost = cost(candidate);
            (rank::strain(candidate), Reverse(cost.is_some()), cost, candidate.in_flight)
        };
        let ranking = rank::sorted(candidates, |a, b| key(a).cmp(&key(b)));
        let ranking = rank::able_first(request, candidates, ranking);
        let first = ranking.first().map(|&index| &candidates[index as usize]).ok_or("there is no candidate")?;
        let reason = match (rank::obstacle(request, first), cost(first)) {
            (None, Some(cost)) => Reason::coded(0, &[cost as f64]),
            (None, None) => Reason::coded(1, &[]),
            (Some(obstacle), _) => {
                format!("no candidate is fit to answer; cheapest is {}, which {obstacle}", first.model).into()
            }
        };
        Ok(Decision::unscored(ranking, reason).into())
    }
}

wasmgate_policy::export!(routing: CheapestHealthy);

#[cfg(test)]
mod tests;
