"""Whether a request is what its dialect says, to the letter: each problem that a strict server would find in it.

The types are the official SDKs' own for OpenAI and Anthropic, and those of Ollama's server (`api/types.go`), as
Ollama's SDK knows less than its server.
"""

import base64
import json
from typing import Any, Literal

import ollama
from anthropic.types.message_create_params import MessageCreateParams
from openai.types.chat.completion_create_params import CompletionCreateParams
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from dialects import Anthropic, Heard, Json, Ollama, OpenAi

# What servers take beyond the types of the SDKs: sampling, which Anthropic's no longer name but older models have, and
# which compatible servers have in OpenAI's dialect.
SAMPLING = {"temperature", "top_p", "top_k"}
# What OpenAI's SDK itself puts into the messages that it read, and sends back.
SENT_BACK = {"annotations", "parsed", "parsed_arguments", "index", "reasoning_content"}


class Strict(BaseModel):
    """A type whose unknown members are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Function(Strict):
    """A call's function."""

    name: str
    arguments: dict[str, Any]


class ToolCall(Strict):
    """A call of a tool."""

    function: Function
    id: str | None = None


class Message(Strict):
    """A message."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    thinking: str = ""
    images: list[str] = []
    tool_calls: list[ToolCall] = []
    tool_name: str = ""
    tool_call_id: str = ""


class ToolFunction(Strict):
    """What a tool is."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class Tool(Strict):
    """A tool on offer."""

    type: Literal["function"]
    function: ToolFunction


class Options(ollama.Options):
    """The options that the SDK knows, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


class OllamaRequest(Strict):
    """`POST /api/chat`."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    format: Literal["json", ""] | dict[str, Any] | None = None
    keep_alive: str | float | None = None
    tools: list[Tool] = []
    options: Options | None = None
    think: bool | str | None = None


TYPES: dict[type, TypeAdapter[Any]] = {
    OpenAi: TypeAdapter(CompletionCreateParams),
    Anthropic: TypeAdapter(MessageCreateParams),
    Ollama: TypeAdapter(OllamaRequest),
}


def problems(dialect: type, body: Json) -> list[str]:
    """All that is wrong with a request; nothing for a good one."""
    try:
        understood = plain(TYPES[dialect].validate_python(body, strict=True))
    except ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    found = [] if dialect is Ollama else unknown("", body, understood)
    if dialect is Anthropic:
        found += anthropic_rules(body)
    if found:
        return found
    try:
        return conversation(dialect, dialect.read(body))  # type: ignore[attr-defined]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        return [f"cannot be read: {error!r}"]


def plain(value: Any) -> Any:
    """Walks what pydantic validates only when it is looked at."""
    if isinstance(value, BaseModel):
        return plain(dict(value))
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    return [plain(element) for element in value]


def unknown(path: str, given: Any, understood: Any) -> list[str]:
    """The members that the SDK's types passed over."""
    if isinstance(given, dict):
        beyond = SENT_BACK if path else SAMPLING
        found = [f"{path}.{key}: unknown" for key in given.keys() - understood.keys() - beyond]
        known = [key for key in given if key in understood]
        return found + [f for key in known for f in unknown(f"{path}.{key}", given[key], understood[key])]
    if isinstance(given, list):
        pairs = enumerate(zip(given, understood, strict=True))
        return [f for index, (a, b) in pairs for f in unknown(f"{path}[{index}]", a, b)]
    return []


def anthropic_rules(body: Json) -> list[str]:
    """What Anthropic's API refuses beyond its types."""
    found = []
    roles = [message["role"] for message in body["messages"]]
    if roles[:1] != ["user"]:
        found.append("messages: the first must be the user's")
    if any(a == b for a, b in zip(roles, roles[1:], strict=False)):
        found.append(f"messages: roles must alternate, not {roles}")
    for index, message in enumerate(body["messages"]):
        content = message["content"]
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        kinds = [block["type"] for block in blocks]
        if not blocks or any(block.get("text") == "" for block in blocks):
            found.append(f"messages[{index}]: text must not be empty")
        if "tool_result" in kinds and kinds != sorted(kinds, key=lambda kind: kind != "tool_result"):
            found.append(f"messages[{index}]: results of tools must come first, not {kinds}")
    return found


def conversation(dialect: type, heard: Heard) -> list[str]:
    """What every provider refuses: calls without results, results without calls, images that are none."""
    found: list[str] = []
    open_calls: list[str] = []
    for index, turn in enumerate(heard.turns):
        for image in turn.images:
            if not image.startswith(("http://", "https://")):
                try:
                    base64.b64decode(image.partition(";base64,")[2] or image, validate=True)
                except ValueError:
                    found.append(f"turn {index}: an image is not base64")
        if turn.role == "tool":
            answered = turn.name if dialect is Ollama else turn.call_id
            if answered in open_calls:
                open_calls.remove(answered)
            else:
                found.append(f"turn {index}: result of {answered!r}, which is none of {open_calls}")
            continue
        if open_calls:
            found.append(f"turn {index}: comes before the results of {open_calls}")
        open_calls = [call.name if dialect is Ollama else call.id for call in turn.calls]
        if len(set(open_calls)) < len(open_calls) and dialect is not Ollama:
            found.append(f"turn {index}: two calls have one id: {open_calls}")
    if open_calls:
        found.append(f"no results of {open_calls}")
    return found
