"""Who is told what: which notices an event makes, and to which channels they go. Pure.

Rules:
- Default deny: what no route names is told to nobody.
- A route that names levels or roles never matches an event that has none.
- The id of a notice is a digest of what happened, so that an event recorded twice is told once.
- A notice names the people whom it concerns: who asked, and those whose approval became void. Nothing of the plan's text is in it.

Source: feature B11; threat T33. It does not know what a channel is, and does not decide who may answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from ..schemas.approval import Question, Request
from ..schemas.canonical import canonical
from ..schemas.escalation import Due
from ..schemas.notice import EVENTS, TEST, WAITS, Notice, Route
from ..schemas.risk import Level
from ..schemas.run import RunRow

_DUE = {"remind": "request.reminded", "backup": "request.backup_called", "escalate": "request.escalated"}


def notices_for(
    event: str, subject: Request | RunRow, routes: Sequence[Route], *, risk: Level | None = None, people: Iterable[str] = (), due: Due | None = None
) -> list[Notice]:
    """Return what is to be told of an event: nothing, or one notice with its channels.

    Args:
        event: one of `EVENTS`.
        subject: the request or the run that it happened to, as it is after the event.
        risk: level of a run's plan; a request carries its own.
        people: ids of actors whom it concerns besides the requester.
        due: what made a reminder, a call for backup or an escalation due; its number makes each of them a notice of its own.

    Raises:
        ValueError: there is no such event; a defect of the caller.
    """
    if event not in EVENTS:
        raise ValueError(f"no event {event!r}")
    if not routes:
        return []
    notice = _of_request(event, subject, people, due) if isinstance(subject, Request) else _of_run(event, subject, risk, people)
    channels = channels_for(notice, routes)
    return [notice.model_copy(update={"channels": channels})] if channels else []


def notices_due(due: Due, request: Request, routes: Sequence[Route]) -> list[Notice]:
    """Return what is to be told because a request waited too long."""
    return notices_for(_DUE[due.kind], request, routes, due=due)


def channels_for(notice: Notice, routes: Sequence[Route]) -> tuple[str, ...]:
    """Return the channels of every route that matches, each once, in the order of the routes."""
    return tuple(dict.fromkeys(channel for route in routes if _matches(route, notice) for channel in route.channels))


def is_event(pattern: str) -> bool:
    """Tell whether a word in a route's `events` stands for anything."""
    return any(_stands_for(pattern, event) for event in EVENTS)


def trial_notice(channel: str, key: str) -> Notice:
    """Return a notice that tells of nothing, for trying a channel.

    Args:
        key: makes its id differ from that of another try; the time, for example.
    """
    return Notice(id=_id(TEST, channel, key), event=TEST, channels=(channel,), why="somebody tries this channel; there is nothing to do")


def _of_request(event: str, request: Request, people: Iterable[str], due: Due | None) -> Notice:
    waits = event in WAITS
    return Notice(
        id=_id(event, request.run_id, request.id, due.number if due else 0),
        event=event,
        run_id=request.run_id,
        request_id=request.id,
        kind=request.kind,
        digest=request.digest,
        version=request.version,
        risk=request.risk,
        roles=due.to if due is not None else request.need.roles,
        approvals=1 if request.kind is Question.IN_DOUBT else request.need.approvals,
        not_from=request.need.not_from,
        people=_each((() if waits else (request.requester,)), people),
        decide_by=request.decide_by if waits else None,
        why=due.why if due is not None else "",
    )


def _of_run(event: str, run: RunRow, risk: Level | None, people: Iterable[str]) -> Notice:
    return Notice(
        id=_id(event, run.id, "", run.version),
        event=event,
        run_id=run.id,
        digest=run.digest,
        version=run.version,
        risk=risk,
        people=_each((run.requester,), people),
    )


def _each(*groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group if name))


def _matches(route: Route, notice: Notice) -> bool:
    if not any(_stands_for(pattern, notice.event) for pattern in route.events):
        return False
    if route.risk and notice.risk not in route.risk:
        return False
    return not route.roles or bool(set(route.roles) & set(notice.roles))


def _stands_for(pattern: str, event: str) -> bool:
    return pattern in ("*", event) or (pattern.endswith(".*") and event.startswith(pattern[:-1]))


def _id(*parts: str | int) -> str:
    return "ntc_" + hashlib.sha256(canonical(["assent.notice/1", *parts])).hexdigest()[:24]
