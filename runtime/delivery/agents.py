"""The agents of a delivery, bound to what the run's record says they are to look at.

Rules: an agent does nothing about inputs that are not those of the run, so a forged state cannot send it elsewhere; what agents start is bounded by
the limits of their phase (`agent_process.py`, `verification/command.py`). Source: E1, E5, E12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ...schemas.agent_message import AgentMessage
from ...schemas.errors import NotAllowed
from ...tools.tool import Place
from ..analysis.architecture import architecture
from ..analysis.code import code
from ..analysis.infrastructure import infrastructure
from ..phases.agent_process import ProcessAgent
from ..phases.agents import adapt
from ..verification.command import LocalCommands
from ..verification.deployment import deployment
from ..verification.documentation import documentation
from ..verification.end_to_end import end_to_end
from ..verification.performance_security import performance_security
from ..verification.tests import tests

Agent = Callable[[AgentMessage], Any]
Expected = Callable[[str], Mapping[str, Any]]


def analysts(place: Place) -> dict[str, Agent]:
    """Return the three agents of the analysis."""
    return {
        "architecture": ProcessAgent(f"{architecture.__module__}:architecture", place),
        "code": ProcessAgent(f"{code.__module__}:code", place),
        "infrastructure": partial(infrastructure, run_command=LocalCommands(place)),
    }


def testers(place: Place) -> dict[str, Agent]:
    """Return the five agents of the testing phase."""
    run = LocalCommands(place)
    return {
        "tests": partial(tests, run_command=run),
        "performance_security": partial(performance_security, run_command=run),
        "documentation": documentation,
        "end_to_end": partial(end_to_end, run_command=run),
        "deployment": deployment,
    }


def bound(agents: Mapping[str, Any], expected: Expected) -> dict[str, Agent]:
    """Return agents that work only on inputs that are expected.

    Args:
        agents: functions, runnables or compiled graphs.
        expected: the run that an agent works for in, what its inputs have to be out.
    """
    return {name: _Bound(adapt(agent), expected) for name, agent in agents.items()}


class _Bound:
    """An agent behind a look at its inputs."""

    def __init__(self, agent: Agent, expected: Expected) -> None:
        self.agent = agent
        self.expected = expected
        if hasattr(agent, "acall"):
            self.acall = self._acall

    def __call__(self, message: AgentMessage) -> Any:
        self._look(message)
        return self.agent(message)

    async def _acall(self, message: AgentMessage) -> Any:
        self._look(message)
        return await self.agent.acall(message)  # type: ignore[attr-defined]

    def _look(self, message: AgentMessage) -> None:
        content = message.body.content
        inputs = content.get("inputs")
        if not isinstance(inputs, Mapping) or dict(inputs) != dict(self.expected(str(content.get("run", "")))):
            raise NotAllowed("these are not the inputs of this run", hint="resume the run; its stations give agents what they are to look at")
