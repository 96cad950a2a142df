"""The final consolidation: one document from the plan, what was dispatched, the tests, the rehearsal and the decision. Pure.

Rules: every sentence rests on a field of what is given; nothing is invented for a section that has no source, it stays empty. Source: E6, seed 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..schemas.consolidated import CheckpointResult, Consolidated
from ..schemas.delivery import Rehearsal
from ..schemas.dispatch import Dispatch, DispatchState
from ..schemas.final_consolidation import (
    DeploymentReadiness,
    FinalConsolidation,
    FinalCriterion,
    MonitoringSetup,
    ProjectSummary,
    RollbackPlan,
)
from ..schemas.go_no_go import GoNoGo, GoNoGoDecision, Staffing, ValidationResults
from ..schemas.plan import Plan
from ..schemas.results import Outcome
from .change import files_of
from .counted import counted

_MOST = 20
_STATUS: Mapping[GoNoGoDecision, Any] = {"PROCEED": "ready", "CONDITIONAL_PROCEED": "conditional", "BLOCK": "blocked"}
_DOCUMENTS = (".md", ".rst", ".txt", ".adoc")


@dataclass(frozen=True)
class Known:
    """Everything that the document is made from.

    Args:
        asks: whether the release takes a stakeholder's approval; `approved_by` who gave it, `refused_by` who did not.
        window: when it may go out, in words.
    """

    run_id: str
    plan: Plan
    dispatches: Sequence[Dispatch]
    outcomes: Sequence[Outcome]
    analysis: Consolidated | None
    tests: Consolidated
    checkpoint: CheckpointResult
    rehearsal: Rehearsal
    staffing: Staffing
    validation: ValidationResults
    decision: GoNoGo
    asks: bool
    now: datetime
    window: str = "at any time"
    approved_by: tuple[str, ...] = ()
    refused_by: tuple[str, ...] = ()


def final_consolidation(known: Known) -> FinalConsolidation:
    """Return the document."""
    go = known.decision
    readiness = DeploymentReadiness(
        status=_STATUS[go.decision], blockers=go.reasons if go.decision == "BLOCK" else (), warnings=_warnings(known), deployment_window=known.window
    )
    summary, monitoring = _summary(known), _monitoring(known)
    headline = _headline(known, summary)
    return FinalConsolidation(
        run_id=known.run_id, plan=known.plan.digest, title=known.plan.problem.title, timestamp=known.now, decision=go.decision, headline=headline, reasons=go.reasons,
        executive_summary=_executive(known, summary, headline), project_summary=summary, deployment_readiness=readiness,
        deployment_instructions=_instructions(known), monitoring_setup=monitoring, known_issues=_issues(known), rollback_plan=_rollback(known),
        criteria=final_criteria(known, monitoring), validation=known.validation, stakeholder_approval=_stakeholders(known), technical_details=_details(known),
    )


def final_criteria(known: Known, monitoring: MonitoringSetup) -> tuple[FinalCriterion, ...]:
    """Return the seven criteria of the final checkpoint."""
    v = known.validation
    watched = (*monitoring.metrics_configured, *monitoring.alerts_defined, *monitoring.dashboards_created)
    approved = True if known.approved_by else False if known.asks else None

    def none_of(name: str, text: str, number: int | None, what: str) -> FinalCriterion:
        return FinalCriterion(id=name, text=text, met=None if number is None else number == 0, reason=f"{what}: {'not measured' if number is None else number}", decides=True)

    return (
        FinalCriterion(id="tests", text="All tests passing", met=v.tests.critical == "pass", reason=f"the critical tests: {v.tests.critical}", decides=True),
        none_of("documentation", "Documentation complete and reviewed", v.documentation.incomplete, "incomplete documents"),
        none_of("performance", "Performance within acceptable ranges", v.performance.degradations, "degradations"),
        none_of("security", "Security scans clear", v.security.high_risk, "findings of high risk"),
        FinalCriterion(id="rollback", text="Rollback procedures tested", met=v.rollback.tested, reason=_rehearsed(known.rehearsal), decides=True),
        FinalCriterion(id="monitoring", text="Monitoring configured", met=bool(watched), reason=f"{len(watched)} things are watched"),
        FinalCriterion(id="stakeholder", text="Stakeholder approval obtained", met=approved, reason=_stakeholders(known)),
    )


def _headline(known: Known, summary: ProjectSummary) -> str:
    go = known.decision
    tests = "the tests were not counted" if summary.tests_passed is None else f"{summary.tests_passed} tests passed, {summary.tests_failed} failed"
    warnings = "warnings not measured" if go.warning_count is None else counted(go.warning_count, "warning")
    reasons = f": {'; '.join(go.reasons)}" if go.reasons and go.decision != "PROCEED" else ""
    return f"{go.decision}: {tests}, {warnings}{reasons}"[:1000]


def _executive(known: Known, summary: ProjectSummary, headline: str) -> tuple[str, ...]:
    plan = known.plan
    criteria = [f"{one.criterion}: {'met' if one.met else 'missed' if one.met is False else 'not known'}" for one in known.outcomes]
    return (
        f"{plan.problem.title}. {plan.intent}".strip(),
        headline,
        f"{counted(len(summary.changes_implemented), 'step was', 'steps were')} carried out; {counted(known.staffing.agents, 'agent')} tested them"
        + (f", because {'; '.join(known.staffing.reasons)}" if known.staffing.reasons else "") + f". {_rehearsed(known.rehearsal).capitalize()}.",
        *([f"Success criteria: {'; '.join(criteria)}."] if criteria else ["The plan names no success criterion."]),
    )


def _summary(known: Known) -> ProjectSummary:
    tests = _section(known.tests, "tests")
    done = {d.step for d in known.dispatches if d.direction == "do" and d.state is DispatchState.DONE}
    changes = tuple(f"{step.step}. {step.description or step.tool}" for step in known.plan.steps if step.step in done)
    return ProjectSummary(
        changes_implemented=changes, tests_passed=_whole(tests.get("passed")), tests_failed=_whole(tests.get("failed")),
        documentation_updated=tuple(name for name in files_of(known.plan) if name.lower().endswith(_DOCUMENTS)),
        performance_impact=_impact(known),
    )


def _impact(known: Known) -> dict[str, Any]:
    measured = _section(known.tests, "performance_security")
    baseline = _section(known.analysis, "infrastructure_state").get("baseline") if known.analysis is not None else None
    impact: dict[str, Any] = {}
    if isinstance(baseline, Mapping) and isinstance(measured.get("benchmark_s"), int | float):
        impact["benchmark"] = {"command": baseline.get("command", ""), "before_s": baseline.get("seconds"), "after_s": measured["benchmark_s"]}
    for one in known.outcomes:
        if one.before is not None or one.after is not None:
            impact[one.criterion] = {"before": one.before, "after": one.after, "unit": one.unit, "improvement": one.improvement, "met": one.met}
    return impact


def _warnings(known: Known) -> tuple[str, ...]:
    v = known.validation
    counted = {"warnings of the tests": v.tests.warnings, "degradations of performance": v.performance.degradations, "incomplete documents": v.documentation.incomplete}
    return tuple(f"{name}: {number}" for name, number in counted.items() if number)


def _instructions(known: Known) -> tuple[str, ...]:
    files, environment = files_of(known.plan), known.plan.problem.context.environment or "the target environment"
    lines = [f"Release {known.window}, to {environment}."]
    lines += [f"Take over {', '.join(files[:_MOST])}{f' and {len(files) - _MOST} more' if len(files) > _MOST else ''}."] if files else []
    commands = [step for step in known.plan.steps if step.tool in ("shell", "python", "http")]
    lines += [f"Step {step.step} ({step.description or step.tool}) acts outside of files; repeat it where it has to act." for step in commands[:_MOST]]
    command = _section(known.tests, "tests").get("command")
    lines += [f"Run the tests there: {command}."] if command else []
    lines.append(f"Keep the way back at hand: assent rollback {known.run_id}.")
    return tuple(lines)


def _monitoring(known: Known) -> MonitoringSetup:
    files = [str(one) for one in _section(known.tests, "deployment").get("monitoring", ())]
    alerts = tuple(one for one in files if "alert" in one.lower())
    dashboards = tuple(one for one in files if "grafana" in one.lower() or "dashboard" in one.lower())
    metrics = tuple(f"{one.criterion} ({one.tool}, read {one.read})" for one in known.plan.measures)
    return MonitoringSetup(
        metrics_configured=(*metrics, *(one for one in files if one not in alerts and one not in dashboards)), alerts_defined=alerts, dashboards_created=dashboards
    )


def _issues(known: Known) -> tuple[str, ...]:
    shown = [one for one in known.tests.findings if one.severity not in ("info", "low")]
    issues = [f"{one.severity}: {one.subject}: {one.text or f'{one.aspect} {one.value}'}" for one in shown]
    issues += [f"contradiction about {one.aspect} of {one.subject}" + (f", {one.resolution.holds or 'neither side'} holds" if one.resolution else "") for one in known.tests.conflicts]
    issues += [f"missed: {one.criterion}" for one in known.outcomes if one.met is False]
    issues += [f"not measured: {one.criterion}" for one in known.outcomes if one.met is None]
    issues += [f"not looked at: {one}" for one in known.tests.risk_assessment.not_assessed]
    return tuple(dict.fromkeys(one[:400] for one in (*issues, *known.rehearsal.untested)))[: 2 * _MOST]


def _rollback(known: Known) -> RollbackPlan:
    run = known.run_id
    triggers = ["a test of the project fails where it was released"]
    triggers += [f"“{one}” no longer holds" for one in known.plan.problem.success_criteria]
    triggers += ["a security finding of high risk appears"]
    triggers += [f"an alert of {one} fires" for one in _monitoring(known).alerts_defined]
    done = {d.step for d in known.dispatches if d.direction == "do" and d.state is DispatchState.DONE}
    procedures = [f"assent rollback {run} takes everything back, last step first; --to N keeps the first N steps"]
    for step in reversed(known.plan.steps):
        if step.step not in done:
            continue
        by_tool = step.step in known.rehearsal.steps
        written = f"{step.undo.tool}: {', '.join(f'{k} {v}' for k, v in step.undo.args.items())}" if step.undo is not None else ""
        by_hand = f"by hand: {step.rollback_plan}" if step.rollback_plan else "no tool takes it back"
        by = written or (f"the tool {step.tool} restores what was there" if by_tool else by_hand)
        procedures.append(f"step {step.step} ({step.description or step.tool}): {by}"[:400])
    command = _section(known.tests, "tests").get("command")
    steps = [f"assent show {run} says of each step whether it was taken back and whether the earlier state was seen"]
    steps += [f"seen in a copy beforehand: steps {', '.join(map(str, known.rehearsal.verified))} leave the earlier state"] if known.rehearsal.verified else []
    steps += [f"run the tests again: {command}"] if command else []
    steps += [f"measure again: {one.criterion}" for one in known.plan.measures]
    steps.append("assent verify recomputes the record")
    return RollbackPlan(triggers=tuple(triggers), procedures=tuple(procedures), validation_steps=tuple(steps))


def _details(known: Known) -> dict[str, Any]:
    tests, security, documents = (_section(known.tests, name) for name in ("tests", "performance_security", "documentation"))
    return {
        "tests": {name: tests.get(name) for name in ("command", "passed", "failed", "skipped", "warnings", "seconds", "coverage_percent", "failures") if tests.get(name) is not None},
        "security": {name: security.get(name) for name in ("high_risk", "counts") if security.get(name) is not None},
        "documentation": {name: documents.get(name) for name in ("checks", "documented_percent", "broken_links") if documents.get(name) is not None},
        "agents": {one.agent_id: one.outcome.value for one in known.tests.agents},
        "staffing": list(known.staffing.rules),
        "rehearsal": known.rehearsal.as_json(),
        "risk_before": known.analysis.risk_assessment.level.value if known.analysis is not None else None,
        "risk_after": known.tests.risk_assessment.level.value,
        "strategy": known.analysis.decisions.implementation_strategy if known.analysis is not None else "",
    }


def _rehearsed(rehearsal: Rehearsal) -> str:
    if rehearsal.tested:
        count = counted(len(rehearsal.steps), "step")
        return f"the way back was tried in a copy: {count}, {len(rehearsal.verified)} seen to be back" if rehearsal.steps else "there is nothing to take back"
    return f"the way back was not tested: {'; '.join(rehearsal.untested)[:400] or 'nobody tried it'}"


def _stakeholders(known: Known) -> str:
    if known.approved_by:
        return f"given by {', '.join(known.approved_by)}"
    if known.refused_by:
        return f"refused by {', '.join(known.refused_by)}"
    if known.decision.decision == "BLOCK":
        return "not asked for: what is blocked is not released"
    return "waited for" if known.asks else f"not asked for: the rules ask nobody for {known.decision.decision} in this environment"


def _section(found: Consolidated | None, name: str) -> Mapping[str, Any]:
    section = found.sections.get(name) if found is not None else None
    return section if isinstance(section, Mapping) else {}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
