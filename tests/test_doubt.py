"""Calls of which nobody knows whether they happened: what is asked, who may answer, and what an answer lets happen."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from assent.runtime.run import Run
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, ProcessDied, Recorder, authenticated, recorded
from assent.schemas.approval import Request
from assent.schemas.errors import IllegalTransition, NotAllowed, StaleDecision
from assent.schemas.plan import Call, Plan

Door = Callable[..., Runtime]


def answer(runtime: Runtime, run: Run, verdict: str, *names: str) -> Run:
    for name in names or ("lena",):
        runtime.decide(waiting(run).id, verdict, actor=authenticated(name), reason="looked")
    return run


def waiting(run: Run) -> Request:
    (request,) = [r for r in run.requests if r.is_open]
    return request


def with_undo(plan: Plan, step: int, **args: Any) -> Plan:
    """Give one step an undo of its own, which is a call of the recorder."""
    steps = list(plan.steps)
    steps[step - 1] = steps[step - 1].model_copy(update={"undo": Call(tool="recorder", args=args)})
    return plan.model_copy(update={"steps": tuple(steps)})


def at(run: Run) -> Any:
    return {"configurable": {"thread_id": run.id}}


FAILS = {"effect": "z", "outcome": "failed"}
LEVELS: dict[str, tuple[str, ...]] = {"HIGH": ("lena",), "CRITICAL": ("ada", "amos")}


# --- an undo in doubt -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "after", "status"),
    [("happened", ["undo a"], "rolled_back"), ("did_not_happen", ["back b", "undo a"], "rolled_back"), ("abandon", ["undo a"], "failed")],
)
def test_an_undo_in_doubt_is_asked_about_and_taking_back_goes_on_after_the_answer(
    door: Door, recorder: Recorder, verdict: str, after: list[str], status: str
) -> None:
    runtime = door()
    plan = with_undo(recorded("a", "b", FAILS), 2, effect="back b", outcome="unknown")
    run = answer(runtime, runtime.start(plan), "approve")
    assert (run.status, recorder.names) == ("in_doubt", ["a", "b", "back b"]), "the steps before it wait for the answer"
    request = waiting(run)
    assert (request.kind, request.subject["step"], request.subject["direction"]) == ("in_doubt", 2, "undo")
    assert run.resume().status == "in_doubt"
    assert recorder.names == ["a", "b", "back b"]
    recorder.will("back b", "done")
    answer(runtime, run, verdict)
    assert (run.status, recorder.names[3:]) == (status, after)
    assert run.results is not None
    assert run.results.steps[1].undone is (verdict != "abandon")
    said = {"happened": "lena says: happened", "did_not_happen": "back b", "abandon": "lena says: abandon"}[verdict]
    assert said in run.results.steps[1].undo
    assert [("step 2" in behind, "given up" in behind) for behind in run.results.not_undone] == ([(True, True)] if verdict == "abandon" else [])
    assert runtime.verify().ok


@pytest.mark.parametrize("outcome", ["dies_before", "dies_after"])
def test_a_process_that_dies_in_an_opaque_undo_leaves_a_question(door: Door, recorder: Recorder, outcome: str) -> None:
    runtime = door()
    run = runtime.start(with_undo(recorded("a", "b", FAILS), 2, effect="back b", outcome=outcome))
    runtime.decide(waiting(run).id, "approve", actor=authenticated("lena"), resume=False)
    with pytest.raises(ProcessDied):
        run.resume()
    had = list(recorder.names)
    fresh = door()
    assert fresh.run(run.id).resume().status == "in_doubt"
    assert recorder.names == had, "an opaque undo is not repeated by itself"
    recorder.will("back b", "done")
    answer(fresh, fresh.run(run.id), "happened" if outcome == "dies_after" else "did_not_happen")
    assert (run.status, recorder.names) == ("rolled_back", ["a", "b", "back b", "undo a"])


def test_what_failed_to_be_taken_back_is_not_tried_again_by_an_answer_about_another_step(door: Door, recorder: Recorder) -> None:
    runtime = door()
    plan = with_undo(with_undo(recorded("a", "b", FAILS), 2, effect="back b", outcome="failed"), 1, effect="back a", outcome="unknown")
    run = answer(runtime, runtime.start(plan), "approve")
    assert run.status == "in_doubt"
    recorder.will("back b", "done")
    answer(runtime, run, "happened")
    assert (run.status, recorder.names) == ("failed", ["a", "b", "back a"])
    assert run.rollback().status == "rolled_back"
    assert recorder.names == ["a", "b", "back a", "back b"], "a person who asks once more gets another try"


def test_an_undo_that_was_given_up_is_not_run_again(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = answer(runtime, runtime.start(with_undo(recorded("a", "b", FAILS), 2, effect="back b", outcome="unknown")), "approve")
    answer(runtime, run, "abandon")
    assert run.status == "failed"
    run.rollback()
    assert recorder.names.count("back b") == 1, "it may be there, and doing it again would be the second time"


# --- taking back a run that is over -----------------------------------------------------------------------------------------------------


def _finished(door: Door, recorder: Recorder, **undo: Any) -> tuple[Runtime, Run]:
    runtime = door("lena")
    run = runtime.start(with_undo(recorded("a", "b", "c"), 2, effect="back b", **undo))
    answer(runtime, run, "approve")
    assert (run.status, recorder.names) == ("completed", ["a", "b", "c"])
    return runtime, run


@pytest.mark.parametrize(("to", "rest", "status"), [(0, ["undo a"], "rolled_back"), (1, [], "completed")])
def test_a_run_that_is_over_keeps_its_end_until_the_doubt_about_its_undo_is_settled(
    door: Door, recorder: Recorder, to: int, rest: list[str], status: str
) -> None:
    runtime, run = _finished(door, recorder, outcome="unknown")
    assert run.rollback(to=to).status == "completed"
    assert recorder.names[3:] == ["undo c", "back b"]
    assert [r.id for r in runtime.inbox()] == [waiting(run).id]
    assert run.resume().status == "completed"
    assert recorder.names[3:] == ["undo c", "back b"]
    answer(runtime, run, "happened")
    assert (run.status, recorder.names[5:]) == (status, rest)
    assert run.results is not None
    assert [s.undone for s in run.results.steps] == [bool(rest), True, True]
    assert run.resume().status == status, "the wish ended with the report"
    assert runtime.verify().ok


def test_taking_back_that_was_killed_goes_on_when_the_run_is_resumed(door: Door, recorder: Recorder) -> None:
    runtime, run = _finished(door, recorder, outcome="dies_after", effect_class="readable")
    with pytest.raises(ProcessDied):
        run.rollback()
    fresh = door("dora").run(run.id)
    assert fresh.resume().status == "rolled_back"
    assert recorder.names[3:] == ["undo c", "back b", "undo a"]
    assert runtime.verify().ok


def test_a_step_in_doubt_of_a_cancelled_run_is_said_and_asked_about_when_the_run_is_taken_back(door: Door, recorder: Recorder) -> None:
    runtime = door("lena")
    run = answer(runtime, runtime.start(recorded("a", {"effect": "b", "outcome": "unknown"})), "approve")
    run.cancel("enough")
    assert run.status == "cancelled"
    assert run.results is not None
    assert any("step 2" in behind and "may or may not have happened" in behind for behind in run.results.not_undone)
    run.rollback()
    assert recorder.names == ["a", "b"]
    answer(runtime, run, "happened")
    assert (run.status, recorder.names) == ("rolled_back", ["a", "b", "undo b", "undo a"])


def test_a_wish_to_take_back_that_nobody_recorded_takes_nothing_back(door: Door, recorder: Recorder, home: Path) -> None:
    runtime, run = _finished(door, recorder)
    with contextlib.closing(sqlite3.connect(home / "ledger.db")) as c, c:
        c.execute("UPDATE run SET back_to = 0")
    assert run.resume().status == "completed"
    assert recorder.names == ["a", "b", "c"]
    assert not runtime.verify().ok


def test_a_rollback_point_beyond_the_plan_is_refused(door: Door, recorder: Recorder) -> None:
    _, run = _finished(door, recorder)
    for to in (3, 99, -1):
        with pytest.raises(IllegalTransition, match="3"):
            run.rollback(to=to)


# --- who may say that it did not happen -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["do", "undo"])
def test_that_a_critical_call_did_not_happen_takes_two_people(door: Door, recorder: Recorder, direction: str) -> None:
    runtime = door()
    plan = recorded("a", {"effect": "b", "level": "CRITICAL", "outcome": "unknown"})
    if direction == "undo":
        plan = with_undo(recorded("a", {"effect": "b", "level": "CRITICAL"}, FAILS), 2, effect="back b", outcome="unknown")
    run = answer(runtime, runtime.start(plan), "approve", "ada", "amos")
    assert run.status == "in_doubt"
    had = list(recorder.names)
    recorder.will("b", "done")
    recorder.will("back b", "done")
    request = waiting(run)
    for _ in range(2):
        runtime.decide(request.id, "did_not_happen", actor=authenticated("ada"), reason="looked")
        assert (run.status, recorder.names) == ("in_doubt", had), "one person, however often, is one"
    with pytest.raises(NotAllowed):
        runtime.decide(request.id, "did_not_happen", actor=authenticated("lena"), reason="looked")
    with pytest.raises(NotAllowed, match="reason"):
        runtime.decide(request.id, "did_not_happen", actor=authenticated("amos"))
    runtime.decide(request.id, "did_not_happen", actor=authenticated("amos"), reason="looked too")
    assert run.status == ("completed" if direction == "do" else "rolled_back")
    assert runtime.verify().ok


@pytest.mark.parametrize("verdict", ["happened", "abandon"])
def test_answers_after_which_nothing_runs_again_take_one_person(door: Door, recorder: Recorder, verdict: str) -> None:
    runtime = door()
    run = answer(runtime, runtime.start(recorded({"effect": "b", "level": "CRITICAL", "outcome": "unknown"})), "approve", "ada", "amos")
    answer(runtime, run, "did_not_happen", "ada")
    answer(runtime, run, verdict, "amos")
    assert (run.status.is_over, recorder.names) == (True, ["b"])


def test_under_separation_of_duties_who_asked_for_it_cannot_let_it_run_again(door: Door, recorder: Recorder) -> None:
    runtime = door("lou", preset="team")
    run = answer(runtime, runtime.start(recorded({"effect": "b", "outcome": "unknown"})), "approve")
    with pytest.raises(NotAllowed, match="lou"):
        answer(runtime, run, "did_not_happen", "lou")
    assert (run.status, recorder.names) == ("in_doubt", ["b"])


def test_the_first_of_two_people_cannot_speak_before_the_call_could_no_longer_arrive(door: Door, clock: FrozenClock) -> None:
    runtime = door()
    run = answer(runtime, runtime.start(recorded({"effect": "b", "level": "CRITICAL", "outcome": "unknown"})), "approve", "ada", "amos")
    request = waiting(run)
    later = {**request.subject, "key": request.subject["key"], "quiet_after": (clock.at + timedelta(minutes=5)).isoformat()}
    with contextlib.closing(sqlite3.connect(runtime.home.ledger)) as c, c:
        c.execute("UPDATE request SET subject = json(?) WHERE id = ?", (json.dumps(later), request.id))
    with pytest.raises(NotAllowed, match="could still arrive"):
        answer(runtime, run, "did_not_happen", "ada")
    assert not waiting(run).decisions


# --- what state says of a doubt ---------------------------------------------------------------------------------------------------------


def test_a_forged_question_about_a_doubt_shows_what_the_ledger_knows(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = runtime.start(recorded("a", {"effect": "b", "outcome": "unknown"}))
    runtime.decide(waiting(run).id, "approve", actor=authenticated("lena"), resume=False)
    graph, thread = runtime.graph(), at(run)
    graph.invoke(Command(resume="ring"), thread)
    asked = waiting(run)
    run.cancel("start over")
    other = answer(runtime, runtime.start(recorded("c", {"effect": "d", "outcome": "unknown"})), "approve")
    forged = {"kind": "in_doubt", "id": "req_0000000000000000", "subject": {**waiting(other).subject, "step": 1, "why": "it never began", "quiet_after": None}}
    thread = at(other)
    graph.update_state(thread, {"run_id": other.id, "route": "question", "question": forged}, as_node="execute")
    with contextlib.suppress(StaleDecision):
        graph.invoke(None, thread)
    request = waiting(other)
    assert (request.subject["step"], request.subject["why"]) == (2, "told to leave d in doubt")
    assert request.id != asked.id


def test_a_forged_doubt_about_a_call_that_is_not_in_doubt_opens_no_question(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = runtime.start(recorded("a", "b"))
    runtime.decide(waiting(run).id, "approve", actor=authenticated("lena"), resume=False)
    graph, thread = runtime.graph(), at(run)
    forged = {"kind": "in_doubt", "subject": {"key": "0" * 40, "step": 1, "direction": "do"}}
    graph.update_state(thread, {"run_id": run.id, "route": "question", "question": forged}, as_node="execute")
    graph.invoke(None, thread)
    assert [r.kind for r in run.requests] == ["plan"]
    assert (run.status, recorder.names) == ("completed", ["a", "b"])
