"""A delivery: analysis, checkpoint 1, plan, approval, execution, testing, final consolidation, go or no-go, results.

    START → admit ─ to analyse → analysis → checkpoint ─ passed → plan → risk_assessment ─ low → execute
            admit ─ analysed → plan
            admit ─ question → approval
            admit ─ over → consolidate
            checkpoint ─ question → approval
            checkpoint ─ over → consolidate
            risk_assessment ─ needs approval → approval
            risk_assessment ─ denied → consolidate
            approval ─ approved → execute
            approval ─ edited → risk_assessment
            approval ─ analysis answered → admit
            approval ─ testing answered → staff_testing
            approval ─ release answered → go_no_go
            approval ─ rejected, expired, cancelled → consolidate
            execute ─ done → staff_testing
            execute ─ next step → execute
            execute ─ question → approval
            execute ─ failed → rollback ─ rolled back → consolidate → results → END
            rollback ─ question → approval
            execute ─ stopped → consolidate
            execute ─ checkpoint missing → admit
            staff_testing ─ three agents → testing → final_consolidation ─ decided → go_no_go ─ released → consolidate
            staff_testing ─ five agents → testing_extended → final_consolidation
            staff_testing ─ tested → final_consolidation
            staff_testing ─ question → approval
            staff_testing ─ not done → execute
            staff_testing ─ stopped, over → consolidate
            final_consolidation ─ question → approval
            final_consolidation ─ over → consolidate
            go_no_go ─ question → approval
            go_no_go ─ take back → rollback
            go_no_go ─ keep, over → consolidate
            go_no_go ─ undecided → staff_testing

`analysis`, `testing` and `testing_extended` are phases (`phase.py`); every other station is one of `par`, or one in `nodes/`. No edge permits
anything: before a step runs, `execute` has the ledger look for checkpoint 1, and before the run is completed, for the release.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any

from langgraph.graph import END, START, StateGraph

from ..nodes.admit import admit
from ..nodes.approval import approval
from ..nodes.checkpoint import checkpoint
from ..nodes.consolidate import consolidate
from ..nodes.delivery_ports import DeliveryPorts
from ..nodes.delivery_state import DeliveryState
from ..nodes.execute import execute
from ..nodes.final_consolidation import final_consolidation
from ..nodes.go_no_go import go_no_go
from ..nodes.plan import plan
from ..nodes.results import results
from ..nodes.risk_assessment import risk_assessment
from ..nodes.rollback import rollback
from ..nodes.staff_testing import staff_testing
from ..nodes.state import Context, Input, Output
from . import phase
from .labels import routed
from .par import AFTER_RISK, AFTER_ROLLBACK

AFTER_ADMIT: dict[Hashable, str] = {"to analyse": "analysis", "analysed": "plan", "question": "approval", "over": "consolidate"}
AFTER_CHECKPOINT: dict[Hashable, str] = {"passed": "plan", "question": "approval", "over": "consolidate"}
AFTER_APPROVAL: dict[Hashable, str] = {
    "approved": "execute", "edited": "risk_assessment", "analysis answered": "admit", "testing answered": "staff_testing", "release answered": "go_no_go",
    "rejected": "consolidate", "expired": "consolidate", "cancelled": "consolidate",
}  # fmt: skip
AFTER_EXECUTE: dict[Hashable, str] = {
    "done": "staff_testing", "next step": "execute", "question": "approval", "failed": "rollback", "stopped": "consolidate", "checkpoint missing": "admit",
}  # fmt: skip
AFTER_STAFF: dict[Hashable, str] = {
    "three agents": "testing", "five agents": "testing_extended", "tested": "final_consolidation", "question": "approval", "not done": "execute", "stopped": "consolidate",
    "over": "consolidate",
}  # fmt: skip
AFTER_FINAL: dict[Hashable, str] = {"decided": "go_no_go", "question": "approval", "over": "consolidate"}
AFTER_DECISION: dict[Hashable, str] = {
    "released": "consolidate", "question": "approval", "take back": "rollback", "keep": "consolidate", "undecided": "staff_testing", "over": "consolidate",
}  # fmt: skip
_ANSWERED = {"analysis": "analysis answered", "testing": "testing answered", "final": "release answered"}


def build(ports: DeliveryPorts, *, in_threads: bool = False) -> StateGraph[DeliveryState, Context, Input, Output]:
    """Return the graph, not compiled, for embedding as a subgraph or compiling with a checkpointer.

    Args:
        ports: what the stations can touch; `assent.open(...).delivery_ports` has them.
        in_threads: as for a phase: touch no disk on the caller's loop, which servers forbid.
    """
    graph: StateGraph[DeliveryState, Context, Input, Output] = StateGraph(DeliveryState, context_schema=Context, input_schema=Input, output_schema=Output)
    own: list[tuple[str, Any]] = [
        ("admit", admit), ("checkpoint", checkpoint), ("staff_testing", staff_testing), ("final_consolidation", final_consolidation), ("go_no_go", go_no_go),
    ]
    shared: list[tuple[str, Any]] = [
        ("plan", plan), ("risk_assessment", risk_assessment), ("approval", approval), ("execute", execute), ("rollback", rollback),
        ("consolidate", consolidate), ("results", results),
    ]
    for name, node in own:
        graph.add_node(name, partial(node, ports=ports), input_schema=DeliveryState)
    for name, node in shared:
        graph.add_node(name, partial(node, ports=ports.ports), input_schema=DeliveryState)
    graph.add_node("analysis", phase.build(ports.analysed, ports.analysis, in_threads=in_threads).compile(name="analysis"))
    graph.add_node("testing", phase.build(ports.tested[3], ports.testing, in_threads=in_threads).compile(name="testing"))
    graph.add_node("testing_extended", phase.build(ports.tested[5], ports.testing, in_threads=in_threads).compile(name="testing_extended"))
    graph.add_edge(START, "admit")
    routed(graph, "admit", AFTER_ADMIT, _route)
    graph.add_edge("analysis", "checkpoint")
    routed(graph, "checkpoint", AFTER_CHECKPOINT, _route)
    graph.add_edge("plan", "risk_assessment")
    routed(graph, "risk_assessment", AFTER_RISK, _route)
    routed(graph, "approval", AFTER_APPROVAL, _answered)
    routed(graph, "execute", AFTER_EXECUTE, _route)
    routed(graph, "staff_testing", AFTER_STAFF, _route)
    graph.add_edge("testing", "final_consolidation")
    graph.add_edge("testing_extended", "final_consolidation")
    routed(graph, "final_consolidation", AFTER_FINAL, _route)
    routed(graph, "go_no_go", AFTER_DECISION, _route)
    routed(graph, "rollback", AFTER_ROLLBACK, _route)
    graph.add_edge("consolidate", "results")
    graph.add_edge("results", END)
    return graph


def _route(state: DeliveryState) -> str:
    return state["route"]


def _answered(state: DeliveryState) -> str:
    """Lead an answer back to the station that asked. A release that was refused is a decision about the work, not the end of the run."""
    route, phase_name = state["route"], (state.get("question") or {}).get("subject", {}).get("phase")
    if phase_name == "final":
        return _ANSWERED["final"] if route in ("approved", "rejected") else route
    return _ANSWERED.get(phase_name, route) if route == "approved" else route
