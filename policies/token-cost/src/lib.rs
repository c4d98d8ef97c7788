//! Estimates a request's cost by tokens: the prompt's at the input price, the expected answer's at the output price.
//!
//! A local model costs its configured price, even if that is 0. The cost of a model without a price is unknown, which
//! is never the same as free.

#![no_std]

use wasmgate_policy::money::expected_output;
use wasmgate_policy::prelude::*;

const EXPECTED_OUTPUT_TOKENS: Integer = Integer {
    name: "expected-output-tokens",
    summary: "Output tokens to expect of an answer, or fewer where the client's limit is lower: 0 to 10000000.",
    range: 0..=10_000_000,
    default: 500,
};

/// The configured policy.
pub struct TokenCost {
    expected_output_tokens: u32,
}

impl Policy for TokenCost {
    fn manifest() -> Manifest {
        manifest(
            "token-cost",
            env!("CARGO_PKG_VERSION"),
            "Prompt tokens at the input price and the expected answer at the output price.",
            Reads::nothing(),
            &[EXPECTED_OUTPUT_TOKENS.entry()],
        )
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self { expected_output_tokens: EXPECTED_OUTPUT_TOKENS.read(settings)? })
    }
}

impl Cost for TokenCost {
    fn estimate(&self, request: &Request, candidates: &[Candidate]) -> Result<Vec<CostEstimate>, String> {
        let input_tokens = request.prompt_tokens;
        let output_tokens = expected_output(request, self.expected_output_tokens);
        let estimate = |candidate: &Candidate| CostEstimate {
            input_tokens,
            output_tokens,
            cost: candidate.price.map(|price| price.cost(input_tokens, output_tokens)),
        };
        Ok(candidates.iter().map(estimate).collect())
    }
}

wasmgate_policy::export!(cost: TokenCost);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use wasmgate_policy::testing::{candidate, cloud, request};

    fn policy(tokens: i64) -> Result<TokenCost, String> {
        TokenCost::configure(&Settings::of([(EXPECTED_OUTPUT_TOKENS.name, Value::Integer(tokens))]))
    }

    #[test]
    fn costs() {
        // 3 and 15 dollars per million tokens; free; unpriced.
        let sonnet = cloud("claude-sonnet", 3_000_000_000, 15_000_000_000);
        let unpriced = Candidate { price: None, ..candidate("unpriced") };
        let candidates = [sonnet, candidate("phi2"), unpriced];
        let table = [
            // prompt tokens, client's limit, setting, expected output, costs
            (1000, None, 500, 500, [Some(10_500_000), Some(0), None]),
            (1000, Some(100), 500, 100, [Some(4_500_000), Some(0), None]),
            (1000, Some(4000), 500, 500, [Some(10_500_000), Some(0), None]),
            (0, None, 0, 0, [Some(0), Some(0), None]),
            (1, Some(1), 500, 1, [Some(18_000), Some(0), None]),
        ];
        for (prompt_tokens, max_tokens, setting, output_tokens, costs) in table {
            let request = Request { prompt_tokens, max_tokens, ..request("") };
            let estimates = policy(setting).unwrap().estimate(&request, &candidates).unwrap();
            let expected = costs.map(|cost| CostEstimate { input_tokens: prompt_tokens, output_tokens, cost });
            assert_eq!(estimates, expected);
        }
    }

    #[test]
    fn settings() {
        assert_eq!(TokenCost::configure(&Settings::of([])).unwrap().expected_output_tokens, 500);
        assert_eq!(
            policy(-1).err().unwrap(),
            "setting expected-output-tokens should be a whole number from 0 to 10000000, but is -1"
        );
    }

    proptest! {
        #[test]
        fn more_tokens_never_cost_less(
            prices in any::<(u64, u64)>(), prompt_tokens in 0..u32::MAX, max_tokens in any::<Option<u32>>(),
        ) {
            let candidates = [cloud("a", prices.0, prices.1)];
            let cost = |prompt_tokens| {
                let request = Request { prompt_tokens, max_tokens, ..request("") };
                policy(500).unwrap().estimate(&request, &candidates).unwrap()[0].cost
            };
            prop_assert!(cost(prompt_tokens + 1) >= cost(prompt_tokens));
            prop_assert_eq!(cost(prompt_tokens).is_some(), true);
        }
    }
}
