"""An agent of a phase that a model drives: it asks to look, is shown what it may see, and reports. Run by `runtime/phases/model_agent.py`.

    START → brief → ask ─ calls → look → ask
                    ask ─ report → END

Nothing here permits a call: `look` hands each to a port that has it assessed and recorded in the ledger like any step, and whatever does not flow
there ends the agent with a question. The loop is bounded by the agent's turns, tokens and time, each checked before something begins.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial

from langgraph.graph import END, START, StateGraph

from ..nodes.agent_ask import ask
from ..nodes.agent_brief import brief
from ..nodes.agent_look import look
from ..nodes.agent_ports import AgentPorts
from ..nodes.agent_state import AgentState

AFTER_ASK: dict[Hashable, str] = {"calls": "look", "report": END}


def build(ports: AgentPorts) -> StateGraph[AgentState, None, AgentState, AgentState]:
    """Return the graph of one agent, not compiled. It is given `message`, and `facts` where programs looked before."""
    graph: StateGraph[AgentState, None, AgentState, AgentState] = StateGraph(AgentState)
    graph.add_node("brief", partial(brief, ports=ports))
    graph.add_node("ask", partial(ask, ports=ports))
    graph.add_node("look", partial(look, ports=ports))
    graph.add_edge(START, "brief")
    graph.add_edge("brief", "ask")
    graph.add_conditional_edges("ask", _route, AFTER_ASK)
    graph.add_edge("look", "ask")
    return graph


def _route(state: AgentState) -> str:
    return "calls" if state["calls"] else "report"
