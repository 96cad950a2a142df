"""The files of a phase: a report of each agent, the synthesis for machines, the summary for people, and the continuity file.

Names come from the phase (`analysis_report_agent1.json`, `phase1_synthesis.json`, `phase1_consolidated_analysis.md`, `SESSION_CONTINUITY.md`).
Rules: everything written is redacted; each file is there whole or not at all; writing them again changes nothing but times. The continuity file
keeps what others wrote in it: each phase owns the part between its two marks. All of them can be made again from the kept synthesis. Source: E2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...policies.redact import redact, redact_value
from ...schemas.agent_message import AgentMessage
from ...schemas.consolidated import Conflict, Consolidated
from ...schemas.phase import PhaseSpec
from ..keep import write_whole

CONTINUITY = "SESSION_CONTINUITY.md"
_MOST = 40


class PhaseFiles:
    """Writes the files of phases into one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: list[Path] = []

    def __call__(self, spec: PhaseSpec, found: Consolidated, messages: Mapping[str, AgentMessage]) -> None:
        """Write every file that the phase names. Raises: OSError."""
        for agent in spec.agents:
            if agent.report and agent.id in messages:
                self._json(agent.report, messages[agent.id].as_json())
        if spec.consolidate.synthesis:
            self._json(spec.consolidate.synthesis, found.document())
        if spec.consolidate.report:
            self._text(spec.consolidate.report, markdown(spec, found))
        self._text(CONTINUITY, continued(self._known(), spec, found))

    def _known(self) -> str:
        try:
            return (self.folder / CONTINUITY).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def _json(self, name: str, value: Any) -> None:
        self._text(name, json.dumps(redact_value(value), ensure_ascii=False, indent=2) + "\n")

    def _text(self, name: str, text: str) -> None:
        path = self.folder / name
        write_whole(path, redact(text).encode("utf-8", "replace"), durable=False)
        if path not in self.written:
            self.written.append(path)


def markdown(spec: PhaseSpec, found: Consolidated) -> str:
    """Return the synthesis for a person to read."""
    risk = found.risk_assessment
    lines = [f"# Phase {spec.number}: {spec.name}", "", spec.purpose, "", f"- Time: {found.timestamp:%Y-%m-%d %H:%M} UTC"]
    lines += [f"- Run: `{found.run_id}`"] if found.run_id else []
    lines += [f"- Combined risk: **{risk.level.value}**", f"- Reported: {len(found.agents) - len(found.missing)} of {len(spec.agents)} agents"]
    lines += ["", "## Agents", "", "| agent | role | outcome | took | |", "|---|---|---|---|---|"]
    known = {one.agent_id: one for one in found.agents}
    for agent in spec.agents:
        one = known.get(agent.id)
        ended = "no answer" if one is None else "reported (reused)" if one.reused else one.outcome.value
        lines.append(f"| {agent.id} | {_cell(agent.role)} | {ended} | {one.took_s if one else 0:.1f} s | {_cell(one.reason if one else '')} |")
    for agent in spec.agents:
        if agent.id in found.summaries:
            lines += ["", f"## {agent.role}", "", _prose(found.summaries[agent.id])]
    lines += _conflicts(found.conflicts)
    lines += ["", "## Findings", ""]
    shown = [one for one in found.findings if one.severity != "info"][:_MOST]
    lines += [f"- **{one.severity}** {_cell(one.subject)}: {_cell(one.text or f'{one.aspect} {one.value}')} ({', '.join(one.agents)})" for one in shown]
    lines += [] if shown else ["Nothing above the level of information."]
    lines += ["", "## Risk", ""] + [f"- {note.level.value}: {_cell(note.text)}" for note in risk.notes[:_MOST]]
    lines += ["", "### Not looked at", "", *(f"- {_cell(what)}" for what in risk.not_assessed)] if risk.not_assessed else []
    if found.dependencies:
        lines += ["", "## Dependencies", ""]
        lines += [f"- {one.agent_id} on {_cell(one.on)}" + (f" (see {', '.join(one.agents)})" if one.agents else "") for one in found.dependencies[:_MOST]]
    lines += ["", "## Decisions", "", f"Strategy: {found.decisions.implementation_strategy or 'none'}", ""]
    lines += [f"{work.order}. {work.layer}, {work.severity}: {_cell(work.action)}" for work in found.decisions.priority_order]
    if found.decisions.resource_allocation:
        lines += ["", "Resources: " + ", ".join(f"{name} {value}" for name, value in found.decisions.resource_allocation.items())]
    return "\n".join(lines) + "\n"


def continued(known: str, spec: PhaseSpec, found: Consolidated) -> str:
    """Return the continuity file with this phase's part replaced or added; everything else stays as it is."""
    begin, end = f"<!-- phase {spec.number} {spec.name} -->", f"<!-- end of phase {spec.number} {spec.name} -->"
    unresolved = [one for one in found.conflicts if one.resolution is None]
    part = [begin, f"## Phase {spec.number}: {spec.name}", "", f"- Updated: {found.timestamp:%Y-%m-%d %H:%M} UTC" + (f", run `{found.run_id}`" if found.run_id else "")]
    part.append(f"- Agents that reported: {', '.join(one.agent_id for one in found.agents if one.has_reported) or 'none'}")
    part += [f"- Missing: {', '.join(found.missing)}"] if found.missing else []
    part += [f"- Combined risk: {found.risk_assessment.level.value}", f"- Strategy: {found.decisions.implementation_strategy or 'none'}"]
    part += [f"- Open contradiction: {_cell(one.aspect)} of {_cell(one.subject)}" for one in unresolved[:_MOST]]
    part += [f"- Next: {_cell(work.action)}" for work in found.decisions.priority_order[:5]]
    part += [f"- Details: {name}" for name in (spec.consolidate.report, spec.consolidate.synthesis) if name]
    text = "\n".join([*part, end])
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(known):
        return pattern.sub(lambda _: text, known, count=1)
    return (known.rstrip() or "# Session continuity") + "\n\n" + text + "\n"


def _conflicts(conflicts: tuple[Conflict, ...]) -> list[str]:
    lines = ["", "## Contradictions", ""]
    if not conflicts:
        return [*lines, "None."]
    for one in conflicts:
        held = "" if one.resolution is None else f" — resolved by {_cell(one.resolution.by)}: {one.resolution.holds or 'neither side'} holds"
        lines.append(f"- {'**critical** ' if one.critical else ''}{_cell(one.aspect)} of {_cell(one.subject)}{held}")
        lines += [f"  - {side.agent_id}: {_cell(str(side.value))}" + (f" ({_cell(side.text)})" if side.text else "") for side in one.sides]
    return lines


def _cell(text: str) -> str:
    # One line, and no mark of ours from outside: an agent's text must not end a phase's part of the continuity file.
    return " ".join(text.split()).replace("|", "\\|").replace("<!--", "<! --")[:400]


def _prose(text: str) -> str:
    return text.replace("<!--", "<! --")
