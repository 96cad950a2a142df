"""A delivery for tests: agents that say what they are told to say and are counted, and runtimes in one home that have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from assent.runtime.run import Run
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, Recorder, authenticated, recorded
from assent.tools.toolbox import standard

from .conftest import PEOPLE
from .phase_world import finding, says

LOOK = {"effect": "worked", "level": "LOW"}
ARCHITECTURE = {"components": [{"name": "a"}], "imports": {}, "integration_points": [], "configuration": []}
SAID: dict[str, dict[str, Any]] = {
    "architecture": {"data": ARCHITECTURE},
    "code": {"data": {"style": "ok"}},
    "infrastructure": {"data": {"baseline": {"command": "bench", "seconds": 1.5}}},
    "tests": {"data": {"critical": "pass", "passed": 7, "failed": 0, "warnings": 0, "coverage_percent": 80}},
    "performance_security": {"data": {"high_risk": 0, "degradations": 0, "benchmark_s": 1.4}},
    "documentation": {"data": {"incomplete": 0, "checks": {"user guide": True, "change log": True}}},
    "end_to_end": {"data": {"workflows": [], "failed": 0}},
    "deployment": {"data": {"rollback_tested": True, "monitoring": ["ops/alerts.yml", "ops/grafana.json"]}},
}


@dataclass
class Delivery:
    """One home, with agents by name; `said` is what each answers next, `calls` who was asked, in order."""

    folder: Path
    clock: Callable[[], datetime] = field(default_factory=FrozenClock)
    said: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: says(**more) for name, more in SAID.items()})
    calls: list[str] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    opened: list[Runtime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home, self.workspace = self.folder / "home", self.folder / "workspace"
        self.workspace.mkdir(exist_ok=True)
        (self.workspace / "notes.txt").write_text("old\n")
        self.recorder = Recorder(self.folder / "effects.jsonl")

    def says(self, agent: str, *findings: Mapping[str, Any], **data: Any) -> None:
        """Let an agent report other data, and findings."""
        self.said[agent] = says(*findings, data={**SAID[agent]["data"], **data})

    def contradict(self, one: str = "architecture", other: str = "infrastructure") -> None:
        """Let two agents say different things about the same, in a way that is critical."""
        for agent, value in ((one, True), (other, False)):
            self.said[agent]["findings"] = [finding("repository", "has tests", value, "high")]

    def open(self, actor: str = "dora", **config: Any) -> Runtime:
        """Open the home as somebody."""
        agents = {name: self._agent(name) for name in SAID}
        runtime = Runtime(
            self.home, workspace=self.workspace, config={"actors": dict(PEOPLE), "delivery": {"baseline": False}, **config}, clock=self.clock,
            actor=authenticated(actor), tools=standard().plus(self.recorder), agents=agents,
        )
        self.opened.append(runtime)
        return runtime

    def start(self, *steps: Any, actor: str = "dora", environment: str | None = None, **config: Any) -> tuple[Runtime, Run]:
        """Start a delivery of a plan of the recorder; one step that only looks by default."""
        runtime = self.open(actor, **config)
        plan = recorded(*(steps or (LOOK,)), problem={"context": {"environment": environment}} if environment else None)
        return runtime, runtime.start(plan, graph="delivery")

    def _agent(self, name: str) -> Callable[[Any], Any]:
        def agent(message: Any) -> Any:
            self.calls.append(name)
            self.told[name] = message
            answer = self.said[name]
            if "raises" in answer:
                raise RuntimeError(answer["raises"])
            return answer

        return agent

    def close(self) -> None:
        """Close every handle."""
        for runtime in self.opened:
            runtime.close()


def write(path: str, content: str, **more: Any) -> dict[str, Any]:
    """Return a document's step that writes a file."""
    return {"tool": "files", "args": {"operation": "write", "path": path, "content": content}, **more}


def document(*steps: Mapping[str, Any], **problem: Any) -> dict[str, Any]:
    """Return a written document with these steps."""
    numbered = [{"step": number, "description": f"step {number}", **step} for number, step in enumerate(steps, 1)]
    return {"problem": {"title": "A change", **problem}, "action": {"proposed_solution": "change it", "steps": numbered}}


def each(run: Run, kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield the data of each entry of a kind."""
    return (event.data for event in run.events() if event.type == kind)
