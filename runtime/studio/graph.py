"""The graph as the Agent Server gets it: compiled without a checkpointer, because the server brings its own, over this process's home.

Rules: the home is opened when a graph is first asked for; whoever the server authenticated is recorded as asking, never a name from the input;
a request is what it says and never the name of a file, because files are named on the server's disk by people who sit elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langgraph.graph.state import CompiledStateGraph
from langgraph_sdk.runtime import ServerRuntime

from ...graphs import par
from ...nodes.ports import Ports
from ...schemas.errors import NotAllowed
from ...schemas.plan import Plan
from .entrance import entrance


async def graph(runtime: ServerRuntime[Any]) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the main graph for one run, or for looking at it.

    Raises:
        AssentError: the home cannot be opened.
    """
    ports = await asyncio.to_thread(lambda: entrance().runtime.ports)
    user = runtime.user
    return compiled(ports if user is None else replace(ports, requester=str(user.identity)))


def compiled(ports: Ports) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the graph over these ports, reading requests as somebody far away may give them."""

    def author(request: Any, run_id: str, /) -> Plan:
        return ports.author(_written(request), run_id)

    return par.build(replace(ports, author=author)).compile(name="par")


def _written(request: Any) -> Any:
    """Return a request that cannot be the name of a file. Raises: NotAllowed."""
    words = request.get("words") if isinstance(request, Mapping) else request
    if isinstance(words, str) and "\n" not in words.strip() and words.strip().endswith((".yaml", ".yml", ".json")):
        raise NotAllowed("the request names a file, and this door reads no files", hint="give the document itself, as text or as an object")
    return request
