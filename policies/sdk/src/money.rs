//! Money: integer nano-dollars, and prices in nano-dollars per million tokens.

use crate::{Candidate, Price, Request};

/// Prices are for this many tokens.
const PER_TOKENS: u128 = 1_000_000;

impl Price {
    /// The cost of this many tokens in nano-dollars, half a nano-dollar rounded up. A sum beyond a `u64` (18 billion
    /// dollars) saturates.
    pub fn cost(self, input_tokens: u32, output_tokens: u32) -> u64 {
        // A product of a u32 and a u64 has at most 96 bits, so the sum cannot overflow.
        let sum =
            u128::from(input_tokens) * u128::from(self.input) + u128::from(output_tokens) * u128::from(self.output);
        u64::try_from((sum + PER_TOKENS / 2) / PER_TOKENS).unwrap_or(u64::MAX)
    }
}

/// The output tokens to expect of a request: `usual`, or the client's limit if that is lower.
pub fn expected_output(request: &Request, usual: u32) -> u32 {
    request.max_tokens.map_or(usual, |limit| limit.min(usual))
}

/// The expected cost of a request on a candidate, in nano-dollars: the cost policy's estimate, else derived from the
/// candidate's price. `None` if it has no price either: unpriced is not free.
pub fn expected_cost(request: &Request, candidate: &Candidate, usual_output: u32) -> Option<u64> {
    let estimated = candidate.estimate.and_then(|estimate| estimate.cost);
    let priced =
        || candidate.price.map(|price| price.cost(request.prompt_tokens, expected_output(request, usual_output)));
    estimated.or_else(priced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs() {
        let table = [
            // input tokens and price, output tokens and price, cost
            (0, 3_000_000_000, 0, 15_000_000_000, 0),
            (1, 3_000_000_000, 0, 0, 3_000),
            (1000, 3_000_000_000, 500, 15_000_000_000, 10_500_000),
            (1, 499_999, 0, 0, 0),
            (1, 500_000, 0, 0, 1),
            (1, 250_000, 1, 250_000, 1),
            (3, 500_000, 0, 0, 2),
            (u32::MAX, u64::MAX, u32::MAX, u64::MAX, u64::MAX),
            (1_000_000, u64::MAX, 0, 0, u64::MAX),
            (1_000_000, u64::MAX - 1, 0, 0, u64::MAX - 1),
        ];
        for (input_tokens, input, output_tokens, output, cost) in table {
            assert_eq!(Price { input, output }.cost(input_tokens, output_tokens), cost, "{input_tokens} × {input}");
        }
    }
}
