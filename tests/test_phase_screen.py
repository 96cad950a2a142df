"""How a phase is followed while it runs: typed events, what stands there, and how a screen shows it."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from rich.console import Console

from assent.nodes.phase_progress import progress
from assent.nodes.phase_threads import Threads
from assent.policies.phase_progress import PhaseStanding, agent_remaining, follow, remaining
from assent.runtime.cli.lines import console
from assent.runtime.cli.phase_screen import PhaseScreen, lines
from assent.schemas.phase_event import AgentEnded, AgentProgress, PhaseBegan, PhaseChecked, PhaseConsolidated, read_phase_event

from .phase_world import World, finding, says, spec_of

T0 = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def began(*asked: str, attempt: int = 0, **more: Any) -> PhaseBegan:
    return PhaseBegan(at=T0, phase="trial", attempt=attempt, agents=("a", "b", "c"), asked=asked or ("a", "b", "c"), limit_s=100, **more)


def ended(agent: str, outcome: str = "reported", **more: Any) -> AgentEnded:
    return AgentEnded(at=at(10), phase="trial", agent=agent, outcome=outcome, **{"took_s": 10, **more})


def standing(*events: Any) -> PhaseStanding:
    found = PhaseStanding()
    for event in events:
        found = follow(found, event)
    return found


def text(found: PhaseStanding, now: datetime) -> str:
    screen = Console(file=io.StringIO(), width=100, color_system=None)
    for line in lines(found, now):
        screen.print(line)
    shown: str = screen.file.getvalue()  # type: ignore[attr-defined]
    return shown


# --- events -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_agents_say_of_their_progress_reaches_ports_and_stream_while_they_work(tmp_path: Path, asynchronous: bool) -> None:
    world = World(tmp_path)
    seen = threading.Event()

    def counts(message: Any) -> Any:
        progress(1, 4, "reading\n\x1b[31msrc")
        # It goes on only when its caller has seen it: a stream that came at the end would never let it.
        assert seen.wait(10)
        return says()

    graph = world.graph(agents={"a": counts, "b": lambda m: says(), "c": lambda m: says()})
    given: Any = {"run_id": "r"}
    streamed: list[Any] = []

    def take(event: Any) -> None:
        streamed.append(event)
        if event["type"] == "phase.progress":
            seen.set()

    async def follow_async() -> None:
        async for event in graph.astream(given, stream_mode="custom"):
            take(event)

    if asynchronous:
        asyncio.run(follow_async())
    else:
        for event in graph.stream(given, stream_mode="custom"):
            take(event)
    (said,) = [event for event in streamed if event["type"] == "phase.progress"]
    assert (said["agent"], said["done"], said["total"], said["doing"]) == ("a", 1, 4, "reading \x1b[31msrc")
    assert sorted(map(str, streamed)) == sorted(map(str, world.events)) and streamed[-1]["passed"]
    typed = [read_phase_event(event) for event in streamed]
    assert None not in typed and [type(one).__name__ for one in typed[-2:]] == ["PhaseConsolidated", "PhaseChecked"]


async def test_coroutines_say_it_as_well_and_nobody_floods_with_it(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def counts(message: Any) -> Any:
        for number in range(1000):
            progress(number, 1000, "x" * 1000)
        return says()

    assert (await world.graph(agents=dict.fromkeys("abc", counts)).ainvoke({"run_id": "r"}))["passed"]
    said = [event for event in world.events if event["type"] == "phase.progress"]
    assert {event["agent"] for event in said} == set("abc") and len(said) < 30 and max(len(event["doing"]) for event in said) == 120


def test_progress_outside_of_a_phase_and_nonsense_are_heard_by_nobody(tmp_path: Path) -> None:
    progress(1, 2, "alone")
    world = World(tmp_path)

    def confused(message: Any) -> Any:
        progress(5, 2)
        progress(-1, 2)
        return says()

    assert world.graph(agents=dict.fromkeys("abc", confused)).invoke({"run_id": "r"})["passed"]
    assert not [event for event in world.events if event["type"] == "phase.progress"]


def test_a_wide_fan_out_tells_about_every_agent_once(tmp_path: Path) -> None:
    from assent.graphs import phase

    world = World(tmp_path)
    names = [f"n{number}" for number in range(12)]
    world.spec = world.spec.model_copy(update={"agents": tuple(world.spec.agents[0].model_copy(update={"id": name, "report": ""}) for name in names)})
    ports = world.ports(agents=dict.fromkeys(names, lambda m: says()))
    built: Any = phase.build(world.spec, ports, sizes=range(3, 101)).compile(checkpointer=InMemorySaver())
    assert built.invoke({"run_id": "r"}, {"configurable": {"thread_id": "t"}})["passed"]
    assert sorted(event["agent"] for event in world.events if event["type"] == "phase.agent") == sorted(names)


def test_the_last_time_is_what_is_expected_the_next_time(tmp_path: Path) -> None:
    world = World(tmp_path, spec=spec_of(reuse="any run"))

    def slow(message: Any) -> Any:
        time.sleep(0.02)
        return says()

    world.agents = {"a": slow}
    world.run({"tree": "1"}, run_id="r1")
    world.store = type(world.store)(world.store.folder)
    world.run({"tree": "2"}, run_id="r2")
    first, second = [read_phase_event(event) for event in world.events if event["type"] == "phase.began"]
    assert isinstance(first, PhaseBegan) and first.expected_s == {}
    assert isinstance(second, PhaseBegan) and 0.02 <= second.expected_s["a"] < 5


def test_what_is_no_event_of_a_phase_is_passed_over() -> None:
    assert read_phase_event({"type": "step.dispatched"}) is None and read_phase_event({}) is None
    known = ended("a").as_json()
    assert read_phase_event({**known, "of the future": 1}) == ended("a")


# --- what stands there ------------------------------------------------------------------------------------------------------------------


def test_the_phase_counts_its_agents_and_only_a_checkpoint_makes_it_whole() -> None:
    assert standing().progress == 0
    assert standing(began()).active == ("a", "b", "c") and standing(began()).waits_for == "a, b, c"
    half = standing(began(), AgentProgress(at=at(5), phase="trial", agent="a", done=1, total=2), ended("b"))
    assert 0.4 < half.progress < 0.5 and half.active == ("a", "c")
    done = standing(began(), ended("a"), ended("b"), ended("c"))
    assert done.progress == 0.95 and done.waits_for == "the consolidation"
    consolidated = follow(done, PhaseConsolidated(at=at(11), phase="trial", digest="sha256:1", reported=3, conflicts=2, risk="LOW"))
    assert consolidated.blockers == ("2 contradictions between agents",) and consolidated.waits_for == "the checkpoint"
    passed = follow(consolidated, PhaseChecked(at=at(12), phase="trial", passed=True, action="go on"))
    assert passed.progress == 1 and passed.waits_for == ""


def test_blockers_are_those_who_did_not_report_until_their_re_run_does() -> None:
    found = standing(began(), ended("a"), ended("b", "late", reason="too slow"), ended("c"))
    assert found.blockers == ("b late: too slow",)
    again = follow(follow(found, PhaseChecked(at=at(12), phase="trial", passed=False, action="rerun")), began("b", attempt=1))
    assert again.active == ("b",) and again.blockers == ("b late: too slow",) and [one.state for one in again.agents] == ["ended", "working", "ended"]
    assert follow(again, ended("b")).blockers == ()
    asked = follow(found, PhaseChecked(at=at(12), phase="trial", passed=False, action="ask", question="b is missing"))
    assert asked.waits_for == "b is missing" and asked.passed is False and asked.progress == 0.95


def test_a_time_is_an_estimate_only_where_something_is_known() -> None:
    bound = remaining(standing(began()), at(40))
    assert bound is not None and bound.at_most and bound.seconds == 60
    by_words = agent_remaining(standing(began(), AgentProgress(at=at(5), phase="trial", agent="a", done=1, total=4)), "a", at(10))
    assert by_words is not None and not by_words.at_most and by_words.seconds == 30
    by_others = agent_remaining(standing(began(), ended("b", took_s=20)), "a", at(5))
    assert by_others is not None and not by_others.at_most and by_others.seconds == 15
    by_memory = agent_remaining(standing(began(expected_s={"a": 50.0})), "a", at(20))
    assert by_memory is not None and not by_memory.at_most and by_memory.seconds == 30
    late = agent_remaining(standing(began(expected_s={"a": 50.0})), "a", at(60))
    assert late is not None and late.at_most and late.seconds == 40
    assert remaining(standing(began(), ended("a"), ended("b"), ended("c")), at(10)) is None
    assert agent_remaining(standing(began(), ended("a")), "a", at(10)) is None
    unknown = agent_remaining(standing(began(), AgentProgress(at=at(5), phase="trial", agent="a", done=3, total=0)), "a", at(10))
    assert unknown is not None and unknown.at_most


# --- screens ----------------------------------------------------------------------------------------------------------------------------


def test_a_screen_shows_bars_times_blockers_and_what_is_waited_for() -> None:
    said = AgentProgress(at=at(5), phase="trial", agent="a", done=1, total=2, doing="reading \x1b[31msrc")
    shown = text(standing(began(expected_s={"c": 30.0}), said, ended("b", "crashed", reason="boom")), at(10))
    assert "trial" in shown and "about 0:20 left" in shown and "✗ b crashed (10 s): boom" in shown
    assert "reading" in shown and "\x1b[31m" not in shown and "waits for a, c" in shown
    assert shown.count("━") > 10


def test_a_pipe_gets_one_plain_line_for_each_thing_that_happens(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.spec = spec_of(reruns=0)
    world.agents = {"a": lambda m: says(finding("db", "engine", "x", "high")), "b": lambda m: says(finding("db", "engine", "y")), "c": lambda m: 1 / 0}
    out = io.StringIO()
    with PhaseScreen(Console(file=out, width=200, color_system=None, force_terminal=False)) as screen:
        world.run(notify=screen.take)
    told = out.getvalue().splitlines()
    assert told[0] == "… trial: 3 agents, at most 5.0 s" and len(told) == 5 and "\x1b" not in out.getvalue()
    assert any(line.startswith("✗ c crashed (") and "division" in line for line in told) and sum(line.startswith("✓ ") for line in told) == 2
    assert told[-1].startswith("○ trial not passed: ") and screen.standing.passed is False


def test_a_terminal_is_drawn_anew_and_left_in_order(tmp_path: Path) -> None:
    world = World(tmp_path)
    out = io.StringIO()
    with PhaseScreen(Console(file=out, width=90, force_terminal=True)) as screen:
        assert world.run(notify=screen.take)["passed"]
    shown = out.getvalue()
    assert "100%" in shown and "✓" in shown and shown.rstrip().endswith("\x1b[?25h")


def test_a_screen_that_breaks_does_not_stop_the_phase(tmp_path: Path) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    world = World(tmp_path)
    with PhaseScreen(console(Closed())) as screen:
        assert world.run(notify=screen.take)["passed"]


# --- threads ----------------------------------------------------------------------------------------------------------------------------


def test_a_free_thread_takes_the_next_agent_and_a_hanging_one_holds_nobody_up() -> None:
    threads, hang, done = Threads(), threading.Event(), threading.Semaphore(0)
    names: list[str] = []

    def quick() -> None:
        names.append(threading.current_thread().name)
        done.release()

    def hangs() -> None:
        hang.wait(20)

    threads.start(hangs, "stuck")
    threads.start(quick, "first")
    assert done.acquire(timeout=5)
    until = time.monotonic() + 5
    while not threads._free and time.monotonic() < until:
        time.sleep(0)
    threads.start(quick, "second")
    assert done.acquire(timeout=5) and names == ["first", "first"]
    hang.set()


def test_a_thread_that_nobody_needs_ends_and_loses_no_job() -> None:
    threads, done = Threads(idle_s=0.0005), threading.Semaphore(0)
    for _ in range(300):
        threads.start(done.release, "short")
    assert all(done.acquire(timeout=5) for _ in range(300))
    until = time.monotonic() + 10
    while any(thread.name == "short" for thread in threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.001)
    assert not [thread for thread in threading.enumerate() if thread.name == "short"]
