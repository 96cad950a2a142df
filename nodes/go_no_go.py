"""Station `go_no_go`: what the ledger says about the release decides the way. A stakeholder is asked where the rules say so."""

from __future__ import annotations

from typing import Any

from ..schemas.approval import Question
from .checking import opened
from .delivery_ports import DeliveryPorts
from .delivery_state import DeliveryState


def go_no_go(state: DeliveryState, *, ports: DeliveryPorts) -> dict[str, Any]:
    """Choose the way: `released`, `question`, `take back`, `keep`, `undecided`, or `over`.

    Raises:
        RunBusy: another process owns the run.
    """
    run_id = state["run_id"]
    ledger = ports.ports.ledger
    with ports.ports.own(run_id):
        run = ledger.run(run_id)
        release, decided = ledger.release(run_id), ledger.decided(run_id)
        if run.status.is_over and release != "refused":
            return {"route": "over"}
        if decided is None or release == "open":
            return {"route": "undecided"}
        document, _ = ports.finalise(run_id)
        update: dict[str, Any] = {"summary": document.headline}
        if release == "waits":
            subject = {
                "key": f"go/no-go {decided.id}", "phase": "final", "decided": decided.id, "decision": decided.decision, "why": document.headline,
                "warnings": list(document.deployment_readiness.warnings), "issues": list(document.known_issues)[:20],
            }
            return update | opened(run_id, Question.REVIEW, subject, ports.ports)
        if release == "released":
            return update | {"route": "released"}
        return update | {"route": "take back" if ports.rules.on_block == "roll_back" else "keep"}
