"""Station `staff_testing`: after the work. Its measures are taken again, its way back is tried, and three or five agents are called to test it."""

from __future__ import annotations

from typing import Any

from ..schemas.delivery import TESTING
from .checking import waits
from .delivery_ports import DeliveryPorts
from .delivery_state import DeliveryState
from .endings import all_done
from .measuring import measured_again


def staff_testing(state: DeliveryState, *, ports: DeliveryPorts) -> dict[str, Any]:
    """Choose the way: `three agents`, `five agents`, `tested` already, `question` when theirs is open, `not done` when steps
    are left, `stopped`, or `over`.

    Raises:
        RunBusy: another process owns the run.
    """
    run_id = state["run_id"]
    ledger = ports.ports.ledger
    with ports.ports.own(run_id):
        run, plan = ledger.run(run_id), ledger.plan(run_id)
        if run.status.is_over or plan is None:
            return {"route": "over"}
        rows = measured_again(run_id, plan, ports.ports)
        if not all_done(plan, rows):
            # Where steps are left, tests would be about something else than the plan; where they went wrong, `execute` says so.
            return {"route": "over" if any(d.direction == "undo" for d in rows) else "not done"}
        if run.stop_requested:
            return {"route": "stopped", "summary": "somebody asked this run to stop"}
        standing = waits(run_id, TESTING, ports.ports)
        if standing is not None:
            return standing
        known = ledger.check_of(run_id, TESTING)
        if known is not None and known.plan == plan.digest and known.action != "resolve":
            return {"route": "tested", "consolidated": known.consolidated}
        rehearsal = ports.rehearse(run_id)
        staffing = ports.staff(run_id)
        ledger.note(run_id, "rollback.rehearsed", **rehearsal.model_dump(mode="json"))
        agents = [one.id for one in ports.tested[staffing.agents].agents]
        why = {"rules": list(staffing.rules), "reasons": list(staffing.reasons)}
        ledger.note(run_id, "phase.began", deferred=False, phase=TESTING, plan=plan.digest, agents=agents, staffing=why)
        return {"route": "five agents" if staffing.agents > 3 else "three agents", "inputs": ports.testing_inputs(run_id, rehearsal)}
