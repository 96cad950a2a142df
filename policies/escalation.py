"""Nobody waits in vain: what is due for a question that is still open. Pure, and the same answer however often it is asked.

Each due thing has a number; the caller records that it was done and does not do it again. A sweep after a week off finds everything that fell
due in between, and asks for each reminder once, not once for every hour that was missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ..schemas.approval import Question, Request
from ..schemas.escalation import Blocker, Due
from .policy import Policy

_BLOCKER: dict[Question, Blocker] = {
    Question.PLAN: "approval_blocker",
    Question.REVIEW: "approval_blocker",
    Question.IN_DOUBT: "technical_blocker",
    Question.CONFLICT: "technical_blocker",
    Question.OVERRUN: "resource_blocker",
    Question.GATE: "policy_blocker",
}


def blocker_of(request: Request) -> Blocker:
    """Return which row of the escalation matrix a question belongs to."""
    return "policy_blocker" if "constitution" in request.need.rules else _BLOCKER[request.kind]


def due(request: Request, now: datetime, policy: Policy) -> Iterator[Due]:
    """Yield what is due for an open request at `now`, oldest first."""
    if not request.is_open:
        return
    waited = now - request.opened_at
    rules = policy.waiting
    hurry = 2 if request.urgency in ("high", "critical") else 1
    if rules.remind_every_s:
        number = int(waited / (timedelta(seconds=rules.remind_every_s) / hurry))
        if number >= 1:
            yield Due(request_id=request.id, kind="remind", number=number, to=request.need.roles, why=f"open for {_words(waited)}")
    if rules.backup_roles and waited >= timedelta(seconds=rules.backup_after_s) / hurry:
        yield Due(request_id=request.id, kind="backup", to=rules.backup_roles, why=f"nobody answered for {_words(waited)}")
    step = policy.escalation[blocker_of(request)]
    late = request.required_by is not None and now >= request.required_by
    if late or waited >= timedelta(seconds=step.after_s) / hurry:
        why = "it was required by now" if late else f"open for {_words(waited)}"
        yield Due(request_id=request.id, kind="escalate", to=(step.to,), why=why)


def _words(span: timedelta) -> str:
    hours = int(span.total_seconds() // 3600)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours" if hours else f"{int(span.total_seconds() // 60)} minutes"
