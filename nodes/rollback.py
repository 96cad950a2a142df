"""Station `rollback`: what was done is taken back, last step first, each through its own dispatch, and looked at afterwards."""

from __future__ import annotations

from typing import Any

from ..schemas.dispatch import DispatchState
from ..schemas.ruling import Ruling
from .perform import Performer
from .ports import Ports
from .state import State


def rollback(state: State, *, ports: Ports) -> dict[str, Any]:
    """Undo every step that was done. What could not be undone is for the report to say.

    Raises:
        RunBusy: another process owns the run.
    """
    take_back(state["run_id"], ports)
    return {"route": "rolled back"}


def take_back(run_id: str, ports: Ports, *, to: int = 0) -> None:
    """Undo done steps with a number above `to`, in reverse order. Steps that were undone already are left alone.

    Args:
        to: the rollback point: number of the last step that stays. 0 takes everything back.
    """
    with ports.own(run_id):
        plan = ports.ledger.plan(run_id)
        if plan is None:
            return
        performer = Performer(run_id, plan, ports)
        performer.settle()
        rows = [d for d in ports.ledger.dispatches(run_id) if d.digest == plan.digest]
        undone = {d.step for d in rows if d.direction == "undo" and d.state in (DispatchState.DONE, DispatchState.IN_DOUBT)}
        done = {d.step: d for d in rows if d.direction == "do" and d.state is DispatchState.DONE}
        for step in reversed(plan.steps):
            if step.step <= to or step.step not in done or step.step in undone:
                continue
            answer = performer.undo(step, done[step.step])
            performer.close()
            if isinstance(answer, Ruling):
                ports.ledger.note(run_id, "undo.refused", step=step.step, rules=list(answer.rules))
