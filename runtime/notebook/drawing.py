"""A graph as SVG, drawn here: LangGraph's own pictures are drawn by a server on the network.

Stations stand below each other, each in the row of its longest way from the start; ways that skip rows are curves on the right, ways back curves on
the left. Labels are the words of the graph's edges. It draws what is compiled, so it cannot disagree with what runs.
"""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import Any

from ...schemas.errors import NotFound
from .view import Shown

_WIDE, _HIGH, _GAP_X, _GAP_Y, _EDGE = 140, 32, 30, 40, 12
_OUT, _FURTHER, _LETTER = 26, 30, 6.2
"""How far a curve over two rows leaves the stations, how much further each row more, and how wide a letter is at most."""


def draw(graph: Any = "par") -> Shown:
    """Return a graph as SVG.

    Args:
        graph: `par` or `phase`, or any compiled LangGraph graph.

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
    from ..cli.draw import NAMES, compiled

    if name not in NAMES:
        raise NotFound(f"there is no graph {name!r}", hint=f"the graphs are: {', '.join(NAMES)}")
    return compiled(name)


def _rows(nodes: list[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """Return the row of each node: its longest way from the start, where ways back do not count."""
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
    row = dict.fromkeys(nodes, 0)
    for node in reversed(order):
        for target in targets[node]:
            if (node, target) not in back:
                row[target] = max(row[target], row[node] + 1)
    return row


def _svg(nodes: list[str], edges: dict[tuple[str, str], str]) -> str:
    row = _rows(nodes, list(edges))
    count: dict[int, int] = defaultdict(int)
    place: dict[str, tuple[float, float]] = {}
    for node in nodes:
        n, of = count[row[node]], list(row.values()).count(row[node])
        count[row[node]] += 1
        place[node] = ((n - (of - 1) / 2) * (_WIDE + _GAP_X) - _WIDE / 2, row[node] * (_HIGH + _GAP_Y))
    found = [_edge(place[source], place[target], label, row[target] - row[source]) for (source, target), label in edges.items()]
    left = min([x for x, _ in place.values()] + [box[0] for _, box in found]) - _EDGE
    right = max([x + _WIDE for x, _ in place.values()] + [box[1] for _, box in found]) + _EDGE
    bottom = max(y for _, y in place.values()) + _HIGH + 2 * _EDGE
    arrow = '<defs><marker id="assent-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>'
    drawn = "".join(one for one, _ in found) + "".join(_node(node, *place[node]) for node in nodes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} {-_EDGE} {right - left:.0f} {bottom:.0f}" width="{right - left:.0f}" '
        f'style="max-width:100%;color:#7a8699" font-family="system-ui,sans-serif" font-size="13" role="img">{arrow}{drawn}</svg>'
    )


def _node(name: str, x: float, y: float) -> str:
    words = escape(name.strip("_").replace("_", " "), quote=True)
    ends = name.startswith("__")
    round_, fill = (_HIGH / 2, "#8883") if ends else (6, "#4a7dbd33")
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{_WIDE}" height="{_HIGH}" rx="{round_:g}" fill="{fill}" stroke="currentColor"/>'
        f'<text x="{x + _WIDE / 2:.0f}" y="{y + _HIGH / 2 + 4:.0f}" text-anchor="middle" fill="currentColor" font-weight="600">{words}</text>'
    )


def _edge(one: tuple[float, float], other: tuple[float, float], label: str, rows: int) -> tuple[str, tuple[float, float]]:
    """Return a way with its words, and how far it reaches to the left and to the right."""
    (x1, y1), (x2, y2) = one, other
    if rows == 1:
        start, end = (x1 + _WIDE / 2, y1 + _HIGH), (x2 + _WIDE / 2, y2)
        bend = f"M{start[0]:.0f} {start[1]:.0f} L{end[0]:.0f} {end[1]:.0f}"
        at, anchor = ((start[0] + end[0]) / 2 + 8, (start[1] + end[1]) / 2 + 4), "start"
    else:
        side, anchor = (1, "start") if rows > 1 else (-1, "end")
        from_x, to_x = (x1 + _WIDE, x2 + _WIDE) if side > 0 else (x1, x2)
        far = side * (_OUT + _FURTHER * abs(rows))
        # Into a station a little above its middle, out of it a little below, so that arrows that come and go do not meet.
        from_y, to_y = y1 + _HIGH * (0.65 if rows else 0.25), y2 + _HIGH * (0.35 if rows else 0.75)
        bend = f"M{from_x:.0f} {from_y:.0f} C{from_x + far:.0f} {from_y:.0f} {to_x + far:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"
        at = ((from_x + to_x) / 8 + (from_x + to_x + 2 * far) * 3 / 8 + side * 5, (from_y + to_y) / 2 + 4)
    width = _LETTER * len(label)
    reach = (at[0], at[0] + width) if anchor == "start" else (at[0] - width, at[0])
    words = f'<text x="{at[0]:.0f}" y="{at[1]:.0f}" text-anchor="{anchor}" font-size="12" fill="currentColor">{escape(label, quote=True)}</text>' if label else ""
    return f'<path d="{bend}" fill="none" stroke="currentColor" marker-end="url(#assent-tip)"/>{words}', reach
