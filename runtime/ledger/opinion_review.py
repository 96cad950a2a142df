"""The numbers of the monthly review: what the log says of how intent and principles were judged, and what people then decided.

Rules: every number is counted from entries and requests as they stand; a plan of a run counts once, an edited plan is another one. Time is not read
from the clock here. Source: seed 3 (how many escalations, how many of them overridden, how long).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime

from ...schemas.approval import Question, RequestStatus
from ...schemas.event import Event
from ...schemas.opinion import OpinionReview
from . import opinions, requests

_JUDGED, _HELD, _ASSESSED = "intent.judged", "constitution.judged", "risk.assessed"
_UPHELD = (RequestStatus.REJECTED, RequestStatus.EDITED)


def review(c: sqlite3.Connection, since: datetime | None = None) -> OpinionReview:
    """Add up what was judged, from `since` on or ever."""
    found = [e for e in opinions.entries(c, (_JUDGED, _HELD, _ASSESSED)) if since is None or e.at >= since]
    outcomes = {(e.run_id, e.data["digest"]): "" for e in found}
    for run_id in {run_id for run_id, _ in outcomes}:
        for request in requests.of_run(c, run_id):
            if request.kind is Question.PLAN and (run_id, request.digest) in outcomes:
                outcomes[run_id, request.digest] = _outcome(request.status) or outcomes[run_id, request.digest]
    return _added_up(found, outcomes, since)


def _outcome(status: RequestStatus) -> str:
    return "overridden" if status is RequestStatus.APPROVED else "upheld" if status in _UPHELD else ""


def _added_up(found: Sequence[Event], outcomes: Mapping[tuple[str, str], str], since: datetime | None) -> OpinionReview:
    # A process that died before the plan was weighed judges it again; the last word counts.
    judged, held = (list({(e.run_id, e.data["digest"]): e for e in found if e.type == kind}.values()) for kind in (_JUDGED, _HELD))
    total = {name: sum(e.data[name] for e in judged) for name in ("steps", "within", "outside", "asked", "allowed", "escalated", "kept", "failed")}
    times = sorted(ms for e in (*judged, *held) for ms in e.data["ms"])
    left = {(e.run_id, e.data["digest"]) for e in judged if e.data["outside"] or e.data["escalated"]}
    violated = {
        (e.run_id, e.data["digest"])
        for e in found
        if e.type == _ASSESSED and e.data["level"] == "CRITICAL" and any(rule.startswith("constitution.") for rule in e.data["rules"])
    }
    return OpinionReview(
        since=since, plans=len({(e.run_id, e.data["digest"]) for e in judged}), steps=total["steps"],
        within_by_rules=total["within"], outside_by_rules=total["outside"],
        asked=total["asked"], allowed=total["allowed"], escalated=total["escalated"], kept=total["kept"], failed=total["failed"],
        escalation_pct=round(100 * (total["outside"] + total["escalated"]) / total["steps"], 1) if total["steps"] else None,
        overridden=sum(outcomes[one] == "overridden" for one in left), upheld=sum(outcomes[one] == "upheld" for one in left),
        average_ms=round(sum(times) / len(times)) if times else None, p95_ms=times[min(len(times) - 1, int(len(times) * 0.95))] if times else None,
        principles_asked=sum(e.data["asked"] for e in held), violations=len(violated),
        violations_overridden=sum(outcomes[one] == "overridden" for one in violated), violations_upheld=sum(outcomes[one] == "upheld" for one in violated),
    )  # fmt: skip
