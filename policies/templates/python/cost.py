"""What a request is expected to cost on each candidate."""

from typing import ClassVar

from wit_world import exports
from wit_world.imports.types import (
    Candidate,
    CostEstimate,
    Manifest,
    Model,
    Price,
    Prompt,
    Reads,
    ReadsPrompt,
    Request,
)

from contract import UNPRICED, keep_models, models
from failures import reported
from settings import WholeNumber

EXPECTED_OUTPUT_TOKENS = WholeNumber(
    name="expected-output-tokens",
    summary="Output tokens to expect of an answer, or fewer where the client's limit is lower: 0 to 10000000.",
    low=0,
    high=10_000_000,
    default=500,
)


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
            reads=Reads(ReadsPrompt.NONE, labels=[], tenant=False),
            denies=False,
            reasons=[],
        )

    @reported
    def configure(self) -> None:
        Cost._expected_output = EXPECTED_OUTPUT_TOKENS.read()

    def set_models(self, models: list[Model]) -> None:
        keep_models(models)

    @reported
    def estimate(self, request: Request, prompt: Prompt, candidates: list[Candidate]) -> list[CostEstimate]:
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
