"""What happens in a phase, told as it happens: to the ports, and into LangGraph's custom stream for other screens. Source: E14.

An agent runs outside of LangGraph's context, so what it says of its progress is told in the context of the station that began it.
"""

from __future__ import annotations

import contextlib
import contextvars

from langgraph.config import get_stream_writer

from ..schemas.phase import PhaseSpec, Settled
from ..schemas.phase_event import AgentEnded, AgentProgress, PhaseBegan, PhaseChecked, PhaseConsolidated
from .phase_ports import PhasePorts
from .phase_progress import Say
from .phase_state import AgentTask


def tell(ports: PhasePorts, event: PhaseBegan | AgentProgress | AgentEnded | PhaseConsolidated | PhaseChecked) -> None:
    """Tell one event."""
    data = event.as_json()
    ports.notify(data)
    try:
        write = get_stream_writer()
    except RuntimeError:
        return  # called outside of a graph
    write(data)


def tell_ended(settled: Settled, task: AgentTask, spec: PhaseSpec, ports: PhasePorts) -> None:
    """Tell what became of an agent."""
    tell(
        ports,
        AgentEnded(
            at=ports.clock(), run_id=task["run_id"], phase=spec.name, attempt=task["attempt"], agent=settled.agent_id, outcome=settled.outcome.value,
            reason=settled.reason, took_s=settled.took_s, reused=settled.reused,
        ),
    )  # fmt: skip


def progress_of(task: AgentTask, phase: str, ports: PhasePorts) -> Say:
    """Return what tells the progress of an agent, from whichever thread it says it."""
    here = contextvars.copy_context()

    def say(done: float, total: float, doing: str) -> None:
        event = AgentProgress(at=ports.clock(), run_id=task["run_id"], phase=phase, attempt=task["attempt"], agent=task["agent_id"], done=done, total=total, doing=doing)
        with contextlib.suppress(RuntimeError):  # the caller of the graph has gone away, event loop and all
            here.copy().run(tell, ports, event)

    return say
