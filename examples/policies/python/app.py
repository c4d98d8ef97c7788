"""The component's exports: for each of the contract's hooks, componentize-py looks here for a class of its name.

It runs the imports while it builds and keeps what they made: a gateway has no files to import from, so that all
imports belong at the top of a module. It makes an object of the class for each function, so that what `configure`
prepares has to be kept in the class itself.
"""

from typing import ClassVar

from wit_world import exports
from wit_world.exports.routing import Verdict
from wit_world.imports.types import Candidate, CostEstimate, Manifest, Model, Prompt, Request

import cost
import routing
from contract import keep_models
from failures import reported


class Routing(exports.Routing):
    _policy: ClassVar[routing.Policy]

    def describe(self) -> Manifest:
        return routing.MANIFEST

    @reported
    def configure(self) -> None:
        Routing._policy = routing.Policy()

    def set_models(self, models: list[Model]) -> None:
        keep_models(models)

    @reported
    def route(self, request: Request, prompt: Prompt, candidates: list[Candidate]) -> Verdict:
        return self._policy.route(request, prompt, candidates)


class Cost(exports.Cost):
    _policy: ClassVar[cost.Policy]

    def describe(self) -> Manifest:
        return cost.MANIFEST

    @reported
    def configure(self) -> None:
        Cost._policy = cost.Policy()

    def set_models(self, models: list[Model]) -> None:
        keep_models(models)

    @reported
    def estimate(self, request: Request, prompt: Prompt, candidates: list[Candidate]) -> list[CostEstimate]:
        return self._policy.estimate(request, candidates)
