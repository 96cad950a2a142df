"""Consolidation: the reports of a phase become one synthesis. Pure, and the same for every order of the reports.

Rules:
- Nothing is lost: findings that agree are joined with everybody who made them, findings that contradict keep every side.
- A person's resolution belongs to exactly these sides; when one of them changes, it is void.
- The combined risk is the worst that any report gives reason for, and HIGH at least while somebody asked has not answered: what was not looked
  at is not low.
- What follows (strategy, order, resources) is derived by rule; a model may word it, it does not decide it.

Source: E2 and the consolidation template of the phases document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..schemas.agent_message import LAYERS, SEVERITIES, AgentMessage, AgentReport, PhaseFinding, Severity
from ..schemas.canonical import canonical, digest
from ..schemas.consolidated import (
    Conflict,
    Consolidated,
    Decisions,
    Dependency,
    MergedFinding,
    Resolution,
    RiskAssessment,
    RiskNote,
    Side,
    Work,
)
from ..schemas.phase import PhaseSpec, Settled
from ..schemas.risk import Level
from .agent_message import report_of

_LEVELS: dict[Severity, Level] = {"critical": Level.CRITICAL, "high": Level.HIGH, "medium": Level.MEDIUM, "low": Level.LOW, "info": Level.LOW}
_STRATEGIES = {
    Level.LOW: "make the changes in order, in one go",
    Level.MEDIUM: "make the changes in order, with a rollback point before each layer",
    Level.HIGH: "make one small change at a time, with a rollback point before each and the tests after each",
    Level.CRITICAL: "change nothing yet: remove the critical findings first, each as a change of its own with its own approval",
}
_MOST_NOTES = 50


def merge(
    spec: PhaseSpec, messages: Mapping[str, AgentMessage], settled: Sequence[Settled], *, now: datetime, run_id: str = "", resolutions: Sequence[Resolution] = (),
) -> Consolidated:
    """Put the reports of a phase together.

    Args:
        messages: agent id → its message, for those that reported.
        settled: what became of each agent; an agent of the phase that is in neither counts as missing.
        resolutions: what people said about conflicts.
    """
    order = [agent.id for agent in spec.agents]
    reports = {agent_id: report_of(messages[agent_id]) for agent_id in order if agent_id in messages}
    conflicts = find_conflicts(spec, reports, resolutions)
    findings = _joined(reports)
    risk = combined_risk(spec, reports, conflicts)
    return Consolidated(
        timestamp=now,
        phase=spec.name,
        number=spec.number,
        run_id=run_id,
        inputs=tuple(one.digest for one in sorted(settled, key=lambda one: _place(order, one.agent_id)) if one.digest and one.has_reported),
        sections={name: reports[agent].data for name, agent in spec.consolidate.sections.items() if agent in reports},
        summaries={agent: report.summary for agent, report in reports.items() if report.summary},
        findings=findings,
        conflicts=conflicts,
        dependencies=_dependencies(reports, messages),
        risk_assessment=risk,
        decisions=_decisions(spec, reports, findings, conflicts, risk),
        agents=tuple(sorted(settled, key=lambda one: _place(order, one.agent_id))),
    )


def find_conflicts(spec: PhaseSpec, reports: Mapping[str, AgentReport], resolutions: Sequence[Resolution] = ()) -> tuple[Conflict, ...]:
    """Return where two agents say different things about the same aspect of the same subject, critical ones first."""
    said: dict[tuple[str, str], list[Side]] = {}
    for agent_id, report in reports.items():
        for finding in report.findings:
            if finding.aspect:
                said.setdefault((finding.subject, finding.aspect), []).append(_side(agent_id, finding))
    answers = {resolution.conflict: resolution for resolution in resolutions}
    least = SEVERITIES.index(spec.consolidate.critical_from)
    found = []
    for (subject, aspect), sides in said.items():
        apart = _apart(sides, spec.consolidate.tolerances.get(aspect, 0.0))
        if len(apart) < 2:
            continue
        values = sorted(([side.agent_id, side.value] for side in apart), key=canonical)
        name = digest(canonical({"phase": spec.name, "subject": subject, "aspect": aspect, "sides": values}))
        conflict = Conflict(
            id="conflict_" + name.removeprefix("sha256:")[:32], subject=subject, aspect=aspect, sides=tuple(apart),
            critical=any(SEVERITIES.index(side.severity) <= least for side in apart),
        )
        found.append(conflict.model_copy(update={"resolution": _holding(conflict, answers)}))
    return tuple(sorted(found, key=lambda one: (not one.critical, one.subject, one.aspect)))


def combined_risk(spec: PhaseSpec, reports: Mapping[str, AgentReport], conflicts: Sequence[Conflict]) -> RiskAssessment:
    """Return the worst risk that there is a reason for, with the reasons, worst first."""
    notes: list[RiskNote] = []
    by_agent: dict[str, Level] = {}
    for agent_id, report in reports.items():
        own = [RiskNote(agent_id=agent_id, level=risk.level, text=risk.text) for risk in report.risks]
        own += [RiskNote(agent_id=agent_id, level=_LEVELS[f.severity], text=_told(f)) for f in report.findings if _LEVELS[f.severity] > Level.LOW]
        by_agent[agent_id] = max((note.level for note in own), key=lambda level: level.rank, default=Level.LOW)
        notes += own
    missing = [agent.id for agent in spec.agents if agent.id not in reports]
    notes += [RiskNote(agent_id=one, level=Level.HIGH, text=f"{one} did not report; what it should have looked at is not known") for one in missing]
    notes += [RiskNote(level=Level.HIGH, text=f"the agents contradict each other about {c.aspect} of {c.subject}") for c in conflicts if c.critical and c.resolution is None]
    if not notes:
        notes = [RiskNote(level=Level.LOW, text="every agent reported, and none saw a risk")]
    notes.sort(key=lambda note: -note.level.rank)
    not_looked_at = [f"{agent}: {what}" for agent, report in reports.items() for what in report.not_looked_at]
    return RiskAssessment(level=notes[0].level, notes=tuple(notes[:_MOST_NOTES]), by_agent=by_agent, not_assessed=(*missing, *not_looked_at))


def _holding(conflict: Conflict, answers: Mapping[str, Resolution]) -> Resolution | None:
    answer = answers.get(conflict.id)
    # Neither side (empty) is an answer too; a name that is no side is none.
    return answer if answer is not None and answer.holds in ("", *(side.agent_id for side in conflict.sides)) else None


def _side(agent_id: str, finding: PhaseFinding) -> Side:
    return Side(agent_id=agent_id, value=finding.value, severity=finding.severity, text=finding.text, evidence=finding.evidence)


def _apart(sides: Sequence[Side], tolerance: float) -> list[Side]:
    """Return the sides when two different agents disagree; an agent that lists several values of one aspect does not contradict itself."""
    for number, one in enumerate(sides):
        for other in sides[number + 1 :]:
            if one.agent_id != other.agent_id and not _agree(one.value, other.value, tolerance):
                return list(sides)
    return []


def _agree(one: Any, other: Any, tolerance: float) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))
    if numbers and tolerance > 0:
        return bool(abs(one - other) <= tolerance * max(abs(one), abs(other)))
    return canonical(one) == canonical(other)


def _joined(reports: Mapping[str, AgentReport]) -> tuple[MergedFinding, ...]:
    groups: dict[bytes, list[tuple[str, PhaseFinding]]] = {}
    for agent_id, report in reports.items():
        for finding in report.findings:
            same = [finding.subject, finding.aspect, finding.value] + ([] if finding.aspect else [finding.text])
            groups.setdefault(canonical(same), []).append((agent_id, finding))
    found = []
    for group in groups.values():
        first = group[0][1]
        severity = min((finding.severity for _, finding in group), key=SEVERITIES.index)
        found.append(
            MergedFinding(
                subject=first.subject, aspect=first.aspect, value=first.value, severity=severity,
                text=next((finding.text for _, finding in group if finding.text), ""),
                evidence=tuple(dict.fromkeys(line for _, finding in group for line in finding.evidence)),
                agents=tuple(dict.fromkeys(agent_id for agent_id, _ in group)),
            )
        )
    return tuple(sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.subject, one.aspect, one.text)))


def _dependencies(reports: Mapping[str, AgentReport], messages: Mapping[str, AgentMessage]) -> tuple[Dependency, ...]:
    about: dict[str, list[str]] = {}
    for agent_id, report in reports.items():
        for name in dict.fromkeys([agent_id, *(finding.subject for finding in report.findings)]):
            about.setdefault(name, []).append(agent_id)
    return tuple(
        Dependency(agent_id=agent_id, on=name, agents=tuple(one for one in about.get(name, ()) if one != agent_id))
        for agent_id, report in reports.items()
        for name in dict.fromkeys([*messages[agent_id].body.dependencies, *report.depends_on])
    )


def _decisions(
    spec: PhaseSpec, reports: Mapping[str, AgentReport], findings: Sequence[MergedFinding], conflicts: Sequence[Conflict], risk: RiskAssessment
) -> Decisions:
    asked: dict[str, tuple[str, Severity, list[str]]] = {}
    for agent_id, report in reports.items():
        for advice in report.advice:
            layer, severity, agents = asked.get(advice.action, (advice.layer, advice.severity, []))
            worse = min(severity, advice.severity, key=SEVERITIES.index)
            asked[advice.action] = (min(layer, advice.layer, key=LAYERS.index), worse, list(dict.fromkeys([*agents, agent_id])))
    ordered = sorted(asked.items(), key=lambda item: (LAYERS.index(item[1][0]), SEVERITIES.index(item[1][1]), item[0]))
    work = tuple(
        Work.model_validate({"order": number, "layer": layer, "severity": severity, "action": action, "agents": agents})
        for number, (action, (layer, severity, agents)) in enumerate(ordered, 1)
    )
    strategy = _STRATEGIES[risk.level] if reports else ""
    if strategy and any(one.critical and one.resolution is None for one in conflicts):
        strategy = f"first settle the contradictions; then {strategy}"
    if strategy and not work and not any(one.severity in ("critical", "high", "medium") for one in findings):
        strategy = f"nothing that was found asks for a change; for changes asked for elsewhere: {strategy}"
    return Decisions(implementation_strategy=strategy, priority_order=work, resource_allocation=dict(spec.consolidate.resources))


def _told(finding: PhaseFinding) -> str:
    said = finding.text or f"{finding.aspect}: {finding.value}"
    return f"{finding.subject}: {said}"[:4000]


def _place(order: Sequence[str], agent_id: str) -> int:
    return order.index(agent_id) if agent_id in order else len(order)
