"""A program of somebody else with assent embedded in three ways and a SQLite checkpointer of its own: `ask` leaves questions and dies, `go_on` resumes.

Usage: python -m assent.tests.embedded_host ask|go_on sync|async HOME WORKSPACE HOST_DB EFFECTS. What it saw is printed as JSON, one line a way.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

import assent
from assent.runtime.embed import Governed, declared
from assent.runtime.runtime import Runtime
from assent.schemas.dispatch import Effects

from .agents import START as GO
from .agents import calls, on, says, told

WAYS = ("tool", "subgraph", "middleware")


class Work(TypedDict, total=False):
    """State of a host around the subgraph."""

    request: Any
    status: str


def plan(effect: str, effects: str) -> dict[str, Any]:
    """Return a plan that leaves one line in the file of effects, by a command of which nothing is known."""
    step = {"step": 1, "tool": "shell", "args": {"command": f"python3 leave.py {effect} {effects}"}}
    return {"problem": {"title": f"Leave {effect}"}, "action": {"steps": [step]}}


def agent(way: str, runtime: Runtime, saver: Any, effects: str) -> tuple[Any, Any]:
    """Return a host of one kind, and what it is called with at first."""
    if way == "subgraph":
        graph = StateGraph(Work)
        graph.add_node("governed", assent.graphs.par.build(runtime.ports).compile())
        graph.add_edge(START, "governed")
        graph.add_edge("governed", END)
        return graph.compile(checkpointer=saver), {"request": plan("s", effects)}
    if way == "tool":
        made = calls(*[("propose_plan", {"plan": plan(name, effects)}) for name in ("t1", "t2")])
        return create_agent(_says(made), [runtime.as_tool()], checkpointer=saver), GO

    def leave(effect: str) -> str:
        with Path(effects).open("a") as file:
            file.write(f"{effect}\n")
        return f"left {effect}"

    @tool
    def act(effect: str) -> str:
        """Leave an effect."""
        return leave(effect)

    @tool
    @declared(effects=Effects(reads=True))
    def look(effect: str) -> str:
        """Only look; it leaves a line as well, so that a second look would be seen."""
        return leave(effect)

    made = calls(("act", {"effect": "m1"}), ("look", {"effect": "low"}), ("act", {"effect": "m2"}))
    return create_agent(_says(made), [act, look], middleware=[Governed(runtime)], checkpointer=saver), GO


def _says(*turns: Any) -> Any:
    # The model of the second process has only the last word left.
    return says(*turns, "done") if sys.argv[1] == "ask" else says("done")


def seen(way: str, state: Any) -> dict[str, Any]:
    """Return what a host got, as JSON."""
    said = [str(message.content) for message in told(state)] if "messages" in state else [state.get("status", "")]
    return {"way": way, "asks": [one.value["request_id"] for one in state.get("__interrupt__", ())], "said": said}


def given_now(state: Any, first: Any) -> Any:
    """Return what resumes a host: a doorbell, by name where several ring."""
    if sys.argv[1] == "ask":
        return first
    pending = [one.id for one in state.interrupts]
    return Command(resume=dict.fromkeys(pending, "ring")) if len(pending) > 1 else Command(resume="ring")


def in_turn(runtime: Runtime, path: str, effects: str) -> None:
    """Call every host, one after the other."""
    with SqliteSaver.from_conn_string(path) as saver:
        for way in WAYS:
            graph, first = agent(way, runtime, saver, effects)
            print(json.dumps(seen(way, graph.invoke(given_now(graph.get_state(on(way)), first), on(way), durability="sync"))), flush=True)
            if sys.argv[1] == "ask" and way == WAYS[-1]:
                os._exit(9)


async def at_once(runtime: Runtime, path: str, effects: str) -> None:
    """Call every host, all on one event loop."""

    async def one(way: str, saver: Any) -> None:
        graph, first = agent(way, runtime, saver, effects)
        state = await graph.ainvoke(given_now(await graph.aget_state(on(way)), first), on(way), durability="sync")
        print(json.dumps(seen(way, state)), flush=True)

    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        await asyncio.gather(*[one(way, saver) for way in WAYS])
        if sys.argv[1] == "ask":
            os._exit(9)


if __name__ == "__main__":
    _, _, mode, home, workspace, path, effects = sys.argv
    with Runtime(home, workspace=workspace) as runtime:
        run: Callable[..., Any] = (lambda *given: asyncio.run(at_once(*given))) if mode == "async" else in_turn
        run(runtime, path, effects)
