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

from ...graphs.delivery import build as build_delivery
from ...graphs.par import build as build_par
from ...nodes.ports import Ports
from ...schemas.errors import NotAllowed
from ...schemas.plan import Plan
from ..runtime import Runtime
from . import analysis as analysis_form
from .entrance import Entrance, entrance
from .held import HeldGraph
from .state_edit import Bookmark, edit_state

Here: TypeAlias = "Callable[[Ports], Ports]"
"""Ports in, the same out for whoever asks here."""
Build: TypeAlias = "Callable[[Runtime, Here], StateGraph[Any, Any, Any, Any]]"

GOVERNED: dict[str, Build] = {
    "par": lambda runtime, here: build_par(here(runtime.ports)),
    "delivery": lambda runtime, here: build_delivery(replace(runtime.delivery_ports, ports=here(runtime.delivery_ports.ports)), in_threads=True),
    # One line for each graph whose runs are the ledger's, and one below that names its function.
}


def served(name: str) -> Any:
    """Return the function that makes a governed graph for one run, or for looking at it. Its runs are admitted under the graph's name."""

    async def make(runtime: ServerRuntime[Any]) -> CompiledStateGraph[Any, Any, Any, Any]:
        door = await asyncio.to_thread(entrance)
        identity = "" if runtime.user is None else str(runtime.user.identity)
        here = partial(_here, name=name, requester=identity or door.runtime.actor.id)
        graph = await asyncio.to_thread(GOVERNED[name], door.runtime, here)
        return HeldGraph.of(graph.compile(name=name), partial(_hold, door, identity) if identity else None)

    return make


par = served("par")
delivery = served("delivery")


async def analysis(runtime: ServerRuntime[Any]) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the analysis phase. Its state is written by its stations only."""
    door = await asyncio.to_thread(entrance)
    return HeldGraph.of((await asyncio.to_thread(analysis_form.build, door.runtime)).compile(name="analysis"), None)


def _here(ports: Ports, *, name: str, requester: str) -> Ports:
    """Return ports that read requests as somebody far away may give them, and record who asked."""

    def author(request: Any, run_id: str, /) -> Plan:
        return ports.author(written(request), run_id)

    return replace(ports, author=author, requester=requester, graph=name)


def written(request: Any) -> Any:
    """Return a request that cannot be the name of a file. Raises: NotAllowed."""
    words = request.get("words") if isinstance(request, Mapping) else request
    if isinstance(words, str) and "\n" not in words.strip() and words.strip().endswith((".yaml", ".yml", ".json")):
        raise NotAllowed("the request names a file, and this door reads no files", hint="give the document itself, as text or as an object")
    return request


def _hold(door: Entrance, identity: str, mark: Bookmark, values: Any, as_node: str | None) -> dict[str, Any]:
    found = door.keys.person(identity)
    if found is None:
        raise NotAllowed("this token is no longer held by anybody", hint="ask for another one")
    if isinstance(values, Mapping) and "request" in values:
        written(values["request"])
    return edit_state(door.gate, door.runtime, found.actor, mark, values, as_node)
