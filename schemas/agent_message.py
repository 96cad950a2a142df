"""Agent message: what an agent of a phase is told and what it answers, as one typed protocol (header, body, metadata); and the report inside.

Rules: the fields are those of the source, word for word; an answer is checked against what was asked before anything reads it
(`policies/agent_message.py`); what an agent claims about itself is a claim, what was measured replaces it. Phases 4 and 5 are ours, because a
workflow has up to five phases. Source: E8, the agent communication protocol of the phases document.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from .noun import At, Noun
from .risk import Level

PhaseNumber = Literal["1", "2", "3", "4", "5", "consolidation"]
MessagePriority = Literal["critical", "high", "normal", "low"]
MessageType = Literal["result", "error", "warning", "info"]
Severity = Literal["critical", "high", "medium", "low", "info"]
Layer = Literal["core", "integration", "support"]

SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")
"""Worst first."""
LAYERS: tuple[Layer, ...] = ("core", "integration", "support")
"""The order in which changes are made."""


class Header(Noun):
    """Who speaks, in which phase, when, how urgently."""

    phase: PhaseNumber
    agent_id: str = Field(min_length=1, max_length=64)
    timestamp: At
    priority: MessagePriority = "normal"


class Body(Noun):
    """What is said."""

    message_type: MessageType
    content: dict[str, JsonValue] = Field(default_factory=dict)
    dependencies: tuple[str, ...] = Field(default=(), description="Subjects or agents that this depends on.")
    next_action: str = ""


class Metadata(Noun):
    """What it took."""

    execution_time: float = Field(default=0, ge=0, allow_inf_nan=False, description="Seconds.")
    resource_usage: dict[str, JsonValue] = Field(default_factory=dict)
    retry_count: int = Field(default=0, ge=0)


class AgentMessage(Noun):
    """One message between a phase and an agent, in either direction."""

    header: Header
    body: Body
    metadata: Metadata = Field(default_factory=Metadata)


class PhaseFinding(Noun):
    """One thing that an agent found. Two agents that give the same `subject` and `aspect` different values contradict each other."""

    subject: str = Field(min_length=1, max_length=400, description="What it is about: `component billing`, `src/app.py`, `tests`.")
    aspect: str = Field(default="", max_length=200, description="Which property of it; without one it cannot contradict anything.")
    value: JsonValue = None
    severity: Severity = "info"
    text: str = Field(default="", max_length=4000)
    evidence: tuple[str, ...] = Field(default=(), max_length=50, description="`file:line`, a command, a measurement.")


class PhaseRisk(Noun):
    """A risk that an agent sees."""

    level: Level
    text: str = Field(min_length=1, max_length=4000)


class Advice(Noun):
    """Something that an agent says should be done, and in which layer."""

    action: str = Field(min_length=1, max_length=1000)
    layer: Layer = "core"
    severity: Severity = "medium"


class AgentReport(Noun):
    """The content of an agent's result: what a consolidation can merge. `data` is the agent's own section of the synthesis."""

    summary: str = Field(default="", max_length=8000)
    findings: tuple[PhaseFinding, ...] = ()
    risks: tuple[PhaseRisk, ...] = ()
    advice: tuple[Advice, ...] = ()
    depends_on: tuple[str, ...] = ()
    data: dict[str, Any] = Field(default_factory=dict)
    not_looked_at: tuple[str, ...] = Field(default=(), description="What could not be examined, and why.")
