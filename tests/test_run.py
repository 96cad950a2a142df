"""The Python contract, end to end: start, wait, decide, resume, cancel, take back, report, verify. The clock is frozen, the tools are real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.policies.risk.tables import digest
from assent.runtime.run import Run
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, ProcessDied, Recorder, authenticated, recorded
from assent.schemas.approval import Actor, RequestStatus
from assent.schemas.dispatch import Dispatch, EffectClass
from assent.schemas.errors import (
    IllegalTransition,
    InvalidDocument,
    InvalidPlan,
    ModelNeeded,
    NotAllowed,
    NotFound,
    StaleDecision,
)
from assent.schemas.plan import Measure, Plan, Step
from assent.schemas.problem import Problem
from assent.schemas.run import RunStatus

Door = Callable[..., Runtime]

DOCUMENT = """
problem:
  title: The note says nothing
  description: note.txt is empty, readers find nothing in it
  context: {environment: development, affected_systems: [notes], priority: low}
  success_criteria: ["effects recorded >= 1 rows"]
action:
  proposed_solution: write the note
  steps:
    - {step: 1, description: look, commands: ["ls"]}
    - {step: 2, description: write, tool: files, args: {operation: write, path: note.txt, content: "hello"}}
"""


def approve(runtime: Runtime, run: Run, *names: str, **more: Any) -> Run:
    for name in names or ("lena",):
        request = [r for r in run.requests if r.is_open][-1]
        runtime.decide(request.id, "approve", actor=authenticated(name), reason="seen", **more)
    return run


def kinds(run: Run) -> list[str]:
    return [event.type for event in run.events()]


# --- start ------------------------------------------------------------------------------------------------------------------------------


def test_low_risk_flows_to_its_end_without_anybody(door: Door, recorder: Recorder) -> None:
    run = door().start(recorded({"effect": "a", "level": "LOW"}))
    assert (run.status, run.risk.level if run.risk else None, run.requests, recorder.names) == ("completed", "LOW", [], ["a"])
    assert run.results is not None
    assert run.results.approved_by == ("system:auto",)


@pytest.mark.parametrize("level", ["MEDIUM", "HIGH", "CRITICAL"])
def test_everything_above_low_waits_for_a_person(door: Door, recorder: Recorder, level: str) -> None:
    runtime = door()
    run = runtime.start(recorded({"effect": "a", "level": level}))
    assert (run.status, run.risk.level if run.risk else None, recorder.names) == ("awaiting_approval", level, [])
    assert [request.id for request in runtime.inbox()] == [request.id for request in run.requests]
    assert run.results is None


def test_every_form_of_a_written_request_is_the_same_plan(door: Door, workspace: Path) -> None:
    runtime = door()
    file = workspace / "plan.yaml"
    file.write_text(DOCUMENT)
    plans = [runtime.start(form).plan for form in (DOCUMENT, file, str(file), yaml.safe_load(DOCUMENT))]
    assert None not in plans
    assert len({plan.digest for plan in plans if plan}) == 1
    again = runtime.start(plans[0]).plan
    assert again is not None
    assert again.digest == plans[0].digest  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ("", InvalidDocument), (None, InvalidDocument), (7, InvalidDocument), ("make it faster", ModelNeeded), ("missing.yaml", NotFound),
        (Problem(title="only a problem"), InvalidDocument), ({"problem": {"title": "x"}, "acton": {}}, InvalidDocument),
        (Plan(problem=Problem(title="x"), steps=(Step(step=1, tool="teleport"),)), InvalidPlan),
        (recorded({"effect": "a", "unknown": 1}), InvalidPlan), ({"form": "assent.plan/1", "steps": []}, InvalidDocument),
    ],
)
def test_what_cannot_become_a_plan_starts_nothing(door: Door, request_: Any, error: type[Exception]) -> None:
    runtime = door()
    with pytest.raises(error) as raised:
        runtime.start(request_)
    assert raised.value.hint  # type: ignore[attr-defined]
    assert (runtime.runs(), len(runtime.ledger.events())) == ([], 1)


def test_an_unknown_graph_starts_nothing(door: Door) -> None:
    runtime = door()
    with pytest.raises(NotAllowed, match="no graph 'pra'"):
        runtime.start(recorded("a"), graph="pra")
    assert runtime.runs() == []


def test_runs_are_listed_newest_first_and_by_status(door: Door, clock: FrozenClock) -> None:
    runtime = door()
    ids = []
    for level in ("LOW", "HIGH", "LOW"):
        ids.append(runtime.start(recorded({"effect": level, "level": level})).id)
        clock.advance(1)
    assert [run.id for run in runtime.runs()] == ids[::-1]
    assert [run.id for run in runtime.runs(status="awaiting_approval")] == [ids[1]]
    assert [run.id for run in runtime.runs(limit=2)] == ids[:0:-1]
    assert runtime.run(ids[0]).status == "completed"
    with pytest.raises(NotFound):
        runtime.run("run_none")


# --- decide -----------------------------------------------------------------------------------------------------------------------------


def test_an_approval_in_a_fresh_handle_executes_every_step_once(door: Door, recorder: Recorder) -> None:
    run_id = door().start(recorded("a", "b", "c")).id
    other = door("lena")
    done = other.decide(other.inbox()[0].id, "approve")
    assert (done.id, done.status, recorder.names) == (run_id, "completed", ["a", "b", "c"])
    assert [effect.key for effect in recorder.effects_had] == [d.key for d in other.ledger.dispatches(run_id)]
    assert done.resume().status == "completed"
    assert recorder.names == ["a", "b", "c"]
    assert other.verify().ok


def test_a_decision_without_resume_waits_for_one(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(recorded("a")), resume=False)
    assert (run.status, recorder.names) == ("running", [])
    assert (run.resume().status, recorder.names) == ("completed", ["a"])


def test_a_rejection_ends_the_run_with_a_report(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    runtime.decide(run.requests[0].id, "reject", actor=authenticated("lena"), reason="not on a Friday")
    assert (run.status, recorder.names, runtime.inbox()) == ("rejected", [], [])
    assert run.results is not None
    assert run.results.success is False
    assert run.results.root_cause is not None
    assert "lena: not on a Friday" in run.results.root_cause.evidence
    with pytest.raises(StaleDecision):
        runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"))


def test_an_edit_is_assessed_again_and_asked_about_again(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = runtime.start(recorded("a", "b"))
    first = run.requests[0]
    runtime.decide(first.id, "edit", actor=authenticated("lena"), edit={"steps": {1: {"args": {"effect": "z", "level": "CRITICAL"}}, 2: None}})
    assert run.plan is not None
    assert run.risk is not None
    assert ([s.args["effect"] for s in run.plan.steps], run.risk.level, run.row.version) == (["z"], "CRITICAL", 2)
    assert [request.status for request in run.requests] == [RequestStatus.EDITED, RequestStatus.OPEN]
    approve(runtime, run, "ada", "amos")
    assert (run.status, recorder.names) == ("completed", ["z"])


def test_an_edit_down_to_low_risk_flows(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    runtime.decide(run.requests[0].id, "edit", actor=authenticated("lena"), edit={"steps": {"1": {"args": {"level": "LOW"}}}})
    assert (run.status, recorder.names) == ("completed", ["a"])


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (None, InvalidDocument), ({}, InvalidDocument), ({"steps": {9: {}}}, InvalidDocument), ({"steps": {1: {"colour": "red"}}}, InvalidDocument),
        ({"steps": {1: None}}, InvalidDocument), ({"steps": {1: {"tool": "teleport"}}}, InvalidPlan), ({"steps": {1: {"args": {"effect": 7}}}}, InvalidPlan),
        ({"steps": {1: 7}}, InvalidDocument),
    ],
)
def test_an_edit_that_cannot_be_read_changes_nothing(door: Door, edit: Any, error: type[Exception]) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    with pytest.raises(error):
        runtime.decide(run.requests[0].id, "edit", actor=authenticated("lena"), edit=edit)
    assert (run.row.version, run.requests[0].is_open, run.requests[0].decisions) == (1, True, ())


@pytest.mark.parametrize("verdict", ["yes", "approved", "", "happened"])
def test_a_word_that_is_no_answer_is_refused(door: Door, verdict: str) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    with pytest.raises(NotAllowed):
        runtime.decide(run.requests[0].id, verdict, actor=authenticated("lena"))
    assert run.requests[0].is_open


def test_two_people_approve_what_is_critical(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = runtime.start(recorded({"effect": "a", "level": "CRITICAL"}))
    approve(runtime, run, "ada")
    assert (run.status, recorder.names) == ("awaiting_approval", [])
    approve(runtime, run, "amos")
    assert (run.status, recorder.names) == ("completed", ["a"])
    assert run.results is not None
    assert run.results.approved_by == ("ada", "amos")


def test_the_person_at_a_solo_door_approves_up_to_high_and_not_beyond(home: Path, workspace: Path) -> None:
    with Runtime(home, workspace=workspace) as runtime:
        medium = runtime.start({"problem": {"title": "x"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "touch a"}}]}})
        assert runtime.decide(medium.requests[0].id, "approve").status == "completed"
        assert (workspace / "a").exists()
        critical = runtime.start({"problem": {"title": "x"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "touch b"}, "risk": "critical"}]}})
        assert runtime.decide(critical.requests[0].id, "approve", reason="seen").status == "awaiting_approval"
        claims: list[Any] = [{"roles": ["admin"]}, {"roles": ["developer", "lead", "admin"], "assurance": "authenticated"}, {"kind": "human"}, {}]
        aliases: list[Any] = ["me-too", Actor(id="me-too", roles=("admin",)), *({"id": "me-too", **claim} for claim in claims)]
        for alias in aliases:
            with pytest.raises(NotAllowed):
                runtime.decide(critical.requests[0].id, "approve", reason="seen", actor=alias)
        assert not (workspace / "b").exists()


# --- time -------------------------------------------------------------------------------------------------------------------------------


def test_a_request_that_nobody_answers_expires_with_its_run(door: Door, clock: FrozenClock, recorder: Recorder) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    clock.advance(days=7)
    assert runtime.sweep()["expired"] == 1
    assert runtime.sweep()["expired"] == 0
    assert (run.status, run.requests[0].status, recorder.names) == ("expired", "expired", [])
    assert run.results is not None


def test_a_sweep_for_a_later_time_expires_what_is_due_then(door: Door, clock: FrozenClock) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    assert runtime.sweep(clock.at + timedelta(days=6))["expired"] == 0
    assert runtime.sweep(clock.at + timedelta(days=7))["expired"] == 1
    assert run.status == "expired"


def test_an_approval_that_runs_out_before_the_first_step_expires_the_run(door: Door, clock: FrozenClock, recorder: Recorder) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(recorded("a")), resume=False)
    clock.advance(hours=24)
    assert (run.resume().status, recorder.names) == ("expired", [])


def test_an_approval_that_runs_out_in_the_middle_is_asked_for_again(door: Door, clock: FrozenClock, recorder: Recorder) -> None:
    runtime = door()
    run = runtime.start(recorded("a", "b"))
    approve(runtime, run, resume=False)
    with pytest.raises(ProcessDied):
        recorder.will("b", "dies_before")
        run.resume()
    recorder.will("b", None)
    clock.advance(hours=25)
    fresh = door()
    run = fresh.resume(run.id)
    assert run.status == "in_doubt"
    fresh.decide(run.requests[-1].id, "did_not_happen", actor=authenticated("lena"))
    assert (run.status, recorder.names) == ("awaiting_approval", ["a"])
    request = next(r for r in run.requests if r.is_open)
    assert [option.value for option in request.options] == ["approve", "reject"], "what has begun is not edited any more"
    approve(fresh, run)
    assert (run.status, recorder.names) == ("completed", ["a", "b"])


# --- failure and taking back ------------------------------------------------------------------------------------------------------------


def test_a_failing_step_takes_back_what_was_done_in_reverse_order_and_looks(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(recorded("a", "b", {"effect": "c", "outcome": "failed"}, "d")))
    assert (run.status, recorder.names) == ("rolled_back", ["a", "b", "undo b", "undo a"])
    assert run.results is not None
    assert [(s.status, s.undone) for s in run.results.steps] == [("done", True), ("done", True), ("failed", False), ("not run", False)]
    assert run.results.success is False
    assert run.results.root_cause is not None
    assert "step 3" in run.results.root_cause.finding
    undos = [d for d in runtime.ledger.dispatches(run.id) if d.direction == "undo"]
    assert [d.receipt.verified for d in undos if d.receipt] == [True, True]
    assert len({effect.key for effect in recorder.effects_had}) == 4


@pytest.mark.parametrize("undo", ["failed", "unverified", "unknown", "raises"])
def test_what_could_not_be_taken_back_is_said(door: Door, recorder: Recorder, undo: str) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(recorded("a", {"effect": "b", "undo": undo}, {"effect": "c", "outcome": "failed"})))
    if undo in ("unknown", "raises"):
        assert run.status == "in_doubt"
        runtime.decide(runtime.inbox()[0].id, "abandon", actor=authenticated("lena"))
    assert run.status == "failed"
    assert recorder.names[-1] == "undo a", "one undo that fails does not stop the others"
    assert run.results is not None
    assert len(run.results.not_undone) == 1
    assert "step 2" in run.results.not_undone[0]
    assert any("step 2" in item.action for item in run.results.follow_ups)


def test_a_step_without_an_undo_is_said(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(recorded({"effect": "a", "can_undo": False}, {"effect": "b", "outcome": "failed"})))
    assert (run.status, recorder.names) == ("failed", ["a"])
    assert run.results is not None
    assert "step 1" in run.results.not_undone[0]


def test_a_step_that_a_tool_refuses_did_nothing(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(recorded("a", {"effect": "b", "outcome": "refuses"})))
    assert (run.status, recorder.names) == ("rolled_back", ["a", "undo a"])
    assert run.results is not None
    assert run.results.steps[1].status == "not_started"


@pytest.mark.parametrize(("to", "left", "status"), [(0, ["c", "b", "a"], "rolled_back"), (1, ["c", "b"], "completed"), (2, ["c"], "completed")])
def test_a_completed_run_is_taken_back_by_somebody_entitled(door: Door, recorder: Recorder, to: int, left: list[str], status: str) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(recorded("a", "b", "c")))
    with pytest.raises(NotAllowed):
        door("guest").run(run.id).rollback()
    with pytest.raises(NotAllowed):
        door("robot").run(run.id).rollback()
    run.rollback(to=to)
    assert (run.status, recorder.names) == (status, ["a", "b", "c", *[f"undo {name}" for name in left]])
    assert runtime.verify().ok
    if to:
        run.rollback()
        assert run.status == "rolled_back"
        assert sorted(recorder.names) == sorted(["a", "b", "c", "undo a", "undo b", "undo c"])
    with pytest.raises(IllegalTransition):
        run.rollback()


@pytest.mark.parametrize("state", ["awaiting_approval", "running"])
def test_a_run_that_is_not_over_is_not_taken_back(door: Door, state: str) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    if state == "running":
        approve(runtime, run, resume=False)
    with pytest.raises(IllegalTransition):
        run.rollback()


def test_a_waiting_run_is_cancelled_at_once(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = runtime.start(recorded("a")).cancel("changed my mind")
    assert (run.status, run.requests[0].status, recorder.names) == ("cancelled", "withdrawn", [])
    assert run.results is not None
    with pytest.raises(IllegalTransition):
        run.cancel()


def test_a_running_run_is_stopped_before_its_next_step(door: Door, recorder: Recorder) -> None:
    runtime = door()
    recorder.will("a", "hangs")
    run = runtime.start(recorded("a", "b"), wait=False).wait(20)
    approve(runtime, run, resume=False)
    runtime._in_background(run.id)
    assert recorder.hanging.wait(20)
    run.cancel("enough")
    recorder.release()
    assert (run.wait(20).status, recorder.names) == ("cancelled", ["a"])
    assert run.results is not None
    assert "step 1" in run.results.not_undone[0]
    assert run.rollback().status == "rolled_back"


# --- doubt ------------------------------------------------------------------------------------------------------------------------------


def _in_doubt(door: Door, recorder: Recorder, **first: Any) -> Run:
    runtime = door()
    run = approve(runtime, runtime.start(recorded({"effect": "a", **first}, "b")), resume=False)
    with pytest.raises(ProcessDied):
        run.resume()
    return door().run(run.id)


@pytest.mark.parametrize("outcome", ["dies_before", "dies_after"])
@pytest.mark.parametrize(
    ("verdict", "status", "after"),
    [("happened", "completed", ["b"]), ("did_not_happen", "completed", ["a", "b"]), ("abandon", "failed", [])],
)
def test_an_opaque_step_without_receipt_is_asked_about_and_never_repeated_by_itself(
    door: Door, recorder: Recorder, outcome: str, verdict: str, status: str, after: list[str],
) -> None:
    run = _in_doubt(door, recorder, outcome=outcome)
    had = ["a"] if outcome == "dies_after" else []
    assert run.resume().status == "in_doubt"
    assert run.resume().status == "in_doubt"
    assert recorder.names == had
    request = next(r for r in run.requests if r.is_open)
    assert (request.kind, request.subject["step"]) == ("in_doubt", 1)
    assert [option.value for option in request.options] == ["happened", "did_not_happen", "abandon"]
    recorder.will("a", "done")
    runtime = door("lena")
    runtime.decide(request.id, verdict)
    assert (runtime.run(run.id).status, recorder.names) == (status, had + after)
    assert runtime.verify().ok


@pytest.mark.parametrize("effect_class", ["readable", "conditional", "keyed"])
@pytest.mark.parametrize("outcome", ["dies_before", "dies_after"])
def test_a_step_that_can_be_looked_up_is_looked_up_and_happens_once(door: Door, recorder: Recorder, effect_class: str, outcome: str) -> None:
    run = _in_doubt(door, recorder, outcome=outcome, effect_class=effect_class)
    recorder.will("a", "done")
    assert run.resume().status == "completed"
    assert recorder.names == ["a", "b"]
    assert run.requests[-1].kind == "plan", "nobody had to be asked"


@pytest.mark.parametrize("outcome", ["unknown", "raises"])
def test_a_tool_that_does_not_know_leaves_a_question(door: Door, recorder: Recorder, outcome: str) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(recorded({"effect": "a", "outcome": outcome}, "b")))
    assert (run.status, recorder.names) == ("in_doubt", ["a"])
    runtime.decide(runtime.inbox()[0].id, "happened", actor=authenticated("lena"))
    assert (run.status, recorder.names) == ("completed", ["a", "b"])


def test_a_process_that_dies_while_taking_back_goes_on_taking_back(door: Door, recorder: Recorder) -> None:
    runtime = door()
    plan = recorded({"effect": "a", "effect_class": "readable"}, {"effect": "b", "effect_class": "readable", "undo": "dies_after"}, {"effect": "c", "outcome": "failed"})
    run = approve(runtime, runtime.start(plan), resume=False)
    with pytest.raises(ProcessDied):
        run.resume()
    assert recorder.names == ["a", "b", "undo b"]
    fresh = door().run(run.id)
    assert fresh.resume().status == "rolled_back"
    assert recorder.names == ["a", "b", "undo b", "undo a"]


def test_an_interrupted_measure_is_simply_taken_again(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(_measured()), resume=False)
    dispatch = runtime.ledger.dispatch(run.id, "before", 1, effect_class=EffectClass.OPAQUE, before={})
    assert isinstance(dispatch, Dispatch)
    assert door().resume(run.id).status == "completed"
    assert run.results is not None
    assert run.results.outcomes[0].before == 0


# --- results ----------------------------------------------------------------------------------------------------------------------------


def _measured(target: str = "effects >= 2", *effects: Any, **more: Any) -> Plan:
    measure = Measure(criterion=target, tool="recorder", args={"effect": "count", "looks": True}, read="value")
    return recorded(*(effects or ("a", "b")), problem={"success_criteria": (target, *more.pop("unmeasured", ()))}, measures=(measure,), **more)


@pytest.mark.parametrize(("target", "met"), [("effects >= 2", True), ("effects < 2", False), ("effects = 2", True)])
def test_a_criterion_is_measured_before_and_after(door: Door, recorder: Recorder, target: str, met: bool) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(_measured(target)))
    assert run.results is not None
    (outcome,) = run.results.outcomes
    assert (outcome.before, outcome.after, outcome.met, run.results.success) == (0, 2, met, met)
    assert (run.results.root_cause is None) is met
    assert recorder.looked == 2


def test_what_is_not_measured_is_neither_met_nor_missed(door: Door) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(_measured(unmeasured=("the team is happier",))))
    assert run.results is not None
    assert [outcome.met for outcome in run.results.outcomes] == [True, None]
    assert run.results.success is None
    assert any("the team is happier" in item.action for item in run.results.follow_ups)


def test_the_report_is_written_beside_the_run(door: Door) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(_measured()))
    files = {artifact.name: Path(artifact.path) for artifact in run.artifacts()}
    assert {"results.yaml", "results.md"} <= set(files)
    assert all(path.is_file() for path in files.values())
    written = yaml.safe_load(files["results.yaml"].read_text())
    assert run.id in str(written)


def test_the_report_is_written_once_however_often_the_run_is_resumed(door: Door) -> None:
    runtime = door()
    run = approve(runtime, runtime.start(recorded("a")))
    for _ in range(3):
        run.resume()
        runtime.graph().invoke({"run_id": run.id}, {"configurable": {"thread_id": run.id}})
    assert kinds(run).count("results.recorded") == 1


def test_the_whole_run_is_json(door: Door) -> None:
    import json

    runtime = door()
    run = approve(runtime, runtime.start(_measured()))
    assert json.loads(json.dumps(run.as_json()))["status"] == "completed"


# --- waiting, streaming, several callers ------------------------------------------------------------------------------------------------


def test_a_run_in_the_background_is_waited_for_and_streamed(door: Door, recorder: Recorder) -> None:
    runtime = door()
    recorder.will("a", "hangs")
    run = runtime.start(recorded({"effect": "a", "level": "LOW"}), wait=False)
    assert recorder.hanging.wait(20)
    assert run.wait(0.05).status == "running"
    recorder.release()
    assert run.wait(20).status == "completed"
    streamed = [event.type for event in run.stream(timeout_s=20)]
    assert streamed == kinds(run)
    assert streamed[0] == "run.started"
    assert [event.seq for event in run.events(after=run.events()[3].seq)] == [event.seq for event in run.events()[4:]]


def test_a_stream_ends_when_the_run_waits_for_a_person(door: Door) -> None:
    run = door().start(recorded("a"), wait=False)
    assert [event.type for event in run.stream(timeout_s=20)][-1] == "run.status"
    assert run.status == "awaiting_approval"


async def test_async_callers_do_the_same(door: Door, recorder: Recorder) -> None:
    runtime = door()
    runs = await asyncio.gather(*[runtime.astart(recorded(f"{n}")) for n in range(4)])
    for run in runs:
        await runtime.adecide(run.requests[0].id, "approve", actor=authenticated("lena"))
    assert {run.status for run in runs} == {RunStatus.COMPLETED}
    assert sorted(recorder.names) == ["0", "1", "2", "3"]
    assert [event.type async for event in runs[0].astream(timeout_s=20)] == kinds(runs[0])
    assert (await runtime.aresume(runs[0].id)).status == "completed"
    assert (await runs[0].await_end(20)).status == "completed"


def test_the_inbox_is_oldest_first_across_runs(door: Door, clock: FrozenClock) -> None:
    runtime = door()
    ids = []
    for n in range(5):
        ids.append(runtime.start(recorded(f"{n}")).requests[0].id)
        clock.advance(1)
    assert [request.id for request in runtime.inbox()] == ids
    assert [request.id for request in runtime.inbox(limit=2)] == ids[:2]
    runtime.decide(ids[0], "reject", actor=authenticated("lena"))
    assert [request.id for request in runtime.inbox()] == ids[1:]


def test_what_changed_in_the_world_since_the_assessment_is_seen_when_it_is_approved(door: Door, workspace: Path, tmp_path: Path) -> None:
    """A folder of the workspace becomes a link out of it while the question is open; the same handle must not go on from its first look."""
    (workspace / "data").mkdir()
    runtime = door("lena", people={"lena": ["developer"]})
    step = {"step": 1, "tool": "files", "args": {"operation": "write", "path": "data/a.txt", "content": "x"}}
    run = runtime.start({"problem": {"title": "x"}, "action": {"steps": [step]}})
    assert run.risk is not None
    assert run.risk.level == "MEDIUM"
    (workspace / "data").rmdir()
    (tmp_path / "outside").mkdir()
    (workspace / "data").symlink_to(tmp_path / "outside")
    with pytest.raises(NotAllowed):
        runtime.decide(run.requests[0].id, "approve")
    assert list((tmp_path / "outside").iterdir()) == []


def test_the_tier_that_asks_is_refused_what_is_beyond_it(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = runtime.start(recorded("a"), tier=1)
    assert (run.status, recorder.names, run.requests) == ("denied", [], [])
    assert run.results is not None
    assert run.results.success is False


def test_verify_and_anchor_of_a_whole_home(door: Door) -> None:
    runtime = door()
    anchor = runtime.anchor()
    approve(runtime, runtime.start(recorded("a")))
    found = runtime.verify(anchor)
    assert found.ok
    assert found.entries > anchor.entries
    assert found.head == runtime.anchor().head


def test_the_log_says_which_tables_of_the_assessor_spoke(door: Door) -> None:
    runtime = door()
    plan = {"problem": {"title": "x"}, "action": {"steps": [{"step": 1, "tool": "files", "args": {"operation": "write", "path": "a.txt", "content": "x"}}]}}
    run = runtime.start(plan)
    (assessed,) = [event.data for event in run.events() if event.type == "risk.assessed"]
    assert assessed["tables"] == digest(runtime.policy.risk), "the digest of the tables in force"


@pytest.mark.parametrize("statement", ["'x'", "-- nothing", ";"])
def test_sql_that_says_nothing_is_asked_about_like_any_other(door: Door, statement: str) -> None:
    run = door().start({"problem": {"title": "x"}, "action": {"steps": [{"step": 1, "tool": "sql", "args": {"database": "a.db", "statement": statement}}]}})
    assert run.status == "awaiting_approval" and run.risk is not None and run.risk.level == "HIGH"
