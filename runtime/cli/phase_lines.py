"""What happens in the phases of a delivery, a line each: from the ledger's log, and from the agents as they end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...schemas.event import Event
from .lines import Line, one_line, span, styled

PHASE_EVENTS = frozenset({"phase.began", "phase.checked", "rollback.rehearsed", "release.decided"})
_DECISIONS = {"PROCEED": "green", "CONDITIONAL_PROCEED": "yellow", "BLOCK": "bold red"}


def phase_lines(event: Event) -> Iterator[Line]:
    """Yield what an entry of the log says."""
    data: Mapping[str, Any] = event.data
    if event.type == "phase.began":
        reasons = data.get("staffing", {}).get("reasons", [])
        yield styled(("… ", "dim"), f"{one_line(data['phase'], 40)}: {len(data['agents'])} agents", (f"  ({one_line('; '.join(reasons), 200)})" if reasons else "", "dim"))
    elif event.type == "phase.checked":
        sign, style = ("✓", "green") if data["passed"] else ("✗", "red")
        failed = f" not passed: {one_line(', '.join(data['failed']))}" if not data["passed"] else " passed"
        yield styled((f"{sign} ", style), f"checkpoint of the {one_line(data['phase'], 40)}{failed}")
    elif event.type == "rollback.rehearsed":
        sign, style = ("✓", "green") if data["tested"] else ("✗", "red")
        yield styled((f"{sign} ", style), f"way back tried in a copy: {len(data['steps'])} steps, {len(data['verified'])} seen to be back")
        for text in data["untested"]:
            yield styled("    ", one_line(text, 240, prose=True))
    elif event.type == "release.decided":
        warnings = "not measured" if data["warnings"] is None else data["warnings"]
        yield styled((one_line(data["decision"], 40), _DECISIONS.get(data["decision"], "")), f", warnings: {warnings}")


def agent_lines(event: Mapping[str, Any]) -> Iterator[Line]:
    """Yield what a phase tells while it runs, as far as the log does not."""
    if event.get("type") == "phase.agent":
        sign, style = ("✓", "green") if event["outcome"] == "reported" else ("✗", "red")
        took = "unchanged since the last time" if event["reused"] else span(event["took_s"])
        reason = f": {one_line(event['reason'], 200, prose=True)}" if event["reason"] else ""
        yield styled((f"  {sign} ", style), f"{one_line(event['agent'], 60)} {one_line(event['outcome'], 20)}", (f" ({took})", "dim"), reason)
