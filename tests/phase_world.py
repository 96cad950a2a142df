"""A phase for tests: agents that do as they are told and are counted, ports in a folder, and the graph of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assent.graphs import phase
from assent.nodes.phase_ports import PhasePorts
from assent.runtime.phases.files import PhaseFiles
from assent.runtime.phases.store import PhaseStore, ReportKeep
from assent.runtime.testing import FrozenClock
from assent.schemas.consolidated import CheckpointResult, Consolidated, Resolution
from assent.schemas.phase import AgentLimits, AgentSpec, Criterion, Gathering, PhaseSpec, Settled

Agent = Callable[[Any], Any]


def _says_nothing(message: Any) -> dict[str, Any]:
    return says()


def finding(subject: str, aspect: str = "", value: Any = None, severity: str = "info", **more: Any) -> dict[str, Any]:
    return {"subject": subject, "aspect": aspect, "value": value, "severity": severity, **more}


def says(*findings: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"summary": "looked", "findings": [dict(one) for one in findings], **more}


def spec_of(names: str = "abc", *, time_s: float = 5, criteria: tuple[Criterion, ...] = (), agents: Mapping[str, Mapping[str, Any]] | None = None, **more: Any) -> PhaseSpec:
    """Return a phase with one agent for each letter; the checkpoint asks that all report and that no critical conflict is left."""
    members = tuple(
        AgentSpec(id=name, role=f"role {name}", focus=("one", "two", "three"), limits=AgentLimits(time_s=time_s), report=f"{name}.json", **(agents or {}).get(name, {}))
        for name in names
    )
    return PhaseSpec(
        name="trial",
        agents=members,
        time_limit_s=more.pop("time_limit_s", 5),
        consolidate=more.pop("consolidate", Gathering(report="trial.md", synthesis="trial.json")),
        criteria=criteria
        or (
            Criterion(id="all", text="all reported", check="agents_completed", on_failure="rerun"),
            Criterion(id="conflicts", text="no conflicts", check="no_critical_conflicts", on_failure="resolve"),
        ),
        **more,
    )


@dataclass
class World:
    """One home of phases."""

    folder: Path
    spec: PhaseSpec = field(default_factory=spec_of)
    clock: FrozenClock = field(default_factory=FrozenClock)
    calls: list[str] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    checked: list[CheckpointResult] = field(default_factory=list)
    resolutions: tuple[Resolution, ...] = ()
    agents: dict[str, Agent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keep = ReportKeep(self.folder / "artifacts")
        self.store = PhaseStore(self.folder / "notes")
        self.files = PhaseFiles(self.folder / "files")

    def counted(self, name: str) -> Agent:
        agent: Agent = self.agents.get(name, _says_nothing)

        def call(message: Any) -> Any:
            self.calls.append(name)
            self.messages.append(message)
            return agent(message)

        return call

    def ports(self, **more: Any) -> PhasePorts:
        names = {agent.id for agent in self.spec.agents} | {agent.callable for agent in self.spec.agents} | set(self.agents)
        given: dict[str, Any] = {
            "keep": self.keep, "agents": {name: self.counted(name) for name in names}, "store": self.store, "files": self.files, "clock": self.clock,
            "record": lambda run, result: self.checked.append(result), "notify": self.events.append, "resolutions": lambda run, name: self.resolutions,
        }
        return PhasePorts(**{**given, **more})

    def graph(self, **more: Any) -> Any:
        return phase.build(self.spec, self.ports(**more)).compile()

    def run(self, inputs: Mapping[str, Any] | None = None, *, run_id: str = "run_1", **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.graph(**more).invoke({"run_id": run_id, "inputs": dict(inputs or {})}, {"recursion_limit": 60})
        return found

    def consolidated(self, found: Mapping[str, Any]) -> Consolidated:
        return Consolidated.model_validate_json(self.keep.get(found["consolidated"]))

    def settled(self, found: Mapping[str, Any], name: str) -> Settled:
        return Settled.model_validate(found["settled"][name])
