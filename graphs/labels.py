"""One label for each pair of stations: Studio and every other drawing of LangGraph keep one arrow between two stations, and the words of one way.

Rules: the routes that a station returns stay what they are; only the drawing joins those that lead to the same place, in the table's order. The words
are those of the drawings: `rejected / expired / cancelled`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import StateGraph

BETWEEN = " / "


def joined(table: Mapping[Hashable, str]) -> dict[Hashable, str]:
    """Return the label under which each route is drawn."""
    together: dict[str, list[str]] = {}
    for route, target in table.items():
        together.setdefault(target, []).append(str(route))
    return {route: BETWEEN.join(together[target]) for route, target in table.items()}


def routed(graph: StateGraph[Any, Any, Any, Any], station: str, table: Mapping[Hashable, str], route: Callable[[Any], str]) -> None:
    """Add the ways out of a station.

    Args:
        table: route → station.
        route: reads the route that was chosen off the state; one that is not in the table is an error of the drive.
    """
    labels = joined(table)
    graph.add_conditional_edges(station, _Way(labels, route), {labels[name]: target for name, target in table.items()})


class _Way(Runnable[Any, Hashable]):
    """Reads the way out off the state. Not a plain function, which LangGraph would record as a run of its own in every trace."""

    name = "way"

    def __init__(self, labels: Mapping[Hashable, Hashable], route: Callable[[Any], str]) -> None:
        self._labels, self._route = labels, route

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Hashable:
        return self._labels[self._route(input)]

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Hashable:
        return self.invoke(input)
