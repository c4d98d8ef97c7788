"""How demanding a text is: a sum of four shares, from 0 to 1.

The shares are doubles, added in a fixed order, and thresholds are compared exactly: 0.1 + 0.2 is above 0.3. What can be
prepared is prepared before the first call: patterns while the component is built, keywords when it is configured.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

BRACKET = re.compile(r"[{}\[\]();]")
# As r"\bdef\b" and so on; a pattern that begins with letters is searched for much faster.
CODE_WORDS = {
    word: re.compile(rf"{word}(?<!\w{word})(?!\w)") for word in ("def", "class", "function", "import", "from")
}

MOST_NAMED = 5
"""How many of the complex keywords that were found the reason names."""


@dataclass(slots=True)
class Score:
    """A judgement, and what it is made of."""

    length: float
    keywords: float
    code: float
    form: float
    complex_keywords: list[str]
    """Those that were found, in lower case."""

    @property
    def value(self) -> float:
        return min(max(self.length + self.keywords + self.code + self.form, 0.0), 1.0)

    def __str__(self) -> str:
        """For people: `score 0.90: length +0.3, complex keywords +0.1 (design), code +0.3, creation +0.2`."""
        # Not ".2f", which rounds halves to even.
        hundredths = int(self.value * 100 + 0.5)
        kind = "complex" if self.complex_keywords else "simple" if self.keywords < 0 else "no"
        text = f"score {hundredths // 100}.{hundredths % 100:02}: length {self.length:+.1f}"
        text += f", {kind} keywords {self.keywords:+.1f}"
        if self.complex_keywords:
            more = ", …" if len(self.complex_keywords) > MOST_NAMED else ""
            text += f" ({', '.join(self.complex_keywords[:MOST_NAMED])}{more})"
        if self.code:
            text += f", code {self.code:+.1f}"
        if self.form:
            text += f", {'question' if self.form < 0 else 'creation'} {self.form:+.1f}"
        return text


class Scorer:
    """Judges texts by two lists of keywords."""

    def __init__(self, complex_keywords: Iterable[str], simple_keywords: Iterable[str]) -> None:
        # A dictionary keeps the order, and each keyword once.
        self._complex = tuple(dict.fromkeys(keyword.lower() for keyword in complex_keywords))
        self._simple = tuple(dict.fromkeys(keyword.lower() for keyword in simple_keywords))

    def score(self, text: str) -> Score:
        lower = text.lower()
        found = [keyword for keyword in self._complex if keyword in lower]
        if found:
            keywords = min(len(found) * 0.1, 0.3)
        elif any(keyword in lower for keyword in self._simple):
            keywords = -0.1
        else:
            keywords = 0.1
        return Score(length(text), keywords, code(text), form(text, lower), found)


def length(text: str) -> float:
    if len(text) < 100:
        return 0.1
    return 0.3 if len(text) < 500 else 0.5


def code(text: str) -> float:
    marks = int(BRACKET.search(text) is not None) + int("```" in text)
    for word, alone in CODE_WORDS.items():
        # Looking for the letters first is cheap, and mostly settles it.
        if word in text and alone.search(text):
            marks += 1
    return 0.3 if marks >= 2 else 0.0


def form(text: str, lower: str) -> float:
    if 1 <= text.count("?") <= 2:
        return -0.1
    return 0.2 if "create" in lower or "build" in lower else 0.0
