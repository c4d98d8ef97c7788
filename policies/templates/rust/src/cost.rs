//! What a request is expected to cost on each candidate.

use wasmgate_policy::money::expected_output;
use wasmgate_policy::prelude::*;

const EXPECTED_OUTPUT_TOKENS: Integer = Integer {
    name: "expected-output-tokens",
    summary: "Output tokens to expect of an answer, or fewer where the client's limit is lower: 0 to 10000000.",
    range: 0..=10_000_000,
    default: 500,
};

/// The policy, set up.
pub struct TokenCost {
    expected_output_tokens: u32,
}

impl Policy for TokenCost {
    fn manifest() -> Manifest {
%both         let summary = "Short prompts stay local, long ones go to the cloud.";
%one         let summary = "Prompt tokens at the input price and the expected answer at the output price.";
        manifest("{{name}}", env!("CARGO_PKG_VERSION"), summary, Reads::nothing(), &[EXPECTED_OUTPUT_TOKENS.entry()])
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
