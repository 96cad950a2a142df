"""Station `dispatch_agents`: whom to ask what, and start them all at once.

A fresh phase asks everybody; a re-run asks those whose focus was narrowed. Each agent then has a `Send` of its own, which waits for it: starting
them here means that no thread pool decides when an agent begins.
"""

from __future__ import annotations

from typing import Any

from langgraph.config import get_config
from langgraph.types import Send

from ..schemas.errors import NotFound
from ..schemas.phase import PhaseSpec
from ..schemas.phase_event import PhaseBegan
from .phase_crew import AT_ONCE, Slot
from .phase_ports import PhasePorts
from .phase_state import AGAIN, AgentTask, PhaseState, tasks
from .phase_tell import tell
from .phase_work import ANY_RUN, abegin, begin


def dispatch_agents(state: PhaseState, *, spec: PhaseSpec, ports: PhasePorts) -> dict[str, Any]:
    """Start the agents of this round or attempt. Raises: NotFound: no run or thread is named, or the ports lack an agent."""
    update = _next(state, spec)
    asked = tasks({**state, **update})  # type: ignore[typeddict-item]
    _told(update, asked, spec, ports)
    found = [begin(task, spec, ports) for task in asked]
    ports.crew.let_go([one for one in found if isinstance(one, Slot)])
    return update


async def adispatch_agents(state: PhaseState, *, spec: PhaseSpec, ports: PhasePorts) -> dict[str, Any]:
    """Do what `dispatch_agents` does, with coroutines on the caller's loop.

    A loop starts all waiting stations at once, so a phase leaves the start to them: who cancels the caller then cancels every agent. Only a wider
    fan-out is started here.
    """
    update = _next(state, spec)
    asked = tasks({**state, **update})  # type: ignore[typeddict-item]
    _told(update, asked, spec, ports)
    for task in asked if len(asked) > AT_ONCE else ():
        await abegin(task, spec, ports)
    return update


def sends(state: PhaseState) -> list[Send]:
    """Return one `Send` for each agent that was started."""
    return [Send("run_agent", task) for task in tasks(state)]


def _next(state: PhaseState, spec: PhaseSpec) -> dict[str, Any]:
    run_id = state.get("run_id") or _thread()
    if state.get("route") == AGAIN:
        return {"run_id": run_id, "attempt": state["attempt"] + 1, "route": "", "question": None, "passed": False}
    everybody = {agent.id: list(agent.focus) for agent in spec.agents}
    return {
        "run_id": run_id, "inputs": state.get("inputs") or {}, "round": state.get("round", 0) + 1, "attempt": 0, "focus": everybody, "route": "",
        "question": None, "passed": False, "consolidated": "", "summary": "",
    }  # fmt: skip


def _thread() -> str:
    thread = get_config().get("configurable", {}).get("thread_id")
    if not thread:
        raise NotFound("this phase belongs to no run", hint='give it a `run_id`, or invoke it with {"configurable": {"thread_id": …}}')
    return str(thread)


def _told(update: dict[str, Any], asked: list[AgentTask], spec: PhaseSpec, ports: PhasePorts) -> None:
    took = {**ports.store.took_s(ANY_RUN, spec.name), **ports.store.took_s(update["run_id"], spec.name)}
    limits = {task["agent_id"]: min(spec.agent(task["agent_id"]).limits.time_s, spec.time_limit_s) for task in asked}
    tell(
        ports,
        PhaseBegan(
            at=ports.clock(), run_id=update["run_id"], phase=spec.name, attempt=update["attempt"], agents=tuple(agent.id for agent in spec.agents),
            asked=tuple(limits), limits_s=limits, expected_s={name: took[name] for name in limits if name in took}, limit_s=max(limits.values(), default=spec.time_limit_s),
        ),
    )  # fmt: skip
