"""How a run stands when a command ends: what was measured, what is left, what waits, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...schemas.approval import Question, Request
from ...schemas.results import Outcome, Results
from ...schemas.run import RunStatus
from .asked import answers, asked, is_about_phase
from .command import FAILED, SUCCEEDED, WAITING
from .lines import Line, columns, moment, money, one_line, span, status, styled

_ASKED = {Question.GATE: "an exception", Question.CONFLICT: "an answer", Question.REVIEW: "the release"}
_MET = {True: ("yes", "green"), False: ("no", "red"), None: ("not known", "yellow")}


def exit_code(state: RunStatus, results: Results | None) -> int:
    """Return 0 for what succeeded, 3 for what waits for a person, 1 for everything else."""
    if state.is_waiting:
        return WAITING
    if state is RunStatus.COMPLETED and (results is None or results.success is not False):
        return SUCCEEDED
    return FAILED


def report(results: Results, *, known: Sequence[str] = ()) -> Iterator[Line]:
    """Yield the measured metrics, what is left behind and why, and the final line."""
    if results.outcomes:
        yield styled()
        head: list[str | tuple[str, str]] = [("before", "bold"), ("after", "bold"), ("improvement", "bold"), ("met", "bold"), ("criterion", "bold")]
        yield from columns([head, *(_row(outcome, known) for outcome in results.outcomes)])
    for seen in results.restored:
        yield styled(("seen: ", "dim"), one_line(seen, 300, known=known, prose=True))
    for left in results.not_undone:
        yield styled(("not taken back: ", "bold red"), one_line(left, 300, known=known, prose=True))
    if results.root_cause is not None:
        yield styled(("why: ", "bold"), one_line(results.root_cause.finding, 600, known=known, prose=True))
        for evidence in results.root_cause.evidence[:8]:
            yield styled("  • ", one_line(evidence, 300, known=known, prose=True))
    for follow in results.follow_ups[:8]:
        who = ", ".join(part for part in (follow.assignee, f"due {follow.due_date}" if follow.due_date else "") if part)
        link = f" → {follow.document} ({follow.workflow_id})" if follow.document else ""
        yield styled(("to do: ", "dim"), one_line(follow.action, 300, known=known, prose=True), (one_line(f"{link}  {who}", 160, known=known), "dim"))
    costs = results.costs
    time = f" (estimated {span(costs.estimated_time_s)})" if costs.estimated_time_s is not None else ""
    price = f" (estimated {money(costs.estimated_usd)})" if costs.estimated_usd is not None else ""
    yield styled()
    yield styled((f"took {span(costs.actual_time_s)}{time}, cost {money(costs.actual_usd)}{price}", "dim"))
    if costs.models_tokens:
        yield styled((f"models took {costs.models_tokens} tokens{', ' + money(costs.models_usd) if costs.models_usd is not None else ''}", "dim"))
    if costs.budget:
        yield styled((f"of the budget: {', '.join(f'{name} {said}' for name, said in costs.budget.items())}", "dim"))
    if results.roi_analysis is not None and results.roi_analysis.roi_ratio:
        yield styled((f"return on investment {one_line(results.roi, 200, known=known)}", "dim"))
    done = sum(step.status == "done" and not step.undone for step in results.steps)
    if results.decision:
        yield styled((results.decision, "bold"), (f"  {_indicators(results)}", "dim"))
    unknown = "not everything was measured" if results.outcomes else "no success criterion was written"
    verdict = {True: "success", False: "not successful", None: f"success unknown: {unknown}"}[results.success]
    word, style = status(results.status)
    yield styled((word, style), f": {done} of {len(results.steps)} steps done, {verdict}  ", (results.run_id, "dim"))


def _indicators(results: Results) -> str:
    metrics = results.metrics
    if metrics is None:
        return ""
    times = {"analysis": metrics.phase_durations.analysis, "implementation": metrics.phase_durations.implementation, "testing": metrics.phase_durations.testing}
    shares = {"agents that reported": metrics.agent_performance.success_rate, "coverage": metrics.quality_metrics.test_coverage, "documentation": metrics.quality_metrics.documentation_completeness}
    parts = [f"{name} {span(value)}" for name, value in times.items() if value is not None]
    return ", ".join([*parts, *(f"{name} {value:.0%}" for name, value in shares.items() if value is not None)])


def _row(outcome: Outcome, known: Sequence[str]) -> list[str | tuple[str, str]]:
    note = f"  ({outcome.note})" if outcome.note else ""
    return [
        _value(outcome.before, outcome.unit, known), _value(outcome.after, outcome.unit, known), one_line(outcome.improvement, 20) if outcome.improvement else "–",
        _MET[outcome.met], one_line(outcome.criterion + note, 160, known=known, prose=True),
    ]  # fmt: skip


def _value(value: float | str | None, unit: str, known: Sequence[str]) -> str:
    if value is None:
        return "–"
    return one_line(f"{value:g} {unit}".strip() if isinstance(value, float) else f"{value} {unit}".strip(), 40, known=known, prose=True)


def what_is_in_doubt(request: Request) -> str:
    """Return in words which call a request is about that nobody knows the end of."""
    number = request.subject.get("step", "?")
    return {"undo": f"the undo of step {number}", "before": f"measure {number} (before)", "after": f"measure {number} (after)"}.get(
        str(request.subject.get("direction")), f"step {number}"
    )


def waits(requests: Sequence[Request]) -> Iterator[Line]:
    """Yield what waits for a person, and the commands that answer it."""
    for request in requests:
        if not request.is_open:
            continue
        need = request.need
        given = f", {len(request.approvals)} of {need.approvals} given" if need.approvals > 1 else ""
        reason = ' --reason "…"' if need.reason_required else ""
        if request.kind is Question.IN_DOUBT:
            yield styled(("waiting", "yellow"), f": nobody knows whether {one_line(what_is_in_doubt(request))} happened  ", (request.id, "bold"))
            if need.approvals > 1:
                yield styled(f"  that it did not happen takes {need.approvals} people, since it then runs again{given}")
            yield styled(f"  look, then:  assent settle {request.id} happened | did-not-happen | abandon{reason}")
            continue
        if is_about_phase(request):
            yield styled(("waiting", "yellow"), f" for {_ASKED[request.kind]} by {one_line(' or '.join(need.roles))}  ", (request.id, "bold"))
            yield from asked(request)
            yield styled(f"  look:     assent show {request.id}")
            yield from answers(request)
            continue
        yield styled(("waiting", "yellow"), f" for approval by {one_line(' or '.join(need.roles))}{given}  ", (request.id, "bold"))
        if request.kind is Question.OVERRUN:
            yield styled(f"  {one_line(request.subject.get('why', ''), 300, prose=True)}")
        yield styled(f"  look:     assent show {request.id}")
        yield styled(f"  approve:  assent approve {request.id}{reason}")
        yield styled(f"  reject:   assent reject {request.id}{reason}")
        if request.decide_by is not None:
            yield styled((f"  until {moment(request.decide_by)}", "dim"))
