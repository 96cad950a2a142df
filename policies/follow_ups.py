"""What is left to do after a run, by whom and until when; and the workflow that follows a run whose criteria were not met. Pure.

Rules: everything has somebody and a day: the requester, and a week for what is urgent, otherwise a month; what the author wrote down comes last, as
written. The follow-up workflow is a document that loads and runs: it takes the measures again, changes nothing, and leaves the solution to be
written. Source: `follow_up_actions` of the problem/action/results guide (problem, workflow_id, assigned_to, due_date, priority).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ..schemas.plan import Plan
from ..schemas.results import FollowUp, Outcome, Results

DOCUMENT = "follow_up.yaml"
_DUE_DAYS = {"critical": 1, "high": 7}
_LATER_DAYS = 30


def follow_ups(
    plan: Plan | None, outcomes: Sequence[Outcome], behind: Sequence[str], *, completed: bool, run_id: str, requester: str, now: datetime
) -> tuple[FollowUp, ...]:
    """Return what is left to do.

    Args:
        behind: effects that were not taken back, in words.
        completed: every step was done.
        now: when the run ended; what is due is counted from it.
    """
    found = [FollowUp(action=f"take back by hand: {what}", assignee=requester, priority="high") for what in behind]
    unmet = [outcome.criterion for outcome in outcomes if outcome.met is False]
    if plan is not None and unmet and completed:
        found.append(
            FollowUp(
                action=f"find out why this was not met and plan again: {'; '.join(unmet)}", problem=title_of(plan), assignee=requester, priority="high",
                workflow_id=workflow_of(plan, run_id), document=DOCUMENT,
            )
        )
    found += [FollowUp(action=f"name a measure for: {o.criterion}", assignee=requester) for o in outcomes if o.met is None and o.after is None and not o.target]
    if plan is not None and completed:
        if not outcomes:
            found.append(FollowUp(action="write down how one would know that it worked: a success criterion, and a measure for it", assignee=requester))
        found += [
            FollowUp(action=f"review afterwards: {a.reason or a.approver or 'the plan asks for it'}", assignee=a.approver or requester)
            for a in plan.required_approvals if a.type == "post_review"
        ]  # fmt: skip
        found += [FollowUp(**one.as_json()) for one in (plan.expectation.follow_ups if plan.expectation else ())]
    return tuple(one if one.due_date else one.model_copy(update={"due_date": _due(one.priority, now)}) for one in found)


def title_of(plan: Plan) -> str:
    """Return the title of the workflow that follows."""
    return f"Criteria still not met: {plan.problem.title}"


def workflow_of(plan: Plan, run_id: str) -> str:
    """Return the name of the workflow that follows."""
    return f"{plan.workflow_id or run_id}-F1"


def document(plan: Plan, report: Results) -> dict[str, Any] | None:
    """Return the workflow that follows as a document, or `None` where none does."""
    link = next((one for one in report.follow_ups if one.document == DOCUMENT), None)
    unmet = {outcome.criterion: outcome for outcome in report.outcomes if outcome.met is False}
    measures = [measure for measure in plan.measures if measure.criterion in unmet]
    if link is None or not measures:
        return None
    cause = report.root_cause
    evidence = [f"- {one}" for one in cause.evidence] if cause is not None else []
    told = [f"Follows run {report.run_id} ({plan.workflow_id or plan.problem.title}).", cause.finding if cause is not None else "", *evidence]
    problem = {**_filled(plan.problem.as_json()), "title": link.problem, "success_criteria": [m.criterion for m in measures]}
    problem["description"] = "\n".join([line for line in told if line] + ([plan.problem.description] if plan.problem.description else [])) + "\n"
    if "context" in problem:
        problem["context"] = _filled(problem["context"])
    steps = [
        {"step": number, "description": f"Measure again before anything is changed: {one.criterion}", **one.call.as_json()}
        for number, one in enumerate(measures, 1)
    ]
    return {
        "metadata": {"workflow_id": link.workflow_id}, "problem": problem,
        "action": {"proposed_solution": f"<what is to be done now; tried before: {plan.intent or 'see the run'}>", "steps": steps},
        "measures": [_filled(measure.as_json()) for measure in measures],
    }  # fmt: skip


def _due(priority: str, now: datetime) -> str:
    return (now + timedelta(days=_DUE_DAYS.get(priority, _LATER_DAYS))).date().isoformat()


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}
