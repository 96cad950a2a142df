"""The risk of a whole plan: its worst call, raised by what the calls do together, by likelihood × impact, and by production. Pure.

Rules:
- Declared risk raises, never lowers.
- A written undo and a measure are calls like any other and count in full: they may run without another question.
- A call of which nothing can be said (no action to judge) is HIGH.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..schemas.plan import Call, Plan
from ..schemas.risk import Level, Reason, Risk

Action = tuple[str, Any]
_GRADE = {"low": 1, "medium": 2, "high": 3}
# likelihood × impact → the least that the plan is; 9 also raises what is already there by one.
_AT_LEAST = {3: Level.MEDIUM, 4: Level.MEDIUM, 6: Level.HIGH, 9: Level.HIGH}
_LEVELS = tuple(Level)


@dataclass(frozen=True)
class PlanRisk:
    """The risk of a plan and of each of its calls."""

    whole: Risk
    steps: tuple[Risk, ...]
    undos: tuple[Risk | None, ...]
    measures: tuple[Risk, ...]


def plan_risk(
    plan: Plan,
    *,
    actions: Callable[[Call], Sequence[Action]],
    judge: Callable[[str, Any], Risk],
    together: Callable[[Sequence[tuple[str, Any, Risk]]], Sequence[Reason]] = lambda calls: (),
) -> PlanRisk:
    """Assess every call of a plan and the plan as a whole.

    Args:
        actions: a call in, what the assessor has to judge out; an empty answer means that nothing is known of it.
        judge: one action in, its risk out.
        together: every action of the steps in order, with its own risk; returns what they add up to.
    """
    steps: list[Risk] = []
    ordered: list[tuple[str, Any, Risk]] = []
    for step in plan.steps:
        findings: list[Reason] = []
        for kind, payload in actions(step.call):
            risk = judge(kind, payload)
            ordered.append((kind, payload, risk))
            findings.extend(risk.findings)
        if step.risk is not None:
            findings.append(Reason(rule="declared", level=step.risk, text=f"the author declares {step.risk.value}"))
        own = Risk.of(f for f in findings if f.rule != "declared")
        steps.append(own if step.risk is None or step.risk <= own.level else Risk.of(findings))
    undos = tuple(_call_risk(step.undo, actions, judge) if step.undo else None for step in plan.steps)
    measures = tuple(_call_risk(measure.call, actions, judge) for measure in plan.measures)
    findings = [_named(f"step {n}", f) for n, risk in enumerate(steps, 1) for f in _telling(risk)]
    findings += [_named(f"undo of step {n}", f) for n, risk in enumerate(undos, 1) if risk for f in _telling(risk)]
    findings += [_named(f"measure {n}", f) for n, risk in enumerate(measures, 1) for f in _telling(risk)]
    findings += together(ordered)
    worst = max((f.level for f in findings), key=lambda level: level.rank)
    findings += _circumstances(plan, worst)
    tables = next((risk.tables for _, _, risk in ordered if risk.tables), "")
    return PlanRisk(whole=Risk.of(findings, tables=tables), steps=tuple(steps), undos=undos, measures=measures)


def _call_risk(call: Call, actions: Callable[[Call], Sequence[Action]], judge: Callable[[str, Any], Risk]) -> Risk:
    risks = [judge(kind, payload) for kind, payload in actions(call)]
    return Risk.of((f for risk in risks for f in risk.findings), tables=next((r.tables for r in risks), ""))


def _telling(risk: Risk) -> Sequence[Reason]:
    # Of a harmless call one finding is enough; of any other, whatever is above LOW.
    above = [finding for finding in risk.findings if finding.level is not Level.LOW]
    return above or risk.findings[:1]


def _named(where: str, finding: Reason) -> Reason:
    return Reason(rule=finding.rule, level=finding.level, text=f"{where}: {finding.text}", lower=finding.lower)


def _circumstances(plan: Plan, worst: Level) -> list[Reason]:
    found: list[Reason] = []
    grades: Mapping[str, int] = _GRADE
    judgement = plan.judgement
    if judgement.likelihood and judgement.impact:
        product = grades[judgement.likelihood] * grades[judgement.impact]
        level = _AT_LEAST.get(product, Level.LOW)
        if product == 9:
            level = max(level, _LEVELS[min(worst.rank + 1, 3)], key=lambda one: one.rank)
        if level > worst:
            found.append(
                Reason(rule="plan.likelihood_impact", level=level, text=f"likelihood {judgement.likelihood} × impact {judgement.impact} asks for {level.value}")
            )
    if plan.problem.context.environment == "production" and worst is Level.MEDIUM:
        found.append(Reason(rule="plan.production", level=Level.HIGH, text="changes something in production"))
    return found
