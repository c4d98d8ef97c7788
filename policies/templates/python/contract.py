"""What the contract hands over as plain numbers, in Python's own terms: models, names of numbers, and texts."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from wit_world.imports.types import Candidate, Message, Model, Prompt

UNPRICED = 2**64 - 1
"""The cost of a candidate without a price, in an estimate."""

UNKNOWN_TOKENS = 2**32 - 1
"""The tokens of an estimate that there is not."""


class Role(IntEnum):
    SYSTEM = 0
    USER = 1
    ASSISTANT = 2
    TOOL = 3


class Health(IntEnum):
    UNKNOWN = 0
    HEALTHY = 1
    DEGRADED = 2
    DOWN = 3


class Breaker(IntEnum):
    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


models: list[Model] = []
"""The configured models. A candidate's `model`, and a request's `requested` and `answered_before`, are places here."""


def keep_models(configured: list[Model]) -> None:
    """For `set_models`, which the gateway calls before the first decision, and again when the models changed."""
    models[:] = configured


def known(observed: float) -> float | None:
    """A latency, a time to the first token or a rate of tokens of a candidate: `None` where it was not observed."""
    return observed if observed > 0 else None


@dataclass(slots=True)
class Estimate:
    """What the cost policy expects of a request on a candidate."""

    input_tokens: int
    output_tokens: int
    cost: int | None
    """In nano-dollars; `None` where the candidate has no price."""


def estimate_of(candidate: Candidate) -> Estimate | None:
    """The estimate of the cost policy; `None` where there is none."""
    given = candidate.estimate
    if given.input_tokens == UNKNOWN_TOKENS:
        return None
    return Estimate(given.input_tokens, given.output_tokens, None if given.cost == UNPRICED else given.cost)


def texts(prompt: Prompt) -> list[tuple[Role, str]]:
    """Who said it and the text, of all messages that the policy reads, oldest first."""
    cut = cutter(prompt)
    return [(Role(message.role), cut(message)) for message in prompt.messages]


def newest(prompt: Prompt) -> str:
    """The text of the newest message of the user that the policy reads; empty if there is none."""
    for message in reversed(prompt.messages):
        if message.role == Role.USER:
            return cutter(prompt)(message)
    return ""


def cutter(prompt: Prompt) -> Callable[[Message], str]:
    """Cuts a message out of the prompt's text. Messages count bytes of UTF-8, which are characters in ASCII only."""
    text = prompt.text
    if len(prompt.messages) == 1:
        return lambda _: text
    if text.isascii():
        return lambda message: text[message.start : message.start + message.length]
    encoded = text.encode()
    return lambda message: encoded[message.start : message.start + message.length].decode()
