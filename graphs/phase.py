"""A phase: three to five agents at once, one synthesis, one checkpoint. Embedded by other graphs, or run by itself.

    START → dispatch_agents ─ one Send each → run_agent → collect → validate ─ passed → END
            dispatch_agents ← narrower scope ─ validate ─ question → END

`collect` is deferred: it runs when every agent has reported, failed, crashed or run out of its time. After a `question` the embedding graph asks a
person and runs the phase again; what agents reported is taken from the store. The state holds digests; reports are kept by the ports.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END, START, StateGraph

from ..nodes.phase_collect import acollect, collect
from ..nodes.phase_dispatch_agents import adispatch_agents, dispatch_agents, sends
from ..nodes.phase_ports import PhasePorts
from ..nodes.phase_run_agent import arun_agent, run_agent
from ..nodes.phase_state import AGAIN, AgentTask, PhaseInput, PhaseOutput, PhaseState
from ..nodes.phase_validate import validate
from ..policies.phase_size import SIZES, check_size
from ..schemas.phase import PhaseSpec
from .labels import routed

AFTER_DISPATCH: dict[Hashable, str] = {"one Send each": "run_agent"}
AFTER_VALIDATE: dict[Hashable, str] = {"passed": END, AGAIN: "dispatch_agents", "question": END}


def build(spec: PhaseSpec, ports: PhasePorts, *, sizes: range = SIZES, in_threads: bool = False) -> StateGraph[PhaseState, None, PhaseInput, PhaseOutput]:
    """Return the graph of a phase, not compiled; it runs with `invoke` and `ainvoke`.

    Args:
        spec: the phase.
        ports: what its stations can touch; the agents among them.
        sizes: how many agents it may have; another range than three to five is for a fan-out whose breadth something else governs.
        in_threads: touch no disk on the caller's loop, which servers forbid; stations then run in threads for every caller.

    Raises:
        InvalidPlan: too few or too many agents; the error proposes the split.
    """
    check_size(spec, sizes)
    bound = {"spec": spec, "ports": ports}

    def both(function: Any, coroutine: Any) -> Any:
        return partial(function, **bound) if in_threads else _both(function, coroutine, bound)

    graph: StateGraph[PhaseState, None, PhaseInput, PhaseOutput] = StateGraph(PhaseState, input_schema=PhaseInput, output_schema=PhaseOutput)
    graph.add_node("dispatch_agents", both(dispatch_agents, adispatch_agents), input_schema=PhaseState)
    graph.add_node("run_agent", both(run_agent, arun_agent), input_schema=AgentTask)
    graph.add_node("collect", both(collect, acollect), input_schema=PhaseState, defer=True)
    graph.add_node("validate", partial(validate, spec=spec, ports=ports), input_schema=PhaseState)
    graph.add_edge(START, "dispatch_agents")
    graph.add_conditional_edges("dispatch_agents", _at_once(sends), AFTER_DISPATCH)
    graph.add_edge("run_agent", "collect")
    graph.add_edge("collect", "validate")
    routed(graph, "validate", AFTER_VALIDATE, _route)
    return graph


class _Both(Runnable[Any, Any]):
    """A station with a way for each kind of caller. LangChain's own lambda reads both signatures anew at every call, which 100 agents feel."""

    def __init__(self, function: Callable[[Any], Any], coroutine: Callable[[Any], Awaitable[Any]], name: str) -> None:
        self.function = function
        self.coroutine = coroutine
        self.name = name

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return self.function(input)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return await self.coroutine(input)


def _both(function: Any, coroutine: Any, bound: dict[str, Any]) -> Runnable[Any, Any]:
    return _Both(partial(function, **bound), partial(coroutine, **bound), function.__name__)


def _at_once(router: Callable[[Any], Any]) -> Runnable[Any, Any]:
    # Otherwise LangGraph sends an async caller's router, which only reads state, through a thread and back.
    async def same(state: Any) -> Any:
        return router(state)

    return _Both(router, same, router.__name__)


def _route(state: PhaseState) -> str:
    return state["route"]
