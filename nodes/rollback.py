"""Station `rollback`: what was done is taken back, last step first, each through its own dispatch, and looked at afterwards.

Rules:
- The order holds: while nobody knows whether a step was taken back, the steps before it wait for the answer.
- What failed to be taken back is not tried again by itself; a person who asks once more for it gets another try.
"""

from __future__ import annotations

from typing import Any

from ..schemas.dispatch import Dispatch, DispatchState, Receipt
from ..schemas.ruling import Ruling
from .perform import Performer, may_run_again
from .ports import Ports
from .question import about_doubt
from .state import State


def rollback(state: State, *, ports: Ports) -> dict[str, Any]:
    """Undo every step that was done. What could not be undone is for the report to say.

    Returns an update whose `route` is `rolled back`, or `question`: nobody knows whether a step was taken back.

    Raises:
        RunBusy: another process owns the run.
    """
    return take_back(state["run_id"], ports) or {"route": "rolled back"}


def take_back(run_id: str, ports: Ports, *, to: int = 0, again: bool = False) -> dict[str, Any] | None:
    """Undo done steps with a number above `to`, in reverse order. Steps that were undone already are left alone.

    Args:
        to: the rollback point: number of the last step that stays. 0 takes everything back.
        again: also try what an earlier attempt failed to take back.

    Returns:
        The update that leads to the question about a call of which nobody knows whether it happened; `None` when there is none.
    """
    with ports.own(run_id):
        plan = ports.ledger.plan(run_id)
        if plan is None:
            return None
        performer = Performer(run_id, plan, ports)
        is_over = ports.ledger.run(run_id).status.is_over
        doubted = _doubt(performer, to)
        if doubted is not None:
            return about_doubt(doubted, performer, ports, again=is_over)
        rows = [d for d in ports.ledger.dispatches(run_id) if d.digest == plan.digest]
        tried = {d.step: d for d in rows if d.direction == "undo"}
        done = {d.step: d for d in rows if d.direction == "do" and d.state is DispatchState.DONE}
        for step in reversed(plan.steps):
            if step.step <= to or step.step not in done or not _is_left(tried.get(step.step), again=again):
                continue
            answer = performer.undo(step, done[step.step])
            performer.close()
            if isinstance(answer, Ruling):
                ports.ledger.note(run_id, "undo.refused", step=step.step, rules=list(answer.rules))
            elif isinstance(answer, Receipt) and answer.status == "unknown":
                doubted = _doubt(performer, to)
                if doubted is not None:
                    return about_doubt(doubted, performer, ports, again=is_over)
        return None


def _doubt(performer: Performer, to: int) -> Dispatch | None:
    """Return the latest call beyond `to` that only a person can settle; what can be looked up is settled first."""
    doubts = [d for d in performer.settle() if d.direction in ("do", "undo") and d.step > to]
    return max(doubts, key=lambda d: (d.step, d.direction), default=None)


def _is_left(tried: Dispatch | None, *, again: bool) -> bool:
    if tried is None or may_run_again(tried):
        return True
    return again and tried.state in (DispatchState.FAILED, DispatchState.NOT_STARTED)
