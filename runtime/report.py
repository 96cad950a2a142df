"""The report of a run as files: `results.yaml` for machines, `results.md` for people, and the workflow that follows where criteria were not met.

Rules: what has another name in the source document stands in `results.yaml` under that name too, so that its `results:` section can be read like
one that a person wrote. All of it can be made again from the ledger.

A single call of an agent that went well gets none: the agent waits for its answer, and the ledger has all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..policies.follow_ups import DOCUMENT, document
from ..policies.redact import redact
from ..schemas.canonical import digest
from ..schemas.plan import Plan
from ..schemas.results import Artifact, Costs, FollowUp, Outcome, Results
from ..schemas.run import RunStatus
from .keep import Keep
from .report_costs import taken
from .report_yaml import to_yaml


def write_report(report: Results, keep: Keep, now: datetime, *, plan: Plan | None = None, known: Sequence[str] = ()) -> list[Artifact]:
    """Write the files into the run's artifact folder and return what was written."""
    from .embed.langchain_tool import BOUND

    if BOUND.get() is not None and len(report.steps) == 1 and report.status == RunStatus.COMPLETED.value:
        return []
    follows = document(plan, report) if plan is not None else None
    files = [
        ("results.yaml", "application/yaml", to_yaml({"results": in_source_words(report), "execution": _execution(report)})),
        ("results.md", "text/markdown", markdown(report)),
    ]
    if follows is not None:
        files.append((DOCUMENT, "application/yaml", f"# What follows run {report.run_id}: complete the solution, then `assent run` it.\n" + to_yaml(follows)))
    found = [(name, media_type, redact(text, known=known).encode("utf-8", "replace")) for name, media_type, text in files]
    keep.write_all(report.run_id, {name: raw for name, _, raw in found}, durable=False)
    return [Artifact(name=name, digest=digest(raw), size_bytes=len(raw), media_type=media_type, created_at=now) for name, media_type, raw in found]


def in_source_words(report: Results) -> dict[str, Any]:
    """Return the report as JSON, with the names of the source document beside our own where they differ."""
    data = report.as_json()
    for outcome in data["outcomes"]:
        outcome |= {"metric": outcome["criterion"]} | ({"meets_criteria": outcome["met"]} if "met" in outcome else {})
    data["actual_costs"] = _spent(report.costs)
    data["follow_up_actions"] = [one.as_json() for one in report.follow_ups]
    if report.root_cause is not None:
        data["root_cause_analysis"] = report.root_cause.as_json()
    return data


def _spent(costs: Costs) -> dict[str, str]:
    spent = {"total": f"${costs.actual_usd}", "time": f"{costs.actual_time_s:g} s"}
    if costs.human_time_s is not None:
        money = f", ${costs.human_usd}" if costs.human_usd is not None else ""
        spent["human_time"] = f"{costs.human_time_s} s as estimated{money}"
    return spent | {name: f"${amount}" for name, amount in costs.breakdown.items()}


def _execution(report: Results) -> dict[str, Any]:
    times = {"start_time": report.started_at, "end_time": report.finished_at}
    told: dict[str, Any] = {name: at.isoformat() for name, at in times.items() if at is not None}
    if report.started_at is not None and report.finished_at is not None:
        told["total_duration"] = f"{(report.finished_at - report.started_at).total_seconds():g} s"
    watched = [outcome.criterion for outcome in report.outcomes if outcome.target]
    return told | ({"monitoring": {"metrics_tracked": watched}} if watched else {})


def markdown(report: Results) -> str:
    """Return the report for a person to read."""
    unknown = "not everything was measured" if report.outcomes else "no success criterion was written"
    verdict = {True: "yes", False: "no", None: f"unknown: {unknown}"}[report.success]
    lines = [f"# {report.title}", "", f"- Run: `{report.run_id}`", f"- Status: {report.status.replace('_', ' ')}", f"- Success: {verdict}"]
    if report.approved_by:
        lines.append(f"- Approved by: {', '.join(report.approved_by)}")
    lines += _outcomes(report.outcomes)
    lines += ["", "## Steps", "", "| | step | status | took | what happened |", "|---|---|---|---|---|"]
    for step in report.steps:
        status = f"{step.status}, undone" if step.undone else step.status
        happened = f"{step.summary}; taking it back: {step.undo}" if step.undo else step.summary
        lines.append(f"| {step.step} | {_cell(step.description)} | {status} | {step.duration_ms} ms | {_cell(happened)} |")
    costs = report.costs
    lines += ["", "## Cost", "", f"- Money: ${costs.actual_usd}" + (f", estimated ${costs.estimated_usd} ({costs.variance})" if costs.estimated_usd else "")]
    lines.append(f"- Time: {costs.actual_time_s:g} s" + (f", estimated {costs.estimated_time_s} s" if costs.estimated_time_s is not None else ""))
    lines += taken(costs)
    lines += [f"- {name.replace('_', ' ')}: ${amount}" for name, amount in costs.breakdown.items()]
    lines += ["", "## Return on investment", "", f"- {report.roi}"] if report.roi else []
    if report.root_cause is not None:
        lines += ["", "## Root cause", "", report.root_cause.finding, *[f"- {_cell(evidence)}" for evidence in report.root_cause.evidence]]
    if report.not_undone:
        lines += ["", "## Not taken back", "", *[f"- {what}" for what in report.not_undone]]
    if report.restored:
        lines += ["", "## After taking back", "", *[f"- {_cell(seen)}" for seen in report.restored]]
    if report.decision:
        lines += ["", f"## Release: {report.decision}", "", *_indicators(report)]
    if report.lessons_learned:
        lines += ["", "## Lessons", "", *[f"- {lesson}" for lesson in report.lessons_learned]]
    if report.follow_ups:
        lines += ["", "## Follow-ups", ""]
        lines += [_follow_up(one) for one in report.follow_ups]
    if report.artifacts:
        lines += ["", "## Artifacts", "", *[f"- `{one.name}` ({one.media_type}, {one.size_bytes:,} bytes)" for one in report.artifacts]]
    return "\n".join(lines) + "\n"


def _indicators(report: Results) -> list[str]:
    if report.metrics is None:
        return []
    return [
        f"- {group.replace('_', ' ')}: " + (", ".join(f"{name.replace('_', ' ')} {value:g}{' s' if 'duration' in group or name.endswith('time') else ''}" for name, value in found.items()) or "not measured")
        for group, found in report.metrics.as_json().items()
    ]  # fmt: skip


def _follow_up(one: FollowUp) -> str:
    more = [one.assignee, f"due {one.due_date}" if one.due_date else "", f"priority {one.priority}" if one.priority else ""]
    link = f" → workflow `{one.workflow_id}`" + (f" in `{one.document}`" if one.document else "") if one.workflow_id else ""
    return f"- {_cell(one.action)}{link}" + "".join(f", {said}" for said in more if said)


def _outcomes(outcomes: tuple[Outcome, ...]) -> list[str]:
    if not outcomes:
        return ["", "No success criterion was written."]
    lines = ["", "## Success criteria", "", "| criterion | before | after | improvement | met |", "|---|---|---|---|---|"]
    for o in outcomes:
        met = {True: "yes", False: "no", None: f"not known ({o.note})" if o.note else "not known"}[o.met]
        lines.append(f"| {_cell(o.criterion)} | {_value(o.before, o.unit)} | {_value(o.after, o.unit)} | {o.improvement or '–'} | {_cell(met)} |")
    return lines


def _value(value: Any, unit: str) -> str:
    return "–" if value is None else f"{value:g} {unit}".strip() if isinstance(value, float) else _cell(f"{value} {unit}".strip())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
