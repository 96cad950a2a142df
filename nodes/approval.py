"""Station `approval`: every question to a person goes through here.

The question is opened in the ledger, once. While it is open the station interrupts; the value of the resume is a doorbell, it only makes
this station look at the ledger again. Running it from the top any number of times is therefore harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langgraph.types import interrupt

from ..policies.outline import described
from ..policies.plan_risk import PlanRisk
from ..policies.redact import Redaction
from ..schemas.approval import Question, Request, RequestStatus, Verdict
from ..schemas.dispatch import DispatchState
from ..schemas.plan import Plan
from .perform import Performer
from .ports import Ports
from .question import about_doubt
from .state import State

_ROUTES = {
    RequestStatus.APPROVED: "approved",
    RequestStatus.SETTLED: "approved",
    RequestStatus.EDITED: "edited",
    RequestStatus.REJECTED: "rejected",
    RequestStatus.EXPIRED: "expired",
    RequestStatus.WITHDRAWN: "cancelled",
}


def approval(state: State, *, ports: Ports) -> dict[str, Any]:
    """Wait until the question is settled, then say how."""
    ledger = ports.ledger
    run_id = state["run_id"]
    asked = _question(state, ports)
    if asked is None:
        return {"route": "approved", "status": ledger.run(run_id).status.value}
    kind, subject, request_id = asked
    request = ledger.open_request(request_id, run_id, kind, subject)
    while request.is_open:
        # Several resumes may be needed: two approvers, or somebody who only looks. What they carry is ignored.
        found = ledger.plan(run_id)
        interrupt(payload(request, found, None if found is None else ledger.risk(found, run_id), known=ports.known_secrets))
        request = ledger.request(request_id)
    return {"route": _ROUTES[request.status], "status": ledger.run(run_id).status.value}


def _question(state: State, ports: Ports) -> tuple[Question, dict[str, Any], str] | None:
    """Return kind, subject and id of what the state names; `None` when there is nothing to ask about it."""
    # A forged id can at worst show another question: what is permitted is asked of the ledger again when a step is dispatched.
    asked = state.get("question") or {}
    kind = Question(asked.get("kind", Question.PLAN.value))
    subject = asked.get("subject") or {"key": "plan"}
    if kind is Question.IN_DOUBT:
        # What an answer does follows from what is asked, so the state may only name the call; the ledger says the rest of it.
        return _doubt(state["run_id"], str(subject.get("key", "")), ports)
    return kind, subject, asked.get("id") or ports.ledger.question(state["run_id"], kind, subject)


def _doubt(run_id: str, key: str, ports: Ports) -> tuple[Question, dict[str, Any], str] | None:
    plan = ports.ledger.plan(run_id)
    doubt = next((d for d in ports.ledger.dispatches(run_id) if d.key == key and d.state is DispatchState.IN_DOUBT), None)
    if doubt is None or plan is None or doubt.digest != plan.digest:
        return None  # settled, or never there: the station that asked looks again
    found = about_doubt(doubt, Performer(run_id, plan, ports), ports)["question"]
    return Question.IN_DOUBT, found["subject"], found["id"]


def payload(request: Request, plan: Plan | None, risk: PlanRisk | None = None, *, known: Sequence[str] = ()) -> dict[str, Any]:
    """Return the interrupt's value: one shape that Studio, Agent Chat UI and Agent Inbox all show.

    Args:
        risk: of the plan's calls, for the outline that stands where such screens show the first call only.
    """
    steps = plan.steps if plan is not None else ()
    # The payload is for screens and is kept with the checkpoint: secrets stay in the plan's bytes, which only the ledger holds.
    hide = Redaction(known)
    shown = [hide.value(step.args) for step in steps]
    texts = [] if plan is None else described(plan, risk, request.risk, request.kind, request.subject, hide=hide)
    calls = [{"name": step.tool, "args": args, "arguments": args, "description": text} for step, args, text in zip(steps, shown, texts, strict=True)]
    allowed = [option.value for option in request.options if option in (Verdict.APPROVE, Verdict.EDIT, Verdict.REJECT)] or ["respond"]
    # What a question about a phase asks does not follow from the plan's steps.
    asks = {"subject": hide.value(dict(request.subject))} if request.subject.get("phase") else {}
    return {
        "kind": "assent.approval/v1",
        "question": request.kind.value,
        "request_id": request.id,
        "run_id": request.run_id,
        "digest": request.digest,
        "risk": request.risk.value,
        "title": hide.text(request.title),
        "options": [option.value for option in request.options],
        "decide_by": None if request.decide_by is None else request.decide_by.isoformat(),
        "action_requests": calls,
        "review_configs": [{"action_name": name, "allowed_decisions": allowed} for name in dict.fromkeys(step.tool for step in steps)],
        **asks,
    }
