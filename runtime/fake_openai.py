"""A server on this machine that speaks OpenAI's protocol and misbehaves when it is told to: for tests, ours and yours. It needs no network.

    with FakeOpenAI({"answer": 42}, faults.rate_limited(retry_after=0)) as server:
        client = openai.OpenAI(base_url=server.url, api_key="any")

    POST /v1/chat/completions    GET /v1/models
    POST /v1/responses           both POSTs also as a stream of events

Rules: turns are used in order, each once; a question without a turn is answered with an error that says so. What came in is in `requests`. A
turn that takes long waits for the server to close, so no test has to wait for it.
Source: OpenAI's API reference. Deliberately absent: everything that a client of ours or of LangChain's does not read.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from .scripted import as_text
from .tokens import estimate


@dataclass(frozen=True)
class Turn:
    """One answer of the server.

    Args:
        content: the reply's text; `None` sends none.
        calls: tool calls, as (name, arguments).
        finish_reason: of the reply.
        refusal: instead of content.
        status: of HTTP; from 400 on the answer is an error with `error` as its code.
        headers: besides the usual.
        pause_s: before it answers.
        drip_s: between bytes.
        cut: send only so many bytes of the body, then close.
        body: these bytes instead of an envelope.
        usage: say how many tokens it took.
    """

    content: str | None = ""
    calls: tuple[tuple[str, Mapping[str, Any] | str], ...] = ()
    finish_reason: str = "stop"
    refusal: str | None = None
    status: int = 200
    error: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    drip_s: float = 0.0
    cut: int | None = None
    body: bytes | None = None
    usage: bool = True


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

    def __init__(self, *turns: Any, model: str = "gpt-fake") -> None:
        """Start it.

        Args:
            turns: each a `Turn`, a text, a JSON value, a pydantic object, or a function of the request's body that returns one of these.
            model: as the server names itself.
        """
        self.model = model
        self.requests: list[Received] = []
        """What was asked, in order."""
        self._turns = list(turns)
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="fake openai", daemon=True)
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
            if not self._turns:
                return Turn(status=400, error="script", message="the fake server has no turn left for this request")
            turn = self._turns.pop(0)
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
            self._send(200, {}, json.dumps({"object": "list", "data": [{"id": fake.model, "object": "model", "owned_by": "assent"}]}).encode())
        else:
            self._send(404, {}, _error("not_found", "no such path"))

    def do_POST(self) -> None:
        fake = self.server.fake
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        asked = json.loads(raw or b"{}")
        way = next((way for way in ("chat/completions", "responses") if self.path.split("?")[0].endswith(way)), "")
        if not way:
            self._send(404, {}, _error("not_found", "no such path"))
            return
        turn = fake.next_turn(Received(self.path, {name.lower(): value for name, value in self.headers.items()}, asked))
        if turn.pause_s and fake.closing.wait(turn.pause_s):
            self.close_connection = True
            return
        if turn.status >= 400:
            self._send(turn.status, turn.headers, turn.body or _error(turn.error, turn.message))
            return
        given = sum(estimate(json.dumps(message)) for message in (asked.get("messages") or asked.get("input") or ()))
        wire = _chat if way == "chat/completions" else _responses
        envelope, events = wire(turn, str(asked.get("model") or fake.model), given)
        if asked.get("stream") and turn.body is None:
            wants_usage = way == "responses" or bool((asked.get("stream_options") or {}).get("include_usage"))
            text = "".join(_event(way, one) for one in events if wants_usage or one.get("choices") != [])
            text += "data: [DONE]\n\n" if way == "chat/completions" else ""
            self._send(200, {"content-type": "text/event-stream", **turn.headers}, text.encode(), turn)
            return
        self._send(200, turn.headers, turn.body if turn.body is not None else json.dumps(envelope).encode(), turn)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, turn: Turn | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(body)), "x-request-id": "req_fake", **headers}.items():
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


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": code, "param": None, "code": code}}).encode()


def _event(way: str, event: Mapping[str, Any]) -> str:
    named = f"event: {event['type']}\n" if way == "responses" else ""
    return f"{named}data: {json.dumps(event)}\n\n"


def _pieces(text: str) -> Iterator[str]:
    for place in range(0, len(text), 8):
        yield text[place : place + 8]


def _arguments(given: Mapping[str, Any] | str) -> str:
    return given if isinstance(given, str) else json.dumps(given)


def _chat(turn: Turn, model: str, given: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": _arguments(args)}} for n, (name, args) in enumerate(turn.calls, 1)
    ]
    finish = "tool_calls" if calls and turn.finish_reason == "stop" else turn.finish_reason
    message: dict[str, Any] = {"role": "assistant", "content": None if calls else turn.content, "refusal": turn.refusal}
    if calls:
        message["tool_calls"] = calls
    taken = estimate(turn.content or "") + sum(estimate(_arguments(args)) for _, args in turn.calls)
    usage = {"prompt_tokens": given, "completion_tokens": taken, "total_tokens": given + taken, "prompt_tokens_details": {"cached_tokens": 0}}
    head: dict[str, Any] = {"id": "chatcmpl-fake", "created": 1_767_225_600, "model": model}
    envelope = {**head, "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}]}
    if turn.usage:
        envelope["usage"] = usage
    head["object"] = "chat.completion.chunk"
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in _pieces(turn.content or "") if not calls)]
    deltas += [{"refusal": turn.refusal}] if turn.refusal else []
    deltas += [{"tool_calls": [{"index": n, **call}]} for n, call in enumerate(calls)]
    events = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    events.append({**head, "choices": [], "usage": usage})
    return envelope, events


def _responses(turn: Turn, model: str, given: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    part: dict[str, Any] = (
        {"type": "refusal", "refusal": turn.refusal} if turn.refusal else {"type": "output_text", "text": turn.content or "", "annotations": []}
    )
    item: dict[str, Any] = {"id": "msg_fake", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    calls = [
        {"id": f"fc_{n}", "type": "function_call", "call_id": f"call_{n}", "name": name, "arguments": _arguments(args), "status": "completed"}
        for n, (name, args) in enumerate(turn.calls, 1)
    ]
    taken = estimate(turn.content or "")
    cut = turn.finish_reason == "length"
    envelope: dict[str, Any] = {
        "id": "resp_fake", "object": "response", "created_at": 1_767_225_600, "model": model, "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None, "error": None, "output": calls or [item], "parallel_tool_calls": True,
        "tool_choice": "auto", "tools": [], "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
    }  # fmt: skip
    if turn.usage:
        envelope["usage"] = {
            "input_tokens": given, "output_tokens": taken, "total_tokens": given + taken, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }  # fmt: skip
    begun = {**envelope, "status": "in_progress", "output": []}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for n, one in enumerate(envelope["output"]):
        empty = {**one, "content": []} if one["type"] == "message" else {**one, "arguments": ""}
        events.append({"type": "response.output_item.added", "output_index": n, "item": {**empty, "status": "in_progress"}})
        where = {"output_index": n, "item_id": one["id"]}
        if one["type"] == "function_call":
            events.append({"type": "response.function_call_arguments.delta", **where, "delta": one["arguments"]})
        elif part["type"] == "output_text":
            where["content_index"] = 0
            events.append({"type": "response.content_part.added", **where, "part": {**part, "text": ""}})
            events += [{"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []} for piece in _pieces(part["text"])]
            events.append({"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []})
        events.append({"type": "response.output_item.done", "output_index": n, "item": one})
    events.append({"type": "response.incomplete" if cut else "response.completed", "response": envelope})
    return envelope, [{**event, "sequence_number": n} for n, event in enumerate(events)]
