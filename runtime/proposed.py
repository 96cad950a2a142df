"""Make a plan of a proposal: what a model returned, in the form that everything else in assent reads.

Rules:
- A criterion that the request did not state says so in its own text, ` (proposed)`; the model's claim that it did is checked against the words.
- Estimates get the buffer of the source; a sum over some of the steps would be an estimate that nobody made.
- A rollback plan in words becomes a call only by proof, as in written documents (`policies/undoable.py`).

Deliberately absent: whether a tool exists and takes its arguments; the planner asks the toolbox.
"""

from __future__ import annotations

import re
import shutil
from decimal import Decimal

from ..policies.estimate import buffered, buffered_s
from ..policies.undoable import undo_of
from ..schemas.plan import Call, Estimate, Judgement, Measure, Plan, Step
from ..schemas.problem import Context, Problem
from ..schemas.proposal import Proposal, ProposedStep

PROPOSED = " (proposed)"
_WORDS = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+")


def plan_of(proposal: Proposal, words: str) -> Plan:
    """Return the plan that a proposal asks for; its author is still to be filled in.

    Args:
        words: the request, which says which criteria were stated.

    Raises:
        ValueError: a value that a plan cannot hold.
    """
    said = proposal.problem
    criteria = {
        one.text + ("" if not one.proposed and _is_stated(one.text, words) else PROPOSED): one for one in said.success_criteria
    }
    problem = Problem(
        title=said.title,
        description=said.description,
        context=Context(environment=said.environment, affected_systems=said.affected_systems, priority=said.priority),
        success_criteria=tuple(criteria),
        constraints=said.constraints,
        out_of_scope=said.out_of_scope,
    )
    measures = tuple(
        Measure(
            criterion=text,
            tool=one.measure.tool,
            args=one.measure.args,
            read=one.measure.read,
            unit=one.measure.unit,
            target=one.measure.target,
        )
        for text, one in criteria.items()
        if one.measure is not None
    )
    estimate, judgement = proposal.estimate, proposal.judgement
    times, costs = [step.estimated_time_s for step in proposal.steps], [step.cost_usd for step in proposal.steps]
    time_s = (
        estimate.time_s
        if estimate.time_s is not None
        else sum(time for time in times if time is not None)
        if None not in times
        else None
    )
    cost = (
        estimate.cost_usd
        if estimate.cost_usd is not None
        else f"{sum(Decimal(c) for c in costs if c):f}"
        if None not in costs
        else None
    )
    return Plan(
        intent=proposal.intent,
        problem=problem,
        steps=tuple(_step(number, step) for number, step in enumerate(proposal.steps, 1)),
        measures=measures,
        judgement=Judgement(likelihood=judgement.likelihood, impact=judgement.impact, mitigation=judgement.mitigation),
        estimate=Estimate(
            cost_usd=None if cost is None else buffered(cost),
            time_s=None if time_s is None else buffered_s(time_s),
            human_oversight=estimate.human_oversight,
        ),
        author="model",
        alternatives=tuple(f"{one.text} — {one.why_not}" if one.why_not else one.text for one in proposal.alternatives),
    )


def _is_stated(criterion: str, words: str) -> bool:
    """Tell whether the request can have said this: every number in it, and half of its longer words."""
    said = set(_WORDS.findall(words.lower()))
    wanted = set(_WORDS.findall(criterion.lower()))
    numbers = {word for word in wanted if word[0].isdigit()}
    longer = {word for word in wanted - numbers if len(word) > 3}
    return numbers <= said and 2 * len(longer & said) >= len(longer)


def _step(number: int, step: ProposedStep) -> Step:
    undo = (
        Call(tool=step.undo.tool, args=step.undo.args)
        if step.undo
        else undo_of(step.rollback_plan, step.tool, step.args, shutil.which)
    )
    return Step(
        step=number,
        description=step.description,
        tool=step.tool,
        args=step.args,
        risk=step.risk,
        reversible=step.reversible,
        undo=undo,
        rollback_plan=step.rollback_plan,
        estimated_time_s=step.estimated_time_s,
        cost_usd=step.cost_usd,
    )
