"""Attacks on the gates of a delivery: no state, jump, fork, forged synthesis or other graph gets work done before checkpoint 1, or released untested."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.serde.event_hooks import register_serde_event_listener
from langgraph.types import Command

from assent.nodes.endings import all_done
from assent.runtime.testing import authenticated
from assent.schemas.delivery import Decided, PhaseCheck
from assent.schemas.dispatch import EffectClass
from assent.schemas.errors import AssentError, IllegalTransition, NotAllowed
from assent.schemas.ruling import Ruling
from assent.schemas.run import RunStatus

from .delivery_world import LOOK, Delivery, document, each, write
from .phase_world import says


@pytest.fixture
def delivery(tmp_path: Path) -> Iterator[Delivery]:
    world = Delivery(tmp_path)
    yield world
    world.close()


@pytest.fixture(autouse=True)
def told() -> Iterator[list[Any]]:
    """Nothing but JSON reaches a checkpoint."""
    events: list[Any] = []
    end = register_serde_event_listener(events.append)
    yield events
    end()
    assert events == []


def at(run: Any) -> Any:
    return {"configurable": {"thread_id": run.id}}


def stopped(delivery: Delivery) -> tuple[Any, Any]:
    """A delivery that waits at checkpoint 1, of a plan that would flow without a person."""
    delivery.said["code"] = {"raises": "no"}
    runtime, run = delivery.start()
    assert run.status == "awaiting_approval"
    return runtime, run


# --- checkpoint 1 -----------------------------------------------------------------------------------------------------------------------

JUMPS: dict[str, tuple[str, dict[str, Any]]] = {
    "checkpoint says passed": ("checkpoint", {"route": "passed"}),
    "admit says analysed": ("admit", {"route": "analysed"}),
    "the phase says passed": ("analysis", {"route": "passed", "consolidated": "sha256:" + "0" * 64}),
    "risk says low": ("risk_assessment", {"route": "low", "risk": "LOW"}),
    "approval says approved": ("approval", {"route": "approved", "question": {"kind": "plan", "subject": {"key": "plan"}}}),
    "an answered question of its own": ("approval", {"route": "approved", "question": {"kind": "gate", "subject": {"key": "x", "phase": "analysis"}}}),
    "staffing says not done": ("staff_testing", {"route": "not done"}),
}


@pytest.mark.parametrize("name", JUMPS)
def test_no_jump_past_the_checkpoint_gets_anything_done(delivery: Delivery, name: str) -> None:
    runtime, run = stopped(delivery)
    station, forged = JUMPS[name]
    graph = runtime.graph("delivery")
    graph.update_state(at(run), forged, as_node=station)
    for _ in range(3):
        with contextlib.suppress(AssentError, KeyError, ValueError):
            graph.invoke(None, at(run))
    assert (delivery.recorder.names, run.status.is_over) == ([], False)
    assert [event for event in run.events() if event.type == "step.dispatched"] == []
    # It costs the bookmark at most: the exception still leads on.
    run = runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"))
    assert (run.status, delivery.recorder.names) == ("completed", ["worked"])


@pytest.mark.parametrize("goto", ["execute", "plan", "staff_testing", "go_no_go", "results"])
def test_a_command_to_go_elsewhere_gets_nothing_done(delivery: Delivery, goto: str) -> None:
    runtime, run = stopped(delivery)
    with contextlib.suppress(AssentError, KeyError, ValueError):
        runtime.graph("delivery").invoke(Command(goto=goto, update={"route": "passed"}), at(run))
    assert (delivery.recorder.names, run.status.is_over) == ([], False)


def test_the_ledger_itself_gives_no_dispatch_before_the_checkpoint(delivery: Delivery) -> None:
    runtime, run = stopped(delivery)
    runtime.ledger.move(run.id, RunStatus.RUNNING)
    ruling = runtime.ledger.dispatch(run.id, "do", 1, effect_class=EffectClass.OPAQUE, before={})
    assert isinstance(ruling, Ruling) and ruling.rules == ("checkpoint.missing",)


def test_another_graph_cannot_drive_a_delivery(delivery: Delivery) -> None:
    runtime, run = stopped(delivery)
    with pytest.raises(NotAllowed, match="delivery"):
        runtime.graph("par").invoke({"run_id": run.id}, {"configurable": {"thread_id": "other"}})
    assert delivery.recorder.names == []


def test_a_synthesis_of_another_run_passes_nothing(delivery: Delivery) -> None:
    runtime, good = delivery.start()
    passed = runtime.ledger.check_of(good.id, "analysis")
    assert passed is not None
    (delivery.workspace / "notes.txt").write_text("changed, so that it is analysed again\n")
    runtime, run = stopped(delivery)
    graph = runtime.graph("delivery")
    graph.update_state(at(run), {"route": "passed", "consolidated": passed.consolidated}, as_node="analysis")
    with pytest.raises(ValueError, match="not of analysis of run"):
        graph.invoke(None, at(run))
    assert delivery.recorder.names == ["worked"], "only the first run worked"


def test_agents_do_not_look_where_a_forged_state_sends_them(delivery: Delivery, tmp_path: Path) -> None:
    runtime, run = stopped(delivery)
    delivery.said["code"] = says(data={"style": "ok"})
    clean = tmp_path / "clean"
    clean.mkdir()
    graph = runtime.graph("delivery")
    inputs = {**runtime.delivery_ports.analysis_inputs(run.id), "path": str(clean)}
    graph.update_state(at(run), {"route": "to analyse", "inputs": inputs}, as_node="admit")
    delivery.calls.clear()
    graph.invoke(None, at(run))
    assert (delivery.calls, delivery.recorder.names, run.status) == ([], [], "awaiting_approval")


def test_an_exception_is_about_one_synthesis(delivery: Delivery) -> None:
    runtime, run = stopped(delivery)
    runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"), resume=False)
    assert runtime.ledger.has_passed(run.id)
    other = PhaseCheck(phase="analysis", consolidated="sha256:" + "1" * 64, passed=False, action="ask", failed=("risk",))
    runtime.ledger.check_phase(run.id, other)
    assert not runtime.ledger.has_passed(run.id)


def test_an_exception_ends_with_the_role_of_who_made_it(delivery: Delivery) -> None:
    runtime, run = stopped(delivery)
    runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"), resume=False)
    later = delivery.open(actors={"lena": [], "dora": ["developer"]})
    assert not later.ledger.has_passed(run.id)


def test_a_forged_decision_makes_no_exception(delivery: Delivery) -> None:
    runtime, run = stopped(delivery)
    request = run.requests[0]
    c = runtime.ledger.store.connection
    c.execute("UPDATE request SET status = 'approved' WHERE id = ?", (request.id,))
    c.execute(
        "INSERT INTO decision (seq, request_id, run_id, actor_id, actor, verdict, digest, reason, at) VALUES (9999, ?, ?, 'lena', ?, 'approve', ?, '', '2026-01-05T09:00:00.000000Z')",
        (request.id, run.id, authenticated("lena").model_dump_json(), request.digest),
    )
    assert not runtime.ledger.has_passed(run.id)
    assert not runtime.verify().ok


# --- the release ------------------------------------------------------------------------------------------------------------------------


def waiting(delivery: Delivery) -> tuple[Any, Any]:
    """A delivery whose work is done and whose release waits for a stakeholder."""
    delivery.says("documentation", incomplete=3)
    runtime, run = delivery.start()
    assert (run.status, delivery.recorder.names) == ("awaiting_approval", ["worked"])
    return runtime, run


@pytest.mark.parametrize(
    ("station", "forged"),
    [
        ("go_no_go", {"route": "released"}), ("execute", {"route": "stopped"}), ("staff_testing", {"route": "over"}), ("consolidate", {"status": "completed"}),
        ("final_consolidation", {"route": "decided"}), ("approval", {"route": "approved", "question": {"subject": {"phase": "final"}}}),
        ("testing", {"route": "passed", "consolidated": "sha256:" + "0" * 64}),
    ],
    ids=str,
)
def test_no_jump_past_the_tests_or_the_stakeholder_completes_a_run(delivery: Delivery, station: str, forged: dict[str, Any]) -> None:
    runtime, run = waiting(delivery)
    graph = runtime.graph("delivery")
    graph.update_state(at(run), forged, as_node=station)
    with contextlib.suppress(AssentError, KeyError, ValueError):
        graph.invoke(None, at(run))
    assert run.status == "awaiting_approval"
    run = runtime.decide(run.requests[-1].id, "approve", actor=authenticated("lena"))
    assert (run.status, delivery.recorder.names) == ("completed", ["worked"])


def test_the_ledger_itself_completes_no_delivery_that_is_not_released(delivery: Delivery) -> None:
    runtime, run = waiting(delivery)
    runtime.ledger.move(run.id, RunStatus.RUNNING)
    delivery.says("documentation", incomplete=0)
    _, done = delivery.start()
    with pytest.raises(IllegalTransition, match="not released"):
        runtime.ledger.finish(run.id, RunStatus.COMPLETED, done.results or pytest.fail("no results"))


def test_three_agents_are_not_enough_where_five_are_called_for(delivery: Delivery) -> None:
    runtime, run = delivery.start(environment="production")
    graph = runtime.graph("delivery")
    runtime.ledger.move(run.id, RunStatus.RUNNING)
    state = graph.get_state(at(run)).values
    graph.update_state(at(run), {"route": "three agents", "inputs": state["inputs"]}, as_node="staff_testing")
    graph.invoke(None, at(run))
    decided = runtime.ledger.decided(run.id)
    assert decided is not None and decided.decision == "BLOCK"


def test_a_decision_about_other_tests_or_another_plan_releases_nothing(delivery: Delivery) -> None:
    runtime, run = delivery.start()
    decided = runtime.ledger.decided(run.id)
    assert decided is not None and runtime.ledger.release(run.id) == "released"
    for other in ({"consolidated": "sha256:" + "2" * 64}, {"plan": "sha256:" + "3" * 64}):
        runtime.ledger.decide_release(run.id, Decided.model_validate({**decided.model_dump(), **other, "id": f"x{other}"}))
        assert runtime.ledger.release(run.id) == "open"


def test_nothing_is_taken_back_that_nobody_blocked(delivery: Delivery) -> None:
    runtime = delivery.open("lena")
    run = runtime.start(document(write("notes.txt", "new\n")), graph="delivery")
    delivery.says("documentation", incomplete=3)
    run = runtime.decide(run.requests[0].id, "approve")
    runtime.ledger.move(run.id, RunStatus.RUNNING)
    ruling = runtime.ledger.dispatch(run.id, "undo", 1, effect_class=EffectClass.CONDITIONAL, before={})
    assert isinstance(ruling, Ruling) and ruling.rules == ("undo.unasked",)


# --- what is kept -----------------------------------------------------------------------------------------------------------------------


def test_checkpoints_hold_small_json_and_no_report(delivery: Delivery) -> None:
    delivery.said["code"] = says(data={"style": "a-very-telling-finding"})
    delivery.contradict()
    runtime, run = delivery.start("a")
    history = list(runtime.graph("delivery").get_state_history(at(run)))
    for snapshot in history:
        assert json.loads(json.dumps(snapshot.values)) == snapshot.values
        assert len(json.dumps(snapshot.values)) < 4000
    runtime.close()
    assert b"a-very-telling-finding" not in b"".join(path.read_bytes() for path in delivery.home.glob("checkpoints.db*"))


def test_every_door_says_what_a_checkpoint_asks(delivery: Delivery) -> None:
    from assent.runtime.cli.panel import Review
    from assent.runtime.studio.frame import Frame
    from assent.runtime.studio.pages_request import request_page

    delivery.contradict()
    runtime, run = delivery.start("a")
    (interrupt,) = runtime.graph("delivery").get_state(at(run)).interrupts
    (request,) = run.requests
    assert (interrupt.value["question"], interrupt.value["subject"]) == ("conflict", json.loads(json.dumps(request.subject)))
    frame = Frame(name="lena", csrf="x")
    shown = str(request_page(frame, Review.of(runtime, request), runtime.clock(), barred="", already=False, mark="x"))
    assert "CONTRADICT EACH OTHER" in shown and f"assent resolve {request.id}" in shown and "agent1 says True" in shown


def test_a_lost_bookmark_costs_nothing_at_any_question(delivery: Delivery) -> None:
    delivery.contradict()
    delivery.says("documentation", incomplete=3)
    runtime, run = delivery.start("a")
    while run.status.is_waiting:
        request = next(one for one in run.requests if one.is_open)
        runtime.checkpoints.delete_thread(run.id)
        holds = {one["id"]: "" for one in request.subject.get("conflicts", ())} or None
        run = runtime.decide(request.id, "approve", actor=authenticated("lena"), holds=holds, reason="yes")
    # The recorder's step has no way back that could be tried, so it is blocked; what counts here is that nothing happened twice.
    assert run.results is not None and run.results.decision == "BLOCK"
    assert [one.name for one in delivery.recorder.effects_had if one.direction == "do"] == ["a"]
    assert len(set(delivery.calls)) == len(delivery.calls), "nobody was run twice"


def test_every_release_state_is_known_to_the_end_of_a_run(delivery: Delivery) -> None:
    runtime, run = delivery.start(LOOK, {**LOOK, "effect": "more"})
    assert run.plan is not None and all_done(run.plan, runtime.ledger.dispatches(run.id))
    assert [data["decision"] for data in each(run, "release.decided")] == ["PROCEED"]
