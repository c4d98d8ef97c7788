"""The official SDKs of OpenAI, Anthropic and Ollama with keys of the gateway: each asks once with each key, as it comes,
with the retries that it does by itself.

Run with the gateway's address, a model, and the keys as a JSON object. Prints a line of JSON for each SDK and key.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import anthropic
import ollama
import openai

HELLO: Any = [{"role": "user", "content": "Hello there"}]


def with_openai(url: str, model: str, key: str) -> str:
    # Without a key the SDK asks nobody, so that it is given one and told to send none.
    headers: Any = {} if key else {"Authorization": openai.Omit()}
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key or "unused", timeout=60)
    completion = client.chat.completions.create(model=model, messages=HELLO, extra_headers=headers)
    return completion.choices[0].message.content


def with_anthropic(url: str, model: str, key: str) -> str:
    omitted: Any = {"X-Api-Key": anthropic.Omit(), "Authorization": anthropic.Omit()}
    headers = {} if key else omitted
    client = anthropic.Anthropic(base_url=url, api_key=key or "unused", timeout=60)
    message: Any = client.messages.create(model=model, max_tokens=100, messages=HELLO, extra_headers=headers)
    return message.content[0].text


def with_ollama(url: str, model: str, key: str) -> str:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return ollama.Client(host=url, headers=headers).chat(model=model, messages=HELLO).message.content


def outcome(ask: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"answer": ask()}
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return {"error": type(error).__name__, "status": error.status_code, "message": str(error.body)}
    except ollama.ResponseError as error:
        return {"error": type(error).__name__, "status": error.status_code, "message": error.error}


def main() -> None:
    url, model, keys = sys.argv[1:]
    sdks = {"openai": with_openai, "anthropic": with_anthropic, "ollama": with_ollama}
    for sdk, ask in sdks.items():
        for name, key in json.loads(keys).items():
            told = outcome(lambda ask=ask, key=key: ask(url, model, key))
            print(json.dumps({"sdk": sdk, "key": name, **told}), flush=True)


main()
