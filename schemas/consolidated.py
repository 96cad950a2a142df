"""Consolidated: what the agents of a phase found, put together, and what its checkpoint says about that.

Rules: a conflict keeps every side, resolved or not; agents that did not report are in it by name; only `passed` leads to the next phase.
Source: E2, E3 and the consolidation template of the phases document.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, JsonValue

from .agent_message import Layer, PhaseNumber, Severity
from .noun import At, Noun
from .phase import OnFailure, Settled
from .risk import Level


class Side(Noun):
    """One side of a conflict."""

    agent_id: str
    value: JsonValue = None
    severity: Severity = "info"
    text: str = ""
    evidence: tuple[str, ...] = ()


class Resolution(Noun):
    """A person's answer to a conflict: which side holds."""

    conflict: str
    holds: str = Field(description="Id of the agent whose side holds; empty when neither does.")
    by: str = Field(min_length=1)
    reason: str = ""


class Conflict(Noun):
    """Two or more agents that say different things about the same aspect of the same subject. The id is a digest of the sides."""

    id: str
    subject: str
    aspect: str
    sides: tuple[Side, ...] = Field(min_length=2)
    critical: bool
    resolution: Resolution | None = None


class Dependency(Noun):
    """An agent's work that rests on something; `agents` are those that spoke about it."""

    agent_id: str
    on: str
    agents: tuple[str, ...] = ()


class RiskNote(Noun):
    """A reason for the combined risk, and whose it is."""

    agent_id: str = ""
    level: Level
    text: str


class RiskAssessment(Noun):
    """The combined risk."""

    level: Level
    notes: tuple[RiskNote, ...] = ()
    by_agent: dict[str, Level] = Field(default_factory=dict)
    not_assessed: tuple[str, ...] = Field(default=(), description="Agents without a report, and what reports did not look at.")


class Work(Noun):
    """One thing to do, in its place."""

    order: int
    layer: Layer
    severity: Severity
    action: str
    agents: tuple[str, ...]


class Decisions(Noun):
    """What follows from the synthesis."""

    implementation_strategy: str = ""
    priority_order: tuple[Work, ...] = ()
    resource_allocation: dict[str, JsonValue] = Field(default_factory=dict)


class MergedFinding(Noun):
    """A finding with everybody who made it."""

    subject: str
    aspect: str = ""
    value: JsonValue = None
    severity: Severity
    text: str = ""
    evidence: tuple[str, ...] = ()
    agents: tuple[str, ...]


class Consolidated(Noun):
    """The synthesis of a phase. `document()` is the form of the source."""

    timestamp: At
    phase: str
    number: PhaseNumber = "1"
    run_id: str = ""
    inputs: tuple[str, ...] = Field(description="Digests of the reports that were read.")
    sections: dict[str, Any] = Field(default_factory=dict)
    summaries: dict[str, str] = Field(default_factory=dict)
    findings: tuple[MergedFinding, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    risk_assessment: RiskAssessment
    decisions: Decisions = Field(default_factory=Decisions)
    agents: tuple[Settled, ...] = Field(default=(), description="What became of each agent, also of those without a report.")

    @property
    def missing(self) -> tuple[str, ...]:
        """Agents without a report."""
        return tuple(agent.agent_id for agent in self.agents if not agent.has_reported)

    def with_resolutions(self, resolutions: Iterable[Resolution]) -> Consolidated:
        """Return the same with what people said about its conflicts, and with nothing that they did not say."""
        answers = {one.conflict: one for one in resolutions}
        return self.model_copy(update={"conflicts": tuple(one.model_copy(update={"resolution": answers.get(one.id)}) for one in self.conflicts)})

    def document(self) -> dict[str, Any]:
        """Return the machine-readable synthesis with the names of the source, and beside them what became of each agent."""
        data = self.as_json()
        merged = {"findings", "conflicts", "dependencies", "risk_assessment"}
        return {
            "timestamp": data["timestamp"],
            "phase": f"{self.phase}_consolidation",
            "run_id": self.run_id,
            "inputs": data["inputs"],
            "synthesis": {**self.sections, **{name: data[name] for name in sorted(merged)}},
            "decisions": data["decisions"],
            "agents": data["agents"],
            "missing": list(self.missing),
        }


class CriterionResult(Noun):
    """Whether one criterion holds, and why."""

    id: str
    text: str
    met: bool
    reason: str
    on_failure: OnFailure = "ask"
    agents: tuple[str, ...] = Field(default=(), description="Agents whose re-run could cure it.")


CheckpointAction = Literal["go on", "rerun", "resolve", "ask"]


class CheckpointResult(Noun):
    """What a checkpoint says. Nothing but `passed` leads to the next phase."""

    phase: str
    passed: bool
    criteria: tuple[CriterionResult, ...]
    action: CheckpointAction
    reruns: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="Agent to run again → its narrower focus.")
    conflicts: tuple[str, ...] = Field(default=(), description="Ids of the conflicts that a person has to resolve.")
    question: str = ""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass."""
        return tuple(f"{c.text}: {c.reason}" for c in self.criteria if not c.met)
