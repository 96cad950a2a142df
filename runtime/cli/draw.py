"""`assent graph`: draw a graph, as its module draws it or as Mermaid text. Nothing is fetched from anywhere."""

from __future__ import annotations

import ast
import sys
from importlib import resources
from types import SimpleNamespace
from typing import Annotated, Any, cast

import typer

from .command import SUCCEEDED, Door, print_json

NAMES = ("par", "delivery", "phase")


def graph(
    door: Door,
    name: Annotated[str, typer.Argument(help="Name of the graph.")] = "par",
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print Mermaid text, drawn from the compiled graph.")] = False,
) -> int:
    """Draw a graph."""
    from ...schemas.errors import NotFound

    if name not in NAMES:
        raise NotFound(f"there is no graph {name!r}", hint=f"the graphs are: {', '.join(NAMES)}")
    if door.as_json:
        drawn = _drawable(name).to_json()
        print_json({"graph": name, "nodes": [node["id"] for node in drawn["nodes"]], "edges": drawn["edges"]})
    elif mermaid:
        sys.stdout.write(_drawable(name).draw_mermaid())
    else:
        # The docstring is read as text: showing it costs no LangGraph.
        package = (__package__ or "assent.runtime.cli").rpartition(".runtime")[0]
        source = resources.files(f"{package}.graphs").joinpath(f"{name}.py").read_text(encoding="utf-8")
        sys.stdout.write((ast.get_docstring(ast.parse(source)) or "") + "\n")
    return SUCCEEDED


def compiled(name: str) -> Any:
    """Return one of our graphs as it is drawn: its stations are there, and their hands are not, because drawing calls none."""
    from ...nodes.ports import Ports

    if name == "par":
        from ...graphs import par

        return par.build(cast("Ports", None)).compile(name=name)
    from ...policies.phases import for_testing, shipped

    if name == "phase":
        from ...graphs import phase

        return phase.build(shipped("analysis"), cast("Any", None)).compile(name=name)
    from ...graphs import delivery

    # Of these ports the phases are part of the drawing.
    phases: Any = SimpleNamespace(ports=None, analysis=None, testing=None, analysed=shipped("analysis"), tested={number: for_testing(number) for number in (3, 5)})
    return delivery.build(phases).compile(name=name)


def _drawable(name: str) -> Any:
    return compiled(name).get_graph()
