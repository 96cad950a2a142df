"""Phase: three to five agents at once, as data; and what became of each of them.

Rules: everything about a phase that a person may want to change is a field here; what became of an agent is always said, also when it did not
answer. How an agent speaks is `agent_message.py`, what is made of the reports `consolidated.py`. Source: E1, E5, E9, E10, E12; sizes A15.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, JsonValue, model_validator

from .agent_message import MessagePriority, PhaseNumber, Severity
from .noun import Noun

_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
_FILE = r"^([A-Za-z0-9][A-Za-z0-9._-]{0,119})?$"


class AgentLimits(Noun):
    """Bounds on one agent and on what it starts."""

    time_s: float = Field(default=300, gt=0, le=86_400)
    memory_mb: int = Field(default=512, ge=64, description="Enforced on agents and commands that are processes.")
    cpu_share: float = Field(default=0.25, gt=0, le=1, description="Of one processor, on average over the time limit; as memory.")
    report_bytes: int = Field(default=1024**2, ge=1024, description="The largest answer that is read.")
    turns: int = Field(default=12, ge=1, le=100, description="Questions to a model, the last of which has to be answered with the report.")
    tokens: int = Field(default=200_000, ge=1000, description="Of all questions and answers of a model together.")


class AgentSpec(Noun):
    """One agent of a phase."""

    id: str = Field(pattern=_NAME)
    role: str = Field(min_length=1)
    focus: tuple[str, ...] = Field(min_length=1, description="What to look at; a re-run gets less of it.")
    narrower: tuple[tuple[str, ...], ...] = Field(default=(), description="The focus of each re-run; otherwise half of the one before.")
    prompt: str = ""
    tools: tuple[str, ...] = ()
    agent: str = Field(default="", description="Name of the callable in the ports; its id by default.")
    backup: str = Field(default="", description="Name of the callable that takes the last re-run.")
    priority: MessagePriority = "normal"
    limits: AgentLimits = Field(default_factory=AgentLimits)
    report: str = Field(default="", pattern=_FILE, description="File name of its report.")

    @property
    def callable(self) -> str:
        """Name under which the ports know it."""
        return self.agent or self.id


CriterionCheck = Literal["agents_completed", "no_critical_conflicts", "section_complete", "risk_documented", "strategy_defined", "no_finding"]
OnFailure = Literal["rerun", "resolve", "ask"]


class Criterion(Noun):
    """One thing that must hold before the next phase begins. `policies/checkpoint.py` says what each check and its arguments mean."""

    id: str = Field(pattern=_NAME)
    text: str = Field(min_length=1)
    check: CriterionCheck
    args: dict[str, JsonValue] = Field(default_factory=dict)
    on_failure: OnFailure = "ask"


class Gathering(Noun):
    """How reports are put together."""

    sections: dict[str, str] = Field(default_factory=dict, description="Section of the synthesis ← id of the agent whose data it is.")
    tolerances: dict[str, float] = Field(default_factory=dict, description="Aspect → relative difference below which two numbers agree.")
    critical_from: Severity = Field(default="high", description="A conflict is critical when a side's severity is at least this.")
    report: str = Field(default="", pattern=_FILE, description="Name of the markdown file.")
    synthesis: str = Field(default="", pattern=_FILE, description="Name of the JSON file.")
    resources: dict[str, JsonValue] = Field(default_factory=dict, description="Bounds that the next phase should have.")


class PhaseSpec(Noun):
    """A phase as data. How many agents it may have is decided by `policies/phase_size.py`."""

    name: str = Field(pattern=_NAME)
    number: PhaseNumber = "1"
    purpose: str = ""
    agents: tuple[AgentSpec, ...] = Field(min_length=1)
    consolidate: Gathering = Field(default_factory=Gathering)
    criteria: tuple[Criterion, ...] = Field(min_length=1, description="Without any, a checkpoint would say nothing.")
    time_limit_s: float = Field(default=300, gt=0, le=86_400)
    reruns: int = Field(default=1, ge=0, le=3, description="How often agents may be run again with a narrower scope.")
    reuse: Literal["run", "any run"] = Field(default="run", description="Whose reports about the same inputs are taken instead of running.")

    @model_validator(mode="after")
    def _consistent(self) -> PhaseSpec:
        ids = [agent.id for agent in self.agents]
        if len(set(ids)) != len(ids):
            raise ValueError(f"each agent has an id of its own, found {ids[:12]}")
        files = [agent.report for agent in self.agents if agent.report]
        if len(set(files)) != len(files):
            raise ValueError("each agent's report has a file name of its own")
        unknown = sorted(set(self.consolidate.sections.values()) - set(ids))
        if unknown:
            raise ValueError(f"sections come from agents of this phase, found {unknown}")
        names = [criterion.id for criterion in self.criteria]
        if len(set(names)) != len(names):
            raise ValueError("each criterion has an id of its own")
        return self

    def agent(self, agent_id: str) -> AgentSpec:
        """Return an agent. Raises: KeyError."""
        for agent in self.agents:
            if agent.id == agent_id:
                return agent
        raise KeyError(agent_id)


class LinkedWorkflow(Noun):
    """One part of a phase or workflow that was too large."""

    name: str
    members: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    can_run_parallel_with: tuple[str, ...] = ()


class AgentOutcome(StrEnum):
    """What became of an agent."""

    REPORTED = "reported"
    FAILED = "failed"
    """It answered that it could not do it."""
    LATE = "late"
    CRASHED = "crashed"
    INVALID = "invalid"
    ASKS = "asks"
    """It stopped with a question to a person."""


class FaultCategory(StrEnum):
    """What kind of fault it was; `policies/phase_recovery.yaml` says what is done about each."""

    AGENT_FAILURE = "agent_failure"
    DATA_CORRUPTION = "data_corruption"
    RESOURCE_EXHAUSTION = "resource_exhaustion"
    INTEGRATION_FAILURE = "integration_failure"


class Settled(Noun):
    """What became of one agent; the report itself is kept under `digest`."""

    agent_id: str
    outcome: AgentOutcome
    category: FaultCategory | None = None
    reason: str = Field(default="", max_length=600)
    digest: str = ""
    size_bytes: int = 0
    took_s: float = 0
    attempt: int = 0
    round: int = 0
    reused: bool = False
    partial: bool = Field(default=False, description="It reported, with a warning that something is missing; such a report is not reused.")

    @property
    def has_reported(self) -> bool:
        """Whether there is a report to read."""
        return self.outcome is AgentOutcome.REPORTED
