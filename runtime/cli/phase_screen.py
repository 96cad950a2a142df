"""A phase on the screen, from its events: a bar for the phase and one for each agent, with the time that is left, what blocks it and what it waits
for. Where standard output is no terminal, one plain line for each thing that happened.

    with PhaseScreen() as screen:
        run_analysis(path, out, notify=screen.take)

Rules: events may come from any thread, in LangGraph's form or as the data of a ledger's entries; what agents say is cleaned like every text from
outside; nothing that goes wrong with the showing touches the phase. What stands there is decided by `policies/phase_progress.py`. Source: E14.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from ...policies.counted import counted
from ...policies.phase_progress import AgentStanding, PhaseStanding, Remaining, agent_remaining, follow, remaining
from ...schemas.phase_event import AgentEnded, PhaseBegan, PhaseChecked, read_phase_event
from .lines import Line, console, one_line, put, span, styled

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_BAR = 24
_EACH_S = 0.25
_REASON = 160


def _now() -> datetime:
    return datetime.now(UTC)


class PhaseScreen:
    """Shows phases, one after the other, while the block lasts."""

    def __init__(self, screen: Console | None = None, *, now: Callable[[], datetime] = _now) -> None:
        self._screen = screen if screen is not None else console()
        self._now = now
        self._standing = PhaseStanding()
        self._lock = threading.Lock()
        self._live: Any = None
        self._is_live = self._screen.is_terminal and not self._screen.is_dumb_terminal
        self._is_broken = False

    @property
    def standing(self) -> PhaseStanding:
        """How the phase stands that was told of last."""
        return self._standing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._rest()

    def take(self, event: Mapping[str, Any]) -> None:
        """Show an event; what is none of a phase is passed over."""
        found = read_phase_event(event)
        if found is None or self._is_broken:
            return
        try:
            with self._lock:
                self._standing = follow(self._standing, found)
                if self._is_live:
                    self._draw(isinstance(found, PhaseChecked) and found.action != "rerun")
                else:
                    self._tell(found)
        except Exception:  # noqa: BLE001 - a closed pipe or a line that cannot be shown must not stop the phase
            self._is_broken = True

    # --- a terminal -------------------------------------------------------------------------------------------------------------------

    def _draw(self, is_over: bool) -> None:
        if self._live is None:
            from rich.live import Live

            # Drawn anew by a thread of rich's, so that the clock moves while nothing happens.
            self._live = Live(self, console=self._screen, refresh_per_second=1 / _EACH_S, redirect_stdout=False, redirect_stderr=False)
            self._live.start(refresh=True)
        if is_over:
            self._rest()

    def _rest(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def __rich_console__(self, screen: Console, options: ConsoleOptions) -> RenderResult:
        """Render for rich."""
        yield from lines(self._standing, self._now(), options.max_width)

    # --- no terminal ------------------------------------------------------------------------------------------------------------------

    def _tell(self, event: Any) -> None:
        if isinstance(event, PhaseBegan):
            again = f", re-run {event.attempt} of {', '.join(event.asked)}" if event.attempt else ""
            put(self._screen, styled(f"… {event.phase}: {counted(len(event.asked), 'agent')}, at most {span(event.limit_s)}{again}"))
        elif isinstance(event, AgentEnded):
            one = self._standing.agent(event.agent)
            if one is not None:
                put(self._screen, styled(*_ended(one), f" ({len(self._standing.agents) - len(self._standing.active)} of {len(self._standing.agents)})"))
        elif isinstance(event, PhaseChecked) and not event.passed:
            put(self._screen, styled(f"○ {event.phase} not passed: {one_line(self._standing.waits_for, 300)}"))


def lines(standing: PhaseStanding, now: datetime, width: int = 100) -> list[Line]:
    """Return a phase as lines: its own bar, one for each agent, what blocks it and what it waits for."""
    if not standing.phase:
        return []
    room = max(20, width - _BAR - 30)
    head = "done" if standing.passed else "waits" if standing.passed is False else _left(remaining(standing, now))
    found = [styled((f"{standing.phase:<16.16} ", "bold"), *_bar(standing.progress), f" {standing.progress:4.0%}  {head}" + (f"  re-run {standing.attempt}" if standing.attempt else ""))]
    for one in standing.agents:
        if one.state == "ended":
            found.append(styled("  ", *_ended(one, room)))
            continue
        share = one.share or _of_time(one, now)
        doing = one_line(one.doing, room, prose=True) if one.doing else ""
        found.append(
            styled(f"  {one.agent:<14.14} ", *_bar(share, "cyan" if one.share else "dim"), "       ", _left(agent_remaining(standing, one.agent, now)), (f"  {doing}" if doing else "", "dim"))
        )
    # What an agent that has ended came to stands in its own line.
    known = {f"{one.agent} {one.outcome}" for one in standing.agents if one.state == "ended"}
    blockers = [styled("  ", ("blocked by ", "yellow"), one_line(what, width - 14, prose=True)) for what in standing.blockers if what.partition(":")[0] not in known]
    if standing.waits_for and standing.passed is None:
        found.append(styled("  ", ("waits for ", "dim"), one_line(standing.waits_for, width - 14, prose=True)))
    elif standing.passed is False:
        found.append(styled("  ", ("not passed: ", "yellow"), one_line(standing.waits_for, width * 3, prose=True)))
    return [*found, *blockers]


def _ended(one: AgentStanding, room: int = _REASON) -> list[str | tuple[str, str]]:
    sign, style = ("✓ ", "yellow" if one.reason else "green") if one.has_reported else ("? ", "yellow") if one.outcome == "asks" else ("✗ ", "red")
    took = "unchanged since the last time" if one.reused else span(one.took_s)
    return [(sign, style), f"{one.agent} {one.outcome} ({took})" + (f": {one_line(one.reason, room, prose=True)}" if one.reason else "")]


def _bar(share: float, style: str = "green") -> list[str | tuple[str, str]]:
    full = round(_BAR * min(1.0, max(0.0, share)))
    return [("━" * full, style), ("╌" * (_BAR - full), "dim")]


def _of_time(one: AgentStanding, now: datetime) -> float:
    # Where an agent does not say how far it is, the bar shows how much of its time is used up: what it took the last time, or at most has.
    spent = max(0.0, (now - one.began_at).total_seconds())
    return spent / one.expected_s if one.expected_s > spent else spent / one.limit_s if one.limit_s else 0.0


def _left(left: Remaining | None) -> str:
    if left is None:
        return ""
    minutes, seconds = divmod(round(left.seconds), 60)
    return f"{'at most ' if left.at_most else 'about '}{minutes}:{seconds:02} left"
