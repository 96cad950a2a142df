"""Which side of a contradiction holds, said beside the approval that settles the question: written to the log and read back.

Rules: every contradiction of the question is answered, with one of its sides or with neither; an answer counts while everybody whose approval counts
says the same. Source: E3.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...policies.counted import counted
from ...schemas.approval import Question, Request
from ...schemas.consolidated import Resolution
from ...schemas.errors import NotAllowed
from . import log

RESOLVED = "conflict.resolved"


def resolve(c: sqlite3.Connection, request: Request, holds: Mapping[str, str] | None, actor: str, at: datetime) -> None:
    """Record what a person says, in the transaction of their approval.

    Raises:
        NotAllowed: a contradiction is left out or not of this question, or a side is none; or the question is about no contradiction.
    """
    if request.kind is not Question.CONFLICT:
        if holds:
            raise NotAllowed(f"request {request.id} is about no contradiction", hint=f"`assent approve {request.id}` answers it")
        return
    sides = {str(one["id"]): [str(side["agent"]) for side in one.get("sides", ())] for one in request.subject.get("conflicts", ())}
    wanted = " ".join(f"{conflict}={'|'.join((*agents, 'none'))}" for conflict, agents in sides.items())
    hint = f"say of each which side holds: assent resolve {request.id} {wanted}"
    if not holds or set(holds) != set(sides):
        raise NotAllowed(f"request {request.id} asks which side of {counted(len(sides), 'contradiction')} holds", hint=hint)
    for conflict, agent in holds.items():
        if agent and agent not in sides[conflict]:
            raise NotAllowed(f"{agent!r} is no side of {conflict}", hint=hint)
    for conflict, agent in sorted(holds.items()):
        log.append(c, request.run_id, RESOLVED, at, actor, {"request": request.id, "conflict": conflict, "holds": agent})


def resolutions(settled: Sequence[Request], said: Iterable[Mapping[str, Any]]) -> tuple[Resolution, ...]:
    """Return what people said, as far as those whose approval counts agree.

    Args:
        settled: questions about contradictions that ended with an approval.
        said: the entries of the log about it, in order.
    """
    entries = list(said)
    found: dict[str, Resolution] = {}
    for request in settled:
        given = {one.actor.id: one for one in request.approvals}
        by_conflict: dict[str, dict[str, str]] = {}
        for entry in entries:
            if entry["data"]["request"] == request.id and entry["actor"] in given:
                by_conflict.setdefault(entry["data"]["conflict"], {})[entry["actor"]] = entry["data"]["holds"]
        for conflict, answers in by_conflict.items():
            if set(answers) == set(given) and len(set(answers.values())) == 1:
                last = list(answers)[-1]
                found[conflict] = Resolution(conflict=conflict, holds=answers[last], by=", ".join(answers), reason=given[last].reason)
    return tuple(found.values())
