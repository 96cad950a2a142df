"""Station `consolidate`: what happened is gathered, measured again, and given its final state."""

from __future__ import annotations

from typing import Any

from ..schemas.run import RunStatus
from .endings import ending
from .measuring import measured_again
from .ports import Ports
from .state import State


def consolidate(state: State, *, ports: Ports) -> dict[str, Any]:
    """Take the measures again where every step was done, and decide how the run ends."""
    run_id = state["run_id"]
    run, plan = ports.ledger.run(run_id), ports.ledger.plan(run_id)
    if plan is None or run.status is not RunStatus.RUNNING:
        return {"status": run.status.value}
    with ports.own(run_id):
        rows = measured_again(run_id, plan, ports)
    return {"status": ending(plan, rows, ports, run).value}
