"""What a request is expected to cost on each candidate."""

from typing import ClassVar

from wit_world import exports
from wit_world.imports.types import Candidate, CostEstimate, Manifest, Price, Request

from failures import reported
from settings import WholeNumber

EXPECTED_OUTPUT_TOKENS = WholeNumber(
    name="expected-output-tokens",
    summary="Output tokens to expect of an answer, or fewer where the client's limit is lower: 0 to 10000000.",
    low=0,
    high=10_000_000,
    default=500,
)

HIGHEST_COST = 2**64 - 1


class Cost(exports.Cost):
    """The cost hook. Each of its functions has an object of its own: what `configure` prepares is the class's."""

    _expected_output: ClassVar[int]

    def describe(self) -> Manifest:
        return Manifest(
            name="{{name}}",
            version="1.0.0",
%both             summary="Short prompts stay local, long ones go to the cloud.",
%one             summary="Prompt tokens at the input price and the expected answer at the output price.",
            settings=[EXPECTED_OUTPUT_TOKENS.entry()],
        )

    @reported
    def configure(self) -> None:
        Cost._expected_output = EXPECTED_OUTPUT_TOKENS.read()

    @reported
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
