"""The audit record of a run: who asked for what, how risky it was, who approved it when, what it did and left. From the ledger alone.

Source: the audit entry of the plan/approve/execute guide (user_query, plan_risk, approved_by, approved_at, execution_time_ms, artifacts,
status, workflow_id), with every decision, step and time beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...schemas.approval import AUTO, Decision, Request, RequestStatus
from ...schemas.canonical import parse
from ...schemas.dispatch import Dispatch
from ...schemas.event import Event
from ...schemas.noun import stamp
from .shelf import Shelf

_LONGEST = 2000


def record(shelf: Shelf, run_id: str) -> dict[str, Any]:
    """Return the audit record."""
    row = shelf.run(run_id)
    plan, results = shelf.plan(row), shelf.results(run_id)
    asked, events, calls = shelf.requests(run_id), shelf.events(run_id), shelf.dispatches(run_id)
    approvals = _approvals(asked, row.digest)
    flowed = next((e for e in events if e.type == "run.status" and e.actor == AUTO.id and e.data.get("to") == "running"), None)
    approved_by = ", ".join(dict.fromkeys(decision.actor.id for decision in approvals)) or (AUTO.id if flowed is not None else None)
    approved_at = max((d.at for d in approvals), default=flowed.at if flowed is not None else None)
    return {
        "workflow_id": plan.workflow_id if plan is not None and plan.workflow_id else row.id,
        "run_id": row.id,
        "request": asked_for(shelf.ask(run_id)) | {"title": row.title, "requester": row.requester},
        "user_query": _query(shelf.ask(run_id)) or row.title,
        "plan_risk": risk_of(events),
        "plan_digest": row.digest,
        "plan_version": row.version,
        "approved_by": approved_by,
        "approved_at": stamp(approved_at) if approved_at is not None else None,
        "decisions": [_decision(decision) for request in asked for decision in request.decisions],
        "status": row.status.value,
        "success": results.success if results is not None else None,
        "created_at": stamp(row.created_at),
        "started_at": stamp(min(d.started_at for d in calls)) if calls else None,
        "finished_at": stamp(row.updated_at) if row.status.is_over else None,
        "execution_time_ms": sum(d.receipt.duration_ms for d in calls if d.receipt is not None and d.direction == "do"),
        "steps": [_step(call) for call in calls],
        "outcomes": [outcome.as_json() for outcome in results.outcomes] if results is not None else [],
        "artifacts": [artifact.path for artifact in shelf.artifacts(run_id)],
        "events": len(events),
    }


def risk_of(events: Sequence[Event]) -> str | None:
    """Return the level at which the plan in force was last assessed."""
    return next((str(e.data["level"]) for e in reversed(events) if e.type == "risk.assessed"), None)


def asked_for(raw: bytes) -> dict[str, Any]:
    """Return in what form a run was asked for: words, text of a file, document or plan."""
    ask = parse(raw)
    request = ask.get("request", {}) if isinstance(ask, dict) else {}
    form = next((name for name in ("words", "text", "document", "plan") if name in request), "unknown")
    return {"form": form} | ({"file": request["file"]} if request.get("file") else {})


def _query(raw: bytes) -> str:
    ask = parse(raw)
    words = ask.get("request", {}).get("words", "") if isinstance(ask, dict) else ""
    return str(words)[:_LONGEST]


def _approvals(asked: Sequence[Request], digest: str) -> list[Decision]:
    return [d for r in asked if r.status is RequestStatus.APPROVED and r.digest == digest for d in r.approvals]


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "request": decision.request_id, "by": decision.actor.id, "roles": list(decision.actor.roles), "assurance": decision.actor.assurance.value,
        "verdict": decision.verdict.value, "at": stamp(decision.at), "reason": decision.reason, "digest": decision.digest, "counted": decision.counted,
    }  # fmt: skip


def _step(call: Dispatch) -> dict[str, Any]:
    return {
        "step": call.step, "direction": call.direction, "attempt": call.attempt, "state": call.state.value,
        "started_at": stamp(call.started_at), "finished_at": stamp(call.finished_at) if call.finished_at is not None else None,
        "duration_ms": call.receipt.duration_ms if call.receipt is not None else None,
        "summary": call.receipt.summary if call.receipt is not None else "",
    }  # fmt: skip
