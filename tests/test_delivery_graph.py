"""The graph of a delivery as it is drawn: in its module, by LangGraph, and by the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import END, START

from assent.graphs import delivery as module
from assent.graphs import phase
from assent.graphs.labels import BETWEEN

from .delivery_world import Delivery

TABLES = {
    "admit": module.AFTER_ADMIT, "checkpoint": module.AFTER_CHECKPOINT, "approval": module.AFTER_APPROVAL, "execute": module.AFTER_EXECUTE,
    "staff_testing": module.AFTER_STAFF, "final_consolidation": module.AFTER_FINAL, "go_no_go": module.AFTER_DECISION,
}  # fmt: skip


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Any]:
    world = Delivery(tmp_path)
    yield module.build(world.open().delivery_ports)
    world.close()


def edges(graph: Any) -> set[tuple[str, str, str]]:
    names = {START: "START", END: "END"}
    ends = [(source, str(label), target) for source, routes in graph.branches.items() for route in routes.values() for label, target in (route.ends or {}).items()]
    routed = {(source, label, target) for source, labels, target in ends for label in labels.split(BETWEEN)}
    plain = {(names.get(source, source), "", names.get(target, target)) for source, target in graph.edges}
    return plain | routed


def drawn(text: str) -> set[tuple[str, str, str]]:
    """Read the arrows of the drawing: `from ─ label, label → to → to`."""
    found = set()
    for line in text.splitlines():
        if "→" not in line:
            continue
        parts = [part.strip() for part in line.strip().split("→")]
        for left, right in pairwise(parts):
            source, _, labels = left.partition(" ─ ")
            target = right.partition(" ─ ")[0]
            found |= {(source.strip(), label.strip(), target.strip()) for label in (labels.split(",") if labels else [""])}
    return found


def test_the_drawing_is_the_graph(graph: Any) -> None:
    assert drawn(module.__doc__ or "") == edges(graph)


def test_the_command_line_prints_the_drawing(graph: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from assent.runtime.cli.command import Door
    from assent.runtime.cli.draw import graph as command

    assert command(Door(), "delivery") == 0
    assert drawn(capsys.readouterr().out) == edges(graph)
    assert command(Door(), "delivery", mermaid=True) == 0
    mermaid = capsys.readouterr().out.replace("&nbsp;", " ")
    assert all(station in mermaid for station in ("analysis", "testing_extended", "go_no_go"))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_label_is_words(table: dict[Any, str]) -> None:
    assert all(re.fullmatch(r"[a-z][a-z ]*", label) for label in table)


def test_phases_are_drawn_inside(graph: Any) -> None:
    nodes = graph.compile().get_graph(xray=True).nodes
    assert {f"{name}:{station}" for name in ("analysis", "testing", "testing_extended") for station in ("dispatch_agents", "run_agent", "collect", "validate")} <= set(nodes)
    assert phase.AFTER_VALIDATE["question"] == END


def test_every_answer_leads_to_the_station_that_asked() -> None:
    for where, station in (("analysis", "admit"), ("testing", "staff_testing"), ("final", "go_no_go")):
        label = module._answered({"route": "approved", "question": {"subject": {"phase": where}}})
        assert module.AFTER_APPROVAL[label] == station
    assert module.AFTER_APPROVAL[module._answered({"route": "rejected", "question": {"subject": {"phase": "final"}}})] == "go_no_go"
    assert module.AFTER_APPROVAL[module._answered({"route": "rejected", "question": {"subject": {"phase": "analysis"}}})] == "consolidate"
    assert module.AFTER_APPROVAL[module._answered({"route": "approved", "question": {}})] == "execute"
