"""Station `run_agent`: wait for one agent, no longer than its limit, and say what became of it. There is one for each agent, by `Send`.

It starts the agent where that is still to do, because another process may have died after the start. With more agents than a small thread pool
can wait for, it leaves the waiting to `collect`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..schemas.phase import PhaseSpec, Settled
from .phase_crew import Slot
from .phase_ports import PhasePorts
from .phase_state import AgentTask
from .phase_tell import tell_ended
from .phase_work import abegin, begin, release


def run_agent(task: AgentTask, *, spec: PhaseSpec, ports: PhasePorts) -> dict[str, Any]:
    """Wait for an agent. Raises: OSError: its report could not be kept."""
    found = begin(task, spec, ports)
    return _update(ports.crew.wait(found, patiently=False) if isinstance(found, Slot) else found, task, spec, ports)


async def arun_agent(task: AgentTask, *, spec: PhaseSpec, ports: PhasePorts) -> dict[str, Any]:
    """Do what `run_agent` does without blocking the loop. Cancelling it cancels the agents of the phase."""
    found = await abegin(task, spec, ports)
    try:
        return _update(await ports.crew.await_(found, patiently=False) if isinstance(found, Slot) else found, task, spec, ports)
    except asyncio.CancelledError:
        release(task["run_id"], task["round"], spec, ports)
        raise


def _update(settled: Settled | None, task: AgentTask, spec: PhaseSpec, ports: PhasePorts) -> dict[str, Any]:
    if settled is None:
        return {"settled": {task["agent_id"]: {"round": task["round"], "attempt": task["attempt"]}}}
    tell_ended(settled, task, spec, ports)
    return {"settled": {task["agent_id"]: settled.as_json()}}
