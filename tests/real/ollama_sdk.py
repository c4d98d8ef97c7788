"""The official Ollama SDK against the gateway, in front of a backend of each dialect."""

import asyncio
import base64
from typing import Any

from ollama import AsyncClient, Client, ResponseError
from pydantic import BaseModel

from cases import CLIENT_KEY, PNG, QUESTION, Call, Context, Heard, Turn, case, main, once, raises, same
from dialects import INPUT_TOTAL

HELLO: Any = [{"role": "user", "content": "Hello there"}]


def connect(context: Context) -> Client:
    return Client(host=context.gateway, timeout=60, headers={"authorization": f"Bearer {CLIENT_KEY}"})


def ask(context: Context, fate: str = "plain", **more: Any) -> Any:
    return connect(context).chat(**{"model": context.model(fate), "messages": HELLO, **more})


def weather(city: str) -> str:
    """Tells the temperature.

    Args:
        city: Where.
    """
    return {"Paris": "21 degrees", "Rome": "25 degrees"}[city]


# What the SDK makes of that function.
PARAMETERS = {
    "type": "object",
    "required": ["city"],
    "properties": {"city": {"type": "string", "description": "Where."}},
}
FUNCTION = {"name": "weather", "description": "Tells the temperature.", "parameters": PARAMETERS}


def check_error(error: ResponseError, status: int, words: str) -> None:
    """The SDK keeps the sentence and the status."""
    same("status", error.status_code, status)
    same(f"{words!r} is in {error.error!r}", words in error.error, True)


@case
def plain(context: Context) -> None:
    options = {"temperature": 0.5, "top_p": 0.9, "num_predict": 50, "stop": ["###"]}
    answer = ask(context, messages=[{"role": "system", "content": "Be brief."}, *HELLO], options=options)
    same("answer", (answer.message.role, answer.message.content), ("assistant", "You said: Hello there"))
    same("end", (answer.done, answer.done_reason), (True, "stop"))
    same("usage", (answer.prompt_eval_count, answer.eval_count), (INPUT_TOTAL, 4))
    heard = Heard("plain", False, "Be brief.", [Turn("user", "Hello there")])
    heard.temperature, heard.top_p, heard.max_tokens, heard.stop = 0.5, 0.9, 50, ["###"]
    context.heard(heard)


@case
def decision_headers(context: Context) -> None:
    """The SDK hides headers; its HTTP client does not."""
    body = {"model": context.model(), "messages": HELLO, "stream": False}
    context.decision(connect(context)._client.post("/api/chat", json=body).headers)


@case
def reasons_to_end(context: Context) -> None:
    limited = ask(context, options={"num_predict": 2})
    same("limit", (limited.done_reason, limited.message.content), ("length", "You said:"))
    stopped = ask(context, options={"stop": ["there"]})
    same("stop text", (stopped.done_reason, stopped.message.content), ("stop", "You said: Hello"))
    context.seen()


def check_stream(context: Context, chunks: list[Any]) -> None:
    *others, last = chunks
    same("text", "".join(chunk.message.content for chunk in chunks), "You said: Hello there")
    same("done", [chunk.done for chunk in others], [False] * len(others))
    same("end", (last.done, last.done_reason), (True, "stop"))
    same("usage", (last.prompt_eval_count, last.eval_count), (INPUT_TOTAL, 4))
    context.heard(Heard("plain", True, turns=[Turn("user", "Hello there")]))


@case
def stream(context: Context) -> None:
    check_stream(context, list(ask(context, stream=True)))


@case
def asynchronous_stream(context: Context) -> None:
    async def collect() -> list[Any]:
        client = AsyncClient(host=context.gateway, timeout=60)
        chunks = await client.chat(model=context.model(), messages=HELLO, stream=True)
        return [chunk async for chunk in chunks]

    check_stream(context, asyncio.run(collect()))


def answer_calls(context: Context, message: Any, streamed: bool) -> None:
    """Sends the results of the two calls, and checks both requests and the last answer."""
    calls = [(call.function.name, dict(call.function.arguments)) for call in message.tool_calls]
    same("calls", calls, [("weather", {"city": "Paris"}), ("weather", {"city": "Rome"})])
    question = Turn("user", QUESTION)
    context.heard(Heard("plain", streamed, turns=[question], tools=[FUNCTION]))
    results = [{"role": "tool", "tool_name": name, "content": weather(**given)} for name, given in calls]
    messages = [{"role": "user", "content": QUESTION}, message, *results]
    answer = ask(context, messages=messages, tools=[weather], stream=streamed)
    pieces = list(answer) if streamed else [answer]
    same("answer", "".join(piece.message.content for piece in pieces), "It is 21 degrees and 25 degrees.")
    called = Turn("assistant", calls=[Call("p", "weather", {"city": "Paris"}), Call("r", "weather", {"city": "Rome"})])
    paris = Turn("tool", "21 degrees", call_id="p", name="weather")
    rome = Turn("tool", "25 degrees", call_id="r", name="weather")
    context.heard(Heard("plain", streamed, turns=[question, called, paris, rome], tools=[FUNCTION]))


@case
def tools(context: Context) -> None:
    answer = ask(context, messages=[{"role": "user", "content": QUESTION}], tools=[weather])
    same("usage", (answer.prompt_eval_count, answer.eval_count), (INPUT_TOTAL, 18))
    answer_calls(context, answer.message, streamed=False)


@case
def streamed_tools(context: Context) -> None:
    chunks = list(ask(context, messages=[{"role": "user", "content": QUESTION}], tools=[weather], stream=True))
    calls = [call for chunk in chunks for call in chunk.message.tool_calls or []]
    message = chunks[0].message.model_copy(update={"tool_calls": calls, "content": ""})
    answer_calls(context, message, streamed=True)


@case
def images(context: Context) -> None:
    picture = {"role": "user", "content": "What is this?", "images": [base64.b64decode(PNG)]}
    same("answer", ask(context, messages=[picture]).message.content, "You said: What is this? [1 images]")
    inline = f"data:image/png;base64,{PNG}"
    context.heard(Heard("plain", False, turns=[Turn("user", "What is this?", images=[inline])]))


class Weather(BaseModel):
    """What the model is to answer."""

    city: str
    celsius: int


@case
def structured_output(context: Context) -> None:
    schema = Weather.model_json_schema()
    content = ask(context, format=schema).message.content
    same("parsed", Weather.model_validate_json(content), Weather(city="Paris", celsius=21))
    return context.heard(Heard("plain", False, turns=[Turn("user", "Hello there")], schema=schema))


@case
def thinking(context: Context) -> None:
    message = ask(context, "thinking").message
    same("answer", (message.content, message.thinking), ("You said: Hello there", "Let me see."))
    # Sent back as it came, as agents do.
    ask(context, "thinking", messages=[*HELLO, message, {"role": "user", "content": "And now?"}])
    turns = context.seen()[-1]["heard"]["turns"]
    same("turns", [turn["text"] for turn in turns], ["Hello there", "You said: Hello there", "And now?"])


@case
def fields_of_one_dialect(context: Context) -> None:
    ask(context, think=True, keep_alive="5m", options={"mirostat": 1})
    body = context.body()
    if context.dialect != "ollama":
        # Hints, which other dialects do not have.
        return same("fields", [name for name in ("think", "keep_alive", "options", "mirostat") if name in body], [])
    return same("fields", (body["think"], body["keep_alive"], body["options"]), (True, "5m", {"mirostat": 1}))


@case
def cut_stream(context: Context) -> None:
    text = ""

    def read() -> None:
        nonlocal text
        messages = [{"role": "user", "content": "one two three four five six"}]
        for chunk in ask(context, "cut", messages=messages, stream=True):
            same("done", chunk.done, False)
            text += chunk.message.content

    # The SDK gives no status to an error in a stream.
    check_error(raises(ResponseError, read), -1, "broke off")
    same("the text began", ("You said: one two three four five six".startswith(text), bool(text)), (True, True))
    context.seen()


@case
def failing_backends(context: Context) -> None:
    outcomes = {"refusing": (502, "refused"), "busy": (429, "rate limiting"), "failing": (502, "failed")}
    for fate, outcome in outcomes.items():
        for streamed in (False, True):

            def read(fate: str = fate, streamed: bool = streamed) -> Any:
                return list(ask(context, fate, stream=streamed))

            check_error(raises(ResponseError, read), *outcome)
    context.seen()


@once
def unknown_model(context: Context) -> None:
    check_error(raises(ResponseError, lambda: ask(context, model="opena")), 404, '"openai"')
    context.heard_nothing()


@once
def bad_requests(context: Context) -> None:
    # Without a message, Ollama loads the model.
    same("loaded", ask(context, messages=[]).done_reason, "load")
    king = [{"role": "king", "content": "Hello"}]
    check_error(raises(ResponseError, lambda: ask(context, messages=king)), 400, "messages[0].role")
    context.heard_nothing()


@once
def too_large(context: Context) -> None:
    # More than a body may have. The SDK writes all of it before it reads.
    messages = [{"role": "user", "content": "x" * 34_000_000}]
    check_error(raises(ResponseError, lambda: ask(context, messages=messages)), 413, "longer than")
    context.heard_nothing()


@once
def unknown_route(context: Context) -> None:
    error = raises(ResponseError, lambda: connect(context).pull("openai"))
    check_error(error, 404, "no such route")


@once
def list_of_models(context: Context) -> None:
    names = [model.model for model in connect(context).list().models]
    same("first names", [name for name in names if name != "auto"][:2], ["openai", "openai-thinking"])
    same("auto is one of them", "auto" in names, True)
    shown = connect(context).show("openai")
    same("can complete", "completion" in (shown.capabilities or []), True)
    same("known", {model.model for model in connect(context).ps().models} <= set(names), True)


@once
def prompt(context: Context) -> None:
    answer = connect(context).generate(model="openai", prompt="Hello there")
    same("answer", (answer.response, answer.done), ("You said: Hello there", True))
    parts = connect(context).generate(model="anthropic", prompt="Hello there", stream=True)
    same("stream", "".join(part.response for part in parts), "You said: Hello there")
    vectors = connect(context).embed(model="openai", input=["a", "bcd"]).embeddings
    same("vectors", len(vectors), 2)
    context.take_seen()


@once
def routed(context: Context) -> None:
    same("answer", ask(context, model="auto").message.role, "assistant")


if __name__ == "__main__":
    main("ollama")
