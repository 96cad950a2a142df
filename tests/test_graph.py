"""The graph as it is drawn, the state that it keeps, and the ways in which callers run it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.event_hooks import register_serde_event_listener
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from assent.graphs import par
from assent.nodes.state import Context, State
from assent.runtime.runtime import Runtime
from assent.runtime.testing import Recorder, authenticated, recorded

Door = Callable[..., Runtime]
STATIONS = ["plan", "risk_assessment", "approval", "execute", "rollback", "consolidate", "results"]


def at(name: str, **more: Any) -> Any:
    return {"configurable": {"thread_id": name, **more}}


@pytest.fixture(autouse=True)
def told() -> Iterator[list[Any]]:
    """Nothing but JSON ever reaches a checkpoint: the serializer tells of every type that it would have to import."""
    events: list[Any] = []
    end = register_serde_event_listener(events.append)
    yield events
    end()
    assert events == []


# --- the drawing ------------------------------------------------------------------------------------------------------------------------


def _edges(door: Door) -> set[tuple[str, str, str]]:
    graph = par.build(door().ports)
    routed = {(source, str(label), target) for source, routes in graph.branches.items() for route in routes.values() for label, target in (route.ends or {}).items()}
    return {(source, "", target) for source, target in graph.edges} | routed


def test_the_graph_has_the_stations_of_the_drawing(door: Door) -> None:
    nodes = par.build(door().ports).compile().get_graph().nodes
    assert set(nodes) == {START, END, *STATIONS}
    assert par.__doc__ is not None
    drawing = par.__doc__
    for station in STATIONS:
        assert re.search(rf"\b{station}\b", drawing), station


def test_every_edge_and_its_label_is_one_of_the_drawing(door: Door) -> None:
    assert _edges(door) == {
        (START, "", "plan"), ("plan", "", "risk_assessment"),
        ("risk_assessment", "low", "execute"), ("risk_assessment", "needs approval", "approval"), ("risk_assessment", "denied", "consolidate"),
        ("approval", "approved", "execute"), ("approval", "edited", "risk_assessment"),
        ("approval", "rejected / expired / cancelled", "consolidate"),
        ("execute", "done / stopped", "consolidate"), ("execute", "failed", "rollback"), ("execute", "question", "approval"),
        ("execute", "next step", "execute"),
        ("rollback", "rolled back", "consolidate"), ("rollback", "question", "approval"), ("consolidate", "", "results"), ("results", "", END),
    }


def test_what_studio_draws_is_every_edge_with_all_its_words(door: Door) -> None:
    """LangGraph keeps one arrow between two stations; the ways that lead to the same one share its label, so none is lost."""
    drawn = par.build(door().ports).compile().get_graph().edges
    assert {(edge.source, str(edge.data or ""), edge.target) for edge in drawn} == _edges(door)
    assert len(drawn) == len(_edges(door))


def test_every_route_has_a_way_and_the_way_has_its_name(door: Door) -> None:
    branches = par.build(door().ports).branches
    for station, table in (("risk_assessment", par.AFTER_RISK), ("approval", par.AFTER_APPROVAL), ("execute", par.AFTER_EXECUTE)):
        (branch,) = branches[station].values()
        assert branch.ends is not None
        for route, target in table.items():
            label: Any = branch.path.invoke({"route": route})
            assert branch.ends[label] == target
            assert route in label.split(" / ")
        with pytest.raises(KeyError):
            branch.path.invoke({"route": "nowhere"})


@pytest.mark.parametrize("table", [par.AFTER_RISK, par.AFTER_APPROVAL, par.AFTER_EXECUTE, par.AFTER_ROLLBACK], ids=["risk", "approval", "execute", "rollback"])
def test_every_label_is_in_the_drawing_and_is_words(table: dict[Any, str]) -> None:
    assert par.__doc__ is not None
    drawing = re.sub(r"[^a-z_ ]", " ", par.__doc__)
    for label, target in table.items():
        assert re.fullmatch(r"[a-z][a-z ]*", label), label
        for word in label.split():
            assert re.search(rf"\b{word}\b", drawing), f"{label!r} is not drawn"
        assert target in STATIONS


def test_studio_draws_the_graph(door: Door) -> None:
    mermaid = par.build(door().ports).compile().get_graph().draw_mermaid()
    for label in ("low", "approved", "edited", "done", "failed"):
        assert label in mermaid.replace("&nbsp;", " ")


# --- the state --------------------------------------------------------------------------------------------------------------------------


def _only_json(value: Any) -> bool:
    return bool(json.loads(json.dumps(value, allow_nan=False)) == value)


def test_every_checkpoint_of_a_whole_life_holds_only_small_json(door: Door) -> None:
    runtime = door()
    run = runtime.start(recorded({"effect": "a", "outcome": "unknown"}, {"effect": "b", "outcome": "failed"}))
    graph = runtime.graph()
    runtime.decide(run.requests[0].id, "edit", actor=authenticated("lou"), edit={"steps": {1: {"description": "look"}}}, resume=False)
    graph.invoke(Command(resume="ring"), at(run.id))
    runtime.decide(run.requests[-1].id, "approve", actor=authenticated("lena"), resume=False)
    graph.invoke(Command(resume="ring"), at(run.id), context={"stepwise": True})
    runtime.decide(run.requests[-1].id, "happened", actor=authenticated("lena"), resume=False)
    graph.invoke(Command(resume="ring"), at(run.id), context={"stepwise": True})
    assert run.status == "rolled_back"
    history = list(graph.get_state_history(at(run.id)))
    assert len(history) > 8
    for snapshot in history:
        assert _only_json(snapshot.values)
        assert set(snapshot.values) <= set(State.__annotations__)
        assert len(json.dumps(snapshot.values)) < 2000
        for interrupt in snapshot.interrupts:
            assert _only_json(interrupt.value)


def test_the_plan_and_its_arguments_are_not_in_the_checkpoints(door: Door, home: Path) -> None:
    runtime = door()
    run = runtime.start(recorded({"effect": "a-very-telling-argument", "level": "LOW"}))
    assert run.status == "completed"
    runtime.close()
    assert b"a-very-telling-argument" not in b"".join(path.read_bytes() for path in home.glob("checkpoints.db*"))


def test_a_checkpoint_that_names_a_callable_calls_nothing(door: Door, tmp_path: Path, told: list[Any]) -> None:
    """The bytes are LangGraph's own extension format; a reader that allows everything imports and calls what they name."""
    target = tmp_path / "called"
    evil = ormsgpack.packb({"x": ormsgpack.Ext(0, ormsgpack.packb(("os", "mkdir", str(target))))})
    door().checkpoints.serde.loads_typed(("msgpack", evil))
    assert not target.exists()
    assert [(event["kind"], event["name"]) for event in told] == [("msgpack_blocked", "mkdir")]
    told.clear()
    JsonPlusSerializer(allowed_msgpack_modules=True).loads_typed(("msgpack", evil))
    assert target.exists(), "the open reader calls it, so the test attacks what it means to"
    told.clear()


def test_the_interrupt_serves_every_client(door: Door) -> None:
    runtime = door()
    run = runtime.start(recorded("a", "b"))
    (interrupt,) = runtime.graph().get_state(at(run.id)).interrupts
    value = interrupt.value
    assert value["request_id"] == run.requests[0].id
    assert value["digest"] == run.row.digest
    assert [set(call) >= {"name", "args", "arguments", "description"} for call in value["action_requests"]] == [True, True]
    assert [call["args"] == call["arguments"] for call in value["action_requests"]] == [True, True]
    assert {config["action_name"] for config in value["review_configs"]} == {"recorder"}
    assert all(set(config["allowed_decisions"]) <= {"approve", "edit", "reject", "respond"} for config in value["review_configs"])


# --- the ways to run it -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stepwise", [False, True])
def test_stepwise_runs_one_step_in_each_super_step(door: Door, recorder: Recorder, stepwise: bool) -> None:
    runtime = door()
    run = runtime.start(recorded("a", "b", "c"))
    runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"), resume=False)
    updates = list(runtime.graph().stream(Command(resume="ring"), at(run.id), stream_mode="updates", context={"stepwise": stepwise}))
    stations = [name for update in updates for name in update]
    assert stations == ["approval", *["execute"] * (3 if stepwise else 1), "consolidate", "results"]
    assert (run.status, recorder.names) == ("completed", ["a", "b", "c"])


def test_an_unknown_setting_in_the_context_is_refused(door: Door) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    with pytest.raises(ValueError, match="approved"):
        runtime.graph().invoke(Command(resume="ring"), at(run.id), context={"approved": True})
    assert set(Context.model_fields) == {"stepwise"}


async def test_sync_and_async_callers_run_the_same_graph(door: Door, recorder: Recorder) -> None:
    runtime = door()
    graph = runtime.graph()
    waiting = await graph.ainvoke({"request": {"plan": recorded("a").as_json()}}, at("run_async"))
    assert "__interrupt__" in waiting
    run = runtime.run("run_async")
    runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"), resume=False)
    done = await graph.ainvoke(Command(resume="ring"), at("run_async"))
    assert (done["status"], done["success"], recorder.names) == ("completed", None, ["a"])
    assert (await graph.aget_state(at("run_async"))).next == ()
    assert graph.get_state(at("run_async")).values["status"] == "completed"
    assert [snapshot async for snapshot in graph.aget_state_history(at("run_async"), limit=2)]


async def test_several_async_callers_at_once(door: Door, recorder: Recorder) -> None:
    import asyncio

    graph = door().graph()
    low = [recorded({"effect": f"{n}", "level": "LOW"}).as_json() for n in range(8)]
    ends = await asyncio.gather(*[graph.ainvoke({"request": {"plan": plan}}, at(f"run_{n}")) for n, plan in enumerate(low)])
    assert {end["status"] for end in ends} == {"completed"}
    assert sorted(recorder.names) == [f"{n}" for n in range(8)]


def test_the_graph_starts_a_run_of_its_own_from_a_document(door: Door, recorder: Recorder) -> None:
    runtime = door()
    document = {"problem": {"title": "x"}, "action": {"steps": [{"step": 1, "tool": "recorder", "args": {"effect": "a", "level": "LOW"}}]}}
    end = runtime.graph().invoke({"request": document}, at("studio-thread"))
    assert (end["run_id"], end["status"], recorder.names) == ("studio-thread", "completed", ["a"])
    assert set(end) <= {"run_id", "status", "success", "summary"}
    assert runtime.run("studio-thread").row.requester == "dora"


def test_the_tier_in_the_input_binds_the_run(door: Door, recorder: Recorder) -> None:
    end = door().graph().invoke({"request": {"plan": recorded("a").as_json()}, "tier": 1}, at("tiered"))
    assert (end["status"], recorder.names) == ("denied", [])


def test_the_tier_in_the_document_binds_the_run_unless_the_input_names_one(door: Door, recorder: Recorder) -> None:
    steps = [{"step": 1, "tool": "recorder", "args": {"effect": "a", "level": "MEDIUM"}}]
    document = {"metadata": {"agent_tier": 1}, "problem": {"title": "x"}, "action": {"steps": steps}}
    runtime = door()
    assert runtime.graph().invoke({"request": document}, at("by-document"))["status"] == "denied"
    assert runtime.run("by-document").row.tier == 1 == runtime.start(document, run_id="by-start").row.tier
    assert "__interrupt__" in runtime.graph().invoke({"request": document, "tier": 4}, at("by-input"))
    assert runtime.run("by-input").row.tier == 4
    assert recorder.names == []


def test_what_would_make_a_document_better_is_told_whoever_starts_it(door: Door) -> None:
    document = {"problem": {"title": "x"}, "action": {"steps": [{"step": 1, "tool": "recorder", "args": {"effect": "a", "level": "MEDIUM"}}]}}
    runtime = door()
    runtime.graph().invoke({"request": document}, at("by-graph"))
    runtime.start(document, run_id="by-start")
    told = [[event.data["hints"] for event in runtime.run(name).events() if event.type == "problem.vague"] for name in ("by-graph", "by-start")]
    assert told[0] == told[1] != []


def test_it_is_embedded_as_a_subgraph_and_its_question_reaches_the_parent(door: Door, recorder: Recorder) -> None:
    runtime = door()
    parent = StateGraph(State)
    parent.add_node("governed", par.build(runtime.ports).compile())
    parent.add_edge(START, "governed")
    parent.add_edge("governed", END)
    outer = parent.compile(checkpointer=InMemorySaver())
    first = outer.invoke({"request": {"plan": recorded("a").as_json()}}, at("outer"))
    assert first["__interrupt__"][0].value["kind"] == "assent.approval/v1"
    request = runtime.inbox()[0]
    runtime.decide(request.id, "approve", actor=authenticated("lena"), resume=False)
    assert outer.invoke(Command(resume="ring"), at("outer"))["status"] == "completed"
    assert recorder.names == ["a"]


def test_one_interrupt_at_a_time_on_each_thread(door: Door) -> None:
    runtime = door()
    run = runtime.start(recorded({"effect": "a", "level": "CRITICAL"}))
    for name in ("", "ada"):
        if name:
            runtime.decide(run.requests[0].id, "approve", actor=authenticated(name), reason="seen")
        assert len(runtime.graph().get_state(at(run.id)).interrupts) == 1


def test_a_damaged_or_foreign_bookmark_costs_nothing_but_itself(door: Door, recorder: Recorder) -> None:
    """Whatever is in checkpoints.db, the ledger says where the run stands."""
    spoils = [
        "UPDATE checkpoints SET checkpoint = x'00ff00ff'", "UPDATE checkpoints SET type = 'pickle'", "UPDATE checkpoints SET metadata = 'not json'",
        "DELETE FROM checkpoints", "UPDATE writes SET value = x'c1'", "DELETE FROM writes", "UPDATE writes SET channel = 'nowhere'",
    ]
    for number, spoil in enumerate(spoils):
        runtime = door()
        run = runtime.start(recorded(f"{number}"))
        runtime.checkpoints.conn.execute(spoil)
        runtime.checkpoints.conn.commit()
        fresh = door("lena")
        assert fresh.decide(run.requests[0].id, "approve").status == "completed", spoil
        fresh.checkpoints.conn.execute("DELETE FROM checkpoints")
        fresh.checkpoints.conn.execute("DELETE FROM writes")
        fresh.checkpoints.conn.commit()
        assert fresh.resume(run.id).status == "completed"
    assert recorder.names == [f"{number}" for number in range(len(spoils))]


@pytest.mark.parametrize(
    "forged",
    [
        {"question": "text"}, {"question": {"kind": "no-such-kind"}}, {"question": {"kind": "plan", "subject": "text"}}, {"question": {"id": 7}},
        {"route": "nowhere"}, {"run_id": "run_none"}, {"run_id": None}, {"status": "no-such-status"}, {"digest": 7}, {"summary": {"x": 1}},
    ],
    ids=str,
)
def test_forged_state_costs_nothing_but_the_bookmark(door: Door, recorder: Recorder, forged: dict[str, Any]) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    runtime.graph().update_state(at(run.id), forged, as_node="risk_assessment") if "route" not in forged else runtime.graph().update_state(
        at(run.id), {**forged, "route": "needs approval"}, as_node="risk_assessment"
    )
    fresh = door("lena")
    assert fresh.decide(run.requests[0].id, "approve").status == "completed"
    assert recorder.names == ["a"]


# --- imports ----------------------------------------------------------------------------------------------------------------------------


def _run(code: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_assent_loads_none_of_its_submodules(tmp_path: Path) -> None:
    code = "import sys, assent; print([m for m in sys.modules if m.startswith(('assent.', 'langgraph', 'langchain', 'openai', 'pydantic'))])"
    assert _run(code, tmp_path) == "[]"


def test_nothing_of_ours_lands_at_the_top_of_the_import_path(tmp_path: Path) -> None:
    code = (
        "import importlib.util as u; print([n for n in ('graphs', 'nodes', 'policies', 'prompts', 'runtime', 'schemas', 'tools', 'tests')"
        " if u.find_spec(n) is not None])"
    )
    assert _run(code, tmp_path) == "[]"
    tops = {str(path).split("/")[0] for path in metadata.files("assent") or [] if not str(path).startswith("..")}
    assert not tops & {"graphs", "nodes", "policies", "prompts", "runtime", "schemas", "tools", "tests"}


def test_reading_the_inbox_imports_no_langgraph(tmp_path: Path) -> None:
    code = (
        "import sys, assent\n"
        "with assent.open('home', workspace='.') as r: r.inbox(); r.runs(); r.verify()\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('langgraph', 'langchain_core', 'openai', 'tiktoken')])"
    )
    assert _run(code, tmp_path) == "[]"
