"""One label for each pair of stations: Studio and every other drawing of LangGraph keep one arrow between two stations, and the words of one way.

Rules: the routes that a station returns stay what they are; only the drawing joins those that lead to the same place, in the table's order. The words
are those of the drawings: `rejected / expired / cancelled`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

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

    def way(state: Any) -> Hashable:
        return labels[route(state)]

    graph.add_conditional_edges(station, way, {labels[name]: target for name, target in table.items()})
