"""PAR — Problem, Action, Results: the main graph.

    START → plan → risk_assessment ─ low ───────────────→ execute ─ done ──────→ consolidate → results → END
                        │  ▲  └─ denied ──────────────────────┼─────────────────────────────────────▲
                   needs│  │edited                            ├─ failed → rollback ─ rolled back ───┤
                approval▼  │                                  │              └ question → approval  │
                     approval ─ approved ────────────────────▶├─ question → approval                │
                        │                                     │  next step → execute, stopped ──────┤
                        └── rejected / expired / cancelled ───┴─────────────────────────────────────┘

Edge labels are words a person understands, because Studio draws them. No edge permits anything: `execute` asks the ledger for every step.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any

from langgraph.graph import END, START, StateGraph

from ..nodes.approval import approval
from ..nodes.consolidate import consolidate
from ..nodes.execute import execute
from ..nodes.plan import plan
from ..nodes.ports import Ports
from ..nodes.results import results
from ..nodes.risk_assessment import risk_assessment
from ..nodes.rollback import rollback
from ..nodes.state import Context, Input, Output, State
from .labels import routed

AFTER_RISK: dict[Hashable, str] = {"low": "execute", "needs approval": "approval", "denied": "consolidate"}
AFTER_APPROVAL: dict[Hashable, str] = {"approved": "execute", "edited": "risk_assessment", "rejected": "consolidate", "expired": "consolidate", "cancelled": "consolidate"}
AFTER_EXECUTE: dict[Hashable, str] = {"done": "consolidate", "failed": "rollback", "question": "approval", "stopped": "consolidate", "next step": "execute"}
AFTER_ROLLBACK: dict[Hashable, str] = {"rolled back": "consolidate", "question": "approval"}


def build(ports: Ports) -> StateGraph[State, Context, Input, Output]:
    """Return the graph, not compiled, for embedding as a subgraph or compiling with a checkpointer.

    Args:
        ports: what the stations can touch; `assent.open(...).ports` has them.
    """
    graph: StateGraph[State, Context, Input, Output] = StateGraph(State, context_schema=Context, input_schema=Input, output_schema=Output)
    bound: list[tuple[str, Any]] = [
        ("plan", plan), ("risk_assessment", risk_assessment), ("approval", approval), ("execute", execute), ("rollback", rollback),
        ("consolidate", consolidate), ("results", results),
    ]
    for name, node in bound:
        graph.add_node(name, partial(node, ports=ports), input_schema=State)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "risk_assessment")
    routed(graph, "risk_assessment", AFTER_RISK, _route)
    routed(graph, "approval", AFTER_APPROVAL, _route)
    routed(graph, "execute", AFTER_EXECUTE, _route)
    routed(graph, "rollback", AFTER_ROLLBACK, _route)
    graph.add_edge("consolidate", "results")
    graph.add_edge("results", END)
    return graph


def _route(state: State) -> str:
    return state["route"]
