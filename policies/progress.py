"""Where a run stands, from its record alone. Pure.

Rules: a step counts as completed while its effect is there; an estimate is the author's for each step, otherwise the mean of the steps that were
done, otherwise absent; what a person has to answer is a blocker. Source: E4 (implementation tracker), E14 (live monitoring).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ..schemas.approval import Question, Request
from ..schemas.delivery import PhaseCheck, ReleaseState
from ..schemas.dispatch import Dispatch, DispatchState
from ..schemas.plan import Plan
from ..schemas.progress import CurrentStep, Progress, RollbackPoint
from ..schemas.run import RunRow

_STAGES: Mapping[str, tuple[str, ...]] = {
    "par": ("planning", "approval", "implementation"),
    "delivery": ("analysis", "planning", "approval", "implementation", "testing", "final consolidation"),
}
_ASKS = {
    Question.PLAN: "may the plan run", Question.IN_DOUBT: "did the step happen", Question.OVERRUN: "may it go on although it costs more",
    Question.GATE: "may it go on although the checkpoint was not passed", Question.CONFLICT: "which agent is right", Question.REVIEW: "may the work be released",
}  # fmt: skip


def progress(
    run: RunRow, plan: Plan | None, rows: Sequence[Dispatch], requests: Sequence[Request], *, now: datetime, began: Mapping[str, Sequence[str]] | None = None,
    checks: Mapping[str, PhaseCheck] | None = None, release: ReleaseState = "", passed: bool = False, waits_until: datetime | None = None,
) -> Progress:
    """Return the tracker.

    Args:
        rows: every dispatch of the run.
        began: phase → the agents that were called, for phases that began.
        checks: phase → what its checkpoint said last.
        passed: checkpoint 1 holds.
        waits_until: when the window opens for which the run waits.
    """
    mine = [d for d in rows if plan is not None and d.digest == plan.digest]
    done = _done(mine)
    phase = _phase(run, plan, mine, requests, release=release, passed=passed, all_done=plan is not None and len(done) == len(plan.steps))
    asked = [one for one in requests if one.is_open]
    blockers = tuple(f"{_ASKS[one.kind]}? ({one.id}, by {' or '.join(one.need.roles)})" for one in asked)
    blockers += (f"the execution window opens at {waits_until:%Y-%m-%d %H:%M} UTC",) if waits_until is not None and not run.status.is_over else ()
    active = _active(phase, began or {}, checks or {}, mine)
    step = None if run.status.is_over else _current(phase, plan, mine, done, blockers, requests)
    return Progress(
        run_id=run.id, status=run.status.value, phase=phase, percent=_percent(run, phase, plan, done), total_steps=len(plan.steps) if plan is not None else 0,
        completed=len(done), current_step=step, estimated_completion=_whole(run, plan, mine, done, now, blockers), active_agents=() if run.status.is_over else active,
        blockers=() if run.status.is_over else blockers, rollback_points=_points(plan, mine, done),
    )


def _done(rows: Sequence[Dispatch]) -> dict[int, Dispatch]:
    undone = {d.step for d in rows if d.direction == "undo" and d.state is DispatchState.DONE}
    return {d.step: d for d in rows if d.direction == "do" and d.state is DispatchState.DONE and d.step not in undone}


def _phase(
    run: RunRow, plan: Plan | None, rows: Sequence[Dispatch], requests: Sequence[Request], *, release: ReleaseState, passed: bool, all_done: bool
) -> str:
    if run.status.is_over:
        return "done"
    if run.graph == "delivery":
        if not passed:
            return "analysis"
        if all_done:
            return "testing" if release == "open" else "final consolidation"
    if plan is None:
        return "planning"
    if any(d.direction == "do" for d in rows):
        return "implementation"
    waits = any(one.is_open and one.kind is Question.PLAN for one in requests)
    return "approval" if waits else "implementation" if run.status.value == "running" else "planning"


def _percent(run: RunRow, phase: str, plan: Plan | None, done: Mapping[int, Dispatch]) -> int:
    if phase == "done":
        return 100
    stages = _STAGES.get(run.graph, _STAGES["par"])
    before = stages.index(phase) if phase in stages else 0
    inside = len(done) / len(plan.steps) if phase == "implementation" and plan is not None else 0.0
    return min(99, int(100 * (before + inside) / len(stages)))


def _active(phase: str, began: Mapping[str, Sequence[str]], checks: Mapping[str, PhaseCheck], rows: Sequence[Dispatch]) -> tuple[str, ...]:
    return tuple(began.get(phase, ())) if phase in began and phase not in checks else ()


def _current(
    phase: str, plan: Plan | None, rows: Sequence[Dispatch], done: Mapping[int, Dispatch], blockers: tuple[str, ...], requests: Sequence[Request]
) -> CurrentStep:
    if plan is None or phase not in ("implementation", "approval"):
        return CurrentStep(name=phase, blockers=blockers)
    running = next((d for d in reversed(rows) if d.direction == "do" and d.state is DispatchState.DISPATCHED), None)
    number = running.step if running is not None else next((step.step for step in plan.steps if step.step not in done), len(plan.steps))
    step = plan.steps[number - 1]
    takes = step.estimated_time_s if step.estimated_time_s is not None else _mean(done)
    ends = running.started_at + timedelta(seconds=takes) if running is not None and takes is not None else None
    return CurrentStep(name=f"{number}. {step.description or step.tool}", started=running.started_at if running is not None else None, estimated_completion=ends, blockers=blockers)


def _whole(run: RunRow, plan: Plan | None, rows: Sequence[Dispatch], done: Mapping[int, Dispatch], now: datetime, blockers: tuple[str, ...]) -> datetime | None:
    """Return when the steps will be done; nothing tells it while a person has to answer."""
    if run.status.is_over or plan is None or blockers:
        return None
    mean = _mean(done)
    left = [step.estimated_time_s if step.estimated_time_s is not None else mean for step in plan.steps if step.step not in done]
    known = [one for one in left if one is not None]
    return now + timedelta(seconds=sum(known)) if left and len(known) == len(left) else None


def _mean(done: Mapping[int, Dispatch]) -> float | None:
    took = [d.receipt.duration_ms / 1000 for d in done.values() if d.receipt is not None]
    return sum(took) / len(took) if took else None


def _points(plan: Plan | None, rows: Sequence[Dispatch], done: Mapping[int, Dispatch]) -> tuple[RollbackPoint, ...]:
    """Return the points to which the run can be taken back now: its beginning, and after each step whose effect is there."""
    if plan is None or not any(d.direction == "do" for d in rows):
        return ()
    first = min((d.started_at for d in rows if d.direction == "do"), default=None)
    points = [RollbackPoint(to=0, name="before the first step", at=first, steps_back=len(done))]
    for step in plan.steps:
        if step.step not in done:
            break
        name = f"after step {step.step} ({step.description or step.tool})"[:200]
        points.append(RollbackPoint(to=step.step, name=name, at=done[step.step].finished_at, steps_back=sum(one > step.step for one in done)))
    return tuple(points)
