"""The official Anthropic SDK against the gateway, in front of a backend of each dialect."""

import asyncio
from typing import Any

from anthropic import (
    Anthropic,
    APIStatusError,
    AsyncAnthropic,
    BadRequestError,
    ContentTooLargeError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
)
from pydantic import BaseModel

from cases import CLIENT_KEY, PNG, QUESTION, Call, Context, Heard, Turn, case, main, once, raises, same
from dialects import CACHE_READ, CACHE_WRITE, INPUT_TOTAL

HELLO: Any = [{"role": "user", "content": "Hello there"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "Tells the temperature.", "parameters": SCHEMA}
TOOLS: Any = [{"name": "weather", "description": "Tells the temperature.", "input_schema": SCHEMA}]
LIMIT = 50


def settings(context: Context) -> Any:
    # The SDK is lenient by default; here an answer that is not what its types say is an error.
    strict = {"max_retries": 0, "timeout": 60, "_strict_response_validation": True}
    return {"base_url": context.gateway, "api_key": CLIENT_KEY, **strict}


def connect(context: Context) -> Any:
    return Anthropic(**settings(context)).messages


def how(context: Context, fate: str = "plain", **more: Any) -> Any:
    return {"model": context.model(fate), "max_tokens": LIMIT, "messages": HELLO, **more}


def hello_heard(stream: bool, **more: Any) -> Heard:
    return Heard("plain", stream, turns=[Turn("user", "Hello there")], max_tokens=LIMIT, **more)


def check_usage(context: Context, usage: Any, output_tokens: int) -> None:
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    # OpenAI's dialect does not tell what was written to the cache, Ollama's nothing of a cache.
    caches = {"anthropic": (CACHE_READ, CACHE_WRITE), "openai": (CACHE_READ, 0), "ollama": (0, 0)}
    same("cache", (read, written), caches[context.dialect])
    same("usage", (usage.input_tokens + read + written, usage.output_tokens), (INPUT_TOTAL, output_tokens))


def check_error(error: Any, code: str, status: int, kind: str) -> None:
    """In Anthropic's form, so that the SDK finds its parts; with the id by which an operator finds the request."""
    same("status", error.status_code, status)
    same("type", (error.body["type"], error.type), ("error", kind))
    same("code", error.body["error"]["code"], code)
    same("request id", error.body["request_id"], error.response.headers["x-wasmgate-request-id"])


@case
def plain(context: Context) -> None:
    raw = connect(context).with_raw_response.create(**how(context, system="Be brief.", stop_sequences=["###"]))
    context.decision(raw.headers)
    message = raw.parse()
    same("role", (message.type, message.role), ("message", "assistant"))
    same("answer", [(block.type, block.text) for block in message.content], [("text", "You said: Hello there")])
    same("end", (message.stop_reason, message.stop_sequence), ("end_turn", None))
    check_usage(context, message.usage, 4)
    context.heard(hello_heard(False, system="Be brief.", stop=["###"]))


@case
def older_version(context: Context) -> None:
    """The version of the API before the SDK's own, whose requests say how to sample."""
    sampling = {"temperature": 0.5, "top_p": 0.9, "top_k": 40}
    older = {"extra_headers": {"anthropic-version": "2023-06-01"}, "extra_body": sampling}
    connect(context).create(**how(context, **older))
    # OpenAI's API has no word for it.
    heard = sampling | ({"top_k": None} if context.dialect == "openai" else {})
    context.heard(hello_heard(False, **heard))


@case
def reasons_to_end(context: Context) -> None:
    def ask(**more: Any) -> tuple[str, str]:
        message = connect(context).create(**how(context, **more))
        return message.stop_reason, message.content[0].text

    same("limit", ask(max_tokens=2), ("max_tokens", "You said:"))
    # Other dialects do not tell a stop text from an end.
    reason = "stop_sequence" if context.dialect == "anthropic" else "end_turn"
    same("stop text", ask(stop_sequences=["there"]), (reason, "You said: Hello"))
    context.seen()


@case
def system_in_blocks(context: Context) -> None:
    """As tools for programmers send it: in blocks, with marks of what to cache."""
    mark = {"cache_control": {"type": "ephemeral"}}
    system = [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind.", **mark}]
    content = [{"type": "text", "text": "Hello there", **mark}]
    connect(context).create(**how(context, system=system, messages=[{"role": "user", "content": content}]))
    context.heard(hello_heard(False, system="Be brief.\nBe kind."))


@case
def stream(context: Context) -> None:
    events = list(connect(context).create(**how(context, stream=True)))
    kinds = [event.type for event in events]
    same("first", kinds[:2], ["message_start", "content_block_start"])
    same("middle", kinds[2:-3], ["content_block_delta"] * len(kinds[2:-3]))
    same("last", kinds[-3:], ["content_block_stop", "message_delta", "message_stop"])
    same("text", "".join(event.delta.text for event in events[2:-3]), "You said: Hello there")
    same("reason", events[-2].delta.stop_reason, "end_turn")
    context.heard(hello_heard(True))


@case
def stream_helper(context: Context) -> None:
    with connect(context).stream(**how(context)) as events:
        context.decision(events.response.headers)
        same("text", "".join(events.text_stream), "You said: Hello there")
        message = events.get_final_message()
    same("end", (message.stop_reason, message.content[0].text), ("end_turn", "You said: Hello there"))
    check_usage(context, message.usage, 4)
    context.heard(hello_heard(True))


@case
def asynchronous_stream(context: Context) -> None:
    async def ask() -> str:
        async with AsyncAnthropic(**settings(context)) as client, client.messages.stream(**how(context)) as events:
            return await events.get_final_text()

    same("text", asyncio.run(ask()), "You said: Hello there")
    context.heard(hello_heard(True))


def answer_calls(context: Context, message: Any, ask: Any, streamed: bool) -> None:
    """Sends the results of the two calls, one of them a failure, and checks both requests and the last answer."""
    calls = [(block.name, block.input) for block in message.content]
    same("calls", calls, [("weather", {"city": "Paris"}), ("weather", {"city": "Rome"})])
    same("number of ids", len({block.id for block in message.content}), 2)
    same("end", message.stop_reason, "tool_use")
    check_usage(context, message.usage, 18)
    question = Turn("user", QUESTION)
    context.heard(Heard("plain", streamed, turns=[question], tools=[FUNCTION], max_tokens=LIMIT))
    paris, rome = message.content
    results = [
        {"type": "tool_result", "tool_use_id": paris.id, "content": [{"type": "text", "text": "21 degrees"}]},
        {"type": "tool_result", "tool_use_id": rome.id, "content": "no thermometer", "is_error": True},
    ]
    said = {"role": "assistant", "content": message.content}
    last = ask([{"role": "user", "content": QUESTION}, said, {"role": "user", "content": results}])
    # Only Anthropic's dialect marks failures; in others the text has to say it.
    marked = context.dialect == "anthropic"
    failure = "no thermometer" if marked else "Error: no thermometer"
    same("answer", [block.text for block in last.content], [f"It is 21 degrees and {failure}."])
    called = Turn("assistant", calls=[Call("p", "weather", {"city": "Paris"}), Call("r", "weather", {"city": "Rome"})])
    good = Turn("tool", "21 degrees", call_id="p", name="weather")
    bad = Turn("tool", failure, call_id="r", name="weather", is_error=marked)
    turns = [question, called, good, bad]
    context.heard(Heard("plain", streamed, turns=turns, tools=[FUNCTION], max_tokens=LIMIT))


@case
def tools(context: Context) -> None:
    def ask(messages: Any) -> Any:
        return connect(context).create(**how(context, messages=messages, tools=TOOLS))

    answer_calls(context, ask([{"role": "user", "content": QUESTION}]), ask, streamed=False)


@case
def streamed_tools(context: Context) -> None:
    def ask(messages: Any) -> Any:
        with connect(context).stream(**how(context, messages=messages, tools=TOOLS)) as events:
            return events.get_final_message()

    answer_calls(context, ask([{"role": "user", "content": QUESTION}]), ask, streamed=True)


@case
def choice_of_tools(context: Context) -> None:
    wishes: list[tuple[Any, str, bool | None]] = [
        ({"type": "none"}, "none", None),
        ({"type": "any"}, "required", None),
        ({"type": "tool", "name": "weather"}, "weather", None),
        ({"type": "auto", "disable_parallel_tool_use": True}, "auto", False),
    ]
    for choice, meant, parallel in wishes:

        def ask(choice: Any = choice) -> Any:
            return connect(context).create(**how(context, tools=TOOLS, tool_choice=choice))

        if context.dialect == "ollama" and meant in ("required", "weather"):
            # It has no word for these wishes.
            check_error(raises(BadRequestError, ask), "no_capable_model", 400, "invalid_request_error")
            context.heard_nothing()
            continue
        ask()
        if context.dialect == "ollama":
            # It may call what it is shown, and nothing else.
            same("tools", [tool["function"]["name"] for tool in context.body().get("tools", [])], [] if meant == "none" else ["weather"])
            continue
        context.heard(hello_heard(False, tools=[FUNCTION], tool_choice=meant, parallel=parallel))


@case
def images(context: Context) -> None:
    def ask(source: Any) -> Any:
        content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
        return connect(context).create(**how(context, messages=[{"role": "user", "content": content}]))

    def heard(image: str) -> None:
        turn = Turn("user", "What is this?", images=[image])
        context.heard(Heard("plain", False, turns=[turn], max_tokens=LIMIT))

    inline = {"type": "base64", "media_type": "image/png", "data": PNG}
    same("answer", ask(inline).content[0].text, "You said: What is this? [1 images]")
    heard(f"data:image/png;base64,{PNG}")
    address = {"type": "url", "url": "https://pictures.test/a.png"}
    if context.dialect == "ollama":
        # It takes no addresses, and the gateway fetches nothing.
        error = raises(BadRequestError, lambda: ask(address))
        check_error(error, "no_capable_model", 400, "invalid_request_error")
        return context.heard_nothing()
    ask(address)
    return heard(address["url"])


class Weather(BaseModel):
    """What the model is to answer."""

    city: str
    celsius: int


@case
def structured_output(context: Context) -> None:
    message = connect(context).parse(**how(context, output_format=Weather))
    same("parsed", message.parsed_output, Weather(city="Paris", celsius=21))
    schema = context.seen()[0]["heard"]["schema"]
    same("schema", sorted(schema["properties"]), ["celsius", "city"])


@case
def thinking(context: Context) -> None:
    message = connect(context).create(**how(context, "thinking"))
    said = [(block.type, getattr(block, block.type)) for block in message.content]
    same("answer", said, [("thinking", "Let me see."), ("text", "You said: Hello there")])
    # Sent back as it came, as agents do.
    again = [*HELLO, {"role": "assistant", "content": message.content}, {"role": "user", "content": "And now?"}]
    with connect(context).stream(**how(context, "thinking", messages=again)) as events:
        streamed = [block.type for block in events.get_final_message().content]
    same("streamed blocks", streamed, ["thinking", "text"])
    turns = context.seen()[-1]["heard"]["turns"]
    same("turns", [turn["text"] for turn in turns], ["Hello there", "You said: Hello there", "And now?"])


@case
def fields_of_one_dialect(context: Context) -> None:
    def ask() -> Any:
        return connect(context).create(**how(context, thinking={"type": "enabled", "budget_tokens": 1024}))

    ask()
    if context.dialect != "anthropic":
        # A hint, which other dialects do not have.
        return same("fields", "thinking" in context.body(), False)
    return same("field", context.body()["thinking"], {"type": "enabled", "budget_tokens": 1024})


@case
def cut_stream(context: Context) -> None:
    text = ""

    def read() -> None:
        nonlocal text
        messages = [{"role": "user", "content": "one two three four five six"}]
        with connect(context).stream(**how(context, "cut", messages=messages)) as events:
            for piece in events.text_stream:
                text += piece

    # The status is that of the head, which was sent before the stream broke.
    check_error(raises(APIStatusError, read), "stream_cut", 200, "api_error")
    same("the text began", ("You said: one two three four five six".startswith(text), bool(text)), (True, True))
    context.seen()


@case
def failing_backends(context: Context) -> None:
    outcomes = {
        "refusing": ("backend_unauthorized", 502, "api_error"),
        "busy": ("backend_busy", 429, "rate_limit_error"),
        "failing": ("backend_error", 502, "api_error"),
    }
    for fate, outcome in outcomes.items():
        for streamed in (False, True):

            def ask(fate: str = fate, streamed: bool = streamed) -> Any:
                return connect(context).create(**how(context, fate, stream=streamed))

            kind = RateLimitError if outcome[1] == 429 else InternalServerError
            check_error(raises(kind, ask), *outcome)
    context.seen()


@once
def unknown_model(context: Context) -> None:
    error = raises(NotFoundError, lambda: connect(context).create(**how(context) | {"model": "opena"}))
    check_error(error, "unknown_model", 404, "not_found_error")
    same("hint", "openai" in error.api_message, True)
    context.heard_nothing()


@once
def request_ids(context: Context) -> None:
    """Where the SDK itself looks for them, so that its users' reports name the request."""
    raw = connect(context).with_raw_response.create(**how(context))
    same("of an answer", raw.parse()._request_id, raw.headers["x-wasmgate-request-id"])
    error = raises(NotFoundError, lambda: connect(context).create(**how(context) | {"model": "opena"}))
    same("of an error", error.request_id, error.body["request_id"])


@once
def bad_requests(context: Context) -> None:
    for wrong in ({"messages": []}, {"messages": [{"role": "king", "content": "Hello"}]}, {"stop_sequences": [1]}):
        error = raises(BadRequestError, lambda wrong=wrong: connect(context).create(**how(context) | wrong))
        check_error(error, "bad_request", 400, "invalid_request_error")
    context.heard_nothing()


@once
def too_large(context: Context) -> None:
    # More than a body may have. The SDK writes all of it before it reads.
    messages = [{"role": "user", "content": "x" * 34_000_000}]
    error = raises(ContentTooLargeError, lambda: connect(context).create(**how(context, messages=messages)))
    check_error(error, "too_large", 413, "request_too_large")
    context.heard_nothing()


@once
def unknown_route(context: Context) -> None:
    error = raises(NotFoundError, lambda: connect(context).batches.list())
    check_error(error, "unknown_route", 404, "not_found_error")


@once
def list_of_models(context: Context) -> None:
    names = [model.id for model in Anthropic(**settings(context)).models.list()]
    same("first names", names[:3], ["auto", "openai", "openai-thinking"])
    same("number", len(names), 19)
    models = Anthropic(**settings(context)).models
    same("page by page", [model.id for model in models.list(limit=4)], names)
    same("one", models.retrieve("openai").id, "openai")


@once
def count_of_tokens(context: Context) -> None:
    # No policy forbids it, and these backends do not count: the gateway estimates.
    for model in ("openai", "ollama"):
        counted = connect(context).count_tokens(model=model, system="Be brief.", messages=HELLO)
        same("count", 5 < counted.input_tokens < 60, True)
    context.heard_nothing()


@once
def routed(context: Context) -> None:
    raw = connect(context).with_raw_response.create(**how(context) | {"model": "auto"})
    same("a model was chosen", bool(raw.headers["x-wasmgate-model"]), True)
    same("answer", raw.parse().role, "assistant")


if __name__ == "__main__":
    main("anthropic")
