"""The official OpenAI SDK against the gateway, in front of a backend of each dialect."""

import asyncio
from typing import Any

from openai import (
    APIError,
    APIStatusError,
    AsyncOpenAI,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    OpenAI,
    RateLimitError,
)
from pydantic import BaseModel

from cases import CLIENT_KEY, PNG, QUESTION, Call, Context, Heard, Turn, case, main, once, raises, same
from dialects import CACHE_READ, INPUT_TOTAL

HELLO: Any = [{"role": "user", "content": "Hello there"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "Tells the temperature.", "parameters": SCHEMA}
TOOLS: Any = [{"type": "function", "function": FUNCTION}]


def settings(context: Context) -> Any:
    # The SDK is lenient by default; here an answer that is not what its types say is an error.
    strict = {"max_retries": 0, "timeout": 60, "_strict_response_validation": True}
    return {"base_url": f"{context.gateway}/v1", "api_key": CLIENT_KEY, **strict}


def connect(context: Context) -> Any:
    return OpenAI(**settings(context)).chat.completions


def check_usage(context: Context, usage: Any, output_tokens: int) -> None:
    counts = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    same("usage", counts, (INPUT_TOTAL, output_tokens, INPUT_TOTAL + output_tokens))
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
    same("cached tokens", cached or 0, 0 if context.dialect == "ollama" else CACHE_READ)


def check_error(error: Any, code: str, status: int | None = None) -> None:
    """In OpenAI's form, so that the SDK finds its parts; with the id by which an operator finds the request."""
    if status is not None:
        same("status", error.status_code, status)
        same("request id", error.body["request_id"], error.response.headers["x-wasmgate-request-id"])
    same("code", error.code, code)
    same("members", sorted(error.body), ["code", "message", "param", "request_id", "type"])


@case
def plain(context: Context) -> None:
    messages = [{"role": "developer", "content": "Be brief."}, *HELLO]
    sampling = {"temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 50, "stop": "###"}
    raw = connect(context).with_raw_response.create(model=context.model(), messages=messages, **sampling)
    context.decision(raw.headers)
    completion = raw.parse()
    same("choices", len(completion.choices), 1)
    choice = completion.choices[0]
    same("answer", (choice.message.role, choice.message.content), ("assistant", "You said: Hello there"))
    same("finish", (choice.finish_reason, choice.message.tool_calls), ("stop", None))
    check_usage(context, completion.usage, 4)
    heard = Heard("plain", False, "Be brief.", [Turn("user", "Hello there")])
    heard.temperature, heard.top_p, heard.max_tokens, heard.stop = 0.5, 0.9, 50, ["###"]
    context.heard(heard)


@case
def reasons_to_end(context: Context) -> None:
    def ask(**how: Any) -> tuple[str, str]:
        choice = connect(context).create(model=context.model(), messages=HELLO, **how).choices[0]
        return choice.finish_reason, choice.message.content

    same("limit", ask(max_tokens=2), ("length", "You said:"))
    same("stop text", ask(stop=["there"]), ("stop", "You said: Hello"))
    context.seen()


def collect(context: Context, chunks: list[Any]) -> str:
    """The text of a stream, whose form is checked."""
    same("ids", len({chunk.id for chunk in chunks}), 1)
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    same("first role", choices[0].delta.role, "assistant")
    reasons = [choice.finish_reason for choice in choices]
    same("reasons", reasons, [None] * (len(reasons) - 1) + ["stop"])
    context.heard(Heard("plain", True, turns=[Turn("user", "Hello there")]))
    return "".join(choice.delta.content or "" for choice in choices)


@case
def stream(context: Context) -> None:
    raw = connect(context).with_raw_response.create(model=context.model(), messages=HELLO, stream=True)
    context.decision(raw.headers)
    chunks = list(raw.parse())
    same("text", collect(context, chunks), "You said: Hello there")
    same("usage that nobody asked for", [chunk.usage for chunk in chunks if chunk.usage], [])
    same("chunks without choices", [chunk for chunk in chunks if not chunk.choices], [])


@case
def stream_with_usage(context: Context) -> None:
    options = {"include_usage": True}
    chunks = list(connect(context).create(model=context.model(), messages=HELLO, stream=True, stream_options=options))
    same("text", collect(context, chunks), "You said: Hello there")
    *others, last = chunks
    same("choices of the last chunk", last.choices, [])
    check_usage(context, last.usage, 4)
    same("usage of the others", [chunk.usage for chunk in others if chunk.usage], [])


@case
def asynchronous_stream(context: Context) -> None:
    async def ask() -> list[Any]:
        async with AsyncOpenAI(**settings(context)) as client:
            chunks = await client.chat.completions.create(model=context.model(), messages=HELLO, stream=True)
            return [chunk async for chunk in chunks]

    same("text", collect(context, asyncio.run(ask())), "You said: Hello there")


def answer_calls(context: Context, message: Any, ask: Any) -> None:
    """Sends the results of the two calls, and checks both requests and the last answer."""
    calls = [(call.function.name, call.function.arguments) for call in message.tool_calls]
    same("calls", calls, [("weather", '{"city": "Paris"}'), ("weather", '{"city": "Rome"}')])
    same("number of ids", len({call.id for call in message.tool_calls}), 2)
    question = Turn("user", QUESTION)
    context.heard(Heard("plain", ask.stream, turns=[question], tools=[FUNCTION]))
    results = zip(message.tool_calls, ("21 degrees", "25 degrees"), strict=True)
    results = [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in results]
    last = ask([{"role": "user", "content": QUESTION}, message, *results])
    same("answer", last.choices[0].message.content, "It is 21 degrees and 25 degrees.")
    same("finish", last.choices[0].finish_reason, "stop")
    called = Turn("assistant", calls=[Call("p", "weather", {"city": "Paris"}), Call("r", "weather", {"city": "Rome"})])
    paris = Turn("tool", "21 degrees", call_id="p", name="weather")
    rome = Turn("tool", "25 degrees", call_id="r", name="weather")
    context.heard(Heard("plain", ask.stream, turns=[question, called, paris, rome], tools=[FUNCTION]))


class Whole:
    """Asks for whole answers."""

    stream = False

    def __init__(self, context: Context) -> None:
        self.context = context

    def __call__(self, messages: Any) -> Any:
        return connect(self.context).create(model=self.context.model(), messages=messages, tools=TOOLS)


class Streamed(Whole):
    """Asks for streams, which the SDK's helper puts together."""

    stream = True

    def __call__(self, messages: Any) -> Any:
        with connect(self.context).stream(model=self.context.model(), messages=messages, tools=TOOLS) as events:
            return events.get_final_completion()


@case
def tools(context: Context) -> None:
    ask = Whole(context)
    completion = ask([{"role": "user", "content": QUESTION}])
    same("finish", completion.choices[0].finish_reason, "tool_calls")
    check_usage(context, completion.usage, 18)
    answer_calls(context, completion.choices[0].message, ask)


@case
def streamed_tools(context: Context) -> None:
    ask = Streamed(context)
    completion = ask([{"role": "user", "content": QUESTION}])
    same("finish", completion.choices[0].finish_reason, "tool_calls")
    answer_calls(context, completion.choices[0].message, ask)


@case
def choice_of_tools(context: Context) -> None:
    named = {"type": "function", "function": {"name": "weather"}}
    wishes = [("none", None), ("required", True), (named, None), ("auto", False)]
    for choice, parallel in wishes:
        how: Any = {"tool_choice": choice} | ({} if parallel is None else {"parallel_tool_calls": parallel})

        def ask(how: Any = how) -> Any:
            return connect(context).create(model=context.model(), messages=HELLO, tools=TOOLS, **how)

        if context.dialect == "ollama" and choice in ("required", named):
            # It has no word for these wishes.
            check_error(raises(BadRequestError, ask), "no_capable_model", 400)
            context.heard_nothing()
            continue
        ask()
        if context.dialect == "ollama":
            # It may call what it is shown, and nothing else.
            same("tools", [tool["function"]["name"] for tool in context.body().get("tools", [])], [] if choice == "none" else ["weather"])
            continue
        heard = Heard("plain", False, turns=[Turn("user", "Hello there")], tools=[FUNCTION], parallel=parallel)
        heard.tool_choice = "weather" if choice == named else choice
        context.heard(heard)


@case
def images(context: Context) -> None:
    def ask(url: str) -> Any:
        image = {"type": "image_url", "image_url": {"url": url}}
        content = [{"type": "text", "text": "What is this?"}, image]
        messages = [{"role": "user", "content": content}]
        return connect(context).create(model=context.model(), messages=messages)

    inline = f"data:image/png;base64,{PNG}"
    same("answer", ask(inline).choices[0].message.content, "You said: What is this? [1 images]")
    context.heard(Heard("plain", False, turns=[Turn("user", "What is this?", images=[inline])]))
    address = "https://pictures.test/a.png"
    if context.dialect == "ollama":
        # It takes no addresses, and the gateway fetches nothing.
        check_error(raises(BadRequestError, lambda: ask(address)), "no_capable_model", 400)
        return context.heard_nothing()
    ask(address)
    return context.heard(Heard("plain", False, turns=[Turn("user", "What is this?", images=[address])]))


class Weather(BaseModel):
    """What the model is to answer."""

    city: str
    celsius: int


@case
def structured_output(context: Context) -> None:
    answer = connect(context).parse(model=context.model(), messages=HELLO, response_format=Weather)
    same("parsed", answer.choices[0].message.parsed, Weather(city="Paris", celsius=21))
    schema = Weather.model_json_schema() | {"additionalProperties": False}
    return context.heard(Heard("plain", False, turns=[Turn("user", "Hello there")], schema=schema))


@case
def thinking(context: Context) -> None:
    message = connect(context).create(model=context.model("thinking"), messages=HELLO).choices[0].message
    same("answer", (message.content, message.reasoning_content), ("You said: Hello there", "Let me see."))
    # Sent back as it came, as agents do.
    again = [*HELLO, message, {"role": "user", "content": "And now?"}]
    connect(context).create(model=context.model("thinking"), messages=again)
    turns = context.seen()[-1]["heard"]["turns"]
    same("turns", [turn["text"] for turn in turns], ["Hello there", "You said: Hello there", "And now?"])


@case
def fields_of_one_dialect(context: Context) -> None:
    def ask() -> Any:
        return connect(context).create(model=context.model(), messages=HELLO, logit_bias={"50256": -100}, seed=7)

    ask()
    body = context.body()
    if context.dialect != "openai":
        # Hints, which other dialects do not have, or not under these names.
        return same("fields", "logit_bias" in body, False)
    return same("fields", (body["logit_bias"], body["seed"]), ({"50256": -100}, 7))


@case
def cut_stream(context: Context) -> None:
    text = ""

    def read() -> None:
        nonlocal text
        messages = [{"role": "user", "content": "one two three four five six"}]
        for chunk in connect(context).create(model=context.model("cut"), messages=messages, stream=True):
            text += chunk.choices[0].delta.content or ""
            same("finish", chunk.choices[0].finish_reason, None)

    check_error(raises(APIError, read), "stream_cut")
    same("the text began", ("You said: one two three four five six".startswith(text), bool(text)), (True, True))
    context.seen()


@case
def failing_backends(context: Context) -> None:
    outcomes = {
        "refusing": ("backend_unauthorized", 502),
        "busy": ("backend_busy", 429),
        "failing": ("backend_error", 502),
    }
    for fate, (code, status) in outcomes.items():
        for streamed in (False, True):

            def ask(fate: str = fate, streamed: bool = streamed) -> Any:
                return connect(context).create(model=context.model(fate), messages=HELLO, stream=streamed)

            kind = RateLimitError if status == 429 else InternalServerError
            check_error(raises(kind, ask), code, status)
    context.seen()


@case
def embeddings(context: Context) -> None:
    def ask(**how: Any) -> Any:
        # The SDK asks for base64 by default, which its own types do not know.
        lenient = settings(context) | {"_strict_response_validation": False}
        return OpenAI(**lenient).embeddings.create(model=context.model(), input=["a", "bcd"], **how)

    if context.dialect == "anthropic":
        check_error(raises(BadRequestError, ask), "no_capable_model", 400)
        return context.heard_nothing()
    for how in ({}, {"encoding_format": "float"}):
        answer = ask(**how)
        same("vectors", [item.embedding for item in answer.data], [[1.0, 0.5, -1.0], [3.0, 0.5, -1.0]])
        same("usage", answer.usage.prompt_tokens, 8)
    models = [request["body"]["model"] for request in context.take_seen()]
    return same("models at the backend", models, ["plain", "plain"])


@once
def unknown_model(context: Context) -> None:
    error = raises(NotFoundError, lambda: connect(context).create(model="opena", messages=HELLO))
    check_error(error, "unknown_model", 404)
    same("hint", "openai" in error.body["message"], True)
    context.heard_nothing()


@once
def request_ids(context: Context) -> None:
    """Where the SDK itself looks for them, so that its users' reports name the request."""
    raw = connect(context).with_raw_response.create(model=context.model(), messages=HELLO)
    same("of an answer", raw.parse()._request_id, raw.headers["x-wasmgate-request-id"])
    error = raises(NotFoundError, lambda: connect(context).create(model="opena", messages=HELLO))
    same("of an error", error.request_id, error.body["request_id"])


@once
def bad_requests(context: Context) -> None:
    for wrong in ({"messages": []}, {"messages": HELLO, "temperature": 5}, {"messages": [{"role": "king"}]}):
        # A backend of another dialect: its own would judge the values itself.
        error = raises(BadRequestError, lambda wrong=wrong: connect(context).create(model="anthropic", **wrong))
        check_error(error, "bad_request", 400)
    context.heard_nothing()


@once
def too_large(context: Context) -> None:
    # More than a body may have. The SDK writes all of it before it reads.
    messages = [{"role": "user", "content": "x" * 34_000_000}]
    error = raises(APIStatusError, lambda: connect(context).create(model="openai", messages=messages))
    check_error(error, "too_large", 413)
    context.heard_nothing()


@once
def unknown_route(context: Context) -> None:
    error = raises(NotFoundError, lambda: OpenAI(**settings(context)).moderations.create(input="Hello"))
    check_error(error, "unknown_route", 404)


@once
def list_of_models(context: Context) -> None:
    names = [model.id for model in OpenAI(**settings(context)).models.list()]
    same("first names", names[:3], ["auto", "openai", "openai-thinking"])
    same("number", len(names), 19)
    same("one", OpenAI(**settings(context)).models.retrieve("openai-thinking").id, "openai-thinking")


@once
def routed(context: Context) -> None:
    raw = connect(context).with_raw_response.create(model="auto", messages=HELLO)
    same("chosen", raw.headers["x-wasmgate-model"] in raw.headers["x-wasmgate-model"], True)
    same("answer", raw.parse().choices[0].message.role, "assistant")


if __name__ == "__main__":
    main("openai")
