"""What was seen after taking back: of each step that was taken back whether the earlier state is there, of each that stays whether its effect is."""

from __future__ import annotations

from ..schemas.dispatch import Dispatch, DispatchState, EffectClass
from ..schemas.plan import Plan
from .ports import Ports

_LOOKED_AT = frozenset({EffectClass.CONDITIONAL, EffectClass.READABLE, EffectClass.TRANSACTIONAL})
_STAYS = {"happened": "its effect is there", "did_not_happen": "its effect is gone", "unknown": "a later step or somebody else changed what it left"}


def restored(plan: Plan, rows: list[Dispatch], ports: Ports, *, to: int) -> tuple[str, ...]:
    """Look at the world after a run was taken back to a point, and return what was seen of each step that was done, last step first.

    Args:
        rows: what was dispatched under the plan.
        to: the rollback point: number of the last step that was to stay.
    """
    done = {d.step: d for d in rows if d.direction == "do" and d.state is DispatchState.DONE}
    undone = {d.step: d for d in rows if d.direction == "undo"}
    found = []
    for step in reversed(plan.steps):
        if step.step not in done:
            continue
        name = f"step {step.step} ({step.description or step.tool})"
        back = undone.get(step.step)
        if step.step <= to and back is None:
            found.append(f"{name} stays: {_seen(step.step, plan, done[step.step], ports)}")
        elif back is not None and back.state is DispatchState.DONE:
            verified = back.receipt.verified if back.receipt is not None else None
            said = {True: "the earlier state was seen", False: "the earlier state is NOT there", None: "nothing can look whether the earlier state is there"}
            found.append(f"{name} was taken back: {said[verified]}")
    return tuple(found)


def _seen(number: int, plan: Plan, done: Dispatch, ports: Ports) -> str:
    step = plan.steps[number - 1]
    tool = ports.tools[step.tool]
    args = ports.tools.parse(step.tool, step.args)
    if done.effect_class not in _LOOKED_AT:
        return "nothing can look whether its effect is there"
    before = done.receipt.before if done.receipt is not None and done.receipt.before else done.before
    return _STAYS[tool.probe(args, ports.place(done.run_id), key=done.key, before=before, direction="do")]
