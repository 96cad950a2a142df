"""A settled request as a decision record. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..schemas.approval import Question, Request, Verdict
from ..schemas.decision_record import DecisionRecord

_ASKED = {
    Question.PLAN: "May this plan run",
    Question.IN_DOUBT: "Did this step happen",
    Question.OVERRUN: "May this run cost more than estimated",
    Question.GATE: "Has this gate passed",
    Question.CONFLICT: "Which of the conflicting findings holds",
    Question.REVIEW: "Is what was done all right",
}


def record_of(request: Request, *, settled_at: datetime, review_after_s: int) -> DecisionRecord:
    """Return the record of a settled request.

    Args:
        review_after_s: how long until the decision is due to be looked at again; only what was approved is.
    """
    counted = [d for d in request.decisions if d.counted]
    against = [d for d in counted if d.verdict is Verdict.REJECT]
    for_it = [d for d in counted if d.verdict is not Verdict.REJECT]
    winners, losers = (against, for_it) if request.status.value == "rejected" else (for_it, against)
    reasons = [f"{d.actor.id}: {d.reason}" for d in winners if d.reason]
    approved = request.status.value == "approved"
    return DecisionRecord(
        id="dec_" + request.id.removeprefix("req_"), run_id=request.run_id, question=f"{_ASKED[request.kind]}: {request.title}?",
        options=tuple(option.value for option in request.options), decision=request.status.value, decided_by=tuple(d.actor.id for d in winners),
        rationale="\n".join(reasons), confidence="" if not counted else "unanimous" if not losers else "split",
        dissent=tuple(f"{d.actor.id}: {d.reason or d.verdict.value}" for d in losers), risk=request.risk.value, decided_at=settled_at,
        next_review_at=settled_at + timedelta(seconds=review_after_s) if approved else None,
    )
