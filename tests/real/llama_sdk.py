"""The official OpenAI SDK reads a stream of a real model through the gateway, and prints what it was told."""

import json
import sys

from openai import OpenAI


def main() -> None:
    gateway, model = sys.argv[1:]
    client = OpenAI(base_url=f"{gateway}/v1", api_key="unused", max_retries=0, timeout=120)
    text, reason, usage = "", None, None
    chunks = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        max_tokens=12,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
    if usage is None or not text:
        sys.exit(f"expected text and usage, got {text!r} and {usage!r}")
    told = {"text": text, "finish_reason": reason, "input": usage.prompt_tokens, "output": usage.completion_tokens}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
