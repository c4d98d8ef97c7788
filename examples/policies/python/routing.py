"""Which model answers: a small one for simple prompts, the most capable one for design and code."""

from collections.abc import Iterable

from componentize_py_types import Err
from wit_world.exports.routing import (
    Decision,
    Denial,
    Reason_Text,
    Verdict,
    Verdict_Deny,
    Verdict_Pass,
    Verdict_Route,
)
from wit_world.imports import request_facts
from wit_world.imports.types import (
    Candidate,
    Capabilities,
    Location,
    Manifest,
    Meaning_Labels,
    Meaning_Tier,
    Model,
    Prompt,
    Reads,
    ReadsPrompt,
    Request,
    Tier,
)

from contract import Breaker, Health, models, newest
from score import Scorer
from settings import Number, Text, Texts, shown

LOW_BELOW = Number(name="low-below", summary="Scores below this, from 0 to 1, are low.", low=0, high=1, default=0.3)
HIGH_ABOVE = Number(
    name="high-above",
    summary="Scores above this, from 0 to 1, are high; what is neither low nor high is medium.",
    low=0,
    high=1,
    default=0.6,
)
LOW_MODELS = Texts(
    name="low-models",
    summary="Models for low scores, the first choice first. Low, medium and high models in a row go from the least to "
    "the most capable: fallbacks go up that row first, then down.",
    default=("tinyllama",),
    meaning=Meaning_Tier(Tier.LOW),
)
MEDIUM_MODELS = Texts(
    name="medium-models",
    summary="Models for medium scores, the first choice first.",
    default=("phi2",),
    meaning=Meaning_Tier(Tier.MEDIUM),
)
HIGH_MODELS = Texts(
    name="high-models",
    summary="Models for high scores, the first choice first.",
    default=("claude-sonnet",),
    meaning=Meaning_Tier(Tier.HIGH),
)
COMPLEX_KEYWORDS = Texts(
    name="complex-keywords",
    summary="Words that raise the score by 0.1 each, by 0.3 at most, wherever they occur, in any case.",
    default=(
        "analyze",
        "design",
        "architect",
        "implement",
        "refactor",
        "optimize",
        "debug",
        "explain in detail",
        "comprehensive",
        "write code",
        "create function",
        "build",
        "develop",
    ),
)
SIMPLE_KEYWORDS = Texts(
    name="simple-keywords",
    summary="Words that lower the score by 0.1 where no complex keyword occurs, in any case.",
    default=(
        "summarize",
        "list",
        "what is",
        "define",
        "yes or no",
        "classify",
        "categorize",
        "is this",
        "true or false",
    ),
)
CONFIDENTIAL_LABEL = Text(
    name="confidential-label",
    summary="The label that makes a request confidential where it is true: only local models may answer then.",
    default="x-confidential",
    meaning=Meaning_Labels(),
)

MANIFEST = Manifest(
    name="complexity-python",
    version="1.0.0",
    summary="Small models for simple prompts, the most capable one for design and code.",
    settings=[
        LOW_BELOW.entry(),
        HIGH_ABOVE.entry(),
        LOW_MODELS.entry(),
        MEDIUM_MODELS.entry(),
        HIGH_MODELS.entry(),
        COMPLEX_KEYWORDS.entry(),
        SIMPLE_KEYWORDS.entry(),
        CONFIDENTIAL_LABEL.entry(),
    ],
    reads=Reads(ReadsPrompt.NEWEST, labels=[], tenant=False),
    denies=True,
    reasons=[],
)


class Policy:
    """The routing policy, with the operator's settings."""

    def __init__(self) -> None:
        self._low_below, self._high_above = thresholds()
        self._places = places(LOW_MODELS.read(), MEDIUM_MODELS.read(), HIGH_MODELS.read())
        self._scorer = Scorer(keywords(COMPLEX_KEYWORDS), keywords(SIMPLE_KEYWORDS))
        self._confidential_label = CONFIDENTIAL_LABEL.read()

    def route(self, request: Request, prompt: Prompt, candidates: list[Candidate]) -> Verdict:
        if request.requested is not None:
            return Verdict_Pass()
        confidential = request_facts.label(self._confidential_label) == "true"
        offered: Iterable[int] = range(len(candidates))
        if confidential:
            offered = [index for index in offered if model_of(candidates[index]).location is Location.LOCAL]
            if not offered:
                return Verdict_Deny(
                    Denial("no_local_model", "the request is confidential and no local model is offered")
                )

        score = self._scorer.score(newest(prompt))
        tier = self._tier(score.value)
        places = self._places[tier]
        wanted = sorted(offered, key=lambda index: places.get(model_of(candidates[index]).name, len(places)))
        obstacles = {index: obstacle(request, candidates[index]) for index in wanted}
        ranking = sorted(wanted, key=lambda index: obstacles[index] is not None)

        reason = str(score)
        first = wanted[0]
        if ranking[0] != first:
            reason += f"; {model_of(candidates[first]).name} would be first but {obstacles[first]}"
        if confidential:
            reason += "; confidential"
        return Verdict_Route(Decision(ranking, score.value, tier, Reason_Text(reason)))

    def _tier(self, score: float) -> Tier:
        if score < self._low_below:
            return Tier.LOW
        return Tier.HIGH if score > self._high_above else Tier.MEDIUM


def thresholds() -> tuple[float, float]:
    low, high = LOW_BELOW.read(), HIGH_ABOVE.read()
    if low > high:
        raise Err(f"setting {LOW_BELOW.name} should be at most {HIGH_ABOVE.name} ({shown(high)}), but is {shown(low)}")
    return low, high


def places(low: list[str], medium: list[str], high: list[str]) -> dict[Tier, dict[str, int]]:
    """Where each model stands: from the tier's first up to the most capable, then down from the tier's start."""
    row = low + medium + high
    if not row:
        raise Err(f"setting {HIGH_MODELS.name} should name at least one model, as no tier has one")
    for at, model in enumerate(row):
        if model in row[:at]:
            raise Err(
                f"settings {LOW_MODELS.name}, {MEDIUM_MODELS.name} and {HIGH_MODELS.name} should name each model once, "
                f"but name {shown(model)} twice"
            )

    def from_start(start: int) -> dict[str, int]:
        return {model: place for place, model in enumerate(row[start:] + row[:start][::-1])}

    return {
        Tier.LOW: from_start(0),
        Tier.MEDIUM: from_start(len(low)),
        Tier.HIGH: from_start(len(low) + len(medium)),
    }


def keywords(setting: Texts) -> list[str]:
    """A setting's keywords. One of a single byte would be found nearly everywhere."""
    words = setting.read()
    for word in words:
        if len(word.encode()) < 2:
            raise Err(f"setting {setting.name} should have keywords of two bytes or more, but has {shown(word)}")
    return words


def model_of(candidate: Candidate) -> Model:
    return models[candidate.model]


def obstacle(request: Request, candidate: Candidate) -> str | None:
    """Why a candidate should not be the first to get a request, the gravest reason first."""
    if candidate.health == Health.DOWN:
        return "is down"
    if candidate.breaker == Breaker.OPEN:
        return "has an open breaker"
    model = model_of(candidate)
    window = model.context_window
    if window is not None and request.prompt_tokens + (request.max_tokens or 0) > window:
        return "has too small a context window"
    if request.tools and Capabilities.TOOLS not in model.capabilities:
        return "cannot call tools"
    if request.images and Capabilities.IMAGES not in model.capabilities:
        return "cannot read images"
    if request.structured_output and Capabilities.STRUCTURED_OUTPUT not in model.capabilities:
        return "cannot be held to an output format"
    return None
