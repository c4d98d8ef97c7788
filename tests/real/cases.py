"""What the scripts of the SDKs share: cases that run against a backend of each dialect, what that backend heard, and
comparisons that show a diff.

A script is run with the addresses of a gateway and of the scripted backend behind it. It prints a line of JSON for
each case, and fails where one of them does.
"""

import difflib
import faulthandler
import json
import re
import sys
import traceback
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from backend import CLIENT_KEY
from dialects import DIALECTS, Call, Heard, Json, Turn

__all__ = ["CLIENT_KEY", "PNG", "QUESTION", "Call", "Context", "Heard", "Turn", "case", "main", "once", "raises", "same"]

# One pixel.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
# The scripted backend calls the tool `weather` for each of the cities.
QUESTION = "How warm is it in Paris and in Rome?"

each_backend: list[Callable[["Context"], None]] = []
any_backend: list[Callable[["Context"], None]] = []


def case(function: Callable[["Context"], None]) -> Callable[["Context"], None]:
    """Runs a function against a backend of each dialect."""
    each_backend.append(function)
    return function


def once(function: Callable[["Context"], None]) -> Callable[["Context"], None]:
    """Runs a function once: no backend has a part in it."""
    any_backend.append(function)
    return function


@dataclass
class Context:
    """Where a case runs."""

    gateway: str
    backend: str
    dialect: str

    def model(self, fate: str = "plain") -> str:
        """The gateway's name of a model."""
        return self.dialect if fate == "plain" else f"{self.dialect}-{fate}"

    def take_seen(self) -> list[Json]:
        """The requests that the backend saw since the last time."""
        with urllib.request.urlopen(f"{self.backend}/seen", timeout=30) as response:
            return json.load(response)

    def seen(self) -> list[Json]:
        """As `take_seen`; each must have been what its dialect says."""
        seen = self.take_seen()
        for request in seen:
            same("problems of the request at the backend", request["problems"], [])
            same("dialect of the request at the backend", request["dialect"], self.dialect)
        return seen

    def body(self) -> Json:
        """The one request that the backend saw, as it was written."""
        seen = self.seen()
        same("number of requests at the backend", len(seen), 1)
        return seen[0]["body"]

    def heard(self, expected: Heard) -> None:
        """Fails unless the backend heard this, once: as far as its dialect can say it."""
        seen = self.seen()
        same("number of requests at the backend", len(seen), 1)
        if self.dialect == "anthropic" and expected.max_tokens is None:
            # The gateway's default, as this dialect demands a number.
            expected = replace(expected, max_tokens=32000)
        said = json.loads(json.dumps(asdict(expected)))
        same("request at the backend", self.comparable(seen[0]["heard"]), self.comparable(said))

    def comparable(self, heard: Json) -> Json:
        """Ids are whatever they are as long as they fit together; not every dialect says every thing about a result or
        an image."""
        ids: dict[str, str] = {}

        def numbered(call_id: str) -> str:
            known = self.dialect != "ollama" and call_id
            return ids.setdefault(call_id, f"call {len(ids)}") if known else ""

        for turn in heard["turns"]:
            for call in turn["calls"]:
                call["id"] = numbered(call["id"])
            turn["call_id"] = numbered(turn["call_id"])
            if self.dialect == "ollama":
                turn["images"] = [image.partition(";base64,")[2] or image for image in turn["images"]]
            else:
                turn["name"] = ""
        return heard

    def heard_nothing(self) -> None:
        """Fails where the backend saw a request."""
        same("requests at the backend", self.seen(), [])

    def decision(self, headers: Mapping[str, str], fate: str = "plain") -> None:
        """Fails unless the headers of an answer tell who decided what."""
        same("x-wasmgate-model", headers.get("x-wasmgate-model"), self.model(fate))
        same("x-wasmgate-backend", headers.get("x-wasmgate-backend"), self.dialect)
        matches("x-wasmgate-policy", headers.get("x-wasmgate-policy"), r"complexity@\d+\.\d+\.\d+")
        matches("x-wasmgate-request-id", headers.get("x-wasmgate-request-id"), r"[0-9a-f]{32}")
        matches("x-wasmgate-complexity", headers.get("x-wasmgate-complexity"), r"[01](\.\d+)?")


def same(what: str, got: Any, expected: Any) -> None:
    """Fails with a diff unless the two are equal."""
    if got == expected:
        return
    lines = [json.dumps(v, indent=1, default=repr, sort_keys=True).splitlines() for v in (expected, got)]
    diff = difflib.unified_diff(*lines, "expected", "got", lineterm="")
    raise AssertionError("\n".join([f"{what}:", *diff]))


def matches(what: str, got: str | None, pattern: str) -> None:
    """Fails unless the whole text matches."""
    if got is None or not re.fullmatch(pattern, got):
        raise AssertionError(f"{what}: expected {pattern}, got {got!r}")


def raises(kind: type[Exception], function: Callable[[], Any]) -> Any:
    """The exception of that kind that the function raises."""
    try:
        result = function()
    except kind as error:
        if "secret words" in f"{error} {error.__dict__}":
            raise AssertionError(f"a backend's own words reached the client: {error.__dict__}") from error
        return error
    raise AssertionError(f"expected {kind.__name__}, got {result!r}")


def main(sdk: str) -> None:
    """Runs all cases."""
    # Each request has its time; should something hang all the same, this says where, and ends it.
    faulthandler.dump_traceback_later(300, exit=True)
    gateway, backend = sys.argv[1:]
    runs = [(run, dialect.kind, dialect.kind) for dialect in DIALECTS for run in each_backend]
    # These must not reach any backend, so it does not matter whose.
    runs += [(run, "openai", "any") for run in any_backend]
    failures = 0
    for run, dialect, shown in runs:
        context = Context(gateway, backend, dialect)
        result = {"sdk": sdk, "backend": shown, "case": run.__name__, "ok": True}
        context.take_seen()
        try:
            run(context)
        except Exception as error:
            failures += 1
            result["ok"] = False
            text = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
            problems = [problem for request in context.take_seen() for problem in request["problems"]]
            notes = "".join(f"the backend: {problem}\n" for problem in problems)
            print(f"--- {sdk} SDK, {shown} backend: {run.__name__}\n{text}\n{notes}", file=sys.stderr)
        print(json.dumps(result), flush=True)
    if failures:
        sys.exit(f"{failures} of {len(runs)} cases of the {sdk} SDK failed")
