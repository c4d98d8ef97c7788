"""A scripted model server that speaks the dialects of OpenAI, Anthropic and Ollama, strictly.

Prints one line of JSON: its address, and the `models` of a gateway in front of it in the form of its configuration
file. Each model is called after the dialect that its backend speaks, with a suffix for what becomes of it. Serves
until its standard input ends. `GET /seen` tells the requests since the last time it was asked.

With `--tls FOLDER` it is served over TLS, with a certificate of an authority of its own that it leaves in that folder.
"""

import base64
import json
import os
import re
import ssl
import struct
import subprocess
import sys
import threading
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import strict
from dialects import DIALECTS, Anthropic, Call, Heard, Json, OpenAi, Said

# What the gateway shows to backends, and what no backend may see: the key that its clients send.
KEY, CLIENT_KEY = "backend-key", "client-key"
CITIES = ("Paris", "Rome", "Oslo")
# Of Anthropic's API. The newer one, which its SDK asks for, refuses the sampling parameters of the older one.
OLDER, NEWER = "2023-06-01", "2026-10-21"
# What happens at models of these names: a status, or a stream that breaks off.
FATES = {"plain": 200, "thinking": 200, "cut": 200, "refusing": 401, "busy": 429, "failing": 500}
TRUNCATED_AFTER = 5

seen: list[Json] = []
seen_lock = threading.Lock()


def models(url: str) -> str:
    """Backends and models of a gateway in front of this server."""
    lines = []
    for dialect in DIALECTS:
        kind = dialect.kind
        settings = {"kind": kind, "url": url, "api_key_env": "SCRIPTED_KEY"}
        lines += [f"[backends.{kind}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
        lines += ["probe_interval_seconds = 0"]
        for fate in FATES:
            name = kind if fate == "plain" else f"{kind}-{fate}"
            lines += [f"[models.{name}]", f'backend = "{kind}"', f'name = "{fate}"']
            lines += ['capabilities = ["tools", "images", "structured-output"]']
    return "\n".join(lines) + "\n"


def answer(heard: Heard) -> Said:
    """What the model says: it calls `weather` for each city of the question, and repeats the rest."""
    last = heard.turns[-1]
    said = Said(model=heard.model)
    offered = [tool["name"] for tool in heard.tools]
    if last.role == "user" and "weather" in offered and heard.tool_choice != "none":
        cities = [city for city in CITIES if city in last.text]
        said.calls = [Call(f"call_{city.lower()}", "weather", {"city": city}) for city in cities]
        if said.calls:
            said.finish = "tool_calls"
            return said
    if heard.schema is not None:
        text = '{"city": "Paris", "celsius": 21}'
    elif last.role == "tool":
        results = [turn for turn in heard.turns if turn.role == "tool"]
        text = "It is " + " and ".join(turn.text for turn in results) + "."
    else:
        text = f"You said: {last.text}" + (f" [{len(last.images)} images]" if last.images else "")
    if heard.model == "thinking":
        said.thinking = "Let me see."
    for stop in heard.stop:
        if stop in text:
            text, said.stop = text.partition(stop)[0], stop
    said.words = re.findall(r"\s*\S+", text)
    if heard.max_tokens is not None and len(said.words) > heard.max_tokens:
        said.words, said.finish = said.words[: heard.max_tokens], "length"
    return said


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # Head and body of an answer are two writes, which must not wait for each other's acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/seen":
            with seen_lock:
                told, seen[:] = list(seen), []
            self.json(200, told)
        else:
            self.json(404, {"error": "there is no such page"})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        if self.path in ("/v1/embeddings", "/api/embed"):
            return self.embeddings(json.loads(raw))
        dialect = next((dialect for dialect in DIALECTS if dialect.path == self.path), None)
        if dialect is None:
            return self.json(404, {"error": "there is no such page"})
        try:
            body = json.loads(raw)
            problems = strict.problems(dialect, body) + self.header_problems(dialect, body)
        except json.JSONDecodeError as error:
            body, problems = None, [f"not JSON: {error}"]
        heard = None if problems else dialect.read(body)
        with seen_lock:
            told = asdict(heard) if heard else None
            seen.append({"dialect": dialect.kind, "body": body, "problems": problems, "heard": told})
        if heard is None:
            return self.json(400, dialect.error(400, "; ".join(problems)))
        status = FATES.get(heard.model, 404)
        if status != 200:
            return self.json(status, dialect.error(status, "secret words of the backend"))
        said = answer(heard)
        if not heard.stream:
            return self.json(200, dialect.whole(said, body))
        return self.stream(dialect, list(dialect.stream(said, body)), cut=heard.model == "cut")

    def header_problems(self, dialect: type, body: Json) -> list[str]:
        found = []
        if self.headers.get_content_type() != "application/json":
            found.append(f"content-type: {self.headers.get_content_type()}")
        name, value = ("x-api-key", KEY) if dialect is Anthropic else ("authorization", f"Bearer {KEY}")
        if self.headers.get_all(name) != [value]:
            found.append(f"{name}: not the backend's key, once")
        versions = self.headers.get_all("anthropic-version") or []
        if dialect is Anthropic:
            if versions not in ([OLDER], [NEWER]):
                found.append(f"anthropic-version: {versions}")
            if versions == [NEWER]:
                found += [f"{key}: not in this version" for key in strict.SAMPLING & body.keys()]
        if any(CLIENT_KEY in value for value in self.headers.values()):
            found.append("the client's key reached the backend")
        return found

    def embeddings(self, body: Json) -> None:
        problems = self.header_problems(OpenAi, body)
        with seen_lock:
            seen.append({"dialect": OpenAi.kind, "body": body, "problems": problems, "heard": None})
        inputs = [body["input"]] if isinstance(body["input"], str) else body["input"]

        def vector(text: str) -> Any:
            numbers = [float(len(text)), 0.5, -1.0]
            in_base64 = body.get("encoding_format") == "base64"
            return base64.b64encode(struct.pack("<3f", *numbers)).decode() if in_base64 else numbers

        if self.path == "/api/embed":
            vectors = [vector(text) for text in inputs]
            counted = {"model": body["model"], "embeddings": vectors, "prompt_eval_count": 4 * len(inputs)}
            return self.json(200, counted)
        data = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(inputs)]
        usage = {"prompt_tokens": 4 * len(inputs), "total_tokens": 4 * len(inputs)}
        self.json(200, {"object": "list", "data": data, "model": body["model"], "usage": usage})

    def json(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, dialect: type, pieces: list[str], cut: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", dialect.content_type)  # type: ignore[attr-defined]
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in pieces[:TRUNCATED_AFTER] if cut else pieces:
            data = piece.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        if cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """What it saw is told when asked."""


def tls(folder: str) -> ssl.SSLContext:
    """A certificate for this address, and `authority.pem`, by which it can be checked."""

    def make(name: str, *more: str) -> None:
        new = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        files = ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(["openssl", "req", *new, *files, *more], cwd=folder, check=True, capture_output=True)

    make("authority")
    of_the_authority = ["-CA", "authority.pem", "-CAkey", "authority.key"]
    make("backend", *of_the_authority, "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "backend.pem"), os.path.join(folder, "backend.key"))
    return context


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if sys.argv[1:2] == ["--tls"]:
        scheme = "https"
        server.socket = tls(sys.argv[2]).wrap_socket(server.socket, server_side=True)
    url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"url": url, "models": models(url), "environment": {"SCRIPTED_KEY": KEY}}), flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
