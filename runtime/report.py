"""The report of a run as files: `results.yaml` for machines, `results.md` for people. Both can be made again from the ledger.

A single call of an agent that went well gets none: the agent waits for its answer, and the ledger has all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import yaml

from ..policies.redact import redact
from ..schemas.canonical import digest
from ..schemas.results import Artifact, Outcome, Results
from ..schemas.run import RunStatus
from .keep import Keep
from .report_costs import taken

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def write_report(report: Results, keep: Keep, now: datetime, *, known: Sequence[str] = ()) -> list[Artifact]:
    """Write both files into the run's artifact folder and return what was written."""
    from .embed.langchain_tool import BOUND

    if BOUND.get() is not None and len(report.steps) == 1 and report.status == RunStatus.COMPLETED.value:
        return []
    data = report.as_json()
    files = [
        ("results.yaml", "application/yaml", yaml.dump({"results": data}, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120)),
        ("results.md", "text/markdown", markdown(report)),
    ]
    found = []
    for name, media_type, text in files:
        raw = redact(text, known=known).encode("utf-8", "replace")
        keep.write(report.run_id, name, raw, durable=False)
        found.append(Artifact(name=name, digest=digest(raw), size_bytes=len(raw), media_type=media_type, created_at=now))
    return found


def markdown(report: Results) -> str:
    """Return the report for a person to read."""
    verdict = {True: "yes", False: "no", None: "unknown: not everything was measured"}[report.success]
    lines = [f"# {report.title}", "", f"- Run: `{report.run_id}`", f"- Status: {report.status.replace('_', ' ')}", f"- Success: {verdict}"]
    if report.approved_by:
        lines.append(f"- Approved by: {', '.join(report.approved_by)}")
    lines += _outcomes(report.outcomes)
    lines += ["", "## Steps", "", "| | step | status | took | what happened |", "|---|---|---|---|---|"]
    for step in report.steps:
        status = f"{step.status}, undone" if step.undone else step.status
        lines.append(f"| {step.step} | {_cell(step.description)} | {status} | {step.duration_ms} ms | {_cell(step.summary)} |")
    costs = report.costs
    lines += ["", "## Cost", "", f"- Money: ${costs.actual_usd}" + (f", estimated ${costs.estimated_usd} ({costs.variance})" if costs.estimated_usd else "")]
    lines.append(f"- Time: {costs.actual_time_s:g} s" + (f", estimated {costs.estimated_time_s} s" if costs.estimated_time_s is not None else ""))
    lines += taken(costs)
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
        lines += [f"- {f.action}" + (f" — {f.assignee}" if f.assignee else "") + (f", due {f.due_date}" if f.due_date else "") for f in report.follow_ups]
    return "\n".join(lines) + "\n"


def _indicators(report: Results) -> list[str]:
    if report.metrics is None:
        return []
    return [
        f"- {group.replace('_', ' ')}: " + (", ".join(f"{name.replace('_', ' ')} {value:g}{' s' if 'duration' in group or name.endswith('time') else ''}" for name, value in found.items()) or "not measured")
        for group, found in report.metrics.as_json().items()
    ]  # fmt: skip


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
