"""Agents: in processes of their own, and made of what people have."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph

from assent.graphs import phase
from assent.nodes.phase_crew import Exhausted, Late
from assent.policies.agent_message import task_message
from assent.runtime.phases.agent_process import Died, ProcessAgent
from assent.runtime.phases.agents import adapt, task_text
from assent.runtime.phases.store import ReportKeep
from assent.runtime.testing import FrozenClock
from assent.schemas.agent_message import AgentMessage
from assent.schemas.errors import InvalidConfiguration
from assent.schemas.phase import AgentLimits
from assent.tools.tool import Place

from .phase_world import World, says, spec_of


def place(tmp_path: Path) -> Place:
    folder = tmp_path / "workspace"
    folder.mkdir(exist_ok=True)
    return Place(workspace=folder, keep=ReportKeep(tmp_path / "keep"), scratch=tmp_path / "scratch")


def process(tmp_path: Path, name: str) -> ProcessAgent:
    return ProcessAgent(f"phase_agents:{name}", place(tmp_path), paths=(str(Path(__file__).parent),))


def task(**limits: Any) -> AgentMessage:
    spec = spec_of(time_limit_s=100)
    agent = spec.agent("a").model_copy(update={"limits": AgentLimits(**{"time_s": 20, **limits})})
    return task_message(spec, agent, focus=("one",), inputs={}, attempt=0, now=FrozenClock()())


def test_a_process_agent_answers_from_another_process_without_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_TEST_SECRET", "ours")
    found = process(tmp_path, "works")(task())
    assert found["data"]["secret"] == "none" and found["data"]["folder"] == str(tmp_path / "workspace") and found["data"]["parent"] != os.getpid()
    assert process(tmp_path, "works_async")(task()) == {"summary": "a"}
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "limits", "error", "said"),
    [
        ("exits", {}, Died, "exit code 7"),
        ("aborts", {}, Died, "signal 6"),
        ("raises", {}, Died, "told to raise"),
        ("hangs", {"time_s": 0.7}, Late, "killed at its time limit"),
        ("floods", {"report_bytes": 100_000}, Exhausted, "at most 100,000 are read"),
        ("eats_memory", {"memory_mb": 256}, Exhausted, "more than 256 MB"),
        ("burns", {"time_s": 20, "cpu_share": 0.05}, Exhausted, "more than 5% of a processor"),
        ("nowhere", {}, Died, "nowhere"),
    ],
)
def test_whatever_a_process_does_to_itself_is_a_named_fault(tmp_path: Path, name: str, limits: dict[str, Any], error: type[Exception], said: str) -> None:
    began = time.monotonic()
    with pytest.raises(error, match=said):
        process(tmp_path, name)(task(**limits))
    assert time.monotonic() - began < 10
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_phase_survives_an_agent_that_kills_its_process(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.spec = spec_of(reruns=0, time_s=20, time_limit_s=20)
    ports = world.ports(agents={"a": process(tmp_path, "aborts"), "b": process(tmp_path, "not_json"), "c": process(tmp_path, "works")})
    graph: Any = phase.build(world.spec, ports).compile()
    found = graph.invoke({"run_id": "r"})
    assert [world.settled(found, name).outcome.value for name in "abc"] == ["crashed", "invalid", "reported"]


# --- what people have -------------------------------------------------------------------------------------------------------------------


class Talk(TypedDict, total=False):
    messages: list[Any]


class Told(TypedDict, total=False):
    message: dict[str, Any]
    report: dict[str, Any]


def graph_of(state: Any, node: Any) -> Any:
    graph: Any = StateGraph(state)
    graph.add_node("only", node)
    graph.add_edge(START, "only")
    graph.add_edge("only", END)
    return graph.compile()


ANSWER = json.dumps(says())


@pytest.mark.parametrize(
    "thing",
    [
        lambda message: says(),
        FakeListChatModel(responses=[f"```json\n{ANSWER}\n```"]),
        RunnableLambda(lambda text: ANSWER),
        RunnableLambda(lambda text: says()),
        graph_of(Talk, lambda state: {"messages": [FakeListChatModel(responses=[ANSWER]).invoke("x")]}),
        graph_of(Told, lambda state: {"report": {**says(), "summary": state["message"]["header"]["agent_id"]}}),
    ],
    ids=["function", "model", "text", "mapping", "model messages", "report"],
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_people_have_becomes_an_agent(tmp_path: Path, thing: Any, asynchronous: bool) -> None:
    world = World(tmp_path)
    graph = world.graph(agents=dict.fromkeys("abc", adapt(thing)))
    found = asyncio.run(graph.ainvoke({"run_id": "r"})) if asynchronous else graph.invoke({"run_id": "r"})
    assert found["passed"], found["summary"]


def test_a_model_is_told_the_form_of_the_answer_and_its_own_prompt() -> None:
    message = task()
    prompted = message.model_copy(update={"body": message.body.model_copy(update={"content": {**message.body.content, "prompt": "Be brief."}})})
    text = task_text(prompted)
    assert text.startswith("Be brief.") and '"agent_id": "a"' in text and "findings" in text


def test_what_is_no_agent_is_refused_with_a_hint() -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        adapt(StateGraph(dict))
    assert "compile" in refused.value.hint
    with pytest.raises(InvalidConfiguration):
        adapt("text")
