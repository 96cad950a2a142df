"""A phase end to end: all-settled, bounded, resumable, and nothing but its checkpoint leads on."""

from __future__ import annotations

import asyncio
import errno
import functools
import random
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from assent.graphs import phase
from assent.nodes.phase_state import latest
from assent.runtime import keep
from assent.runtime.phases import files as phase_files
from assent.runtime.phases.agents import adapt
from assent.schemas.agent_message import AgentMessage, Body
from assent.schemas.consolidated import Resolution
from assent.schemas.errors import InvalidPlan, NotFound
from assent.schemas.phase import AgentOutcome, Settled

from .phase_world import World, finding, says, spec_of


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def drawn(text: str) -> set[tuple[str, str, str]]:
    """Read the arrows of a drawing: (from, label, to)."""
    edges = set()
    for line in text.splitlines():
        if "→" not in line or ("START" not in line and "←" not in line):
            continue
        parts = re.split(r"\s*(→|←)\s*", line.strip())
        stations = [re.split(r"\s*─\s*", part) for part in parts[::2]]
        for number, arrow in enumerate(parts[1::2]):
            left, right = stations[number], stations[number + 1]
            if arrow == "→":
                edges.add((left[-2] if len(left) > 1 and number in _labelled(stations, parts) else left[0], left[-1] if len(left) > 1 else "", right[0]))
            else:
                edges.add((right[1], right[0], left[0]))
    return edges


def _labelled(stations: list[list[str]], parts: list[str]) -> set[int]:
    return {number for number, station in enumerate(stations) if len(station) > 2}


def test_the_drawing_is_the_graph(world: World) -> None:
    names = {"__start__": "START", "__end__": "END"}
    edges = set()
    for edge in world.graph().get_graph().edges:
        # One arrow carries the words of every way between its two stations.
        edges |= {(names.get(edge.source, edge.source), label, names.get(edge.target, edge.target)) for label in str(edge.data or "").split(" / ")}
    assert drawn(phase.__doc__ or "") == edges


def test_a_phase_asks_consolidates_and_passes(world: World) -> None:
    world.agents = {"a": lambda m: says(finding("x", "y", 1), data={"k": 1}), "b": lambda m: AgentMessage(header=m.header, body=Body(message_type="result", content=says())), "c": lambda m: '{"summary": "text"}'}
    found = world.run({"path": "p"})
    assert found["passed"] and found["route"] == "passed" and found["risk"] == "LOW"
    assert sorted(world.calls) == ["a", "b", "c"]
    told = world.messages[0]
    assert (told.header.phase, told.header.timestamp, told.metadata.retry_count) == ("1", world.clock(), 0)
    assert told.body.content["inputs"] == {"path": "p"} and told.body.content["focus"] == ["one", "two", "three"]
    assert world.consolidated(found).summaries["c"] == "text"
    assert {path.name for path in world.files.written} == {"a.json", "b.json", "c.json", "trial.json", "trial.md", "SESSION_CONTINUITY.md"}


async def test_async_callers_get_the_same(world: World) -> None:
    async def answers(message: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        return says()

    found = await world.graph(agents={"a": answers, "b": lambda m: answers(m), "c": lambda m: says()}).ainvoke({"run_id": "r"})
    assert found["passed"] and len(world.consolidated(found).inputs) == 3


def test_coroutines_work_for_sync_callers(world: World) -> None:
    async def answers(message: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        return says()

    assert world.graph(agents=dict.fromkeys("abc", answers)).invoke({"run_id": "r"})["passed"]


# --- agents that misbehave --------------------------------------------------------------------------------------------------------------


def bad(kind: str, release: threading.Event) -> Any:
    def agent(message: Any) -> Any:
        if kind == "hangs":
            release.wait(30)
            return says()
        if kind == "raises":
            raise RuntimeError("password=hunter2345 broke it")
        if kind == "exits":
            sys.exit(3)
        if kind == "runs out of memory":
            raise MemoryError
        if kind == "loses the connection":
            raise ConnectionResetError("peer")
        if kind == "floods":
            return {"summary": "x" * 3_000_000}
        if kind == "answers with an error":
            return {"header": message.header.model_dump(mode="json"), "body": {"message_type": "error", "content": {"summary": "cannot"}}}
        header = message.header.model_dump(mode="json")
        answers: dict[str, Any] = {
            "is no JSON": "{", "lies about its id": {"header": {**header, "agent_id": "a"}, "body": {"message_type": "result"}},
            "is about another phase": {"header": {**header, "phase": "2"}, "body": {"message_type": "result"}}, "says nothing": None,
        }
        return answers[kind]

    return agent


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("kind", "outcome", "category"),
    [
        ("hangs", "late", "agent_failure"), ("raises", "crashed", "agent_failure"), ("exits", "crashed", "agent_failure"),
        ("runs out of memory", "crashed", "resource_exhaustion"), ("loses the connection", "crashed", "integration_failure"),
        ("floods", "invalid", "resource_exhaustion"), ("answers with an error", "failed", "agent_failure"), ("is no JSON", "invalid", "data_corruption"),
        ("lies about its id", "invalid", "integration_failure"), ("is about another phase", "invalid", "integration_failure"), ("says nothing", "invalid", "data_corruption"),
    ],
)
def test_an_agent_that_misbehaves_is_named_and_the_phase_goes_on(world: World, kind: str, outcome: str, category: str, asynchronous: bool) -> None:
    release = threading.Event()
    world.spec = spec_of(time_s=0.15, reruns=0)
    world.agents = {"a": lambda m: says(finding("x")), "c": bad(kind, release)}
    graph = world.graph()
    found = asyncio.run(graph.ainvoke({"run_id": "r"})) if asynchronous else graph.invoke({"run_id": "r"})
    release.set()
    settled = world.settled(found, "c")
    assert (settled.outcome, settled.category) == (outcome, category)
    assert settled.reason and "hunter2345" not in settled.reason
    consolidated = world.consolidated(found)
    assert consolidated.missing == ("c",) and [one.subject for one in consolidated.findings] == ["x"]
    assert not found["passed"] and found["route"] == "question" and "c" in found["question"]["subject"]["why"]


def test_a_late_answer_is_never_kept(world: World) -> None:
    release, done = threading.Event(), threading.Event()

    def slow(message: Any) -> Any:
        release.wait(30)
        done.set()
        return says()

    world.spec = spec_of(time_s=0.1, reruns=0)
    world.agents = {"c": slow}
    world.run()
    release.set()
    assert done.wait(5)
    notes = [line for path in world.store.folder.iterdir() for line in path.read_text().splitlines() if '"c"' in line]
    assert notes == []


async def test_a_cancelled_caller_cancels_its_agents(world: World) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def waits(message: Any) -> Any:
        started.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    world.spec = spec_of(time_s=30, time_limit_s=30)
    run = asyncio.create_task(world.graph(agents={"a": waits, "b": lambda m: says(), "c": lambda m: says()}).ainvoke({"run_id": "r"}))
    await started.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await asyncio.wait_for(cancelled.wait(), 5)


# --- the checkpoint ---------------------------------------------------------------------------------------------------------------------


def test_a_failed_agent_is_run_again_on_less_and_only_it(world: World) -> None:
    def stumbles(message: Any) -> Any:
        if message.metadata.retry_count == 0:
            raise RuntimeError("too much")
        return says()

    world.agents = {"c": stumbles}
    found = world.run()
    assert found["passed"] and sorted(world.calls) == ["a", "b", "c", "c"]
    assert [m.body.content["focus"] for m in world.messages if m.header.agent_id == "c"] == [["one", "two", "three"], ["one", "two"]]
    assert [result.action for result in world.checked] == ["rerun", "go on"]


def test_reruns_are_bounded_and_the_last_is_the_backup(world: World) -> None:
    def breaks(message: Any) -> Any:
        raise RuntimeError("always")

    world.spec = spec_of(reruns=2, agents={"c": {"backup": "spare"}})
    world.agents = {"c": breaks, "spare": lambda m: says(finding("from the spare"))}
    found = world.run()
    assert found["passed"] and world.calls.count("c") == 2 and world.calls.count("spare") == 1
    assert world.settled(found, "c").attempt == 2
    world.calls.clear()
    world.agents["spare"] = breaks
    found = world.run({"other": 1}, run_id="run_2")
    assert found["route"] == "question" and found["question"]["kind"] == "gate" and len(world.calls) == 5


def test_a_contradiction_waits_for_a_person_and_their_answer_leads_on(world: World) -> None:
    world.agents = {"a": lambda m: says(finding("db", "engine", "postgres", "high")), "b": lambda m: says(finding("db", "engine", "sqlite"))}
    graph = world.graph()
    found = graph.invoke({"run_id": "r"})
    question = found["question"]
    assert found["route"] == "question" and question["kind"] == "conflict" and not found["passed"]
    (conflict,) = question["subject"]["conflicts"]
    assert graph.invoke({"run_id": "r"})["route"] == "question"
    assert graph.invoke({"run_id": "r", "passed": True, "route": "passed", "resolutions": [conflict]})["route"] == "question"
    world.resolutions = (Resolution(conflict=conflict, holds="a", by="lena", reason="see compose.yaml"),)
    found = graph.invoke({"run_id": "r"})
    assert found["passed"] and len(world.consolidated(found).conflicts[0].sides) == 2
    assert sorted(world.calls) == ["a", "b", "c"]
    assert "resolved by lena" in (world.folder / "files" / "trial.md").read_text()


def test_a_graph_that_stops_with_a_question_asks_and_is_not_run_again(world: World) -> None:
    acted: list[str] = []

    def risky(state: dict[str, Any]) -> dict[str, Any]:
        interrupt({"may I": "delete it"})
        acted.append("deleted")
        return {}

    inner: Any = StateGraph(dict)
    inner.add_node("risky", risky)
    inner.add_edge(START, "risky")
    inner.add_edge("risky", END)
    found = world.graph(agents={"a": lambda m: says(), "b": lambda m: says(), "c": adapt(inner.compile(checkpointer=InMemorySaver()).with_config(configurable={"thread_id": "t"}))}).invoke({"run_id": "r"})
    settled = world.settled(found, "c")
    assert settled.outcome == "asks" and "delete it" in settled.reason
    assert found["route"] == "question" and not acted and world.settled(found, "c").attempt == 0


def test_more_than_five_agents_are_refused_with_the_split(world: World) -> None:
    world.spec = spec_of("abcdef")
    with pytest.raises(InvalidPlan) as refused:
        world.graph()
    assert [part["members"] for part in refused.value.fields["proposed"]] == [["a", "b", "c"], ["d", "e", "f"]]


def test_an_agent_that_the_ports_lack_is_named(world: World) -> None:
    with pytest.raises(NotFound, match="no agent 'a'"):
        world.graph(agents={}).invoke({"run_id": "r"})


# --- crash and resume -------------------------------------------------------------------------------------------------------------------


def test_finished_agents_are_not_run_again_and_their_reports_are_checked(world: World) -> None:
    world.run({"tree": "1"})
    world.calls.clear()
    found = world.run({"tree": "1"})
    assert world.calls == [] and found["passed"] and world.settled(found, "a").reused
    world.run({"tree": "2"})
    assert sorted(world.calls) == ["a", "b", "c"]
    world.calls.clear()
    pack = world.folder / "artifacts" / "reports.pack"
    pack.write_bytes(pack.read_bytes().replace(b'"agent_id":"b"', b'"agent_id":"x"'))
    for _ in range(2):
        world.calls.clear()
        assert world.run({"tree": "1"})["passed"] and world.calls in (["b"], [])
    assert world.calls == []
    pack.unlink()
    world.keep = type(world.keep)(world.folder / "artifacts")
    assert world.run({"tree": "1"})["passed"] and sorted(world.calls) == ["a", "b", "c"]


def test_a_pack_finds_what_others_wrote_and_nothing_that_is_torn_or_forged(world: World) -> None:
    other = type(world.keep)(world.folder / "artifacts")
    names = [world.keep.put(b'{"n": %d}' % number) for number in range(3)]
    assert [other.get(name) for name in names] == [b'{"n": 0}', b'{"n": 1}', b'{"n": 2}']
    pack = world.folder / "artifacts" / "reports.pack"
    hexadecimal = names[0].removeprefix("sha256:").encode()
    forged = b"\n@" + hexadecimal + b' 3\nxyz'
    pack.write_bytes(pack.read_bytes() + forged + b"\n@" + b"0" * 64 + b" 999\ntorn")
    late = other.put(b"after the tear")
    fresh = type(world.keep)(world.folder / "artifacts")
    assert [fresh.get(name) for name in (*names, late)] == [b'{"n": 0}', b'{"n": 1}', b'{"n": 2}', b"after the tear"]
    assert other.get(late) == world.keep.get(late)
    with pytest.raises(KeyError):
        fresh.get("sha256:" + "0" * 64)
    size = pack.stat().st_size
    fresh.put(b"after the tear")
    assert pack.stat().st_size == size


def test_another_run_reuses_only_what_its_phase_lets_it(world: World) -> None:
    world.run(run_id="r1")
    world.run(run_id="r2")
    assert len(world.calls) == 6
    world.spec = spec_of(reuse="any run")
    world.run(run_id="r3")
    world.run(run_id="r4")
    assert len(world.calls) == 9


@pytest.mark.parametrize("where", ["notes", "files"])
def test_a_disk_that_fills_elsewhere_stops_the_phase_as_well_and_leaves_whole_files(world: World, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    full = True
    whole_note, whole_file = world.store.put, keep.write_whole

    def note(*args: Any) -> None:
        if full and where == "notes":
            raise OSError(errno.ENOSPC, "no space left")
        whole_note(*args)

    def file(path: Path, data: bytes, **more: Any) -> None:
        if full and where == "files" and path.name == "trial.json":
            raise OSError(errno.ENOSPC, "no space left", str(path))
        whole_file(path, data, **more)

    monkeypatch.setattr(world.store, "put", note)
    monkeypatch.setattr(phase_files, "write_whole", file)
    graph: Any = phase.build(world.spec, world.ports()).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    with pytest.raises(OSError, match="no space"):
        graph.invoke({"run_id": "r"}, config, durability="sync")
    left = {path.name for path in (world.folder / "files").glob("*")}
    assert left == (set() if where == "notes" else {"a.json", "b.json", "c.json"})
    full = False
    assert graph.invoke(None, config, durability="sync")["passed"]
    assert world.calls.count("a") == (1 if where == "files" else 2)
    assert {path.name for path in (world.folder / "files").glob("*")} == {"a.json", "b.json", "c.json", "trial.json", "trial.md", "SESSION_CONTINUITY.md"}


@pytest.mark.parametrize("where", ["consolidation", "report"])
def test_a_full_disk_stops_the_phase_and_a_resume_runs_nobody_twice(world: World, where: str) -> None:
    full = True

    class Full:
        def put(self, data: bytes) -> str:
            is_synthesis = b'"risk_assessment"' in data
            if full and is_synthesis == (where == "consolidation") and (is_synthesis or b'"agent_id":"c"' in data):
                raise OSError(errno.ENOSPC, "no space left")
            return world.keep.put(data)

        def get(self, name: str) -> bytes:
            return world.keep.get(name)

    graph: Any = phase.build(world.spec, world.ports(keep=Full())).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    with pytest.raises(OSError, match="no space"):
        graph.invoke({"run_id": "r"}, config, durability="sync")
    full = False
    found = graph.invoke(None, config, durability="sync")
    assert found["passed"] and world.calls.count("a") == 1 and world.calls.count("b") == 1
    assert world.calls.count("c") == (1 if where == "consolidation" else 2)


def test_checkpoints_stay_small_whatever_agents_report(world: World) -> None:
    saver = InMemorySaver()
    world.agents = {"a": lambda m: says(data={"bulk": "x" * 500_000})}
    graph: Any = phase.build(world.spec, world.ports()).compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "t"}}
    found = graph.invoke({"run_id": "r"}, config)
    assert found["passed"]
    sizes = [len(str(one.checkpoint)) for one in saver.list(config)]
    assert max(sizes) < 8000


def test_a_torn_or_forged_note_counts_as_absent(world: World) -> None:
    world.run()
    (journal,) = world.store.folder.iterdir()
    whole = journal.read_bytes()
    journal.write_bytes(whole.rstrip(b"\n")[:-20])
    world.store = type(world.store)(world.store.folder)
    world.store.put("run_1", "trial", "z", "sha256:1", Settled(agent_id="z", outcome=AgentOutcome.REPORTED, digest="sha256:2"))
    assert world.store.get("run_1", "trial", "z", "sha256:1") is not None
    world.calls.clear()
    assert world.run()["passed"] and len(world.calls) == 1
    assert world.store.get("run_2", "trial", "z", "sha256:1") is None


# --- speed and screens ------------------------------------------------------------------------------------------------------------------


def test_agents_do_not_wait_for_a_thread_of_langgraph(world: World) -> None:
    # The barrier opens only when all of them are at work at the same time; LangGraph's pool has six threads on two processors.
    barrier = threading.Barrier(40, timeout=20)
    names = [f"n{number}" for number in range(40)]
    members = tuple(world.spec.agents[0].model_copy(update={"id": name, "report": ""}) for name in names)
    world.spec = world.spec.model_copy(update={"agents": members})

    def meets(message: Any) -> Any:
        barrier.wait()
        return says()

    ports = world.ports(agents=dict.fromkeys(names, meets))
    graph: Any = phase.build(world.spec, ports, sizes=range(3, 101)).compile()
    found = graph.invoke({"run_id": "r"}, {"max_concurrency": 2})
    assert found["passed"] and len(found["settled"]) == 40


def test_screens_are_told_as_it_happens(world: World) -> None:
    streamed = list(world.graph().stream({"run_id": "r"}, stream_mode="custom"))
    assert streamed == world.events
    assert [event["type"] for event in streamed] == ["phase.began", "phase.agent", "phase.agent", "phase.agent", "phase.consolidated", "phase.checked"]


async def test_screens_of_async_callers_are_told_as_well_and_a_thread_names_the_run(world: World) -> None:
    graph: Any = phase.build(world.spec, world.ports()).compile(checkpointer=InMemorySaver())
    streamed = [event async for event in graph.astream({"inputs": {}}, {"configurable": {"thread_id": "run_9"}}, stream_mode="custom")]
    assert streamed == world.events and {event["type"] for event in streamed} == {"phase.began", "phase.agent", "phase.consolidated", "phase.checked"}
    assert graph.get_state({"configurable": {"thread_id": "run_9"}}).values["run_id"] == "run_9"
    with pytest.raises(NotFound, match="belongs to no run"):
        await world.graph().ainvoke({"inputs": {}})


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 2), st.booleans()), max_size=8), st.randoms(use_true_random=False))
def test_joining_what_became_of_agents_needs_no_order(rows: list[tuple[str, int, int, bool]], shuffled: random.Random) -> None:
    parts = [{name: {"round": round_, "attempt": attempt, **({"outcome": "reported"} if settled else {})}} for name, round_, attempt, settled in rows]
    none: dict[str, Any] = {}
    whole = functools.reduce(latest, parts, none)
    mixed = list(parts)
    shuffled.shuffle(mixed)
    assert functools.reduce(latest, mixed, none) == whole
    half = len(mixed) // 2
    assert latest(functools.reduce(latest, mixed[:half], none), functools.reduce(latest, mixed[half:], none)) == whole
    for name in whole:
        assert (whole[name]["round"], whole[name]["attempt"]) == max((r, a) for n, r, a, _ in rows if n == name)


def test_the_continuity_file_keeps_what_others_wrote(world: World) -> None:
    path = world.folder / "files" / "SESSION_CONTINUITY.md"
    path.parent.mkdir()
    path.write_text("# Mine\n\nkeep this\n")
    world.agents = {"a": lambda m: says(advice=[{"action": "<!-- end of phase 1 trial --> and more"}])}
    for inputs in ({"n": 1}, {"n": 2}):
        world.clock.advance(minutes=1)
        world.run(inputs)
    text = path.read_text()
    assert text.startswith("# Mine\n\nkeep this\n") and text.count("## Phase 1: trial") == 1 and "09:02" in text
    assert text.count("<!-- end of phase 1 trial -->") == 1 and text.endswith("<!-- end of phase 1 trial -->\n") and "and more" in text


def test_the_time_limit_of_the_phase_holds_for_every_agent(world: World) -> None:
    release = threading.Event()
    world.spec = spec_of(time_s=60, time_limit_s=0.15, reruns=0)
    world.agents = {"c": bad("hangs", release)}
    began = time.monotonic()
    found = world.run()
    release.set()
    assert time.monotonic() - began < 3
    assert world.settled(found, "c").outcome == "late" and world.messages[0].body.content["limits"]["time_s"] == 0.15
