"""A server on this machine that speaks OpenAI's protocol and misbehaves when it is told to: for tests, ours and yours. It needs no network.

    with FakeOpenAI({"answer": 42}, faults.rate_limited(retry_after=0)) as server:
        client = openai.OpenAI(base_url=server.url, api_key="any")

    POST /v1/chat/completions    GET /v1/models
    POST /v1/responses           both POSTs also as a stream of events

Rules: turns are used in order, each once; a question without a turn is answered with `otherwise`, or with an error that says so. What came in is in `requests`. A
turn that takes long waits for the server to close, so no test has to wait for it.
Source: OpenAI's API reference. Deliberately absent: everything that a client of ours or of LangChain's does not read.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from .fake_envelopes import Turn, chat, error_body, event, responses
from .scripted import as_text
from .tokens import estimate

__all__ = ["FakeOpenAI", "Received", "Turn", "faults"]


class faults:
    """Ways to misbehave."""

    @staticmethod
    def rate_limited(retry_after: float | str | None = None, *, code: str = "rate_limit_exceeded") -> Turn:
        """429, with or without `retry-after` in seconds or as a date."""
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        return Turn(status=429, error=code, message="too many requests", headers=headers)

    @staticmethod
    def out_of_credit() -> Turn:
        """429 that does not get better."""
        return faults.rate_limited(code="insufficient_quota")

    @staticmethod
    def broken(status: int = 500) -> Turn:
        """An error of the server."""
        return Turn(status=status, error="server_error", message="the server had an error")

    @staticmethod
    def no_schema() -> Turn:
        """A server that knows no `json_schema`."""
        return Turn(status=400, error="invalid_request_error", message="'response_format' of type 'json_schema' is not supported")

    @staticmethod
    def slow(seconds: float, content: Any = "{}") -> Turn:
        """An answer that comes late."""
        return Turn(content=as_text(content), pause_s=seconds)

    @staticmethod
    def dripping(seconds: float = 0.05, content: Any = "{}") -> Turn:
        """An answer that comes byte by byte, so that no single read takes long."""
        return Turn(content=as_text(content), drip_s=seconds)

    @staticmethod
    def dripping_head(seconds: float = 0.05) -> Turn:
        """An answer whose headers never end, so that a client never sees the first byte of its body."""
        return Turn(drip_s=seconds, drips_head=True)

    @staticmethod
    def cut_off(at: int = 40, content: Any = "{}") -> Turn:
        """A connection that closes in the middle of the answer."""
        return Turn(content=as_text(content), cut=at)

    @staticmethod
    def no_protocol(body: bytes = b"<html>please sign in</html>") -> Turn:
        """200 with something else."""
        return Turn(body=body)

    @staticmethod
    def invalid_json() -> Turn:
        """A reply that is not JSON."""
        return Turn(content='{"problem": {"title": "unfinished')

    @staticmethod
    def wrong_schema() -> Turn:
        """A reply that is JSON of another shape."""
        return Turn(content='{"something": "else"}')

    @staticmethod
    def refusal(words: str = "I cannot help with that.") -> Turn:
        """A refusal."""
        return Turn(content=None, refusal=words)

    @staticmethod
    def truncated(content: Any = '{"problem": {"title": "too lo') -> Turn:
        """A reply that hit the limit of tokens."""
        return Turn(content=as_text(content), finish_reason="length")

    @staticmethod
    def empty() -> Turn:
        """A reply without text."""
        return Turn(content="")


@dataclass(frozen=True)
class Received:
    """A request that came in."""

    path: str
    headers: Mapping[str, str]
    body: Any


class FakeOpenAI:
    """The server. A context manager; it listens from construction on."""

    def __init__(self, *turns: Any, model: str = "gpt-fake", otherwise: Any = None) -> None:
        """Start it.

        Args:
            turns: each a `Turn`, a text, a JSON value, a pydantic object, or a function of the request's body that returns one of these.
            model: as the server names itself.
            otherwise: a turn for every question beyond them, such as second opinions, which are asked at the same time and in any order.
        """
        self.model = model
        self.otherwise = otherwise
        self.requests: list[Received] = []
        """What was asked, in order."""
        self._turns = list(turns)
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="fake openai", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """What goes into OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def will(self, *turns: Any) -> None:
        """Answer these as well, after the others."""
        self._turns += turns

    def close(self) -> None:
        """Stop it; whoever still waits for an answer loses the connection."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def next_turn(self, received: Received) -> Turn:
        """Take a request in and return what to answer."""
        with self._lock:
            self.requests.append(received)
            if not self._turns and self.otherwise is None:
                return Turn(status=400, error="script", message="the fake server has no turn left for this request")
            turn = self._turns.pop(0) if self._turns else self.otherwise
        if isinstance(turn, Callable):  # type: ignore[arg-type]
            turn = turn(received.body)
        return turn if isinstance(turn, Turn) else Turn(content=as_text(turn))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], fake: FakeOpenAI) -> None:
        self.fake = fake
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        fake = self.server.fake
        if self.path.rstrip("/").endswith("/models"):
            self._send(
                200,
                {},
                json.dumps({"object": "list", "data": [{"id": fake.model, "object": "model", "owned_by": "assent"}]}).encode(),
            )
        else:
            self._send(404, {}, error_body("not_found", "no such path"))

    def do_POST(self) -> None:
        fake = self.server.fake
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        asked = json.loads(raw or b"{}")
        way = next((way for way in ("chat/completions", "responses") if self.path.split("?")[0].endswith(way)), "")
        if not way:
            self._send(404, {}, error_body("not_found", "no such path"))
            return
        turn = fake.next_turn(Received(self.path, {name.lower(): value for name, value in self.headers.items()}, asked))
        if turn.pause_s and fake.closing.wait(turn.pause_s):
            self.close_connection = True
            return
        if turn.drips_head:
            self._drip_head(turn)
            return
        if turn.status >= 400:
            self._send(turn.status, turn.headers, turn.body or error_body(turn.error, turn.message))
            return
        given = sum(estimate(json.dumps(message)) for message in (asked.get("messages") or asked.get("input") or ()))
        wire = chat if way == "chat/completions" else responses
        envelope, events = wire(turn, str(asked.get("model") or fake.model), given)
        if asked.get("stream") and turn.body is None:
            wants_usage = way == "responses" or bool((asked.get("stream_options") or {}).get("include_usage"))
            text = "".join(event(way, one) for one in events if wants_usage or one.get("choices") != [])
            text += "data: [DONE]\n\n" if way == "chat/completions" else ""
            self._send(200, {"content-type": "text/event-stream", **turn.headers}, text.encode(), turn)
            return
        self._send(200, turn.headers, turn.body if turn.body is not None else json.dumps(envelope).encode(), turn)

    def _drip_head(self, turn: Turn) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nx-drip: ")
            while not self.server.fake.closing.wait(turn.drip_s):
                self.wfile.write(b"x")

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, turn: Turn | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "x-request-id": "req_fake",
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            if turn is not None and turn.drip_s:
                for place in range(len(body)):
                    self.wfile.write(body[place : place + 1])
                    if self.server.fake.closing.wait(turn.drip_s):
                        break
            else:
                self.wfile.write(body if turn is None or turn.cut is None else body[: turn.cut])
        if turn is not None and (turn.cut is not None or turn.drip_s):
            self.close_connection = True
