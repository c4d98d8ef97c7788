"""Which model answers."""

from typing import ClassVar

from wit_world import exports
from wit_world.exports.routing import Decision, Reason_Text, Verdict, Verdict_Route
from wit_world.imports.types import (
    Candidate,
    Location,
    Manifest,
    Model,
    Prompt,
    Reads,
    ReadsPrompt,
    Request,
    Tier,
)

from contract import Breaker, Health, keep_models, models
from failures import reported
from settings import WholeNumber

CLOUD_FROM = WholeNumber(
    name="cloud-from",
    summary="Prompts of so many tokens or more go to cloud models first, shorter ones to local models.",
    low=1,
    high=1_000_000,
    default=200,
)


class Routing(exports.Routing):
    """The routing hook. Each of its functions has an object of its own: what `configure` prepares is the class's."""

    _cloud_from: ClassVar[int]

    def describe(self) -> Manifest:
        return Manifest(
            name="{{name}}",
            version="1.0.0",
            summary="Short prompts stay local, long ones go to the cloud.",
            settings=[CLOUD_FROM.entry()],
            # To look at texts: NEWEST (the user's newest message) or CONVERSATION; contract.py has readers for both.
            reads=Reads(ReadsPrompt.NONE, labels=[], tenant=False),
            denies=False,
            reasons=[],
        )

    @reported
    def configure(self) -> None:
        Routing._cloud_from = CLOUD_FROM.read()

    def set_models(self, models: list[Model]) -> None:
        keep_models(models)

    @reported
    def route(self, request: Request, prompt: Prompt, candidates: list[Candidate]) -> Verdict:
        if request.prompt_tokens < self._cloud_from:
            tier, preferred = Tier.LOW, Location.LOCAL
        else:
            tier, preferred = Tier.HIGH, Location.CLOUD

        def place(index: int) -> tuple[bool, bool]:
            candidate = candidates[index]
            unusable = candidate.health == Health.DOWN or candidate.breaker == Breaker.OPEN
            return unusable, models[candidate.model].location is not preferred

        # Equals stay in the given order.
        ranking = sorted(range(len(candidates)), key=place)
        reason = f"{request.prompt_tokens} tokens: {preferred.name.lower()} models first"
        return Verdict_Route(Decision(ranking, complexity=None, tier=tier, reason=Reason_Text(reason)))
