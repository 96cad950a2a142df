"""What happens in a phase, as typed events for screens: in a terminal, in a browser, in LangGraph's custom stream, in the ledger of a run.

    phase.began         agents are asked, the first time or again
    phase.progress      an agent says how far it is
    phase.agent         what became of an agent
    phase.consolidated  the reports are one synthesis
    phase.checked       what the checkpoint said, and what is waited for now

Rules: an event is small JSON and names its phase; what an agent reported is never in it. New kinds and fields may be added; a screen passes over
what it does not know (`read_phase_event` returns `None`). Source: E14.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from .noun import At, Noun


class _Event(Noun):
    # A screen of an older version shows what it knows of a newer phase's event.
    model_config = ConfigDict(frozen=True, extra="ignore")

    at: At
    run_id: str = ""
    phase: str
    attempt: int = 0


class PhaseBegan(_Event):
    """Agents were asked."""

    type: Literal["phase.began"] = "phase.began"
    agents: tuple[str, ...] = Field(description="All agents of the phase.")
    asked: tuple[str, ...] = Field(description="Those that are asked in this attempt.")
    limits_s: dict[str, float] = Field(default_factory=dict, description="Agent → seconds that it has at most.")
    limit_s: float = Field(description="The longest of them.")
    expected_s: dict[str, float] = Field(default_factory=dict, description="Agent → seconds that it took the last time, where that is known.")


class AgentProgress(_Event):
    """An agent says how far it is."""

    type: Literal["phase.progress"] = "phase.progress"
    agent: str
    done: float = Field(ge=0)
    total: float = Field(ge=0, description="0: nobody knows how much there is to do.")
    doing: str = ""


class AgentEnded(_Event):
    """An agent reported, failed, crashed, ran out of its time or asked a person."""

    type: Literal["phase.agent"] = "phase.agent"
    agent: str
    outcome: str
    reason: str = ""
    took_s: float = 0
    reused: bool = False


class PhaseConsolidated(_Event):
    """The reports that arrived are one synthesis, kept under `digest`."""

    type: Literal["phase.consolidated"] = "phase.consolidated"
    digest: str
    reported: int
    missing: tuple[str, ...] = ()
    conflicts: int = 0
    risk: str


class PhaseChecked(_Event):
    """The checkpoint was passed, runs agents again, or puts a question to people."""

    type: Literal["phase.checked"] = "phase.checked"
    passed: bool
    action: str
    reasons: tuple[str, ...] = ()
    question: str = ""


PhaseEvent = Annotated[PhaseBegan | AgentProgress | AgentEnded | PhaseConsolidated | PhaseChecked, Field(discriminator="type")]
_ADAPTER: TypeAdapter[PhaseBegan | AgentProgress | AgentEnded | PhaseConsolidated | PhaseChecked] = TypeAdapter(PhaseEvent)


def read_phase_event(data: Mapping[str, Any]) -> PhaseBegan | AgentProgress | AgentEnded | PhaseConsolidated | PhaseChecked | None:
    """Read an event; `None`: it is none of a phase, or of a kind that is not known here."""
    try:
        return _ADAPTER.validate_python(dict(data))
    except ValidationError:
        return None
