"""What the fake server sends: one answer in each of OpenAI's two protocols, whole and as a stream. Source: OpenAI's API reference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

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
        drips_head: the bytes that drip are those of a header that does not end.
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
    drips_head: bool = False
    cut: int | None = None
    body: bytes | None = None
    usage: bool = True


def error_body(code: str, message: str) -> bytes:
    """Return the body of an error."""
    return json.dumps({"error": {"message": message, "type": code, "param": None, "code": code}}).encode()


def event(way: str, said: Mapping[str, Any]) -> str:
    """Return one event of a stream."""
    named = f"event: {said['type']}\n" if way == "responses" else ""
    return f"{named}data: {json.dumps(said)}\n\n"


def _pieces(text: str) -> Iterator[str]:
    for place in range(0, len(text), 8):
        yield text[place : place + 8]


def _arguments(given: Mapping[str, Any] | str) -> str:
    return given if isinstance(given, str) else json.dumps(given)


def chat(turn: Turn, model: str, given: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the envelope of chat-completions, and the same as a stream of chunks."""
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": _arguments(args)}}
        for n, (name, args) in enumerate(turn.calls, 1)
    ]
    finish = "tool_calls" if calls and turn.finish_reason == "stop" else turn.finish_reason
    message: dict[str, Any] = {"role": "assistant", "content": None if calls else turn.content, "refusal": turn.refusal}
    if calls:
        message["tool_calls"] = calls
    taken = estimate(turn.content or "") + sum(estimate(_arguments(args)) for _, args in turn.calls)
    usage = {
        "prompt_tokens": given,
        "completion_tokens": taken,
        "total_tokens": given + taken,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    head: dict[str, Any] = {"id": "chatcmpl-fake", "created": 1_767_225_600, "model": model}
    envelope = {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
    }
    if turn.usage:
        envelope["usage"] = usage
    head["object"] = "chat.completion.chunk"
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        *({"content": piece} for piece in _pieces(turn.content or "") if not calls),
    ]
    deltas += [{"refusal": turn.refusal}] if turn.refusal else []
    deltas += [{"tool_calls": [{"index": n, **call}]} for n, call in enumerate(calls)]
    events = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    events.append({**head, "choices": [], "usage": usage})
    return envelope, events


def responses(turn: Turn, model: str, given: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the envelope of responses, and the same as a stream of events."""
    part: dict[str, Any] = (
        {"type": "refusal", "refusal": turn.refusal}
        if turn.refusal
        else {"type": "output_text", "text": turn.content or "", "annotations": []}
    )
    item: dict[str, Any] = {"id": "msg_fake", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    calls = [
        {
            "id": f"fc_{n}",
            "type": "function_call",
            "call_id": f"call_{n}",
            "name": name,
            "arguments": _arguments(args),
            "status": "completed",
        }
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
            events += [
                {"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []} for piece in _pieces(part["text"])
            ]
            events.append({"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []})
        events.append({"type": "response.output_item.done", "output_index": n, "item": one})
    events.append({"type": "response.incomplete" if cut else "response.completed", "response": envelope})
    return envelope, [{**one, "sequence_number": n} for n, one in enumerate(events)]
