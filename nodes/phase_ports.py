"""All that the stations of a phase can touch. Bound when the graph is built; nothing here travels in state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from ..schemas.agent_message import AgentMessage
from ..schemas.consolidated import CheckpointResult, Consolidated, Resolution
from ..schemas.phase import PhaseSpec, Settled
from ..tools.tool import Keep
from .phase_crew import Crew


class PhaseStore(Protocol):
    """Which reports are there already. Losing an entry costs a re-run, a wrong one is found by its digest; so it need not be durable."""

    def get(self, run_id: str, phase: str, agent_id: str, digest: str) -> Settled | None:
        """Return what an agent of this run reported about these inputs; `run_id` empty: of any run."""
        ...

    def put(self, run_id: str, phase: str, agent_id: str, digest: str, settled: Settled) -> None:
        """Note a report. Readers see all of it or nothing."""
        ...

    def took_s(self, run_id: str, phase: str) -> Mapping[str, float]:
        """Return how long each agent of this run took the last time, whatever it looked at; `run_id` empty: of any run. For estimates only."""
        ...


def _now() -> datetime:
    return datetime.now(UTC)


def _nothing(*_: Any) -> None:
    return None


def _no_resolutions(run_id: str, phase: str) -> tuple[Resolution, ...]:
    return ()


@dataclass(frozen=True)
class PhasePorts:
    """The stations' hands.

    Args:
        keep: where reports and the synthesis lie, by their digest.
        agents: name → what answers a message: returns a message, a report, a mapping or JSON text; a coroutine function may as well.
            `runtime/phases/agents.py` makes one of LangChain runnables, compiled graphs and functions that are to run in a process of their own.
        store: which reports are there already.
        resolutions: run id and phase in, what people said about its conflicts out; from a place that no state can forge.
        files: writes the files of a phase for people; called with the spec, the synthesis and the messages.
        record: told each result of a checkpoint, before it is acted upon.
        notify: told what happens, as it happens; may be called from any thread.
        clock: the wall time, aware.
        crew: where agents run; one for each set of ports.
    """

    keep: Keep
    agents: Mapping[str, Callable[[AgentMessage], Any]]
    store: PhaseStore
    resolutions: Callable[[str, str], tuple[Resolution, ...]] = _no_resolutions
    files: Callable[[PhaseSpec, Consolidated, Mapping[str, AgentMessage]], None] = _nothing
    record: Callable[[str, CheckpointResult], None] = _nothing
    notify: Callable[[dict[str, Any]], None] = _nothing
    clock: Callable[[], datetime] = _now
    crew: Crew = field(default_factory=Crew)
