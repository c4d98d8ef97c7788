"""A setting: what it is called, what it means, what it may be, its default and its reader, in one place.

It is a constant of the module that needs it. Its `entry` goes into the manifest, and `configure` calls its `read`,
which refuses what will not do. Settings of other types (`Value_Number`, `Value_Text`, `Value_Texts`, `Value_Boolean`)
are written the same way.
"""

from dataclasses import dataclass

from componentize_py_types import Err
from wit_world.imports import settings as given
from wit_world.imports.types import Meaning_Range, Setting, Value_Integer


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
                should = f"a whole number from {self.low} to {self.high}"
                raise Err(f"setting {self.name} should be {should}, but is {other.value}")
