"""The final consolidation as files: `final_consolidation.json` for machines, `final_consolidation.md` for people, and its part of the continuity file.

Rules: everything written is redacted; each file is there whole or not at all; all of them can be made again from the record of the run. Source: E6.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...policies.redact import redact, redact_value
from ...schemas.final_consolidation import FinalConsolidation
from ..keep import write_whole
from ..phases.files import CONTINUITY

FINAL_JSON, FINAL_MD = "final_consolidation.json", "final_consolidation.md"
_BEGIN, _END = "<!-- final consolidation -->", "<!-- end of final consolidation -->"
_MARKS = {True: "x", False: " ", None: "?"}


def write_final(document: FinalConsolidation, folder: Path, *, known: Sequence[str] = ()) -> tuple[str, ...]:
    """Write the files into a folder and return their names. Raises: StoreUnavailable."""
    data = json.dumps(redact_value(document.as_json(), known=known), ensure_ascii=False, indent=2) + "\n"
    texts = {FINAL_JSON: data, FINAL_MD: final_markdown(document), CONTINUITY: _continued(_read(folder / CONTINUITY), document)}
    for name, text in texts.items():
        write_whole(folder / name, redact(text, known=known).encode("utf-8", "replace"), durable=False)
    return tuple(texts)


def final_markdown(document: FinalConsolidation) -> str:
    """Return the document for a person to read."""
    one, summary, ready, plan = document, document.project_summary, document.deployment_readiness, document.rollback_plan
    lines = [f"# {_cell(one.title) or 'Delivery'}: {one.decision}", "", f"- Run: `{one.run_id}`", f"- Plan: `{one.plan}`", f"- Time: {one.timestamp:%Y-%m-%d %H:%M} UTC"]
    lines += ["", "## Executive summary", "", *_items(one.executive_summary)]
    lines += ["", "## Final checkpoint", "", *(f"- [{_MARKS[c.met]}] {c.text}{'' if c.decides else ' (not counted by the matrix)'}: {_cell(c.reason)}" for c in one.criteria)]
    lines += ["", f"Readiness: **{ready.status}**. Release: {ready.deployment_window}."]
    lines += _items([*(f"blocker: {text}" for text in ready.blockers), *(f"warning: {text}" for text in ready.warnings)])
    lines += ["", "## Technical details", "", "Changes:", "", *_items(summary.changes_implemented)]
    lines += ["", f"Tests: {_known(summary.tests_passed)} passed, {_known(summary.tests_failed)} failed.", f"Documents changed: {', '.join(map(_cell, summary.documentation_updated)) or 'none'}."]
    lines += ["", "Performance:", "", *(_items(f"{name}: {_pairs(value)}" for name, value in summary.performance_impact.items()) or ["Not measured."])]
    lines += ["", *(_items(f"{name}: {_pairs(value)}" for name, value in one.technical_details.items() if value not in (None, "", [], {})))]
    lines += ["", "## Deployment instructions", "", *(f"{number}. {_cell(text)}" for number, text in enumerate(one.deployment_instructions, 1))]
    lines += ["", "## Monitoring", ""]
    watched = one.monitoring_setup
    lines += _items([*(f"metric: {text}" for text in watched.metrics_configured), *(f"alert: {text}" for text in watched.alerts_defined), *(f"dashboard: {text}" for text in watched.dashboards_created)]) or ["Nothing is watched."]
    lines += ["", "## Known issues", "", *(_items(one.known_issues) or ["None."])]
    lines += ["", "## Rollback plan", "", "Triggers:", "", *_items(plan.triggers), "", "Procedures:", ""]
    lines += [f"{number}. {_cell(text)}" for number, text in enumerate(plan.procedures, 1)]
    lines += ["", "Validation:", "", *(f"{number}. {_cell(text)}" for number, text in enumerate(plan.validation_steps, 1))]
    lines += ["", f"Stakeholder approval: {_cell(one.stakeholder_approval)}."]
    return "\n".join(lines) + "\n"


def _continued(known: str, document: FinalConsolidation) -> str:
    part = [_BEGIN, f"## Final consolidation: {document.decision}", "", f"- Updated: {document.timestamp:%Y-%m-%d %H:%M} UTC, run `{document.run_id}`", f"- {_cell(document.headline)}"]
    part += [f"- Known issue: {_cell(issue)}" for issue in document.known_issues[:10]]
    part += [f"- Way back: `assent rollback {document.run_id}`", f"- Details: {FINAL_MD}, {FINAL_JSON}", _END]
    text = "\n".join(part)
    pattern = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.DOTALL)
    if pattern.search(known):
        return pattern.sub(lambda _: text, known, count=1)
    return (known.rstrip() or "# Session continuity") + "\n\n" + text + "\n"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _items(texts: Iterable[str]) -> list[str]:
    return [f"- {_cell(text)}" for text in texts]


def _pairs(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_pairs(inner)}" for name, inner in value.items() if inner not in (None, "", [], {}))
    return "; ".join(_pairs(inner) for inner in value) if isinstance(value, list | tuple) else str(value)


def _known(number: int | None) -> str:
    return "an unknown number" if number is None else str(number)


def _cell(text: str) -> str:
    # One line, and no mark of ours from outside: a text must not end our part of the continuity file.
    return " ".join(str(text).split()).replace("<!--", "<! --")[:600]
