"""LangChain with the APIs of OpenAI, Anthropic and Ollama: `langchain.py openai|anthropic|ollama URL MODEL`.

Prints a line of JSON for each case: what LangChain made of the answers.
"""

import asyncio
import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

# One pixel.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ASKED = 'Please CALL weather {"city":"Paris"} END and CALL weather {"city":"Rome"} END'
HELLO = [HumanMessage("Hello there")]
# LangChain keeps connections for all of its models, so they must share a loop.
LOOP = asyncio.new_event_loop()


class Weather(BaseModel):
    """How warm it is somewhere."""

    city: str = Field(description="Where.")
    celsius: int


@tool
def weather(city: str) -> str:
    """Tells the temperature."""
    return f"{len(city)} degrees"


@tool
def now() -> str:
    """Tells the time: a tool without arguments."""
    return "noon"


def told(message: Any) -> dict[str, Any]:
    """What a program reads of a message."""
    calls = [(call["name"], call["args"]) for call in message.tool_calls]
    usage = message.usage_metadata or {}
    counts = [usage.get(key) for key in ("input_tokens", "output_tokens", "total_tokens")]
    metadata = message.response_metadata
    reason = metadata.get("finish_reason") or metadata.get("stop_reason") or metadata.get("done_reason")
    return {"text": message.text, "calls": calls, "usage": counts, "reason": reason}


def joined(chunks: Any) -> Any:
    """The chunks of a stream as one message."""
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole


def cases(api: str, model: Callable[..., Any]) -> dict[str, Callable[[], Any]]:
    """What is asked through each API."""

    def use_tools(ask: Callable[[list[Any]], Any]) -> list[Any]:
        messages: list[Any] = [HumanMessage(ASKED)]
        answers = []
        # Two calls, and the answer of their results; they come one by one or together.
        while len(answers) < 4:
            answer = ask(messages)
            answers.append(told(answer))
            messages.append(answer)
            if not answer.tool_calls:
                break
            messages += [weather.invoke(call) for call in answer.tool_calls]
        return answers

    async def all_at_once() -> list[Any]:
        return [told(message) for message in await model().abatch([HELLO, [HumanMessage("And hello again")]])]

    image = {"type": "image", "base64": PNG, "mime_type": "image/png"}
    with_image = [HumanMessage([{"type": "text", "text": "What is this?"}, image])]
    history = [
        SystemMessage("Be brief."),
        HumanMessage("Hello"),
        AIMessage("Hello to you"),
        HumanMessage("And again"),
    ]
    called = [
        HumanMessage("How warm is it?"),
        AIMessage("Let me see.", tool_calls=[{"name": "weather", "args": {"city": "Oslo"}, "id": "call_oslo"}]),
        ToolMessage("4 degrees", tool_call_id="call_oslo"),
    ]
    tools = [weather, now]
    found: dict[str, Callable[[], Any]] = {
        "invoke": lambda: told(model().invoke(HELLO)),
        "stream": lambda: told(joined(model().stream(HELLO))),
        "asynchronous batch": lambda: LOOP.run_until_complete(all_at_once()),
        "conversation": lambda: told(model().invoke(history)),
        "limits": lambda: told(model(max_tokens=64, temperature=0.5).invoke(HELLO, stop=["###"])),
        "tools": lambda: use_tools(model().bind_tools(tools).invoke),
        "streamed tools": lambda: use_tools(lambda messages: joined(model().bind_tools(tools).stream(messages))),
        "history of calls": lambda: told(model().bind_tools(tools).invoke(called)),
        "structured": lambda: model().with_structured_output(Weather).invoke("How warm is it?").model_dump(),
        "image": lambda: told(model().invoke(with_image)),
    }
    if api != "ollama":
        found |= {
            "a tool that must be used": lambda: told(
                model().bind_tools(tools, tool_choice="weather").invoke(
                    [HumanMessage('CALL weather {"city":"Paris"} END')]
                )
            ),
        }
    return found


def of_openai(url: str, name: str) -> dict[str, Callable[[], Any]]:
    # Each of these takes seconds to load, and a run needs one.
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    def model(**settings: Any) -> Any:
        return ChatOpenAI(model=name, base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=60, **settings)

    def responses(**settings: Any) -> Any:
        return model(use_responses_api=True, **settings)

    instructed = [HumanMessage("Hello"), AIMessage("Hello to you"), SystemMessage("Be kind."), HumanMessage("Again")]
    embeddings = OpenAIEmbeddings(
        model=name, base_url=f"{url}/v1", api_key="unused", max_retries=0, check_embedding_ctx_length=False
    )
    return {
        **cases("openai", model),
        # Not every API has turns of this kind; the words must arrive.
        "instructions in the middle": lambda: [
            words for words in ("Be kind.", "Again") if words in model().invoke(instructed).text
        ],
        "effort": lambda: told(model(reasoning_effort="medium").invoke(HELLO)),
        "seed": lambda: told(model(seed=7).invoke(HELLO)),
        "usage of a stream": lambda: told(joined(model(stream_usage=True).stream(HELLO))),
        "embeddings": lambda: embeddings.embed_documents(["one", "two and more"]),
        **{f"responses: {case}": work for case, work in cases("openai", responses).items() if case != "limits"},
    }


def of_anthropic(url: str, name: str) -> dict[str, Callable[[], Any]]:
    from langchain_anthropic import ChatAnthropic

    def model(**settings: Any) -> Any:
        settings = {"max_tokens": 2048, **settings}
        return ChatAnthropic(model_name=name, base_url=url, api_key="unused", max_retries=0, timeout=60, **settings)

    thinking = {"type": "enabled", "budget_tokens": 1024}
    cached = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    return {
        **cases("anthropic", model),
        "thinking": lambda: told(model(thinking=thinking).invoke(HELLO)),
        "cached instructions": lambda: told(model().invoke([SystemMessage([cached]), *HELLO])),
    }


def of_ollama(url: str, name: str) -> dict[str, Callable[[], Any]]:
    from langchain_ollama import ChatOllama, OllamaEmbeddings

    def model(max_tokens: int | None = None, **settings: Any) -> Any:
        return ChatOllama(model=name, base_url=url, num_predict=max_tokens, **settings)

    embeddings = OllamaEmbeddings(model=name, base_url=url)
    return {
        **cases("ollama", model),
        "context": lambda: told(model(num_ctx=8192, keep_alive="5m", repeat_penalty=1.1).invoke(HELLO)),
        "without reasoning": lambda: told(model(reasoning=False).invoke(HELLO)),
        "embeddings": lambda: embeddings.embed_documents(["one", "two and more"]),
    }


def main() -> None:
    api, url, name = sys.argv[1:]
    warnings.simplefilter("ignore")
    for case, work in {"openai": of_openai, "anthropic": of_anthropic, "ollama": of_ollama}[api](url, name).items():
        try:
            outcome = {"result": work()}
        except Exception as error:
            outcome = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"case": case, **outcome}), flush=True)


if __name__ == "__main__":
    main()
