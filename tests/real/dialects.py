"""What chat requests and answers look like in the dialects of OpenAI, Anthropic and Ollama, as a model server sees them.

Each dialect reads a request into the one form that the scripts compare (`Heard`), and writes an answer (`Said`) whole
or as the pieces of a stream.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

# Every answer reports these, so that a client of any dialect must see the same sum of input tokens.
INPUT, CACHE_READ, CACHE_WRITE = 14, 5, 2
INPUT_TOTAL = INPUT + CACHE_READ + CACHE_WRITE


@dataclass
class Call:
    """A tool that the model called."""

    id: str
    name: str
    arguments: Json


@dataclass
class Turn:
    """One message: a user's, an assistant's, or the result of a tool."""

    role: str
    text: str = ""
    images: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    call_id: str = ""
    name: str = ""
    is_error: bool = False


@dataclass
class Heard:
    """A request, free of its dialect."""

    model: str
    stream: bool
    system: str = ""
    turns: list[Turn] = field(default_factory=list)
    tools: list[Json] = field(default_factory=list)
    tool_choice: str | None = None
    parallel: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    schema: Json | None = None


@dataclass
class Said:
    """An answer, free of its dialect."""

    model: str
    words: list[str] = field(default_factory=list)
    thinking: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str = "stop"
    stop: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.words)

    @property
    def output_tokens(self) -> int:
        return len(self.words) + 9 * len(self.calls)


def halves(text: str) -> tuple[str, str]:
    """Arguments come in fragments that are no JSON by themselves."""
    return text[: len(text) // 2], text[len(text) // 2 :]


class OpenAi:
    """`POST /v1/chat/completions`."""

    kind, path, content_type = "openai", "/v1/chat/completions", "text/event-stream"

    @staticmethod
    def read(body: Json) -> Heard:
        heard = Heard(model=body["model"], stream=body.get("stream", False))
        for message in body["messages"]:
            content = message.get("content") or ""
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            text = "\n".join(part["text"] for part in parts if part["type"] == "text")
            if message["role"] in ("system", "developer"):
                heard.system += ("\n" if heard.system else "") + text
                continue
            heard.turns.append(
                Turn(
                    role=message["role"],
                    text=text,
                    images=[part["image_url"]["url"] for part in parts if part["type"] == "image_url"],
                    calls=[
                        Call(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
                        for call in message.get("tool_calls") or []
                    ],
                    call_id=message.get("tool_call_id", ""),
                )
            )
        for tool in body.get("tools", []):
            heard.tools.append({key: tool["function"].get(key) for key in ("name", "description", "parameters")})
        choice = body.get("tool_choice")
        heard.tool_choice = choice["function"]["name"] if isinstance(choice, dict) else choice
        heard.parallel = body.get("parallel_tool_calls")
        heard.max_tokens = body.get("max_completion_tokens") or body.get("max_tokens")
        heard.temperature, heard.top_p, heard.top_k = body.get("temperature"), body.get("top_p"), body.get("top_k")
        heard.seed = body.get("seed")
        stop = body.get("stop") or []
        heard.stop = [stop] if isinstance(stop, str) else stop
        heard.schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
        return heard

    @staticmethod
    def usage(said: Said) -> Json:
        return {
            "prompt_tokens": INPUT_TOTAL,
            "completion_tokens": said.output_tokens,
            "total_tokens": INPUT_TOTAL + said.output_tokens,
            "prompt_tokens_details": {"cached_tokens": CACHE_READ, "audio_tokens": 0},
        }

    @classmethod
    def whole(cls, said: Said, _body: Json) -> Json:
        message: Json = {"role": "assistant", "content": said.text or None, "refusal": None, "annotations": []}
        if said.thinking:
            message["reasoning_content"] = said.thinking
        if said.calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for call in said.calls
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": said.finish}
        return {
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "created": 1_760_000_000,
            "model": said.model,
            "choices": [choice],
            "usage": cls.usage(said),
            "service_tier": "default",
            "system_fingerprint": "fp_scripted",
        }

    @classmethod
    def stream(cls, said: Said, body: Json) -> Iterator[str]:
        with_usage = (body.get("stream_options") or {}).get("include_usage", False)

        def chunk(choices: list[Json], usage: Json | None = None) -> str:
            data: Json = {
                "id": "chatcmpl-scripted",
                "object": "chat.completion.chunk",
                "created": 1_760_000_000,
                "model": said.model,
                "choices": choices,
            }
            if with_usage:
                data["usage"] = usage
            return f"data: {json.dumps(data)}\n\n"

        def delta(delta: Json, finish: str | None = None) -> str:
            return chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])

        yield delta({"role": "assistant", "content": None if said.calls else "", "refusal": None})
        if said.thinking:
            yield delta({"reasoning_content": said.thinking})
        for word in said.words:
            yield delta({"content": word})
        for index, call in enumerate(said.calls):
            head = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
            yield delta({"tool_calls": [{"index": index, **head}]})
            for half in halves(json.dumps(call.arguments)):
                yield delta({"tool_calls": [{"index": index, "function": {"arguments": half}}]})
        yield delta({}, said.finish)
        if with_usage:
            yield chunk([], cls.usage(said))
        yield "data: [DONE]\n\n"

    @staticmethod
    def error(status: int, message: str) -> Json:
        kind = "invalid_request_error" if status < 500 else "server_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}


class Anthropic:
    """`POST /v1/messages`."""

    kind, path, content_type = "anthropic", "/v1/messages", "text/event-stream; charset=utf-8"
    reasons = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}

    @classmethod
    def read(cls, body: Json) -> Heard:
        heard = Heard(model=body["model"], stream=body.get("stream", False))
        heard.system = cls.text_of(body.get("system", ""))
        for message in body["messages"]:
            blocks = message["content"]
            blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
            own = Turn(role=message["role"])
            texts = []
            for block in blocks:
                match block["type"]:
                    case "text":
                        texts.append(block["text"])
                    case "image" if block["source"]["type"] == "base64":
                        source = block["source"]
                        own.images.append(f"data:{source['media_type']};base64,{source['data']}")
                    case "image":
                        own.images.append(block["source"]["url"])
                    case "tool_use":
                        own.calls.append(Call(block["id"], block["name"], block["input"]))
                    case "tool_result":
                        text, failed = cls.text_of(block.get("content", "")), block.get("is_error", False)
                        heard.turns.append(Turn("tool", text, call_id=block["tool_use_id"], is_error=failed))
            own.text = "\n".join(texts)
            if texts or own.images or own.calls:
                heard.turns.append(own)
        for tool in body.get("tools", []):
            parameters = tool["input_schema"]
            heard.tools.append({"name": tool["name"], "description": tool.get("description"), "parameters": parameters})
        if choice := body.get("tool_choice"):
            names = {"auto": "auto", "any": "required", "none": "none"}
            heard.tool_choice = names.get(choice["type"]) or choice["name"]
            disabled = choice.get("disable_parallel_tool_use")
            heard.parallel = None if disabled is None else not disabled
        heard.max_tokens = body["max_tokens"]
        heard.temperature, heard.top_p, heard.top_k = body.get("temperature"), body.get("top_p"), body.get("top_k")
        heard.stop = body.get("stop_sequences", [])
        heard.schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
        return heard

    @staticmethod
    def text_of(content: Any) -> str:
        return content if isinstance(content, str) else "\n".join(block["text"] for block in content)

    @staticmethod
    def usage(output_tokens: int) -> Json:
        return {
            "input_tokens": INPUT,
            "cache_creation_input_tokens": CACHE_WRITE,
            "cache_read_input_tokens": CACHE_READ,
            "output_tokens": output_tokens,
            "service_tier": "standard",
        }

    @classmethod
    def ending(cls, said: Said) -> Json:
        reason = "stop_sequence" if said.stop is not None else cls.reasons[said.finish]
        return {"stop_reason": reason, "stop_sequence": said.stop}

    @classmethod
    def head(cls, said: Said) -> Json:
        return {"id": "msg_scripted", "type": "message", "role": "assistant", "model": said.model}

    @classmethod
    def whole(cls, said: Said, _body: Json) -> Json:
        content: list[Json] = []
        if said.thinking:
            content.append({"type": "thinking", "thinking": said.thinking, "signature": "c2lnbmVk"})
        if said.words:
            content.append({"type": "text", "text": said.text})
        for call in said.calls:
            content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
        return {**cls.head(said), "content": content, **cls.ending(said), "usage": cls.usage(said.output_tokens)}

    @classmethod
    def stream(cls, said: Said, _body: Json) -> Iterator[str]:
        def event(kind: str, **members: Any) -> str:
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n"

        blocks: list[tuple[Json, list[Json]]] = []
        if said.thinking:
            signature = {"type": "signature_delta", "signature": "c2lnbmVk"}
            deltas = [{"type": "thinking_delta", "thinking": said.thinking}, signature]
            blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
        if said.words:
            texts = [{"type": "text_delta", "text": word} for word in said.words]
            blocks.append(({"type": "text", "text": ""}, texts))
        for call in said.calls:
            fragments = ("", *halves(json.dumps(call.arguments)))
            inputs = [{"type": "input_json_delta", "partial_json": fragment} for fragment in fragments]
            blocks.append(({"type": "tool_use", "id": call.id, "name": call.name, "input": {}}, inputs))

        start = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": cls.usage(1)}
        yield event("message_start", message={**cls.head(said), **start})
        for index, (block, deltas) in enumerate(blocks):
            yield event("content_block_start", index=index, content_block=block)
            if index == 0:
                yield event("ping")
            for delta in deltas:
                yield event("content_block_delta", index=index, delta=delta)
            yield event("content_block_stop", index=index)
        yield event("message_delta", delta=cls.ending(said), usage={"output_tokens": said.output_tokens})
        yield event("message_stop")

    @staticmethod
    def error(status: int, message: str) -> Json:
        kinds = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}
        error = {"type": kinds.get(status, "api_error"), "message": message}
        return {"type": "error", "error": error, "request_id": "req_scripted"}


class Ollama:
    """`POST /api/chat`. Its calls have had ids since 0.12 only, so none are sent."""

    kind, path, content_type = "ollama", "/api/chat", "application/x-ndjson"

    @staticmethod
    def read(body: Json) -> Heard:
        heard = Heard(model=body["model"], stream=body.get("stream", True))
        for message in body["messages"]:
            if message["role"] == "system":
                heard.system += ("\n" if heard.system else "") + message["content"]
                continue
            calls = [call["function"] for call in message.get("tool_calls", [])]
            heard.turns.append(
                Turn(
                    role=message["role"],
                    text=message.get("content", ""),
                    images=message.get("images", []),
                    calls=[Call("", call["name"], call["arguments"]) for call in calls],
                    name=message.get("tool_name", ""),
                )
            )
        for tool in body.get("tools", []):
            heard.tools.append({key: tool["function"].get(key) for key in ("name", "description", "parameters")})
        options = body.get("options", {})
        heard.max_tokens = options.get("num_predict")
        heard.temperature, heard.top_p, heard.top_k = (options.get(key) for key in ("temperature", "top_p", "top_k"))
        heard.seed, heard.stop = options.get("seed"), options.get("stop", [])
        heard.schema = body.get("format") if isinstance(body.get("format"), dict) else None
        return heard

    @staticmethod
    def line(said: Said, message: Json, done: bool = False) -> Json:
        line: Json = {
            "model": said.model,
            "created_at": "2026-01-31T23:59:59.123456789Z",
            "message": {"role": "assistant", "content": "", **message},
            "done": done,
        }
        if done:
            # This dialect has no word for calls: an answer that calls tools ends as any other.
            line["done_reason"] = "length" if said.finish == "length" else "stop"
            counts = {"prompt_eval_count": INPUT_TOTAL, "eval_count": said.output_tokens}
            durations = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
            line |= counts | dict.fromkeys(durations, 1_000_000)
        return line

    @staticmethod
    def call(call: Call) -> Json:
        return {"function": {"name": call.name, "arguments": call.arguments}}

    @classmethod
    def whole(cls, said: Said, _body: Json) -> Json:
        message: Json = {"content": said.text}
        if said.thinking:
            message["thinking"] = said.thinking
        if said.calls:
            message["tool_calls"] = [cls.call(call) for call in said.calls]
        return cls.line(said, message, done=True)

    @classmethod
    def stream(cls, said: Said, _body: Json) -> Iterator[str]:
        messages: list[Json] = [{"thinking": said.thinking}] if said.thinking else []
        messages += [{"content": word} for word in said.words]
        messages += [{"tool_calls": [cls.call(call)]} for call in said.calls]
        for message in messages:
            yield json.dumps(cls.line(said, message)) + "\n"
        yield json.dumps(cls.line(said, {}, done=True)) + "\n"

    @staticmethod
    def error(_status: int, message: str) -> Json:
        return {"error": message}


DIALECTS = (OpenAi, Anthropic, Ollama)
