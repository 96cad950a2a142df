"""Every way to an effect without valid assent that we could think of: each is tried, and has no effect.

An attack is one function. It runs against the runtime as it is, where nothing may happen beyond what was really approved; and against the
same graph with the ledger's check removed, where the same function must reach the effect, so that no attack passes by being harmless.

The check is removed in two degrees: `may_run` always says yes; and, for attacks that other answers of the ledger stop earlier (the run is
over, the question is open, the step is done), the whole ledger says yes to everything that the graph asks.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.errors import InvalidUpdateError, UnknownInterruptError
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime as GraphRuntime
from langgraph.types import Command, Send

from assent.graphs import par
from assent.nodes.execute import execute
from assent.nodes.perform import Item, Performer
from assent.nodes.rollback import rollback
from assent.policies import authority
from assent.runtime.ledger import plans, tables
from assent.runtime.ledger.ledger import Ledger
from assent.runtime.run import Run
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, Recorder, authenticated, recorded
from assent.schemas.approval import RequestStatus
from assent.schemas.canonical import canonical, digest
from assent.schemas.errors import AssentError, NotAllowed, StaleDecision
from assent.schemas.grant import Grant
from assent.schemas.plan import Plan
from assent.schemas.risk import Level
from assent.schemas.ruling import Ruling
from assent.schemas.run import RunStatus

HARMLESS_FAILURES = (AssentError, InvalidUpdateError, UnknownInterruptError, ValueError, UnboundLocalError, sqlite3.Error)
"""An attack may also die of an error; what counts is whether the effect happened."""


@dataclass
class Scene:
    """One attack's world, and the effects that it legitimately had."""

    opening: Callable[..., Runtime]
    recorder: Recorder
    clock: FrozenClock
    home: Path
    legitimate: list[str] = field(default_factory=list)
    refusals: list[BaseException] = field(default_factory=list)
    tampered: bool = False

    def door(self, name: str = "dora", **config: Any) -> Runtime:
        """Open the home as somebody."""
        return self.opening(name, **config)

    def waiting(self, *effects: Any, by: str = "dora", config: dict[str, Any] | None = None, **more: Any) -> tuple[Runtime, Run]:
        """Start a plan that has to be approved and is not."""
        runtime = self.door(by, **(config or {}))
        run = runtime.start(recorded(*(effects or ("a",)), **more))
        assert run.status == "awaiting_approval"
        return runtime, run

    def done(self, *effects: Any) -> tuple[Runtime, Run]:
        """Run a plan to its end, approved as it should be, with every checkpoint kept."""
        runtime, run = self.waiting(*effects)
        self.approve(run, "lena", resume=False)
        runtime.graph().invoke(Command(resume="ring"), at(run))
        assert run.status == "completed", run.status
        self.legitimate = list(self.recorder.names)
        return runtime, run

    def approve(self, run: Run, name: str, *, resume: bool = False, verdict: str = "approve", **given: Any) -> None:
        """Answer the open question of a run; a refusal is kept, because refusing is right."""
        request = [r for r in run.requests if r.is_open][-1]
        self.answer(run._runtime, request.id, name, resume=resume, verdict=verdict, **given)

    def answer(self, runtime: Runtime, request_id: str, name: str, *, resume: bool = False, verdict: str = "approve", **given: Any) -> None:
        """Answer one question."""
        try:
            runtime.decide(request_id, verdict, actor=authenticated(name), resume=resume, **{"reason": "because", **given})
        except AssentError as refusal:
            self.refusals.append(refusal)

    def attempt(self, act: Callable[[], Any]) -> None:
        """Do something that may fail."""
        try:
            act()
        except HARMLESS_FAILURES as failure:
            self.refusals.append(failure)

    def force(self, runtime: Runtime, run: Run) -> None:
        """Try to push a run through every door of LangGraph that leads to `execute`."""
        graph = runtime.graph()
        self.attempt(lambda: graph.invoke(Command(goto="execute"), at(run)))
        self.attempt(lambda: (graph.update_state(at(run), {"run_id": run.id, "route": "approved"}, as_node="approval"), graph.invoke(None, at(run))))
        self.attempt(lambda: runtime.resume(run.id))

    def sql(self, statement: str, *values: Any) -> None:
        """Write into the ledger behind its back; its triggers are out of the way meanwhile."""
        with contextlib.closing(sqlite3.connect(self.home / "ledger.db")) as c:
            triggers = c.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                c.execute(f"DROP TRIGGER {name}")
            c.execute(statement, values)
            for _, text in triggers:
                c.execute(text)
            c.commit()
        self.tampered = True


def at(run: Run, **more: Any) -> Any:
    """Return LangGraph's name of a run's thread."""
    return {"configurable": {"thread_id": run.id, **more}}


def before_node(runtime: Runtime, run: Run, node: str) -> Any:
    """Return the config of the newest checkpoint from which `node` would run next."""
    return next(s.config for s in runtime.graph().get_state_history(at(run)) if s.next == (node,))


ATTACKS: dict[str, tuple[Callable[[Scene], None], str]] = {}


def attack(removed: str = "may_run") -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Register an attack, with what has to be removed for it to succeed."""

    def register(function: Callable[[Scene], None]) -> Callable[[Scene], None]:
        ATTACKS[function.__name__] = (function, removed)
        return function

    return register


# --- the routes of the graph ------------------------------------------------------------------------------------------------------------


@attack()
def update_state_as_the_approval_station(s: Scene) -> None:
    runtime, run = s.waiting()
    graph = runtime.graph()
    graph.update_state(at(run), {"route": "approved", "status": "running"}, as_node="approval")
    s.attempt(lambda: graph.invoke(None, at(run)))


@attack()
def update_state_as_the_risk_assessment(s: Scene) -> None:
    runtime, run = s.waiting()
    graph = runtime.graph()
    graph.update_state(at(run), {"route": "low", "risk": "LOW"}, as_node="risk_assessment")
    s.attempt(lambda: graph.invoke(None, at(run)))


@attack()
def goto_execute(s: Scene) -> None:
    runtime, run = s.waiting()
    s.attempt(lambda: runtime.graph().invoke(Command(goto="execute"), at(run)))


@attack()
def goto_execute_with_a_friendly_update(s: Scene) -> None:
    runtime, run = s.waiting()
    forged = {"route": "approved", "status": "running", "risk": "LOW", "tier": 4, "question": {}}
    s.attempt(lambda: runtime.graph().invoke(Command(update=forged, goto="execute"), at(run)))


@attack()
def send_a_packet_to_execute(s: Scene) -> None:
    runtime, run = s.waiting()
    s.attempt(lambda: runtime.graph().invoke(Command(goto=[Send("execute", {"run_id": run.id, "route": "approved"})]), at(run)))


@attack()
def goto_execute_step_by_step(s: Scene) -> None:
    runtime, run = s.waiting("a", "b")
    s.attempt(lambda: runtime.graph().invoke(Command(goto="execute"), at(run), context={"stepwise": True}))


@attack()
def a_fresh_thread_that_names_the_waiting_run(s: Scene) -> None:
    runtime, run = s.waiting()
    graph = runtime.graph()
    fresh: Any = {"configurable": {"thread_id": "another-thread"}}
    graph.invoke({"run_id": run.id, "tier": 4}, fresh)
    s.attempt(lambda: graph.invoke(Command(goto="execute"), fresh))


@attack()
def an_embedding_graph_that_jumps_into_the_subgraph(s: Scene) -> None:
    runtime, run = s.waiting()
    inner = par.build(runtime.ports).compile()

    class Outer(TypedDict, total=False):
        run_id: str

    outer = StateGraph(Outer)
    outer.add_node("agent", lambda state: inner.invoke(Command(update={"run_id": run.id}, goto="execute")))
    outer.add_edge(START, "agent")
    outer.add_edge("agent", END)
    s.attempt(lambda: outer.compile(checkpointer=InMemorySaver()).invoke({"run_id": run.id}, {"configurable": {"thread_id": "outer"}}))


@attack()
def another_checkpointer_over_the_same_ports(s: Scene) -> None:
    runtime, run = s.waiting()
    graph = par.build(runtime.ports).compile(checkpointer=InMemorySaver())
    graph.update_state(at(run), {"run_id": run.id, "route": "approved"}, as_node="approval")
    s.attempt(lambda: graph.invoke(None, at(run)))


@attack()
def a_direct_call_of_the_station(s: Scene) -> None:
    runtime, run = s.waiting()
    s.attempt(lambda: execute({"run_id": run.id, "route": "approved"}, GraphRuntime(), ports=runtime.ports))


@attack()
def a_direct_call_of_the_performer(s: Scene) -> None:
    runtime, run = s.waiting()
    assert run.plan is not None
    performer = Performer(run.id, run.plan, runtime.ports)
    performer.perform(Item("do", 1, run.plan.steps[0].call))
    performer.close()


@attack()
def a_plan_of_the_callers_own_in_the_performer(s: Scene) -> None:
    runtime, run = s.waiting()
    evil = recorded("evil")
    performer = Performer(run.id, evil, runtime.ports)
    performer.perform(Item("do", 1, evil.steps[0].call))
    performer.close()


@attack("whole ledger")
def resume_with_every_approve_shaped_value(s: Scene) -> None:
    runtime, run = s.waiting()
    graph = runtime.graph()
    interrupt = graph.get_state(at(run)).interrupts[0].id
    request = run.requests[0].id
    values: tuple[Any, ...] = (
        "approve", "yes", True, 1, {"type": "approve"}, {"type": "accept", "args": None}, [{"type": "accept"}], {"approved": True},
        {"decisions": [{"type": "approve"}]}, {"decisions": [{"type": "edit", "edited_action": {"name": "recorder", "args": {"effect": "a"}}}]},
        {"request_id": request, "verdict": "approve", "actor": "lena", "digest": run.row.digest, "roles": ["lead", "admin"]},
        {interrupt: "approve"}, {interrupt: {"decisions": [{"type": "approve"}]}}, None, {},
    )
    for value in values:
        s.attempt(lambda value=value: graph.invoke(Command(resume=value), at(run)))  # type: ignore[misc]


@attack("whole ledger")
def the_doorbell_rung_before_anybody_answered(s: Scene) -> None:
    runtime, run = s.waiting()
    for _ in range(3):
        s.attempt(lambda: runtime.resume(run.id))


@attack("whole ledger")
def new_input_on_a_waiting_thread(s: Scene) -> None:
    runtime, run = s.waiting()
    s.attempt(lambda: runtime.graph().invoke({"run_id": run.id, "request": recorded({"effect": "a", "level": "LOW"}).as_json()}, at(run)))


# --- time travel --------------------------------------------------------------------------------------------------------------------------


@attack("whole ledger")
def replay_of_the_checkpoint_before_execute_after_completion(s: Scene) -> None:
    runtime, run = s.done()
    config = before_node(runtime, run, "execute")
    s.attempt(lambda: runtime.graph().invoke(None, config))


@attack("whole ledger")
def replay_of_the_approval_checkpoint_with_the_old_answer(s: Scene) -> None:
    runtime, run = s.done()
    config = before_node(runtime, run, "approval")
    inputs: tuple[Any, ...] = (Command(resume="ring"), None, Command(resume="approve"))
    for value in inputs:
        s.attempt(lambda value=value: runtime.graph().invoke(value, config))  # type: ignore[misc]


@attack("whole ledger")
def fork_of_an_old_checkpoint_after_completion(s: Scene) -> None:
    runtime, run = s.done()
    graph = runtime.graph()
    fork = graph.update_state(before_node(runtime, run, "approval"), {"route": "approved", "status": ""}, as_node="approval")
    s.attempt(lambda: graph.invoke(None, fork))


@attack("whole ledger")
def fork_of_an_old_checkpoint_after_a_rejection(s: Scene) -> None:
    runtime, run = s.waiting()
    config = before_node(runtime, run, "approval")
    s.approve(run, "lena", verdict="reject", resume=True)
    assert run.status == "rejected"
    s.attempt(lambda: runtime.graph().invoke(None, config))
    s.attempt(lambda: runtime.graph().invoke(Command(resume="approve"), config))
    s.force(runtime, run)


@attack("whole ledger")
def force_after_the_request_expired(s: Scene) -> None:
    runtime, run = s.waiting()
    s.clock.advance(days=8)
    assert runtime.sweep()["expired"] == 1
    assert run.status == "expired"
    s.answer(runtime, run.requests[0].id, "lena")
    s.clock.advance(days=-8)
    s.answer(runtime, run.requests[0].id, "lena")
    s.force(runtime, run)


@attack("whole ledger")
def force_after_a_cancellation(s: Scene) -> None:
    runtime, run = s.waiting()
    request = run.requests[0].id
    run.cancel("no longer needed")
    s.answer(runtime, request, "lena")
    s.force(runtime, run)


@attack()
def rollback_of_a_completed_run_that_nobody_asked_for(s: Scene) -> None:
    runtime, run = s.done()
    s.attempt(lambda: runtime.graph().invoke(Command(goto="rollback"), at(run)))
    s.attempt(lambda: runtime.graph().invoke(None, runtime.graph().update_state(at(run), {"route": "failed"}, as_node="execute")))
    s.attempt(lambda: rollback({"run_id": run.id}, ports=runtime.ports))


@attack()
def rollback_in_the_middle_of_a_run_that_goes_well(s: Scene) -> None:
    runtime, run = s.waiting("a", "b")
    s.approve(run, "lena")
    runtime.graph().invoke(Command(resume="ring"), at(run), context={"stepwise": True}, interrupt_after=["execute"])
    assert s.recorder.names == ["a"]
    assert run.status == "running"
    s.legitimate = ["a"]
    s.attempt(lambda: rollback({"run_id": run.id}, ports=runtime.ports))


# --- several questions --------------------------------------------------------------------------------------------------------------------


@attack("whole ledger")
def a_stale_answer_for_the_next_question(s: Scene) -> None:
    """The plan is approved, its first step is in doubt: the consumed answer must not settle that second question."""
    runtime, run = s.waiting({"effect": "a", "outcome": "unknown"}, "b")
    graph = runtime.graph()
    first = graph.get_state(at(run)).interrupts[0].id
    s.approve(run, "lena")
    graph.invoke(Command(resume={first: "approve"}), at(run))
    s.legitimate = ["a"]
    assert run.status == "in_doubt"
    for config in (at(run), at(run, __pregel_strict_resume=False)):
        s.attempt(lambda config=config: graph.invoke(Command(resume={first: "approve"}), config))  # type: ignore[misc]
    s.attempt(lambda: graph.invoke(Command(resume="happened"), at(run)))


@attack("whole ledger")
def one_answer_for_two_questions(s: Scene) -> None:
    """A plan that takes two people, one of whom has answered; and a second run whose question nobody answered."""
    runtime, run = s.waiting({"effect": "a", "level": "CRITICAL"})
    other = runtime.start(recorded("b"))
    s.approve(run, "ada")
    assert not s.refusals
    for one in (run, other):
        s.attempt(lambda one=one: runtime.graph().invoke(Command(resume="ring"), at(one)))  # type: ignore[misc]
        s.attempt(lambda one=one: runtime.resume(one.id))  # type: ignore[misc]


@attack("whole ledger")
def the_question_of_another_run_in_state(s: Scene) -> None:
    """Run B is approved; the state of run A names B's request, which is settled, as its own question."""
    runtime, approved = s.done("b")
    waiting = runtime.start(recorded("a"))
    forged = {"question": {"id": approved.requests[0].id, "kind": "plan", "subject": {"key": "plan"}}}
    graph = runtime.graph()
    s.attempt(lambda: graph.invoke(Command(update=forged, goto="approval"), at(waiting)))
    s.attempt(lambda: graph.invoke(None, graph.update_state(at(waiting), {**forged, "route": "needs approval"}, as_node="risk_assessment")))


@attack()
def an_answer_to_another_kind_of_question(s: Scene) -> None:
    """A review question about the same bytes is approved; that is no approval of the plan."""
    runtime, run = s.waiting()
    forged = {"question": {"id": "", "kind": "review", "subject": {"key": "review"}}}
    s.attempt(lambda: runtime.graph().invoke(Command(update=forged, goto="approval"), at(run)))
    for request in run.requests:
        if request.kind.value == "review":
            s.answer(runtime, request.id, "lena")
    s.force(runtime, run)


# --- other bytes --------------------------------------------------------------------------------------------------------------------------


@attack()
def an_edited_plan_in_state(s: Scene) -> None:
    runtime, run = s.waiting()
    evil = recorded("evil", author="lena")
    forged = {"request": {"plan": evil.as_json()}, "digest": evil.digest, "route": "approved", "risk": "LOW"}
    graph = runtime.graph()
    graph.update_state(at(run), forged, as_node="approval")
    s.attempt(lambda: graph.invoke(None, at(run)))


@attack()
def the_digest_of_an_approved_plan_in_state(s: Scene) -> None:
    runtime, approved = s.done("b")
    waiting = runtime.start(recorded("a"))
    graph = runtime.graph()
    graph.update_state(at(waiting), {"digest": approved.row.digest, "route": "approved"}, as_node="approval")
    s.attempt(lambda: graph.invoke(None, at(waiting)))


@attack("whole ledger")
def the_id_of_an_approved_run_in_state(s: Scene) -> None:
    runtime, approved = s.done("b")
    waiting = runtime.start(recorded("a"))
    graph = runtime.graph()
    graph.update_state(at(waiting), {"run_id": approved.id, "route": "approved"}, as_node="approval")
    s.attempt(lambda: graph.invoke(None, at(waiting)))
    s.attempt(lambda: graph.invoke(Command(update={"run_id": waiting.id}, goto="execute"), at(approved)))


@attack()
def an_approval_of_the_same_steps_in_another_run(s: Scene) -> None:
    """Two runs of byte for byte the same plan: the approval of one is not that of the other."""
    runtime, _ = s.done("a")
    twin = runtime.start(recorded("a"))
    s.force(runtime, twin)


@attack()
def an_approval_of_version_1_after_an_edit(s: Scene) -> None:
    runtime, run = s.waiting()
    first = run.requests[0].id
    s.approve(run, "lou", verdict="edit", edit={"steps": {1: {"args": {"effect": "edited"}}}}, resume=True)
    assert run.row.version == 2
    s.answer(runtime, first, "lena")
    assert isinstance(s.refusals[-1], StaleDecision)
    s.force(runtime, run)


@attack()
def an_edit_after_version_1_was_approved_by_one_of_two(s: Scene) -> None:
    runtime, run = s.waiting({"effect": "a", "level": "CRITICAL"})
    s.approve(run, "ada")
    s.approve(run, "dora", verdict="edit", edit={"steps": {1: {"args": {"effect": "edited"}}}}, resume=True)
    if run.row.version == 1:  # a developer may not answer about a critical plan at all
        s.approve(run, "ada", verdict="edit", edit={"steps": {1: {"args": {"effect": "edited"}}}}, resume=True)
    assert run.row.version == 2
    s.approve(run, "amos")
    s.force(runtime, run)


# --- people -------------------------------------------------------------------------------------------------------------------------------


@attack()
def an_approver_without_the_role(s: Scene) -> None:
    runtime, run = s.waiting()
    for name in ("guest", "dora", "nobody-knows-me"):
        s.approve(run, name)
    s.attempt(lambda: runtime.decide(run.requests[0].id, "approve", actor="somebody", reason="x"))
    s.attempt(lambda: runtime.decide(run.requests[0].id, "approve", actor="dora", reason="x"))
    assert len(s.refusals) == 5
    s.force(runtime, run)


@attack()
def the_same_approver_twice(s: Scene) -> None:
    runtime, run = s.waiting({"effect": "a", "level": "CRITICAL"})
    s.approve(run, "ada")
    s.approve(run, "ada", reason="again")
    s.force(runtime, run)


@attack()
def an_agent_as_approver(s: Scene) -> None:
    runtime, run = s.waiting()
    s.approve(run, "robot")
    s.attempt(lambda: runtime.decide(run.requests[0].id, "approve", actor={"id": "robot", "kind": "human", "roles": ["admin"]}))
    s.attempt(lambda: runtime.decide(run.requests[0].id, "approve", actor={"id": "system:auto", "kind": "system", "roles": ["admin"]}))
    s.attempt(lambda: s.door("robot").decide(run.requests[0].id, "approve"))
    assert len(s.refusals) == 4
    s.force(runtime, run)


@attack()
def the_requester_where_duties_are_separated(s: Scene) -> None:
    runtime, run = s.waiting(by="lena", config={"preset": "team"})
    s.approve(run, "lena")
    assert len(s.refusals) == 1
    s.force(runtime, run)


@attack()
def the_author_where_duties_are_separated(s: Scene) -> None:
    runtime, run = s.waiting(config={"preset": "team"}, author="lena")
    s.approve(run, "lena")
    assert len(s.refusals) == 1
    s.force(runtime, run)


@attack()
def the_editor_of_the_plan_where_duties_are_separated(s: Scene) -> None:
    runtime, run = s.waiting(config={"preset": "team"})
    s.approve(run, "lena", verdict="edit", edit={"steps": {1: {"args": {"effect": "edited"}}}}, resume=True)
    assert run.row.version == 2
    s.approve(run, "lena")
    assert len(s.refusals) == 1
    s.force(runtime, run)


@attack()
def an_approver_whose_role_was_taken_away(s: Scene) -> None:
    _runtime, run = s.waiting()
    s.approve(run, "lena")
    assert run.status == "running"
    later = s.opening("dora", people={"lena": []})
    s.force(later, later.run(run.id))


@attack()
def rules_that_became_stricter_after_the_approval(s: Scene) -> None:
    _runtime, run = s.waiting()
    s.approve(run, "lena")
    later = s.door(approvals={"HIGH": {"approvals": 2}})
    s.force(later, later.run(run.id))


@attack("whole ledger")
def a_tier_that_grows_in_state(s: Scene) -> None:
    runtime = s.door()
    run = runtime.start(recorded("a"), tier=1)
    assert run.status == "denied"
    graph = runtime.graph()
    s.attempt(lambda: graph.invoke(Command(update={"run_id": run.id, "tier": 3}, goto="execute"), at(run)))
    s.force(runtime, run)


# --- time ---------------------------------------------------------------------------------------------------------------------------------


@attack()
def an_approval_that_ran_out(s: Scene) -> None:
    runtime, run = s.waiting()
    s.approve(run, "lena")
    s.clock.advance(hours=24)
    s.force(runtime, run)


@attack()
def a_clock_that_is_set_back_after_the_approval_ran_out(s: Scene) -> None:
    runtime, run = s.waiting()
    s.approve(run, "lena")
    s.clock.advance(hours=24)
    runtime.start(recorded({"effect": "x", "level": "LOW", "looks": True}))  # anything that writes an entry
    s.clock.advance(hours=-24)
    s.force(runtime, run)


@attack("whole ledger")
def an_answer_after_the_request_ran_out(s: Scene) -> None:
    runtime, run = s.waiting()
    s.clock.advance(days=7)
    s.approve(run, "lena")
    assert isinstance(s.refusals[-1], StaleDecision)
    graph = runtime.graph()
    s.attempt(lambda: graph.invoke(Command(goto="execute"), at(run)))
    s.force(runtime, run)


@attack()
def steps_before_the_execution_window_opens(s: Scene) -> None:
    opens = s.clock.at.replace(hour=22)
    runtime, run = s.waiting("a", execution_window={"opens_at": opens, "closes_at": opens.replace(hour=23)})
    s.approve(run, "lena", resume=True)
    s.force(runtime, run)


# --- the stores ---------------------------------------------------------------------------------------------------------------------------


@attack()
def a_forged_checkpoint_row(s: Scene) -> None:
    """A row of checkpoints.db says that the approval was given and `execute` is next."""
    runtime, twin = s.done("twin")
    waiting = runtime.start(recorded("a"))
    template = runtime.checkpoints.get_tuple(before_node(runtime, twin, "execute"))
    checkpoint = {**template.checkpoint, "id": "f" * 8 + template.checkpoint["id"][8:]}
    checkpoint["channel_values"] = {**checkpoint["channel_values"], "run_id": waiting.id, "digest": waiting.row.digest}
    with contextlib.closing(sqlite3.connect(s.home / "checkpoints.db")) as c:
        kind, blob = JsonPlusSerializer().dumps_typed(checkpoint)
        row = (waiting.id, "", checkpoint["id"], None, kind, blob, json.dumps({"source": "loop", "step": 9, "parents": {}}).encode())
        c.execute("INSERT INTO checkpoints VALUES (?,?,?,?,?,?,?)", row)
        c.commit()
    assert runtime.graph().get_state(at(waiting)).next == ("execute",)
    s.attempt(lambda: runtime.graph().invoke(None, at(waiting)))
    s.attempt(lambda: runtime.resume(waiting.id))


@attack()
def forged_pending_writes(s: Scene) -> None:
    """Rows of checkpoints.db say that the approval station has finished."""
    runtime, run = s.waiting()
    snapshot = runtime.graph().get_state(at(run))
    runtime.checkpoints.conn.execute("DELETE FROM writes")
    runtime.checkpoints.put_writes(snapshot.config, [("route", "approved"), ("branch:to:execute", None)], snapshot.tasks[0].id)
    s.attempt(lambda: runtime.graph().invoke(None, at(run)))
    s.attempt(lambda: runtime.resume(run.id))


def _evil() -> Plan:
    return recorded("evil")


@attack("plan check")
def other_bytes_under_the_digest_of_an_approved_plan(s: Scene) -> None:
    _runtime, run = s.waiting()
    s.approve(run, "lena")
    s.sql("UPDATE plan SET bytes = ? WHERE run_id = ?", _evil().bytes, run.id)
    later = s.door()
    s.force(later, later.run(run.id))


@attack()
def another_plan_with_its_own_digest_in_an_approved_run(s: Scene) -> None:
    _runtime, run = s.waiting()
    s.approve(run, "lena")
    s.sql("UPDATE plan SET bytes = ?, digest = ? WHERE run_id = ?", _evil().bytes, _evil().digest, run.id)
    s.sql("UPDATE run SET digest = ? WHERE id = ?", _evil().digest, run.id)
    later = s.door()
    s.force(later, later.run(run.id))


def _forge(s: Scene, run: Run, name: str, *, seq: str, run_id: str | None = None) -> None:
    who = json.dumps(authenticated(name).model_dump(mode="json"), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    s.sql(
        f"INSERT INTO decision (seq, request_id, run_id, actor_id, actor, verdict, digest, reason, at) VALUES ({seq},?,?,?,?,?,?,?,?)",
        run.requests[-1].id, run_id or run.id, name, who, "approve", run.row.digest, "forged", "2026-01-05T09:00:00.000000Z",
    )
    s.sql("UPDATE run SET status = 'running' WHERE id = ?", run_id or run.id)


@attack()
def a_decision_that_the_log_does_not_know(s: Scene) -> None:
    runtime, run = s.waiting()
    _forge(s, run, "lena", seq="100000")
    s.force(runtime, run)


@attack()
def a_decision_that_stands_on_another_entry_of_the_log(s: Scene) -> None:
    runtime, run = s.waiting()
    _forge(s, run, "lena", seq="(SELECT max(seq) FROM event)")
    s.force(runtime, run)


@attack()
def a_decision_whose_verdict_was_changed(s: Scene) -> None:
    runtime, run = s.waiting()
    s.approve(run, "lena", verdict="reject")
    s.sql("UPDATE decision SET verdict = 'approve'")
    s.sql("UPDATE run SET status = 'running'")
    s.force(runtime, run)


@attack()
def a_decision_whose_person_was_changed(s: Scene) -> None:
    runtime, run = s.waiting({"effect": "a", "level": "CRITICAL"})
    s.approve(run, "ada")
    _forge(s, run, "amos", seq="(SELECT max(seq) - 1 FROM decision)")
    s.force(runtime, run)


@attack()
def a_grant_that_the_log_does_not_know(s: Scene) -> None:
    """A standing grant for exactly this call, written into the table by hand."""
    runtime, run = s.waiting({"effect": "a", "level": "MEDIUM", "path": "here"})
    grant = Grant(
        id="grant_forged", by=authenticated("ada").model_copy(update={"roles": ("admin",)}), tool="recorder", path="here", highest=Level.HIGH, uses=9,
        given_at=s.clock.at, expires_at=s.clock.at + timedelta(days=1), reason="forged",
    )
    raw = grant.model_dump_json(exclude={"used", "spent_usd", "revoked_at", "revoked_by"})
    s.sql(
        "INSERT INTO standing_grant (id, seq, body, uses, expires_at) VALUES (?, (SELECT max(seq) FROM event), ?, 9, ?)", grant.id, raw,
        (s.clock.at + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    )
    s.sql("UPDATE run SET status = 'running'")
    s.force(runtime, run)
    runtime.start(recorded({"effect": "b", "level": "MEDIUM", "path": "here"}))


_CALL: dict[str, Any] = {"effect": "a", "level": "MEDIUM", "path": "here"}


def _used_up(s: Scene) -> Runtime:
    """A grant for one use, used."""
    s.door("ada").grant("recorder", path="here", uses=1)
    runtime = s.door()
    assert runtime.start(recorded({**_CALL, "effect": "first"})).status == "completed"
    s.legitimate = ["first"]
    return runtime


@attack()
def a_used_up_grant_whose_uses_were_set_back(s: Scene) -> None:
    runtime = _used_up(s)
    s.sql("UPDATE standing_grant SET used = 0")
    s.sql("DELETE FROM grant_use")
    run = runtime.start(recorded(_CALL))
    assert run.status == "awaiting_approval" or len(s.recorder.names) > 1
    s.force(runtime, run)
    later = s.door()
    s.force(later, later.start(recorded(_CALL)))


@attack()
def a_grant_whose_money_was_set_back(s: Scene) -> None:
    s.door("ada").grant("recorder", path="here", uses=5, budget_usd="1")
    runtime = s.door()
    plan = recorded(_CALL)
    dear = plan.model_copy(update={"steps": (plan.steps[0].model_copy(update={"cost_usd": "1"}),)})
    assert runtime.start(dear).status == "completed"
    s.legitimate = ["a"]
    s.sql("UPDATE standing_grant SET spent_usd = '0'")
    s.force(runtime, runtime.start(dear))


@attack()
def a_revoked_grant_that_was_put_back(s: Scene) -> None:
    ada = s.door("ada")
    ada.revoke(ada.grant("recorder", path="here", uses=5).id)
    s.sql("UPDATE standing_grant SET revoked_at = NULL, revoked_by = ''")
    runtime = s.door()
    s.force(runtime, runtime.start(recorded(_CALL)))


@attack()
def a_backup_that_nobody_called(s: Scene) -> None:
    """The backup role may answer only once the question has waited long enough, which a sweep records."""
    runtime, run = s.waiting(config={"waiting": {"backup_roles": ["developer"], "backup_after": "2 hours"}})
    request = run.requests[-1]
    s.sql(
        "INSERT INTO due_done (request_id, kind, number, run_id, digest, at) VALUES (?, 'backup', 1, ?, ?, ?)",
        request.id, run.id, request.digest, "2026-01-05T09:00:00.000000Z",
    )
    s.answer(runtime, request.id, "dora", resume=True)
    assert isinstance(s.refusals[-1], NotAllowed)
    s.force(runtime, run)


@attack()
def a_log_entry_whose_chain_does_not_hold(s: Scene) -> None:
    """The forger also writes the entry, but not its place in the chain."""
    runtime, run = s.waiting()
    who = json.dumps(authenticated("lena").model_dump(mode="json"), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    seq = len(runtime.ledger.events()) + 1
    entry = {
        "actor": "lena", "at": "2026-01-05T09:00:00.000000Z", "run": run.id, "seq": seq, "type": "decision.recorded", "v": 1,
        "data": {
            "request": run.requests[-1].id, "verdict": "approve", "digest": run.row.digest, "assurance": "authenticated", "kind": "human",
            "who": digest(who.encode()), "reason": digest(b"forged"),
        },
    }
    s.sql("INSERT INTO event (seq, run_id, bytes, chain) VALUES (?,?,?,?)", seq, run.id, canonical(entry), bytes(32))
    _forge(s, run, "lena", seq=str(seq))
    s.force(runtime, run)


@attack("whole ledger")
def a_step_that_is_dispatched_twice(s: Scene) -> None:
    runtime, run = s.waiting("a", "b")
    s.approve(run, "lena")
    assert run.plan is not None
    for number in (1, 1, 1):
        performer = Performer(run.id, run.plan, runtime.ports)
        s.attempt(lambda performer=performer, number=number: (performer.perform(Item("do", number, run.plan.steps[0].call)), performer.close()))  # type: ignore[misc]
    s.legitimate = ["a"]


@attack("whole ledger")
def a_step_that_is_dispatched_again_while_its_receipt_is_missing(s: Scene) -> None:
    runtime, run = s.waiting("a")
    s.approve(run, "lena")
    assert run.plan is not None
    performer = Performer(run.id, run.plan, runtime.ports)
    performer.perform(Item("do", 1, run.plan.steps[0].call))  # its receipt is still in hand, as in a process that dies now
    s.legitimate = ["a"]
    s.force(s.door(), run)


# --- the two runs of every attack ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(door: Callable[..., Runtime], recorder: Recorder, clock: FrozenClock, home: Path) -> Scene:
    return Scene(door, recorder, clock, home)


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_has_no_effect(name: str, scene: Scene) -> None:
    ATTACKS[name][0](scene)
    assert scene.recorder.names == scene.legitimate
    found = scene.door().verify()
    assert found.ok is not scene.tampered, found.problems


@pytest.mark.parametrize("name", [name for name, (function, _) in ATTACKS.items() if "s.sql" not in inspect.getsource(function) and "_forge(" not in inspect.getsource(function)])
def test_after_the_attack_the_run_can_still_be_approved_and_ends(name: str, scene: Scene) -> None:
    """An attack may cost a bookmark, not the run."""
    ATTACKS[name][0](scene)
    runtime = scene.door()
    for run in runtime.runs():
        for _ in range(4):
            if run.status.is_over:
                break
            for request in [r for r in run.requests if r.is_open]:
                for who in ("ada", "amos"):
                    scene.answer(runtime, request.id, who, verdict="happened" if request.kind.value == "in_doubt" else "approve")
            runtime.resume(run.id)
            if run.status == "running":
                scene.clock.advance(hours=13)  # it waits for its window
        assert run.status.is_over, (run, run.requests)
        assert run.results is not None
    names = scene.recorder.names
    assert len(names) == len({(effect.key, effect.direction) for effect in scene.recorder.effects_had})
    done = [step for run in runtime.runs() if run.status == "completed" for step in run.plan.steps]  # type: ignore[union-attr]
    assert sorted(names) == sorted(step.args["effect"] for step in done if not step.args.get("looks")) or "rolled_back" in {run.status for run in runtime.runs()}
    assert runtime.verify().ok


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_succeeds_where_the_ledger_does_not_check(name: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    function, removed = ATTACKS[name]
    # What is legitimate has to happen before the guard goes, so the guard goes when the attack first tries something.
    remove_the_check(monkeypatch, removed, scene)
    function(scene)
    assert len(scene.recorder.names) > len(scene.legitimate), scene.refusals
    assert scene.recorder.names[: len(scene.legitimate)] == scene.legitimate


def remove_the_check(monkeypatch: pytest.MonkeyPatch, removed: str, scene: Scene) -> None:
    """Make the ledger say yes: to every dispatch, or to everything."""
    monkeypatch.setattr(authority, "may_run", lambda *_, **__: Ruling(answer="allow", rules=("control",)))
    if removed == "plan check":

        def unchecked(c: sqlite3.Connection, run_id: str, version: int) -> Plan:
            raw = c.execute("SELECT bytes FROM plan WHERE run_id = ? AND version = ?", (run_id, version)).fetchone()[0]
            return Plan.read(bytes(raw))

        monkeypatch.setattr(plans, "get", unchecked)
    if removed == "whole ledger":
        ask, row = Ledger.open_request, Ledger.run
        # Nothing is over, nothing waits, nothing was done, every question is answered with yes, the tables may be made in any way …
        armed = {"yes": False}
        monkeypatch.setattr(tables, "damage", lambda connection: [])

        def attempt(self: Scene, act: Callable[[], Any], original: Any = Scene.attempt) -> None:
            armed["yes"] = True
            with contextlib.closing(sqlite3.connect(scene.home / "ledger.db")) as c:
                c.execute("DROP INDEX IF EXISTS dispatch_live")  # … and nothing is unique.
                c.commit()
            original(self, act)
            armed["yes"] = False

        monkeypatch.setattr(Scene, "attempt", attempt)
        monkeypatch.setattr(Ledger, "run", lambda self, run_id: _moved(row(self, run_id), RunStatus.RUNNING) if armed["yes"] else row(self, run_id))
        monkeypatch.setattr(Ledger, "open_request", lambda self, *given: _moved(ask(self, *given), RequestStatus.APPROVED) if armed["yes"] else ask(self, *given))
        held = Ledger.dispatches
        monkeypatch.setattr(Ledger, "dispatches", lambda self, run_id: [] if armed["yes"] else held(self, run_id))


def _moved(noun: Any, status: Any) -> Any:
    return noun.model_copy(update={"status": status})


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 40
