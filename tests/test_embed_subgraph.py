"""The main graph as a subgraph of a host's: questions surface, doorbells work, with the checkpointer of the host."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send

from assent.graphs import par
from assent.runtime.checkpoints import Checkpoints
from assent.runtime.runtime import Runtime
from assent.runtime.testing import Recorder, authenticated, recorded

from .agents import on

Door = Callable[..., Runtime]
LENA = authenticated("lena")


class Work(TypedDict, total=False):
    """State of a host that knows nothing of assent but what its subgraph takes and says."""

    request: Any
    run_id: str
    status: str
    success: bool | None
    notes: Annotated[list[str], operator.add]


def host(runtime: Runtime, saver: Any = None) -> Any:
    graph = StateGraph(Work)
    graph.add_node("before", lambda state: {"notes": ["before"]})
    graph.add_node("governed", par.build(runtime.ports).compile())
    graph.add_node("after", lambda state: {"notes": [f"after {state['status']}"]})
    graph.add_edge(START, "before")
    graph.add_edge("before", "governed")
    graph.add_edge("governed", "after")
    graph.add_edge("after", END)
    return graph.compile(checkpointer=saver or InMemorySaver())


def ask(*effects: str, level: str = "HIGH") -> dict[str, Any]:
    return {"request": {"plan": recorded(*[{"effect": effect, "level": level} for effect in effects]).as_json()}}


async def call(graph: Any, mode: str, given: Any, thread: str = "t") -> Any:
    return await graph.ainvoke(given, on(thread)) if mode == "async" else graph.invoke(given, on(thread))


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


async def test_low_risk_flows_through(door: Door, recorder: Recorder, mode: str) -> None:
    end = await call(host(door()), mode, ask("a", level="LOW"))
    assert (end["status"], end["success"], recorder.names) == ("completed", None, ["a"])
    assert end["notes"] == ["before", "after completed"]


async def test_the_question_surfaces_and_the_resume_is_a_doorbell(door: Door, recorder: Recorder, mode: str) -> None:
    runtime = door()
    graph = host(runtime)
    (asked,) = (await call(graph, mode, ask("a")))["__interrupt__"]
    assert asked.value["request_id"] == runtime.inbox()[0].id
    for ring in ({"decisions": [{"type": "approve"}]}, True, "approve"):
        (again,) = (await call(graph, mode, Command(resume=ring)))["__interrupt__"]
        assert again.value["request_id"] == asked.value["request_id"]
    assert recorder.names == []
    runtime.decide(asked.value["request_id"], "approve", actor=LENA, resume=False)
    end = await call(graph, mode, Command(resume="ring"))
    assert (end["notes"], recorder.names) == (["before", "after completed"], ["a"])


async def test_a_decision_that_already_ran_the_run_is_seen_by_the_host(door: Door, recorder: Recorder, mode: str) -> None:
    runtime = door()
    graph = host(runtime)
    (asked,) = (await call(graph, mode, ask("a")))["__interrupt__"]
    assert runtime.decide(asked.value["request_id"], "approve", actor=LENA).status == "completed"
    end = await call(graph, mode, Command(resume="ring"))
    assert (end["status"], recorder.names) == ("completed", ["a"])


@pytest.mark.parametrize(("verdict", "status"), [("reject", "rejected"), ("edit", "completed")])
async def test_every_answer_leads_on(door: Door, recorder: Recorder, mode: str, verdict: str, status: str) -> None:
    runtime = door()
    graph = host(runtime)
    (asked,) = (await call(graph, mode, ask("a")))["__interrupt__"]
    edit = {"steps": {1: {"args": {"effect": "b", "level": "LOW"}}}} if verdict == "edit" else None
    runtime.decide(asked.value["request_id"], verdict, actor=LENA, edit=edit, resume=False)
    end = await call(graph, mode, Command(resume="ring"))
    assert (end["status"], recorder.names) == (status, ["b"] if verdict == "edit" else [])


def test_another_process_goes_on_with_the_host(door: Door, recorder: Recorder, tmp_path: Path) -> None:
    saver = Checkpoints(tmp_path / "host.db")
    host(door(), saver).invoke(ask("a"), on("t"))
    saver.conn.close()
    runtime = door("lena")
    runtime.decide(runtime.inbox()[0].id, "approve", resume=False)
    saver = Checkpoints(tmp_path / "host.db")
    end = host(runtime, saver).invoke(Command(resume="ring"), on("t"))
    saver.conn.close()
    assert (end["notes"], recorder.names) == (["before", "after completed"], ["a"])


async def test_parallel_branches_with_a_run_each(door: Door, recorder: Recorder, mode: str) -> None:
    """Each branch names its run; the host's thread would name only one."""
    runtime = door()
    for name in ("a", "b", "c"):
        runtime.start(recorded({"effect": name}), run_id=f"run_{name}")
    graph = StateGraph(Work)
    inner: Any = par.build(runtime.ports).compile()

    async def one(state: Any) -> Any:
        end = await inner.ainvoke({"run_id": state["run_id"]})
        return {"notes": [f"{state['run_id']} {end['status']}"]}

    def one_sync(state: Any) -> Any:
        return {"notes": [f"{state['run_id']} {inner.invoke({'run_id': state['run_id']})['status']}"]}

    graph.add_node("one", one if mode == "async" else one_sync)
    graph.add_conditional_edges(START, lambda state: [Send("one", {"run_id": f"run_{name}"}) for name in ("a", "b", "c")], ["one"])
    graph.add_edge("one", END)
    app = graph.compile(checkpointer=InMemorySaver())
    asked = (await call(app, mode, {"notes": []}))["__interrupt__"]
    assert len({one.value["run_id"] for one in asked}) == 3
    for one_ in asked:
        runtime.decide(one_.value["request_id"], "reject" if one_.value["run_id"] == "run_b" else "approve", actor=LENA, resume=False)
    end = await call(app, mode, Command(resume={one_.id: "ring" for one_ in asked}))
    assert sorted(end["notes"]) == ["run_a completed", "run_b rejected", "run_c completed"]
    assert sorted(recorder.names) == ["a", "c"]


def test_a_forged_state_or_a_skipped_station_reaches_no_effect(door: Door, recorder: Recorder) -> None:
    runtime = door()
    graph = host(runtime)
    graph.invoke(ask("a"), on("t"))
    inner = graph.get_state(on("t"), subgraphs=True).tasks[0].state
    fork = graph.update_state(inner.config, {"route": "approved", "status": "running"}, as_node="approval")
    graph.invoke(None, fork)
    graph.invoke(Command(resume="approve"), on("t"))
    assert recorder.names == []
