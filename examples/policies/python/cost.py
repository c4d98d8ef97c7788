"""What a request is expected to cost: its tokens at the candidate's prices."""

from wit_world.imports.types import (
    Candidate,
    CostEstimate,
    Manifest,
    Price,
    Reads,
    ReadsPrompt,
    Request,
)

from contract import UNPRICED, models
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
    reads=Reads(ReadsPrompt.NONE, labels=[], tenant=False),
    denies=False,
    reasons=[],
)


class Policy:
    """The cost policy, with the operator's settings."""

    def __init__(self) -> None:
        self._expected_output = EXPECTED_OUTPUT_TOKENS.read()

    def estimate(self, request: Request, candidates: list[Candidate]) -> list[CostEstimate]:
        tokens, answer = request.prompt_tokens, self._expected_output
        if request.max_tokens is not None:
            answer = min(answer, request.max_tokens)
        prices = (models[candidate.model].price for candidate in candidates)
        return [
            CostEstimate(tokens, answer, nano_dollars(price, tokens, answer) if price else UNPRICED) for price in prices
        ]


def nano_dollars(price: Price, tokens: int, answer: int) -> int:
    """The cost of so many tokens, halves rounded up. Prices are for a million tokens.

    What 64 bits cannot hold is not known either.
    """
    return min((tokens * price.input + answer * price.output + 500_000) // 1_000_000, UNPRICED)
