"""What a delivery comes to between its phases, a line each, from the ledger's log. The phases themselves are `phase_screen.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...policies.counted import counted
from ...schemas.event import Event
from .lines import Line, one_line, styled

PHASE_EVENTS = frozenset({"phase.began", "phase.checked", "rollback.rehearsed", "release.decided"})
_DECISIONS = {"PROCEED": "green", "CONDITIONAL_PROCEED": "yellow", "BLOCK": "bold red"}


def phase_lines(event: Event) -> Iterator[Line]:
    """Yield what an entry of the log says."""
    data: Mapping[str, Any] = event.data
    if event.type == "phase.began":
        reasons = data.get("staffing", {}).get("reasons", [])
        if reasons:
            yield styled(("… ", "dim"), f"{counted(len(data['agents']), 'agent')} for the {one_line(data['phase'], 40)}", (f"  ({one_line('; '.join(reasons), 200)})", "dim"))
    elif event.type == "phase.checked":
        sign, style = ("✓", "green") if data["passed"] else ("✗", "red")
        failed = f" not passed: {one_line(', '.join(data['failed']))}" if not data["passed"] else " passed"
        yield styled((f"{sign} ", style), f"checkpoint of the {one_line(data['phase'], 40)}{failed}")
    elif event.type == "rollback.rehearsed":
        sign, style = ("✓", "green") if data["tested"] else ("✗", "red")
        yield styled((f"{sign} ", style), f"way back tried in a copy: {counted(len(data['steps']), 'step')}, {len(data['verified'])} seen to be back")
        for text in data["untested"]:
            yield styled("    ", one_line(text, 240, prose=True))
    elif event.type == "release.decided":
        warnings = "not measured" if data["warnings"] is None else data["warnings"]
        yield styled((one_line(data["decision"], 40), _DECISIONS.get(data["decision"], "")), f", warnings: {warnings}")
