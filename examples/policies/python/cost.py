"""What a request is expected to cost: its tokens at the candidate's prices."""

from wit_world.imports.types import Candidate, CostEstimate, Manifest, Price, Request

from settings import WholeNumber

EXPECTED_OUTPUT_TOKENS = WholeNumber(
    name="expected-output-tokens",
    summary="Output tokens to expect of an answer, or fewer where the client's limit is lower: 0 to 10000000.",
    low=0,
    high=10_000_000,
    default=500,
)

MANIFEST = Manifest(
    name="complexity-python",
    version="1.0.0",
    summary="Prompt tokens at the input price and the expected answer at the output price.",
    settings=[EXPECTED_OUTPUT_TOKENS.entry()],
)

HIGHEST_COST = 2**64 - 1


class Policy:
    """The cost policy, with the operator's settings."""

    def __init__(self) -> None:
        self._expected_output = EXPECTED_OUTPUT_TOKENS.read()

    def estimate(self, request: Request, candidates: list[Candidate]) -> list[CostEstimate]:
        prompt, answer = request.prompt_tokens, self._expected_output
        if request.max_tokens is not None:
            answer = min(answer, request.max_tokens)
        return [
            CostEstimate(prompt, answer, nano_dollars(candidate.price, prompt, answer) if candidate.price else None)
            for candidate in candidates
        ]


def nano_dollars(price: Price, prompt: int, answer: int) -> int:
    """The cost of so many tokens, halves rounded up. Prices are for a million tokens."""
    return min((prompt * price.input + answer * price.output + 500_000) // 1_000_000, HIGHEST_COST)
