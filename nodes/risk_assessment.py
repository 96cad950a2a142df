"""Station `risk_assessment`: the plan in force is weighed under the rules of now. Low risk flows, the rest is asked about, or denied.

What the rules leave open is put to a model first, and its answers are recorded; weighing reads them from the ledger, as every dispatch does again.
"""

from __future__ import annotations

from typing import Any

from ..schemas.approval import Question
from .ports import Ports
from .state import State


def risk_assessment(state: State, *, ports: Ports) -> dict[str, Any]:
    """Record the risk and choose the way: `low`, `needs approval`, `denied`, or `over` for a run that has ended already."""
    ledger = ports.ledger
    run_id = state["run_id"]
    if ledger.run(run_id).status.is_over:
        return {"route": "denied"}
    ports.consider(run_id)
    route, level, reasons = ledger.weigh(run_id)
    update: dict[str, Any] = {"risk": level.value, "route": route}
    if route == "needs approval":
        subject = {"key": "plan"}
        update["question"] = {"id": ledger.question(run_id, Question.PLAN, subject), "kind": Question.PLAN.value, "subject": subject}
    elif reasons:
        update["summary"] = "; ".join(reasons)
    return update
