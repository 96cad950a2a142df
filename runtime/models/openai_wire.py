"""OpenAI's two protocols as data: what is sent, and what an envelope holds. Pure.

    chat        POST /chat/completions    choices[0].message.content, finish_reason, usage.prompt_tokens
    responses   POST /responses           output[].content[].text, status, usage.input_tokens

Rules: an envelope is foreign data; whatever is missing in it is empty or zero, and only an envelope without any place for an answer is an
error. Source: OpenAI's API reference; servers that speak it leave out much of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ...schemas.prompt import Message, Prompt, Usage
from .shape import Shape, in_words

Protocol = Literal["chat", "responses"]
Form = Literal["json_schema", "json_object"]


@dataclass(frozen=True)
class Envelope:
    """What an envelope says."""

    raw: str
    model: str
    finish_reason: str
    refusal: str
    usage: Usage | None


class NotAnEnvelope(ValueError):
    """This is not the protocol."""


def body(protocol: Protocol, model: str, prompt: Prompt, shape: Shape, form: Form) -> dict[str, Any]:
    """Return the request's body."""
    messages = [{"role": message.role, "content": message.text} for message in spelled_out(prompt, shape, form).messages]
    schema = {"name": shape.name, "schema": shape.schema, "strict": shape.is_strict}
    if protocol == "responses":
        wanted: dict[str, Any] = {"type": "json_schema", **schema} if form == "json_schema" else {"type": "json_object"}
        # Nothing of a run is left with the service; the record is ours.
        return {"model": model, "input": messages, "text": {"format": wanted}, "store": False}
    wanted = {"type": "json_schema", "json_schema": schema} if form == "json_schema" else {"type": "json_object"}
    return {"model": model, "messages": messages, "response_format": wanted}


def spelled_out(prompt: Prompt, shape: Shape, form: Form) -> Prompt:
    """Return the prompt as it is sent: where the service takes no schema, the schema stands in the last message."""
    if form == "json_schema":
        return prompt
    *before, last = prompt.messages
    return prompt.model_copy(update={"messages": (*before, Message(role=last.role, text=f"{last.text}\n\n{in_words(shape)}"))})


def open_envelope(protocol: Protocol, envelope: Any) -> Envelope:
    """Read an envelope.

    Raises:
        NotAnEnvelope: there is no place for an answer in it.
    """
    if not isinstance(envelope, Mapping):
        raise NotAnEnvelope("the answer is not a JSON object")
    return _responses(envelope) if protocol == "responses" else _chat(envelope)


def _chat(envelope: Mapping[str, Any]) -> Envelope:
    choices = envelope.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    if not isinstance(message, Mapping):
        raise NotAnEnvelope("the answer has no choices[0].message")
    assert isinstance(first, Mapping)
    return Envelope(
        raw=_text(message.get("content")) or _called(message.get("tool_calls")),
        model=_text(envelope.get("model")),
        finish_reason=_text(first.get("finish_reason")),
        refusal=_text(message.get("refusal")),
        usage=_usage(envelope.get("usage"), "prompt_tokens", "completion_tokens"),
    )


def _responses(envelope: Mapping[str, Any]) -> Envelope:
    output = envelope.get("output")
    if not isinstance(output, list):
        raise NotAnEnvelope("the answer has no output")
    parts = [
        part
        for item in output
        if isinstance(item, Mapping) and item.get("type") == "message" and isinstance(item.get("content"), list)
        for part in item["content"]
        if isinstance(part, Mapping)
    ]
    calls = [{"function": item} for item in output if isinstance(item, Mapping) and item.get("type") == "function_call"]
    details = envelope.get("incomplete_details")
    cut = _text(details.get("reason")) if isinstance(details, Mapping) else ""
    return Envelope(
        raw="".join(_text(part.get("text")) for part in parts if part.get("type") == "output_text") or _called(calls),
        model=_text(envelope.get("model")),
        finish_reason=cut or ("stop" if envelope.get("status") == "completed" else _text(envelope.get("status"))),
        refusal="".join(_text(part.get("refusal")) for part in parts if part.get("type") == "refusal"),
        usage=_usage(envelope.get("usage"), "input_tokens", "output_tokens"),
    )


def _called(calls: Any) -> str:
    """Return the arguments of the first tool call: some servers answer a wish for JSON with one."""
    first = calls[0] if isinstance(calls, list) and calls else None
    function = first.get("function") if isinstance(first, Mapping) else None
    return _text(function.get("arguments")) if isinstance(function, Mapping) else ""


def _usage(usage: Any, given: str, answered: str) -> Usage | None:
    if not isinstance(usage, Mapping) or given not in usage:
        return None
    return Usage(
        input_tokens=_count(usage.get(given)),
        output_tokens=_count(usage.get(answered)),
        cached_tokens=min(_count(usage.get(given)), _detail(usage, f"{given}_details", "cached_tokens")),
        reasoning_tokens=_detail(usage, f"{answered}_details", "reasoning_tokens"),
    )


def _detail(usage: Mapping[str, Any], group: str, name: str) -> int:
    found = usage.get(group)
    return _count(found.get(name)) if isinstance(found, Mapping) else 0


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0


def _text(value: Any) -> str:
    if isinstance(value, list):  # content as parts
        return "".join(_text(part.get("text")) for part in value if isinstance(part, Mapping))
    return value if isinstance(value, str) else ""
