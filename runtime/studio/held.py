"""A graph whose state is written from outside only as far as a rule lets it: the form in which graphs are handed to the Agent Server.

The server asks its authentication whether a thread may be updated, but does not say how; the graph is the first to see what is written. A rule that
is missing refuses everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateUpdate
from starlette.exceptions import HTTPException

from ...schemas.errors import AssentError, NotAllowed
from .state_edit import Bookmark
from .visit import status_of

Hold = Callable[[Bookmark, Any, str | None], dict[str, Any]]
"""Checkpoint, values and station in; what is to be written out. Raises: AssentError."""


class HeldGraph(CompiledStateGraph[Any, Any, Any, Any]):
    """A compiled graph behind a rule."""

    def __init__(self, *, hold: Hold | None = None, **given: Any) -> None:
        super().__init__(**given)
        self.hold = hold

    @classmethod
    def of(cls, graph: CompiledStateGraph[Any, Any, Any, Any], hold: Hold | None) -> Self:
        """Put a rule before a graph."""
        return cls(hold=hold, **vars(graph))

    def bulk_update_state(self, config: Any, supersteps: Sequence[Sequence[StateUpdate]]) -> Any:
        raise _refusal(NotAllowed("state is not written this way at this door"))

    async def abulk_update_state(self, config: Any, supersteps: Sequence[Sequence[StateUpdate]]) -> Any:
        """Write what the rule lets through. Raises: HTTPException: nothing."""
        try:
            mark, update = await self._read(config, supersteps)
            assert self.hold is not None
            values = await asyncio.to_thread(self.hold, mark, update.values, update.as_node)
        except AssentError as error:
            raise _refusal(error) from error
        return await super().abulk_update_state(config, [[StateUpdate(values, mark.station)]])

    async def _read(self, config: Any, supersteps: Sequence[Sequence[StateUpdate]]) -> tuple[Bookmark, StateUpdate]:
        if self.hold is None:
            raise NotAllowed("the state of this graph is written by its stations only", hint="start another thread with another input")
        if len(supersteps) != 1 or len(supersteps[0]) != 1 or config["configurable"].get("checkpoint_ns"):
            raise NotAllowed("several updates at once would skip stations", hint="edit one checkpoint of the thread itself")
        checkpointer: Any = self.checkpointer
        saved = await checkpointer.aget_tuple(config)
        station = None if saved is None else _last(saved.checkpoint["versions_seen"], self.nodes)
        if saved is None or station is None:
            raise NotAllowed("there is no state yet that could be edited", hint="start a run; stop it before `plan` to edit what it is asked")
        known = set(self.builder.channels)
        values = {name: value for name, value in saved.checkpoint["channel_values"].items() if name in known}
        return Bookmark(str(config["configurable"]["thread_id"]), values, station), supersteps[0][0]


def _last(seen: Mapping[str, Mapping[str, Any]], nodes: Mapping[str, Any]) -> str | None:
    """Return the station that wrote a checkpoint: the one that saw the newest state; `None` where that were several."""
    newest = sorted((version, name) for name, versions in seen.items() if name in nodes for version in versions.values())
    if not newest or (len(newest) > 1 and newest[-1][0] == newest[-2][0]):
        return None
    return newest[-1][1]


def _refusal(error: AssentError) -> HTTPException:
    return HTTPException(status_of(error), f"{error.message}. {error.hint}" if error.hint else error.message)
