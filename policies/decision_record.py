"""A settled request as a decision record. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..schemas.approval import Question, Request, RequestStatus, Verdict
from ..schemas.decision_record import DecisionRecord

_ASKED = {
    Question.PLAN: "May this plan run",
    Question.IN_DOUBT: "Did this step happen",
    Question.OVERRUN: "May this run cost more than estimated",
    Question.GATE: "Has this gate passed",
    Question.CONFLICT: "Which of the conflicting findings holds",
    Question.REVIEW: "Is what was done all right",
}
# Which answers brought a question to its end; where it expired or was withdrawn, nobody's did.
_SETTLES: dict[RequestStatus, frozenset[Verdict]] = {
    RequestStatus.OPEN: frozenset(),
    RequestStatus.APPROVED: frozenset({Verdict.APPROVE}),
    RequestStatus.REJECTED: frozenset({Verdict.REJECT}),
    RequestStatus.EDITED: frozenset({Verdict.EDIT}),
    RequestStatus.SETTLED: frozenset({Verdict.HAPPENED, Verdict.DID_NOT_HAPPEN, Verdict.ABANDON}),
    RequestStatus.EXPIRED: frozenset(),
    RequestStatus.WITHDRAWN: frozenset(),
}


def record_of(request: Request, *, settled_at: datetime, review_after_s: int) -> DecisionRecord:
    """Return the record of a settled request.

    Args:
        review_after_s: how long until the decision is due to be looked at again; only what was approved is.
    """
    counted = [d for d in request.decisions if d.counted]
    wanted = _SETTLES[request.status]
    winners = [d for d in counted if d.verdict in wanted]
    losers = [d for d in counted if d.verdict not in wanted]
    reasons = [f"{d.actor.id}: {d.reason}" for d in winners if d.reason]
    approved = request.status.value == "approved"
    return DecisionRecord(
        id="dec_" + request.id.removeprefix("req_"), run_id=request.run_id, question=f"{_ASKED[request.kind]}: {request.title}?",
        options=tuple(option.value for option in request.options), decision=request.status.value, decided_by=tuple(d.actor.id for d in winners),
        rationale="\n".join(reasons), confidence="" if not winners else "unanimous" if not losers else "split",
        dissent=tuple(f"{d.actor.id}: {d.reason or d.verdict.value}" for d in losers), risk=request.risk.value, decided_at=settled_at,
        next_review_at=settled_at + timedelta(seconds=review_after_s) if approved else None,
    )
