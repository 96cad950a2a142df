"""The graph that this package's own runs are driven with: compiled once a process, its ports bound for the length of each drive.

Compiling costs about a millisecond, which a home that is opened for one answer should not pay. A graph that somebody asks for
(`Runtime.graph`) is compiled for them with their ports in it; only driving, which this package does itself, borrows the shared one.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import functools
from collections.abc import Iterator
from typing import Any, cast

from langgraph.graph.state import CompiledStateGraph

from ..graphs import par
from ..nodes.ports import Ports

_PORTS: contextvars.ContextVar[Ports] = contextvars.ContextVar("ports")


class _PortsOfThisDrive:
    """Stands for the ports that the present drive is bound to."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_PORTS.get(), name)


@functools.cache
def _compiled(name: str) -> CompiledStateGraph[Any, Any, Any, Any]:
    return par.build(cast(Ports, _PortsOfThisDrive())).compile(name=name)


def driver(name: str, checkpointer: Any) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the shared graph with a checkpointer; to be invoked inside `bound`."""
    graph = copy.copy(_compiled(name))
    graph.checkpointer = checkpointer
    return graph


@contextlib.contextmanager
def bound(ports: Ports) -> Iterator[None]:
    """Bind the ports for what is driven inside the block, in this thread and those that work for it."""
    token = _PORTS.set(ports)
    try:
        yield
    finally:
        _PORTS.reset(token)
