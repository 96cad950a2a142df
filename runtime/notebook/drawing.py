"""A graph as SVG, drawn here: LangGraph's own pictures are drawn by a server on the network.

Each station stands in the column of its longest way from the start; ways forward are curves above, ways back curves below. Labels are the words of
the graph's edges. It draws what is compiled, so it cannot disagree with what runs.
"""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import Any, cast

from ...schemas.errors import NotFound
from .view import Shown

_WIDE, _HIGH, _GAP_X, _GAP_Y, _EDGE = 132, 34, 92, 30, 20


def draw(graph: Any = "par") -> Shown:
    """Return a graph as SVG.

    Args:
        graph: the name of one of ours, or any compiled LangGraph graph.

    Raises:
        NotFound: no graph of that name.
    """
    compiled = _ours(graph) if isinstance(graph, str) else graph
    drawable = compiled.get_graph()
    together: dict[tuple[str, str], list[str]] = {(edge.source, edge.target): [] for edge in drawable.edges}
    # The drawable keeps one label for each pair of stations; the builder has them all.
    for source, branches in compiled.builder.branches.items():
        for branch in branches.values():
            for label, target in (branch.ends or {}).items():
                if str(label) != target:
                    together.setdefault((source, target), []).append(str(label))
    return Shown(_svg(list(drawable.nodes), {pair: ", ".join(labels) for pair, labels in together.items()}))


def _ours(name: str) -> Any:
    if name != "par":
        raise NotFound(f"there is no graph {name!r}", hint="the graphs are: par")
    from ...graphs import par
    from ...nodes.ports import Ports

    # Drawing calls no station, so the ports are never looked at.
    return par.build(cast("Ports", None)).compile(name=name)


def _columns(nodes: list[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """Return the column of each node: its longest way from the start, where ways back do not count."""
    targets: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        targets[source].append(target)
    order: list[str] = []
    state: dict[str, int] = {}
    back: set[tuple[str, str]] = set()

    def visit(node: str) -> None:
        state[node] = 1
        for target in targets[node]:
            if state.get(target) == 1:
                back.add((node, target))
            elif target not in state:
                visit(target)
        state[node] = 2
        order.append(node)

    for node in nodes:
        if node not in state:
            visit(node)
    column = dict.fromkeys(nodes, 0)
    for node in reversed(order):
        for target in targets[node]:
            if (node, target) not in back:
                column[target] = max(column[target], column[node] + 1)
    return column


def _svg(nodes: list[str], edges: dict[tuple[str, str], str]) -> str:
    column = _columns(nodes, list(edges))
    rows: dict[int, int] = defaultdict(int)
    place: dict[str, tuple[float, float]] = {}
    tallest = max((list(column.values()).count(value) for value in column.values()), default=1)
    longest = max((abs(column[target] - column[source]) for source, target in edges), default=1)
    middle = _EDGE + 30 + 21 * longest + tallest * (_HIGH + _GAP_Y) / 2
    for node in nodes:
        n, of = rows[column[node]], list(column.values()).count(column[node])
        rows[column[node]] += 1
        place[node] = (_EDGE + column[node] * (_WIDE + _GAP_X), middle + (n - (of - 1) / 2) * (_HIGH + _GAP_Y) - _HIGH / 2)
    width = 2 * _EDGE + (max(column.values(), default=0) + 1) * (_WIDE + _GAP_X) - _GAP_X
    height = 2 * middle
    drawn = [_edge(place[source], place[target], label, column[target] - column[source]) for (source, target), label in edges.items()]
    drawn += [_node(node, *place[node]) for node in nodes]
    arrow = '<defs><marker id="assent-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:100%;color:#667" font-family="system-ui,sans-serif" '
        f'font-size="12" role="img">{arrow}{"".join(drawn)}</svg>'
    )


def _node(name: str, x: float, y: float) -> str:
    words = escape(name.strip("_").replace("_", " "), quote=True)
    ends = name.startswith("__")
    round_, fill = (_HIGH / 2, "#8883") if ends else (6, "#4a7dbd33")
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{_WIDE}" height="{_HIGH}" rx="{round_:g}" fill="{fill}" stroke="currentColor"/>'
        f'<text x="{x + _WIDE / 2:.0f}" y="{y + _HIGH / 2 + 4:.0f}" text-anchor="middle" fill="currentColor">{words}</text>'
    )


def _edge(one: tuple[float, float], other: tuple[float, float], label: str, columns: int) -> str:
    (x1, y1), (x2, y2) = one, other
    if columns == 1:
        start, end = (x1 + _WIDE, y1 + _HIGH / 2), (x2, y2 + _HIGH / 2)
        bend = f"M{start[0]:.0f} {start[1]:.0f} L{end[0]:.0f} {end[1]:.0f}"
        at = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 - 5)
    else:
        up = columns > 1
        far = 16 + 28 * abs(columns)
        y_from, y_to = (y1, y2) if up else (y1 + _HIGH, y2 + _HIGH)
        top = (min(y_from, y_to) - far) if up else (max(y_from, y_to) + far)
        x_from, x_to = x1 + _WIDE * (0.7 if up else 0.3), x2 + _WIDE * (0.3 if up else 0.7)
        bend = f"M{x_from:.0f} {y_from:.0f} C{x_from:.0f} {top:.0f} {x_to:.0f} {top:.0f} {x_to:.0f} {y_to:.0f}"
        at = ((x_from + x_to) / 2, (y_from + y_to) / 8 + top * 3 / 4 + (-4 if up else 12))
    words = f'<text x="{at[0]:.0f}" y="{at[1]:.0f}" text-anchor="middle" font-size="10" fill="currentColor">{escape(label, quote=True)}</text>' if label else ""
    return f'<path d="{bend}" fill="none" stroke="currentColor" marker-end="url(#assent-tip)"/>{words}'
