"""What a run does while it does it: one line for each call that ended, with its sign and its time, and for a measure with what it read.

Rules: told by the ledger after it committed, so no line runs ahead of the truth; what a step does is said by its tool, not by its author;
nothing that goes wrong with the showing touches the run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

from ...policies.measured import outcome, reading
from ...schemas.dispatch import Receipt
from ...schemas.event import Event
from ...schemas.plan import Call, Plan
from .lines import SIGNS, Line, begin, console, one_line, put, span, styled
from .phase_lines import PHASE_EVENTS, phase_lines
from .phase_screen import PhaseScreen
from .steps import headline

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..runtime import Runtime

_HINTS = 6
_SIZES = re.compile(r" \([\d,]+ (?:→ [\d,]+ )?bytes\)$")
_CLEAR = "\r\x1b[2K"


class Progress:
    """Shows the progress of one run while the block lasts. Its `run_id` is known as soon as the run is recorded."""

    def __init__(self, runtime: Runtime, *, run_id: str = "", ask: str = "", quiet: bool = False) -> None:
        """Args:
        ask: digest of what a run that begins now is asked for; tells it from those of other processes.
        quiet: only find out the run's id.
        """
        self.run_id = run_id
        self._runtime = runtime
        self._ask = ask
        self._quiet = quiet
        self._known = tuple(runtime.settings.environment.values())
        self._plan: Plan | None = None
        self._screen = console()
        self._running = False
        self._phases = PhaseScreen(self._screen)
        self._headlines: dict[tuple[str, int], str] = {}
        self._since = runtime.anchor().entries
        self._end: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        self._end = self._runtime.ledger.listen(self._take)
        if not self._quiet:
            self._runtime.on_phase = self._phases.take
        return self

    def __exit__(self, *exc: object) -> None:
        if self._end is not None:
            self._end()
        self._phases.__exit__()
        self._clear()

    def find(self) -> str:
        """Return the id of the run that was begun here, as far as the ledger knows one; empty otherwise."""
        if not self.run_id:
            for event in self._runtime.ledger.events(after=self._since):
                self._notice(event)
        return self.run_id

    def _notice(self, event: Event) -> None:
        if not self.run_id and event.type == "run.started" and event.data.get("ask") == self._ask:
            self.run_id = event.run_id

    def _take(self, event: Event) -> None:
        self._notice(event)
        if self._quiet or not self.run_id or event.run_id != self.run_id:
            return
        try:
            self._show(event)
        except Exception:  # noqa: BLE001 - the run is driven from here up: a closed pipe or a line that cannot be shown must not stop it
            self._quiet = True

    def _show(self, event: Event) -> None:
        if event.type == "step.dispatched":
            self._began(event.data)
        elif event.type.startswith("step.") and "state" in event.data:
            self._ended(event.data)
        elif event.type == "problem.vague":
            hints = event.data.get("hints", [])
            for hint in hints[:_HINTS]:
                self._print(styled(("warning: ", "yellow"), one_line(hint, 240, known=self._known, prose=True)))
            if len(hints) > _HINTS:
                left = len(hints) - _HINTS
                self._print(styled((f"{left:,} more warning{'' if left == 1 else 's'} about the document; `assent log {event.run_id}` has them", "dim")))
        elif event.type in PHASE_EVENTS:
            for line in phase_lines(event):
                self._print(line)
        elif event.type == "step.refused":
            self._print(styled(("○ ", "yellow"), f"{self._name(event.data)} not started: {one_line(', '.join(event.data.get('rules', [])))}"))

    def _began(self, data: dict[str, Any]) -> None:
        # Told between the dispatch and the effect: what the tool says now is what will happen, afterwards it would describe the result.
        self._headlines[str(data["direction"]), int(data["step"])] = self._headline(data)
        if self._screen.is_terminal and not self._screen.is_dumb_terminal:
            # Without line feed; the line that tells the end takes its place.
            self._clear()
            begin(self._screen, styled(("… ", "dim"), self._said(data)[: self._screen.width - 4]))
            self._running = True

    def _ended(self, data: dict[str, Any]) -> None:
        state = str(data["state"])
        sign, style = SIGNS.get(state, ("·", ""))
        if data["direction"] == "undo" and state == "done":
            sign = "↶"
        took = span(int(data.get("ms", 0)) / 1000)
        said = "" if state == "done" else f" {state.replace('_', ' ')}"
        is_measure = data["direction"] in ("before", "after")
        receipt = self._receipt(data) if state != "done" or is_measure else None
        found = self._measured(data, receipt) if is_measure and state == "done" else ""
        self._print(styled((f"{sign} ", style), self._said(data), (found, "bold"), (f"{said} ({took})", style if said else "dim")))
        if state != "done" and receipt is not None and receipt.summary:
            self._print(styled("    ", one_line(receipt.summary, 300, known=self._known)))

    def _measured(self, data: dict[str, Any], receipt: Receipt | None) -> str:
        """Return what was read, for the metrics that are watched."""
        plan, number = self._of(data), int(data["step"])
        if plan is None or not 1 <= number <= len(plan.measures):
            return ""
        measure, direction = plan.measures[number - 1], str(data["direction"])
        value, why = reading(measure, direction, receipt)
        if value is None:
            return f" → {one_line(why, 120, known=self._known)}"
        verdict = outcome(measure, (None, ""), (value, "")).met if direction == "after" else None
        shown = f"{value:g}" if isinstance(value, float) else value
        said = {True: ", met", False: ", not met", None: ""}[verdict]
        return f" → {one_line(measure.criterion, 80, known=self._known, prose=True)}: {one_line(f'{shown} {measure.unit}'.strip(), 60, known=self._known)}{said}"

    def _said(self, data: dict[str, Any]) -> str:
        place = (str(data["direction"]), int(data["step"]))
        return f"{self._name(data)} {self._headlines[place] if place in self._headlines else self._headline(data)}"

    def _headline(self, data: dict[str, Any]) -> str:
        call, plan, number = self._call(data), self._of(data), int(data.get("step", 0))
        if call is None:
            return ""
        tells = one_line(headline(call, self._runtime.tools, self._runtime.place(self.run_id)), 140, known=self._known)
        if data["direction"] == "undo" and plan is not None and plan.steps[number - 1].undo is None:
            # The tool takes back its own call: what that would do now, once more, is not what happens.
            return self._headlines.get(("do", number)) or _SIZES.sub("", tells)
        return tells

    def _name(self, data: dict[str, Any]) -> str:
        plan, number = self._of(data), int(data.get("step", 0))
        if data.get("direction") in ("before", "after"):
            return f"measure {number}/{len(plan.measures) if plan else '?'} {data['direction']}"
        return f"{'undo of ' if data.get('direction') == 'undo' else ''}step {number}/{len(plan.steps) if plan else '?'}"

    def _call(self, data: dict[str, Any]) -> Call | None:
        plan, number = self._of(data), int(data.get("step", 0))
        items: Any = () if plan is None else plan.measures if data["direction"] in ("before", "after") else plan.steps
        if not 1 <= number <= len(items):
            return None
        item = items[number - 1]
        call: Call = item.undo if data["direction"] == "undo" and item.undo is not None else item.call
        return call

    def _of(self, data: dict[str, Any]) -> Plan | None:
        if self._plan is None or ("digest" in data and self._plan.digest != data["digest"]):
            self._plan = self._runtime.ledger.plan(self.run_id)
        return self._plan

    def _receipt(self, data: dict[str, Any]) -> Receipt | None:
        found = next((d for d in self._runtime.ledger.dispatches(self.run_id) if d.key == data.get("key")), None)
        return found.receipt if found is not None else None

    def _print(self, text: Line) -> None:
        self._clear()
        put(self._screen, text)

    def _clear(self) -> None:
        if self._running:
            self._running = False
            self._screen.file.write(_CLEAR)
            self._screen.file.flush()
