"""Settings: what one is called, what it means, what it may be, its default and its reader, in one place.

Each is a constant of the module that needs it. Its `entry` goes into the manifest, and `configure` calls its `read`,
which refuses what will not do with a sentence that names the setting, what it should be and what it is.
"""

import json
from dataclasses import dataclass, field

from componentize_py_types import Err
from wit_world.imports import settings as given
from wit_world.imports.types import (
    Meaning,
    Meaning_Plain,
    Meaning_Range,
    Setting,
    Value,
    Value_Integer,
    Value_Number,
    Value_Text,
    Value_Texts,
)


@dataclass(frozen=True)
class Number:
    """Any number from `low` to `high`."""

    name: str
    summary: str
    low: float
    high: float
    default: float

    def entry(self) -> Setting:
        return Setting(self.name, self.summary, Value_Number(self.default), Meaning_Range((self.low, self.high)))

    def read(self) -> float:
        match given.get(self.name):
            case None:
                return self.default
            case Value_Number(value) | Value_Integer(value) if self.low <= value <= self.high:
                return float(value)
            case other:
                raise refusal(self.name, f"a number from {self.low} to {self.high}", other)


@dataclass(frozen=True)
class WholeNumber:
    """A whole number from `low` to `high`."""

    name: str
    summary: str
    low: int
    high: int
    default: int

    def entry(self) -> Setting:
        return Setting(self.name, self.summary, Value_Integer(self.default), Meaning_Range((self.low, self.high)))

    def read(self) -> int:
        match given.get(self.name):
            case None:
                return self.default
            case Value_Integer(value) if self.low <= value <= self.high:
                return value
            case other:
                raise refusal(self.name, f"a whole number from {self.low} to {self.high}", other)


@dataclass(frozen=True)
class Text:
    """Any text."""

    name: str
    summary: str
    default: str
    meaning: Meaning = field(default_factory=Meaning_Plain)
    """What it names, if it does: models or labels."""

    def entry(self) -> Setting:
        return Setting(self.name, self.summary, Value_Text(self.default), self.meaning)

    def read(self) -> str:
        match given.get(self.name):
            case None:
                return self.default
            case Value_Text(value):
                return value
            case other:
                raise refusal(self.name, "a text", other)


@dataclass(frozen=True)
class Texts:
    """A list of texts."""

    name: str
    summary: str
    default: tuple[str, ...]
    meaning: Meaning = field(default_factory=Meaning_Plain)
    """What they name, if they do: models, those of a tier, or labels."""

    def entry(self) -> Setting:
        return Setting(self.name, self.summary, Value_Texts(list(self.default)), self.meaning)

    def read(self) -> list[str]:
        match given.get(self.name):
            case None:
                return list(self.default)
            case Value_Texts(value):
                return value
            case other:
                raise refusal(self.name, "a list of texts", other)


def refusal(name: str, should: str, value: Value) -> Err[str]:
    """The error of a setting: `setting low-below should be a number from 0 to 1, but is 1.5`."""
    return Err(f"setting {name} should be {should}, but is {shown(value.value)}")


def shown(value: float | str | list[str]) -> str:
    """A value as an operator writes it, whole numbers without a point."""
    return json.dumps(value, ensure_ascii=False).removesuffix(".0")
