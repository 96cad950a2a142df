"""Agents of a phase from what people have: functions, LangChain runnables and chat models, compiled graphs.

Rules:
- A function or coroutine function that takes an AgentMessage is an agent as it is.
- A runnable is given the task as text and answers with text or a mapping; a code fence around JSON is taken off, nothing else is guessed.
- A compiled graph is given the task as `message` (JSON) and `messages` (one text); it answers with `report`, `message`, the last of `messages`, or
  all of its output. One that stops with an interrupt asks a person: that is a question of the phase, and nothing that it wanted was done.

An agent in a process of its own is `agent_process.py`. Source: E1, E8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.pregel import Pregel

from ...nodes.phase_crew import AsksPerson
from ...schemas.agent_message import AgentMessage
from ...schemas.errors import InvalidConfiguration

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?```\s*\Z", re.DOTALL)
_CONFIG: RunnableConfig = {"recursion_limit": 100}
_ASKED = (
    "You are one agent of a phase; the task is the JSON below. Answer with one JSON object and nothing else: summary (text), findings (a list of"
    " {subject, aspect, value, severity, text, evidence}), risks (a list of {level: LOW|MEDIUM|HIGH|CRITICAL, text}), advice (a list of"
    " {action, layer: core|integration|support, severity}), not_looked_at (a list of texts), data (an object)."
)


def adapt(thing: Any) -> Callable[[AgentMessage], Any]:
    """Return an agent made of a function, a runnable or a compiled graph.

    Raises:
        InvalidConfiguration: it is none of these; a graph that was not compiled is the common case.
    """
    if isinstance(thing, Pregel):
        return GraphAgent(thing)
    if isinstance(thing, Runnable):
        return RunnableAgent(thing)
    if callable(thing):
        found: Callable[[AgentMessage], Any] = thing
        return found
    hint = "compile the graph first: `.compile()`" if hasattr(thing, "compile") else "give a function of one message, a LangChain runnable or a compiled graph"
    raise InvalidConfiguration(f"{type(thing).__name__} is not an agent", hint=hint)


class RunnableAgent:
    """A LangChain runnable, a chat model among them, as an agent."""

    def __init__(self, runnable: Runnable[Any, Any]) -> None:
        self.runnable = runnable

    def __call__(self, message: AgentMessage) -> Any:
        """Ask it and wait."""
        return _answer(self.runnable.invoke(task_text(message), _CONFIG))

    async def acall(self, message: AgentMessage) -> Any:
        """Ask it on the caller's loop."""
        return _answer(await self.runnable.ainvoke(task_text(message), _CONFIG))


class GraphAgent:
    """A compiled graph as an agent."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    def __call__(self, message: AgentMessage) -> Any:
        """Run it and wait. Raises: AsksPerson: it was interrupted."""
        return _output(self.graph.invoke(_input(message), _CONFIG))

    async def acall(self, message: AgentMessage) -> Any:
        """Run it on the caller's loop. Raises: AsksPerson: it was interrupted."""
        return _output(await self.graph.ainvoke(_input(message), _CONFIG))


def task_text(message: AgentMessage) -> str:
    """Return what a model is told: the agent's own prompt, the form of the answer, and the task as JSON."""
    own = message.body.content.get("prompt", "")
    return "\n\n".join(part for part in (str(own), _ASKED, json.dumps(message.as_json(), ensure_ascii=False)) if part)


def _input(message: AgentMessage) -> dict[str, Any]:
    # LangGraph drops what a graph's state does not have, so one input serves both kinds of graph.
    return {"message": message.as_json(), "messages": [("user", task_text(message))]}


def _output(found: Any) -> Any:
    if not isinstance(found, Mapping):
        return _answer(found)
    if found.get("__interrupt__"):
        values = [getattr(one, "value", one) for one in found["__interrupt__"]]
        raise AsksPerson(f"it stopped with a question: {json.dumps(values, default=str)[:400]}")
    for name in ("report", "message"):
        # The graph may hand the task through; only what differs from it is an answer.
        if found.get(name) and not _is_task(found[name]):
            return _answer(found[name])
    if found.get("messages"):
        return _answer(found["messages"][-1])
    return {name: value for name, value in found.items() if name not in ("message", "messages")}


def _is_task(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("body"), Mapping) and value["body"].get("next_action") == "report"


def _answer(found: Any) -> Any:
    if isinstance(found, BaseMessage):
        found = str(found.text)
    if isinstance(found, str):
        fenced = _FENCE.match(found)
        return fenced.group(1) if fenced else found
    return found
