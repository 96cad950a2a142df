"""Station `consolidate`: what happened is gathered, measured again, and given its final state."""

from __future__ import annotations

from typing import Any

from ..schemas.dispatch import DispatchState
from ..schemas.run import RunStatus
from .endings import all_done, ending
from .perform import Item, Performer, repeats
from .ports import Ports
from .state import State


def consolidate(state: State, *, ports: Ports) -> dict[str, Any]:
    """Take the measures again where every step was done, and decide how the run ends."""
    run_id = state["run_id"]
    run, plan = ports.ledger.run(run_id), ports.ledger.plan(run_id)
    if plan is None or run.status is not RunStatus.RUNNING:
        return {"status": run.status.value}
    with ports.own(run_id):
        rows = [d for d in ports.ledger.dispatches(run_id) if d.digest == plan.digest]
        if all_done(plan, rows):
            performer = Performer(run_id, plan, ports)
            taken = {d.step for d in rows if d.direction == "after" and d.state is not DispatchState.NOT_STARTED}
            for number, measure in enumerate(plan.measures, 1):
                if number not in taken:
                    performer.perform(Item("after", number, measure.call, repeats(measure)))
            performer.close()
            rows = [d for d in ports.ledger.dispatches(run_id) if d.digest == plan.digest]
    return {"status": ending(plan, rows, ports, stopped=run.stop_requested).value}
