"""How a phase stands, from its events: how far, who is at work, until when, what blocks it and what it waits for. Pure.

Rules:
- The percentage counts agents; one that says how far it is counts in part, and never as a whole before it has ended.
- A time that is known from something (an agent's own progress, the last time, how long the others took) is an estimate; otherwise only the limit is known, and
  it is said to be a bound (`at_most`).
- An agent that is re-run is at work again; what it came to before stays as a blocker until it reports.

Source: E14, the fields of the monitoring dashboard in the phases document (phase, progress, estimated completion, active agents, blockers).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from ..schemas.phase_event import AgentEnded, AgentProgress, PhaseBegan, PhaseChecked, PhaseConsolidated
from .counted import counted

State = Literal["working", "ended"]
Event = PhaseBegan | AgentProgress | AgentEnded | PhaseConsolidated | PhaseChecked
_ALMOST = 0.95


@dataclass(frozen=True)
class AgentStanding:
    """One agent."""

    agent: str
    began_at: datetime
    limit_s: float
    expected_s: float = 0.0
    """What it took the last time; 0 where nobody knows."""
    state: State = "working"
    share: float = 0.0
    """How far it is, from its own words; 0 to 1."""
    doing: str = ""
    outcome: str = ""
    reason: str = ""
    took_s: float = 0.0
    reused: bool = False

    @property
    def has_reported(self) -> bool:
        """Whether its report is there."""
        return self.outcome == "reported"


@dataclass(frozen=True)
class Remaining:
    """Seconds until something ends; `at_most`: only the limit is known."""

    seconds: float
    at_most: bool


@dataclass(frozen=True)
class PhaseStanding:
    """One phase."""

    phase: str = ""
    attempt: int = 0
    agents: tuple[AgentStanding, ...] = ()
    consolidated: bool = False
    passed: bool | None = None
    waits_for: str = ""
    """What the phase waits for now, in words."""
    notes: tuple[str, ...] = field(default=())

    @property
    def progress(self) -> float:
        """Return how far the phase is, 0 to 1; only a checkpoint that was passed makes it whole."""
        if self.passed:
            return 1.0
        if not self.agents:
            return 0.0
        done = sum(1.0 if one.state == "ended" else min(one.share, _ALMOST) for one in self.agents)
        return _ALMOST * (done / len(self.agents))

    @property
    def active(self) -> tuple[str, ...]:
        """Return who is at work."""
        return tuple(one.agent for one in self.agents if one.state == "working")

    @property
    def blockers(self) -> tuple[str, ...]:
        """Return what keeps the phase from its end, as sentences."""
        ended = tuple(f"{one.agent} {one.outcome}" + (f": {one.reason}" if one.reason else "") for one in self.agents if one.outcome and not one.has_reported)
        return ended + self.notes

    def agent(self, name: str) -> AgentStanding | None:
        """Return one agent."""
        return next((one for one in self.agents if one.agent == name), None)


def follow(standing: PhaseStanding, event: Event) -> PhaseStanding:
    """Return how the phase stands after an event."""
    if isinstance(event, PhaseBegan):
        return _began(standing, event)
    if isinstance(event, AgentProgress):
        found = _changed(standing, event.agent, lambda one: replace(one, share=event.done / event.total if event.total else 0.0, doing=event.doing) if one.state == "working" else one)
        return replace(found, waits_for=_waits(found))
    if isinstance(event, AgentEnded):
        found = _changed(
            standing, event.agent,
            lambda one: replace(one, state="ended", outcome=event.outcome, reason=event.reason, took_s=event.took_s, reused=event.reused, doing=""),
        )  # fmt: skip
        return replace(found, waits_for=_waits(found))
    if isinstance(event, PhaseConsolidated):
        notes = (f"{counted(event.conflicts, 'contradiction')} between agents",) if event.conflicts else ()
        return replace(standing, consolidated=True, notes=notes, waits_for="the checkpoint")
    return _checked(standing, event)


def remaining(standing: PhaseStanding, now: datetime) -> Remaining | None:
    """Return how long the agents still need: the longest of them. `None`: nobody is at work."""
    left = [_left(one, standing, now) for one in standing.agents if one.state == "working"]
    return max(left, key=lambda one: one.seconds, default=None)


def agent_remaining(standing: PhaseStanding, name: str, now: datetime) -> Remaining | None:
    """Return how long one agent still needs; `None`: it is not at work."""
    one = standing.agent(name)
    return _left(one, standing, now) if one is not None and one.state == "working" else None


def _began(standing: PhaseStanding, event: PhaseBegan) -> PhaseStanding:
    again = event.attempt > 0 and standing.phase == event.phase
    fresh = {name: AgentStanding(name, event.at, event.limits_s.get(name, event.limit_s), event.expected_s.get(name, 0.0)) for name in event.asked}
    before = {one.agent: one for one in standing.agents} if again else {}
    agents = []
    for name in event.agents:
        known = before.get(name)
        if name in fresh:
            agents.append(replace(fresh[name], outcome=known.outcome, reason=known.reason) if known is not None else fresh[name])
        elif known is not None:
            agents.append(known)
    found = PhaseStanding(phase=event.phase, attempt=event.attempt, agents=tuple(agents))
    return replace(found, waits_for=_waits(found))


def _checked(standing: PhaseStanding, event: PhaseChecked) -> PhaseStanding:
    if event.passed:
        return replace(standing, passed=True, waits_for="")
    if event.action == "rerun":
        return replace(standing, waits_for="agents that are run again")
    return replace(standing, passed=False, waits_for=event.question or "an answer")


def _changed(standing: PhaseStanding, name: str, change: Callable[[AgentStanding], AgentStanding]) -> PhaseStanding:
    return replace(standing, agents=tuple(change(one) if one.agent == name else one for one in standing.agents))


def _waits(standing: PhaseStanding) -> str:
    active = standing.active
    return ", ".join(active) if active else "the consolidation"


def _left(one: AgentStanding, standing: PhaseStanding, now: datetime) -> Remaining:
    spent = max(0.0, (now - one.began_at).total_seconds())
    bound = max(0.0, one.limit_s - spent)
    if one.share > 0:
        return Remaining(min(bound, spent / one.share - spent), at_most=False)
    took = [other.took_s for other in standing.agents if other.has_reported and other.state == "ended" and not other.reused and other.took_s > 0]
    typical = one.expected_s or (statistics.median(took) if took else 0.0)
    if typical > spent:
        return Remaining(min(bound, typical - spent), at_most=False)
    return Remaining(bound, at_most=True)
