//! Money: integer nano-dollars, and prices in nano-dollars per million tokens.

use crate::{Candidate, Price, Request};

/// Prices are for this many tokens.
const PER_TOKENS: u64 = 1_000_000;

impl Price {
    /// The cost of this many tokens in nano-dollars, half a nano-dollar rounded up. A sum beyond a `u64` (18 billion
    /// dollars) saturates.
    pub fn cost(self, input_tokens: u32, output_tokens: u32) -> u64 {
        let parts = [(u64::from(input_tokens), self.input), (u64::from(output_tokens), self.output)];
        // Wasm has no division of 128 bits: it takes hundreds of instructions. Two products of 62 bits and a half million are
        // below 64 bits.
        if parts.iter().all(|(tokens, price)| tokens.leading_zeros() + price.leading_zeros() >= 2 * u64::BITS - 62) {
            let sum: u64 = parts.iter().map(|(tokens, price)| tokens * price).sum();
            return (sum + PER_TOKENS / 2) / PER_TOKENS;
        }
        // A product of a u32 and a u64 has at most 96 bits, so the sum cannot overflow.
        let sum: u128 = parts.iter().map(|&(tokens, price)| u128::from(tokens) * u128::from(price)).sum();
        let per_tokens = u128::from(PER_TOKENS);
        u64::try_from((sum + per_tokens / 2) / per_tokens).unwrap_or(u64::MAX)
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
            // At the border between the two ways to compute it.
            (u32::MAX, (1 << 30) - 1, u32::MAX, (1 << 30) - 1, 9_223_372_026_117),
            (u32::MAX, 1 << 30, u32::MAX, (1 << 30) - 1, 9_223_372_030_412),
        ];
        for (input_tokens, input, output_tokens, output, cost) in table {
            assert_eq!(Price { input, output }.cost(input_tokens, output_tokens), cost, "{input_tokens} × {input}");
        }
    }
}
