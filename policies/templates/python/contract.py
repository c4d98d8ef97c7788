"""What the contract hands over as plain numbers, in Python's own terms: models, names of numbers, and texts."""

from dataclasses import dataclass
from enum import IntEnum

from wit_world.imports.types import Candidate, Model, Prompt, Prompt_Conversation, Prompt_Newest

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


def newest(prompt: Prompt) -> str:
    """The text of the newest message of the user; empty if there is none, or the policy reads no text."""
    if isinstance(prompt, Prompt_Newest):
        return prompt.value
    return next((text for role, text in reversed(texts(prompt)) if role == Role.USER), "")


def texts(prompt: Prompt) -> list[tuple[Role, str]]:
    """The messages that a policy reads which reads the conversation, oldest first: who said it, and the text."""
    if not isinstance(prompt, Prompt_Conversation):
        return []
    # Messages count bytes of UTF-8, which are characters in ASCII only.
    text = prompt.value.text.encode()
    return [
        (Role(message.role), text[message.start : message.start + message.length].decode())
        for message in prompt.value.messages
    ]
