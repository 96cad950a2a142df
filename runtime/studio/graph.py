"""The graphs as the Agent Server gets them: compiled without a checkpointer, because the server brings its own, over this process's home.

`langgraph.json` names one function of this module a graph. Rules: the home is opened when a graph is first asked for; whoever the server
authenticated is recorded as asking, never a name from the input; a request is what it says and never the name of a file, because files are named on
the server's disk by people who sit elsewhere; state is written from outside as far as `state_edit.py` lets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph_sdk.runtime import ServerRuntime

from ...graphs.par import build as build_par
from ...nodes.ports import Ports
from ...schemas.errors import NotAllowed
from ...schemas.plan import Plan
from . import analysis as analysis_form
from .entrance import Entrance, entrance
from .held import HeldGraph, Hold
from .state_edit import Bookmark, edit_state

Build: TypeAlias = "Callable[[Ports], StateGraph[Any, Any, Any, Any]]"

GOVERNED: dict[str, Build] = {
    "par": build_par,
    # One line for each graph whose runs are the ledger's, and its function below.
}


def served(name: str) -> Any:
    """Return the function that makes a governed graph for one run, or for looking at it. Its runs are admitted under the graph's name."""

    async def make(runtime: ServerRuntime[Any]) -> CompiledStateGraph[Any, Any, Any, Any]:
        here = await asyncio.to_thread(entrance)
        user = runtime.user
        ports = replace(here.runtime.ports, graph=name)
        if user is None:
            return compiled(ports, name)
        return compiled(replace(ports, requester=str(user.identity)), name, hold=partial(_hold, here, str(user.identity)))

    return make


par = served("par")


async def analysis(runtime: ServerRuntime[Any]) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the analysis phase. Its state is written by its stations only."""
    here = await asyncio.to_thread(entrance)
    return HeldGraph.of((await asyncio.to_thread(analysis_form.build, here.runtime)).compile(name="analysis"), None)


def compiled(ports: Ports, name: str = "par", *, hold: Hold | None = None) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return a graph over these ports, reading requests as somebody far away may give them."""

    def author(request: Any, run_id: str, /) -> Plan:
        return ports.author(written(request), run_id)

    return HeldGraph.of(GOVERNED[name](replace(ports, author=author)).compile(name=name), hold)


def written(request: Any) -> Any:
    """Return a request that cannot be the name of a file. Raises: NotAllowed."""
    words = request.get("words") if isinstance(request, Mapping) else request
    if isinstance(words, str) and "\n" not in words.strip() and words.strip().endswith((".yaml", ".yml", ".json")):
        raise NotAllowed("the request names a file, and this door reads no files", hint="give the document itself, as text or as an object")
    return request


def _hold(here: Entrance, identity: str, mark: Bookmark, values: Any, as_node: str | None) -> dict[str, Any]:
    found = here.keys.person(identity)
    if found is None:
        raise NotAllowed("this token is no longer held by anybody", hint="ask for another one")
    if isinstance(values, Mapping) and "request" in values:
        written(values["request"])
    return edit_state(here.gate, here.runtime, found.actor, mark, values, as_node)
