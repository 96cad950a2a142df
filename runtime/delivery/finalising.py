"""Putting together what the final consolidation of a delivery is made from: the record, the kept syntheses, the rules of now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...nodes.results import outcomes_of
from ...policies.checkpoint import check
from ...policies.final_consolidation import Known, final_consolidation
from ...policies.phases import for_testing
from ...policies.release import release_decision, validation_of
from ...policies.windows import next_opening
from ...schemas.approval import Question, RequestStatus, Verdict
from ...schemas.canonical import canonical, digest
from ...schemas.delivery import ANALYSIS, TESTING, Decided, Rehearsal
from ...schemas.errors import IllegalTransition
from ...schemas.final_consolidation import FinalConsolidation

if TYPE_CHECKING:
    from datetime import datetime

    from ...schemas.plan import Plan
    from .delivering import Delivering

_NOBODY = Rehearsal(tested=False, untested=("nobody tried it",))


def finalised(runtime: Delivering, run_id: str) -> tuple[FinalConsolidation, Decided]:
    """Return the document and its decision. Raises: IllegalTransition: the work was not tested yet."""
    ledger, rules = runtime.ledger, runtime.policy.delivery
    plan, tested = ledger.plan(run_id), ledger.check_of(run_id, TESTING)
    if plan is None or tested is None or tested.plan != plan.digest:
        raise IllegalTransition(f"the work of run {run_id} was not tested yet", hint=f"`assent show {run_id}` tells where it stands")
    tests = runtime.synthesis(run_id, TESTING, resolved=True)
    assert tests is not None
    staffing = runtime.staffing_of(run_id)
    spec = for_testing(staffing.agents)
    checkpoint = check(spec, tests, attempt=spec.reruns)
    rows = [one for one in ledger.dispatches(run_id) if one.digest == plan.digest]
    outcomes, rehearsal = outcomes_of(plan, rows), runtime.rehearsal_of(run_id) or _NOBODY
    validation = validation_of(tests, outcomes, rehearsal)
    go = release_decision(validation, checkpoint, tests)
    asks = rules.asks(go.decision, plan.problem.context.environment)
    parts = {"plan": plan.digest, "consolidated": tested.consolidated, "decision": go.decision, "validation": validation.model_dump(mode="json"), "asks": asks}
    decided = Decided(
        id=digest(canonical(parts)), decision=go.decision, plan=plan.digest, consolidated=tested.consolidated, critical_pass=go.critical_pass,
        warnings=go.warning_count, asks=asks,
    )
    before = ledger.decided(run_id)
    asked = [one for one in ledger.requests(run_id) if one.kind is Question.REVIEW and one.subject.get("decided") == decided.id]
    known = Known(
        run_id=run_id, plan=plan, dispatches=rows, outcomes=outcomes, analysis=runtime.synthesis(run_id, ANALYSIS), tests=tests, checkpoint=checkpoint,
        rehearsal=rehearsal, staffing=staffing, validation=validation, decision=go, asks=asks,
        now=before.at if before is not None and before.at is not None and before.id == decided.id else ledger.time(),
        window=_window(runtime, plan, ledger.time()),
        approved_by=tuple(d.actor.id for one in asked if one.status is RequestStatus.APPROVED for d in one.approvals),
        refused_by=tuple(d.actor.id for one in asked if one.status is RequestStatus.REJECTED for d in one.decisions if d.counted and d.verdict is Verdict.REJECT),
    )
    return final_consolidation(known), decided


def _window(runtime: Delivering, plan: Plan, now: datetime) -> str:
    if plan.execution_window is None and not runtime.policy.windows:
        return "at any time"
    opens = next_opening(runtime.policy.windows, plan.execution_window, now)
    if opens is None:
        return "in no window: none opens any more"
    until = f" until {plan.execution_window.closes_at:%Y-%m-%d %H:%M} UTC" if plan.execution_window is not None else ""
    return (f"from {opens:%Y-%m-%d %H:%M} UTC" if opens > now else "now") + until
