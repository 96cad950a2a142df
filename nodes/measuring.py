"""Taking the measures of a plan again after its steps. Shared by the stations that may come first after them; each measure is taken once."""

from __future__ import annotations

from ..schemas.dispatch import Dispatch, DispatchState
from ..schemas.plan import Plan
from .endings import all_done
from .perform import Item, Performer, repeats
from .ports import Ports


def measured_again(run_id: str, plan: Plan, ports: Ports) -> list[Dispatch]:
    """Return what was dispatched under a plan, with its measures taken again where every step was done. The caller owns the run."""
    rows = [d for d in ports.ledger.dispatches(run_id) if d.digest == plan.digest]
    taken = {d.step for d in rows if d.direction == "after" and d.state is not DispatchState.NOT_STARTED}
    left = [(number, measure) for number, measure in enumerate(plan.measures, 1) if number not in taken]
    if not left or not all_done(plan, rows):
        return rows
    performer = Performer(run_id, plan, ports)
    for number, measure in left:
        performer.perform(Item("after", number, measure.call, repeats(measure)))
    performer.close()
    return [d for d in ports.ledger.dispatches(run_id) if d.digest == plan.digest]
