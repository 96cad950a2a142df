"""What an agent answers, read and checked: is it JSON, is it the protocol, is it this agent's, is it about this phase, is it small enough.

Rules:
- Accepted: a message, a report, or the content of one, as values or as JSON text; nothing is guessed beyond that.
- A wrong id or another phase is refused, never re-labelled: a report is only read as what its author was asked for.
- Time and number of attempts are what was measured, whatever the message claims.
- A content that is partly right is accepted in part; every part left out is named in `not_looked_at`.

Source: E8 and E10 (data corruption: validation and partial acceptance). Deliberately does not judge what is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from ..schemas.agent_message import AgentMessage, AgentReport, Body, Header, Metadata
from ..schemas.canonical import parse
from ..schemas.phase import AgentSpec, FaultCategory, PhaseSpec
from .redact import find_secrets, redact_value

_LISTS = ("findings", "risks", "advice")
_PARTS = frozenset(AgentReport.model_fields)
_SHOWN = 160
_OURS = _PARTS | frozenset({"subject", "aspect", "severity", "text", "level", "action", "layer", "content", "next_action"})
"""Names of our own fields, beside which no text becomes a secret."""


class Unreadable(Exception):
    """An answer that cannot be taken; `category` says what kind of fault it is."""

    def __init__(self, category: FaultCategory, reason: str) -> None:
        super().__init__(reason)
        self.category = category
        self.reason = reason


def task_message(
    spec: PhaseSpec, agent: AgentSpec, *, focus: tuple[str, ...], inputs: Mapping[str, Any], attempt: int, now: datetime, run_id: str = "",
) -> AgentMessage:
    """Return what an agent is told."""
    content: dict[str, Any] = {
        **({"run": run_id} if run_id else {}),
        "role": agent.role,
        "focus": list(focus),
        "inputs": dict(inputs),
        "limits": agent.limits.model_copy(update={"time_s": min(agent.limits.time_s, spec.time_limit_s)}).as_json(),
        **({"prompt": agent.prompt} if agent.prompt else {}),
        **({"tools": list(agent.tools)} if agent.tools else {}),
    }
    return AgentMessage(
        header=Header(phase=spec.number, agent_id=agent.id, timestamp=now, priority=agent.priority),
        body=Body(message_type="info", content=content, next_action="report"),
        metadata=Metadata(retry_count=attempt),
    )


def read_answer(raw: Any, spec: PhaseSpec, agent: AgentSpec, *, took_s: float, attempt: int, now: datetime) -> AgentMessage:
    """Read what an agent answered.

    Args:
        raw: an AgentMessage or AgentReport, a mapping in the form of either, or JSON text of one.
        took_s: measured seconds.

    Returns:
        the message, redacted, with a content that `AgentReport` accepts when its type is `result`.

    Raises:
        Unreadable: it is none of these, too large, by somebody else, or about another phase.
    """
    value = _value(raw, agent.limits.report_bytes)
    message = _message(value, spec, agent, now)
    if message.header.agent_id != agent.id:
        raise Unreadable(FaultCategory.INTEGRATION_FAILURE, f"it reports as {message.header.agent_id[:64]!r}, but {agent.id!r} was asked")
    if message.header.phase != spec.number:
        raise Unreadable(FaultCategory.INTEGRATION_FAILURE, f"it reports for phase {message.header.phase!r}, but phase {spec.number!r} was asked about")
    content = message.body.content
    if message.body.message_type != "error":
        content = _content(content).as_json()
    said = _redacted({"content": content, "next_action": message.body.next_action})
    return AgentMessage(
        header=message.header,
        body=message.body.model_copy(update=said),
        metadata=message.metadata.model_copy(update={"execution_time": round(took_s, 6), "retry_count": attempt}),
    )


def report_of(message: AgentMessage) -> AgentReport:
    """Return the report inside a message that `read_answer` accepted."""
    return AgentReport.model_validate(message.body.content)


def _value(raw: Any, most_bytes: int) -> dict[str, Any]:
    if isinstance(raw, BaseModel):
        raw = raw.model_dump(mode="json", exclude_none=True)
    if isinstance(raw, str | bytes | bytearray):
        if len(raw) > most_bytes:
            raise Unreadable(FaultCategory.RESOURCE_EXHAUSTION, f"it answered with {len(raw):,} bytes, at most {most_bytes:,} are read")
        try:
            raw = parse(raw if isinstance(raw, str) else bytes(raw))
        except ValueError as error:
            raise Unreadable(FaultCategory.DATA_CORRUPTION, f"its answer is not valid JSON: {str(error)[:_SHOWN]}") from None
    if not isinstance(raw, Mapping):
        raise Unreadable(FaultCategory.DATA_CORRUPTION, f"a message, a report or JSON text was expected, found {type(raw).__name__}")
    try:
        data = json.dumps(raw if isinstance(raw, dict) else dict(raw), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise Unreadable(FaultCategory.DATA_CORRUPTION, f"its answer is not a JSON value: {str(error)[:_SHOWN]}") from None
    if len(data) > most_bytes:
        raise Unreadable(FaultCategory.RESOURCE_EXHAUSTION, f"it answered with {len(data):,} bytes, at most {most_bytes:,} are read")
    found: dict[str, Any] = json.loads(data)
    return found


def _message(value: dict[str, Any], spec: PhaseSpec, agent: AgentSpec, now: datetime) -> AgentMessage:
    if "header" not in value and "body" not in value:
        value = {"header": {"phase": spec.number, "agent_id": agent.id, "timestamp": now}, "body": {"message_type": "result", "content": value}}
    try:
        return AgentMessage.model_validate(value)
    except ValidationError as error:
        raise Unreadable(FaultCategory.DATA_CORRUPTION, f"its message does not follow the protocol: {_first(error)}") from None


def _content(content: Mapping[str, Any]) -> AgentReport:
    # Fields that a report does not know are the agent's own data.
    own = {name: item for name, item in content.items() if name not in _PARTS}
    told = {name: item for name, item in content.items() if name in _PARTS}
    if own:
        data = told.get("data", {})
        told["data"] = {**own, **data} if isinstance(data, Mapping) else own
    try:
        return AgentReport.model_validate(told)
    except ValidationError as error:
        return _in_part(told, error)


def _in_part(told: dict[str, Any], error: ValidationError) -> AgentReport:
    bad = {(str(e["loc"][0]), e["loc"][1] if len(e["loc"]) > 1 and e["loc"][0] in _LISTS else None) for e in error.errors()}
    if any(number is None for _, number in bad):
        raise Unreadable(FaultCategory.DATA_CORRUPTION, f"its report does not follow the protocol: {_first(error)}") from None
    left = {name: [item for number, item in enumerate(told[name]) if (name, number) not in bad] for name in _LISTS if name in told}
    dropped = [f"{name}[{number}] of its report could not be read and was left out" for name, number in sorted(bad, key=str)[:20]]
    if not any(left.values()):
        raise Unreadable(FaultCategory.DATA_CORRUPTION, f"nothing of its report follows the protocol: {_first(error)}") from None
    try:
        return AgentReport.model_validate({**told, **left, "not_looked_at": [*told.get("not_looked_at", ()), *dropped]})
    except ValidationError as still:
        raise Unreadable(FaultCategory.DATA_CORRUPTION, f"its report does not follow the protocol: {_first(still)}") from None


def _redacted(value: dict[str, Any]) -> dict[str, Any]:
    # Looking through all texts at once costs a fifth of looking through each; only where something is found, each is looked through.
    if not find_secrets("\n".join(_texts(value))):
        return value
    found: dict[str, Any] = redact_value(value)
    return found


def _texts(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if key and key not in _OURS:
            yield f"{key}: {value}"
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _first(error: ValidationError) -> str:
    one = error.errors()[0]
    return f"{'.'.join(str(part) for part in one['loc'])[:_SHOWN]}: {one['msg'][:_SHOWN]}"
