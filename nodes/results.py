"""Station `results`: the report. Each criterion measured before and after, costs against the estimate, what is left to do."""

from __future__ import annotations

from typing import Any

from ..policies.costs import costs
from ..policies.follow_ups import follow_ups
from ..policies.measured import outcome, reading
from ..policies.roi import in_words, roi
from ..schemas.approval import AUTO, Request, RequestStatus
from ..schemas.dispatch import Dispatch, DispatchState
from ..schemas.plan import Measure, Plan
from ..schemas.results import Outcome, Results, RootCause, StepResult
from ..schemas.run import RunRow, RunStatus
from .endings import ending, left_behind
from .ports import Ports
from .restoring import restored
from .spending import with_spending
from .state import State

_NO_MEASURE = "not measured: the plan names no measure for it"


def results(state: State, *, ports: Ports) -> dict[str, Any]:
    """Write the report, once, keep it with the run, and end the run. How it ended is read off the ledger, never off the state.

    Raises:
        RunBusy: another process owns the run.
    """
    run_id = state["run_id"]
    with ports.own(run_id):
        run, plan = ports.ledger.run(run_id), ports.ledger.plan(run_id)
        status = run.status
        if status.is_over and (written := ports.ledger.results(run_id)) is not None:
            report = Results.model_validate_json(written)
            return {"run_id": run_id, "status": status.value, "success": report.success, "summary": one_line(report)}
        if not status.is_over:
            if status is not RunStatus.RUNNING or plan is None:
                return {"run_id": run_id, "status": status.value, "summary": "nothing has ended yet"}
            status = ending(plan, [d for d in ports.ledger.dispatches(run_id) if d.digest == plan.digest], ports, run)
            if not status.is_over:
                return {"run_id": run_id, "status": status.value, "summary": "the release is not decided yet"}
        report = publish(run, status, ports, why=state.get("summary", ""))
    return {"run_id": run_id, "status": status.value, "success": report.success, "summary": one_line(report)}


def publish(run: RunRow, status: RunStatus, ports: Ports, *, why: str = "", back_to: int | None = None) -> Results:
    """Gather what the run left, write its report, keep both with it, and end it in `status`. The caller owns the run."""
    ports.ledger.keep(run.id, *ports.collect(run.id))
    report = compose(run, status, ports, why=why, back_to=back_to)
    ports.ledger.keep(run.id, *ports.report(report))
    ports.ledger.finish(run.id, status, report)
    return report


def compose(run: RunRow, status: RunStatus, ports: Ports, *, why: str = "", back_to: int | None = None) -> Results:
    """Build the report of a run from the ledger alone.

    Args:
        back_to: number of the last step that was to stay, where a person asked to take the run back.
    """
    plan = ports.ledger.plan(run.id)
    rows = [d for d in ports.ledger.dispatches(run.id) if plan is not None and d.digest == plan.digest]
    asked = ports.ledger.requests(run.id)
    outcomes = outcomes_of(plan, rows) if plan else ()
    if back_to is not None and any(d.direction == "undo" and d.state is DispatchState.DONE for d in rows):
        outcomes = tuple(o if o.after is None else o.model_copy(update={"note": o.note or "measured before it was taken back"}) for o in outcomes)
    success = _success(status, outcomes)
    behind = _behind(plan, rows, ports, status, back_to) if plan else ()
    # Everything had been done, and a person took it back: nothing went wrong of which one could look for the cause.
    taken_back = back_to is not None and plan is not None and all(step.status == "done" for step in _steps(plan, rows))
    cause = _root_cause(plan, rows, outcomes, status, asked, why, taken_back=taken_back) if plan and success is False else None
    rates = ports.rates or {}
    spent = costs(plan, [d.receipt for d in rows if d.receipt], rates)
    returned = roi(plan.expectation if plan else None, spent, human_usd_per_hour=rates.get("human", "0"), success=success)
    ended_at = max((d.finished_at for d in rows if d.finished_at), default=None)
    return Results(
        run_id=run.id, digest=run.digest, status=status.value, success=success, title=run.title, outcomes=outcomes,
        steps=_steps(plan, rows) if plan else (), costs=with_spending(spent, run.id, plan, rows, ports), roi=in_words(returned), roi_analysis=returned, root_cause=cause,
        not_undone=behind, lessons_learned=_lessons(plan, rows, outcomes, status),
        follow_ups=follow_ups(
            plan, outcomes, behind, completed=status is RunStatus.COMPLETED, run_id=run.id, requester=run.requester, now=ended_at or run.updated_at
        ),
        artifacts=tuple(ports.ledger.artifacts(run.id)), approved_by=_approvers(asked, rows), started_at=min((d.started_at for d in rows), default=None),
        finished_at=ended_at, metrics=ports.metrics(run),
        decision=_decision(run, ports), restored=_restored(plan, rows, ports, back_to) if plan is not None else (),
    )


def _restored(plan: Plan, rows: list[Dispatch], ports: Ports, back_to: int | None) -> tuple[str, ...]:
    return restored(plan, rows, ports, to=back_to or 0) if back_to is not None or any(d.direction == "undo" for d in rows) else ()


def _decision(run: RunRow, ports: Ports) -> str:
    decided = ports.ledger.decided(run.id) if run.graph == "delivery" else None
    return decided.decision if decided is not None and decided.plan == run.digest else ""


def _behind(plan: Plan, rows: list[Dispatch], ports: Ports, status: RunStatus, back_to: int | None) -> tuple[str, ...]:
    if back_to is not None:
        return tuple(left_behind(plan, [d for d in rows if d.step > back_to], ports))
    if status in (RunStatus.FAILED, RunStatus.ROLLED_BACK, RunStatus.CANCELLED):
        return tuple(left_behind(plan, rows, ports))
    # A person tried to take a finished run back: what became of the steps that were tried. The others stay because nobody asked otherwise.
    tried = {d.step for d in rows if d.direction == "undo"}
    return tuple(left_behind(plan, [d for d in rows if d.step in tried], ports))


def one_line(report: Results) -> str:
    """Return the outcome in a line."""
    done = sum(step.status == "done" and not step.undone for step in report.steps)
    unknown = "not measured" if report.outcomes else "no success criterion was written"
    verdict = {True: "success", False: "not successful", None: f"success unknown ({unknown})"}[report.success]
    return f"{report.status}: {done} of {len(report.steps)} steps done, {verdict}"


def _success(status: RunStatus, outcomes: tuple[Outcome, ...]) -> bool | None:
    if status is not RunStatus.COMPLETED or any(one.met is False for one in outcomes):
        return False
    # No criterion at all is no success either: nobody said how one would know.
    return True if outcomes and all(one.met for one in outcomes) else None


def outcomes_of(plan: Plan, rows: list[Dispatch]) -> tuple[Outcome, ...]:
    """Return each success criterion of a plan, as it was measured before and after."""
    by_criterion: dict[str, tuple[int, Measure]] = {m.criterion: (n, m) for n, m in enumerate(plan.measures, 1)}
    names = list(dict.fromkeys([*plan.problem.success_criteria, *by_criterion]))
    return tuple(_outcome(name, by_criterion.get(name), rows) for name in names)


def _outcome(criterion: str, found: tuple[int, Measure] | None, rows: list[Dispatch]) -> Outcome:
    if found is None:
        return Outcome(criterion=criterion, note=_NO_MEASURE)
    number, measure = found
    taken = {d.direction: d.receipt for d in rows if d.direction in ("before", "after") and d.step == number and d.receipt is not None}
    return outcome(measure, *(reading(measure, direction, taken.get(direction)) for direction in ("before", "after")))


def _steps(plan: Plan, rows: list[Dispatch]) -> tuple[StepResult, ...]:
    found = []
    newest = {d.step: d for d in rows if d.direction == "do"}
    back = {d.step: d for d in rows if d.direction == "undo"}
    for step in plan.steps:
        tried = back.get(step.step)
        last = newest.get(step.step)
        receipt = last.receipt if last else None
        found.append(
            StepResult(
                step=step.step, description=step.description or step.tool, status=last.state.value if last else "not run", summary=receipt.summary if receipt else "",
                duration_ms=receipt.duration_ms if receipt else 0, undone=tried is not None and tried.state is DispatchState.DONE,
                undo="" if tried is None else tried.receipt.summary if tried.receipt else tried.state.value.replace("_", " "),
            )
        )
    return tuple(found)


def _root_cause(plan: Plan, rows: list[Dispatch], outcomes: tuple[Outcome, ...], status: RunStatus, asked: list[Request], why: str, *, taken_back: bool) -> RootCause:
    reasons = [f"{d.actor.id}: {d.reason}" for r in asked for d in r.decisions if d.reason]
    if taken_back:
        return RootCause(finding=why, evidence=tuple(reasons))
    bad = [d for d in rows if d.direction == "do" and d.state not in (DispatchState.DONE, DispatchState.DISPATCHED)]
    if bad:
        last = bad[-1]
        step = plan.steps[last.step - 1]
        said = last.receipt.summary if last.receipt else last.state.value
        evidence = [f"step {last.step} ended as {last.state.value}: {said}"]
        tail = last.receipt.output.get("stderr") if last.receipt else None
        if isinstance(tail, str) and tail.strip():
            evidence.append(tail.strip()[-500:])
        return RootCause(finding=f"step {last.step} ({step.description or step.tool}) did not succeed", evidence=tuple(evidence))
    missed = [o for o in outcomes if o.met is False]
    if missed and status is RunStatus.COMPLETED:
        evidence = [f"{o.criterion}: before {_value(o.before, o.unit)}, after {_value(o.after, o.unit)}" for o in missed]
        return RootCause(finding="every step was done and the criteria are still not met: the cause lies elsewhere than the plan assumed", evidence=tuple(evidence))
    return RootCause(finding=why or f"the run was {status.value.replace('_', ' ')} before it could succeed", evidence=tuple(reasons))


def _lessons(plan: Plan | None, rows: list[Dispatch], outcomes: tuple[Outcome, ...], status: RunStatus) -> tuple[str, ...]:
    found = []
    if not outcomes and status is RunStatus.COMPLETED:
        found.append("nothing says whether it worked: the problem has no success criterion, and without one success stays unknown")
    unmeasured = [o.criterion for o in outcomes if o.note.startswith(_NO_MEASURE)]
    if unmeasured:
        found.append(f"{len(unmeasured)} of {len(outcomes)} criteria could not be judged; a measure each would have told: {'; '.join(unmeasured)}")
    estimated = plan.estimate.time_s if plan else None
    actual = sum(d.receipt.duration_ms for d in rows if d.receipt) / 1000
    if estimated and status is RunStatus.COMPLETED and not 0.5 <= actual / estimated <= 1.25:
        found.append(f"estimated {estimated} s, took {actual:.1f} s: the next estimate can be {'shorter' if actual < estimated else 'longer'}")
    better = [f"{o.criterion}: {o.improvement} better" for o in outcomes if o.met and o.improvement and not o.improvement.startswith(("0.0", "-"))]
    return tuple(found + better)


def _approvers(asked: list[Request], rows: list[Dispatch]) -> tuple[str, ...]:
    people = [d.actor.id for r in asked if r.status is RequestStatus.APPROVED for d in r.approvals]
    return tuple(dict.fromkeys(people)) if people else ((AUTO.id,) if any(d.direction == "do" for d in rows) else ())


def _value(value: float | str | None, unit: str) -> str:
    return "not measured" if value is None else f"{value}{' ' + unit if unit else ''}"
