"""The ledger by itself: what is admitted once, which moves are legal, who may answer, what time does, and what an older or newer store means."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assent.policies.plan_risk import PlanRisk
from assent.policies.policy import Policy, read_policy
from assent.runtime.ledger import log, tables
from assent.runtime.ledger.ledger import Ledger
from assent.runtime.ledger.store import Store
from assent.runtime.testing import FrozenClock, authenticated, recorded
from assent.schemas.approval import Question, Request, RequestStatus, Verdict
from assent.schemas.canonical import canonical, is_canonical
from assent.schemas.dispatch import Dispatch, DispatchState, EffectClass, Receipt
from assent.schemas.errors import (
    IllegalTransition,
    NotAllowed,
    NotFound,
    StaleDecision,
    StoreCorrupt,
    StoreError,
    StoreNewer,
    StoreUnavailable,
)
from assent.schemas.plan import Plan
from assent.schemas.results import Results
from assent.schemas.risk import Level, Reason, Risk
from assent.schemas.ruling import Ruling
from assent.schemas.run import OVER, TRANSITIONS, RunStatus

PEOPLE = {"dora": ["developer"], "lena": ["lead"], "lou": ["lead"], "ada": ["admin"], "amos": ["admin"], "robot": {"roles": ["lead"], "kind": "agent"}}
RUN = "run_1"
PLAN_QUESTION = {"key": "plan"}


def policy(**overlay: Any) -> Policy:
    return read_policy(("test", {"actors": PEOPLE, **overlay}))


def assess(plan: Plan) -> PlanRisk:
    """A plan's title says how risky it is."""
    risk = Risk.of([Reason(rule="title", level=Level(plan.problem.title), text="as its title says")])
    return PlanRisk(whole=risk, steps=(risk,) * len(plan.steps), undos=(None,) * len(plan.steps), measures=())


Opening = Callable[..., Ledger]


@pytest.fixture
def opening(tmp_path: Path, clock: FrozenClock) -> Iterator[Opening]:
    opened: list[Ledger] = []

    def open_it(name: str = "ledger.db", **overlay: Any) -> Ledger:
        opened.append(Ledger(tmp_path / name, policy=policy(**overlay), assess=assess, clock=clock))
        return opened[-1]

    yield open_it
    for one in opened:
        one.close()


@pytest.fixture
def ledger(opening: Opening) -> Ledger:
    return opening()


def admitted(ledger: Ledger, level: str = "HIGH", *, run_id: str = RUN, tier: int | None = None, **more: Any) -> Plan:
    plan = recorded("a", "b", title=level, **more)
    ledger.admit(run_id, {"request": level}, graph="par", tier=tier, title=level, requester="dora")
    ledger.freeze(run_id, plan, editor="dora")
    return plan


def asked(ledger: Ledger, level: str = "HIGH", **more: Any) -> Request:
    admitted(ledger, level, **more)
    run_id = more.get("run_id", RUN)
    assert ledger.weigh(run_id)[0] == "needs approval"
    return ledger.open_request(ledger.question(run_id, Question.PLAN, PLAN_QUESTION), run_id, Question.PLAN, PLAN_QUESTION)


def approved(ledger: Ledger, **more: Any) -> Request:
    return ledger.decide(asked(ledger, **more).id, Verdict.APPROVE, authenticated("lena"))


def dispatched(ledger: Ledger, step: int = 1, direction: Any = "do", **more: Any) -> Dispatch | Ruling:
    return ledger.dispatch(RUN, direction, step, effect_class=EffectClass.OPAQUE, before={}, **more)


def done(ledger: Ledger, step: int = 1, status: Any = "done") -> Dispatch:
    found = dispatched(ledger, step)
    assert isinstance(found, Dispatch), found
    return ledger.receive(found, Receipt(status=status))


# --- admitted and asked once ------------------------------------------------------------------------------------------------------------


def test_a_run_admitted_twice_is_admitted_once(ledger: Ledger) -> None:
    admitted(ledger)
    before = len(ledger.events())
    ledger.admit(RUN, {"request": "other"}, graph="other", tier=1, title="other", requester="somebody")
    assert ledger.run(RUN).requester == "dora"
    assert ledger.ask(RUN) == canonical({"request": "HIGH"})
    assert len(ledger.events()) == before


def test_a_plan_frozen_twice_is_one_version(ledger: Ledger) -> None:
    plan = admitted(ledger)
    ledger.freeze(RUN, plan, editor="somebody")
    assert ledger.run(RUN).version == 1
    assert [event.type for event in ledger.events(RUN)] == ["run.started", "plan.frozen"]


def test_a_question_opened_twice_is_one_question(ledger: Ledger, opening: Opening) -> None:
    first = asked(ledger)
    again = opening().open_request(first.id, RUN, Question.PLAN, PLAN_QUESTION)
    assert again == first
    assert [event.type for event in ledger.events(RUN)].count("request.opened") == 1


def test_an_id_of_nothing_opens_the_question_that_stands(ledger: Ledger) -> None:
    first = asked(ledger)
    assert ledger.open_request("req_forged", RUN, Question.PLAN, PLAN_QUESTION).id == first.id


def test_the_question_of_another_run_is_not_shown(ledger: Ledger) -> None:
    other = asked(ledger, run_id="run_2")
    admitted(ledger)
    found = ledger.open_request(other.id, RUN, Question.PLAN, PLAN_QUESTION)
    assert (found.run_id, found.id == other.id) == (RUN, False)


def test_a_settled_question_is_followed_by_another_only_when_asked_for(ledger: Ledger) -> None:
    first = approved(ledger)
    assert ledger.question(RUN, Question.PLAN, PLAN_QUESTION) == first.id
    second = ledger.question(RUN, Question.PLAN, PLAN_QUESTION, again=True)
    assert second != first.id
    assert ledger.open_request(second, RUN, Question.PLAN, PLAN_QUESTION).is_open
    assert ledger.question(RUN, Question.PLAN, PLAN_QUESTION, again=True) == second, "while it is open it is the one"


def test_an_open_question_is_not_asked_again_beside_itself(ledger: Ledger) -> None:
    first = approved(ledger)
    second = ledger.open_request(ledger.question(RUN, Question.PLAN, PLAN_QUESTION, again=True), RUN, Question.PLAN, PLAN_QUESTION)
    for forged in (first.id + "x", "req_0000000000000000", ""):
        assert ledger.open_request(forged, RUN, Question.PLAN, PLAN_QUESTION).id == second.id


def test_what_is_not_there_is_not_found(ledger: Ledger) -> None:
    for act in (
        lambda: ledger.run("run_none"), lambda: ledger.ask("run_none"), lambda: ledger.request("req_none"), lambda: ledger.plan("run_none"),
        lambda: ledger.decide("req_none", Verdict.APPROVE, authenticated("lena")), lambda: ledger.expire("req_none"),
    ):
        with pytest.raises(NotFound):
            act()


# --- the life of a run ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", list(RunStatus), ids=str)
def test_only_the_moves_of_the_table_are_legal(start: RunStatus, ledger: Ledger) -> None:
    for target in RunStatus:
        run_id = f"run_{start.value}_{target.value}"
        admitted(ledger, run_id=run_id)
        with ledger.store.write() as c:
            c.execute("UPDATE run SET status = ? WHERE id = ?", (start.value, run_id))
        before = len(ledger.events())
        if target is start or target in TRANSITIONS[start]:
            assert ledger.move(run_id, target).status is target
            assert len(ledger.events()) == before + (target is not start)
        else:
            with pytest.raises(IllegalTransition, match=f"is {start.value}; it cannot become {target.value}"):
                ledger.move(run_id, target)
            assert ledger.run(run_id).status is start
            assert len(ledger.events()) == before


def test_an_end_is_left_only_by_taking_back() -> None:
    assert set(TRANSITIONS) == set(RunStatus)
    for status in OVER:
        assert TRANSITIONS[status] <= {RunStatus.ROLLED_BACK}


def test_a_failed_write_leaves_neither_state_nor_entry(ledger: Ledger) -> None:
    admitted(ledger)
    before = ledger.events()
    with pytest.raises(ValueError, match="log entry holds"):
        ledger.move(RUN, RunStatus.RUNNING, cost=0.5)
    assert ledger.run(RUN).status is RunStatus.PLANNING
    assert ledger.events() == before


# --- answers ----------------------------------------------------------------------------------------------------------------------------


def test_an_approval_settles_the_question_and_lets_the_run_go(ledger: Ledger) -> None:
    request = approved(ledger)
    assert request.status is RequestStatus.APPROVED
    assert ledger.run(RUN).status is RunStatus.RUNNING
    assert [d.actor.id for d in ledger.request(request.id).approvals] == ["lena"]


@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.REJECT, Verdict.EDIT])
def test_a_settled_question_takes_no_further_answer(ledger: Ledger, verdict: Verdict) -> None:
    request = approved(ledger)
    before = len(ledger.events())
    with pytest.raises(StaleDecision):
        ledger.decide(request.id, verdict, authenticated("lou"), edit=recorded("x", title="HIGH"))
    assert len(ledger.events()) == before


def test_a_refused_answer_is_in_the_log_and_nowhere_else(ledger: Ledger) -> None:
    request = asked(ledger)
    for name, rule in (("dora", "actor.role"), ("robot", "actor.agent"), ("stranger", "actor.role")):
        with pytest.raises(NotAllowed) as refusal:
            ledger.decide(request.id, Verdict.APPROVE, authenticated(name))
        assert refusal.value.fields["rules"] == [rule]
        entry = ledger.events(RUN)[-1]
        assert (entry.type, entry.actor, entry.data["rules"]) == ("decision.refused", name, [rule])
    assert ledger.request(request.id).decisions == ()
    assert ledger.request(request.id).is_open


@pytest.mark.parametrize("verdict", [Verdict.HAPPENED, Verdict.DID_NOT_HAPPEN, Verdict.ABANDON])
def test_a_plan_question_takes_no_answer_about_a_doubt(ledger: Ledger, verdict: Verdict) -> None:
    with pytest.raises(NotAllowed, match="approve, reject, edit"):
        ledger.decide(asked(ledger).id, verdict, authenticated("lena"))


def test_two_people_have_to_approve_what_is_critical(ledger: Ledger) -> None:
    request = asked(ledger, "CRITICAL")
    with pytest.raises(NotAllowed, match="reason"):
        ledger.decide(request.id, Verdict.APPROVE, authenticated("ada"))
    for _ in range(2):
        assert ledger.decide(request.id, Verdict.APPROVE, authenticated("ada"), reason="seen").is_open
    assert ledger.run(RUN).status is RunStatus.AWAITING_APPROVAL
    settled = ledger.decide(request.id, Verdict.APPROVE, authenticated("amos"), reason="seen")
    assert settled.status is RequestStatus.APPROVED
    assert sum(d.counted for d in ledger.request(request.id).decisions) == 2


def test_an_edit_is_another_plan_with_another_question(ledger: Ledger) -> None:
    first = asked(ledger)
    edit = recorded("other", title="HIGH")
    assert ledger.decide(first.id, Verdict.EDIT, authenticated("lou"), edit=edit).status is RequestStatus.EDITED
    run = ledger.run(RUN)
    assert (run.digest, run.version, run.status) == (edit.digest, 2, RunStatus.AWAITING_APPROVAL)
    second = ledger.question(RUN, Question.PLAN, PLAN_QUESTION)
    assert second != first.id
    with pytest.raises(StaleDecision):
        ledger.decide(first.id, Verdict.APPROVE, authenticated("lena"))


def test_an_answer_about_a_plan_that_is_no_longer_in_force_is_stale(ledger: Ledger) -> None:
    request = asked(ledger)
    ledger.freeze(RUN, recorded("other", title="HIGH"), editor="dora")
    assert ledger.request(request.id).is_open
    with pytest.raises(StaleDecision, match="another version"):
        ledger.decide(request.id, Verdict.APPROVE, authenticated("lena"))
    assert ledger.run(RUN).status is RunStatus.AWAITING_APPROVAL


@pytest.mark.parametrize("edit", [None, "same"])
def test_an_edit_that_changes_nothing_is_refused(ledger: Ledger, edit: str | None) -> None:
    request = asked(ledger)
    with pytest.raises(StaleDecision, match="changes nothing"):
        ledger.decide(request.id, Verdict.EDIT, authenticated("lena"), edit=ledger.plan(RUN) if edit else None)
    assert ledger.request(request.id).decisions == ()


def test_a_plan_of_which_a_step_ran_is_not_edited_any_more(ledger: Ledger) -> None:
    approved(ledger)
    done(ledger)
    question = ledger.open_request(ledger.question(RUN, Question.PLAN, PLAN_QUESTION, again=True), RUN, Question.PLAN, PLAN_QUESTION)
    assert Verdict.EDIT not in question.options


# --- time -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offset_s", "open_"), [(-1, True), (0, False), (1, False)])
def test_a_question_expires_exactly_when_its_time_is_over(ledger: Ledger, clock: FrozenClock, offset_s: int, open_: bool) -> None:
    request = asked(ledger)
    assert request.decide_by == clock.at + timedelta(days=7)
    clock.advance(offset_s, days=7)
    assert (ledger.due(None) == []) is open_
    assert ledger.request(request.id).is_open is open_
    assert ledger.run(RUN).status is (RunStatus.AWAITING_APPROVAL if open_ else RunStatus.EXPIRED)
    if not open_:
        with pytest.raises(StaleDecision, match="expired"):
            ledger.decide(request.id, Verdict.APPROVE, authenticated("lena"))


def test_a_clock_set_back_revives_nothing(ledger: Ledger, clock: FrozenClock, opening: Opening) -> None:
    request = asked(ledger)
    clock.advance(days=8)
    assert ledger.request(request.id).status is RequestStatus.EXPIRED
    clock.advance(days=-8)
    for one in (ledger, opening()):
        assert one.request(request.id).status is RequestStatus.EXPIRED
        with pytest.raises(StaleDecision):
            one.decide(request.id, Verdict.APPROVE, authenticated("lena"))


def test_time_in_the_log_never_runs_backwards(ledger: Ledger, clock: FrozenClock) -> None:
    asked(ledger)
    clock.advance(days=3)
    ledger.note(RUN, "note.made", deferred=False)
    clock.advance(days=-30)
    request = ledger.requests(RUN)[0]
    ledger.decide(request.id, Verdict.APPROVE, authenticated("lena"))
    times = [event.at for event in ledger.events()]
    assert times == sorted(times)
    assert times[-1] == times[-4]
    assert ledger.verify().ok


@pytest.mark.parametrize(("offset_s", "allowed"), [(-1, True), (0, False), (1, False)])
def test_an_approval_carries_for_the_time_to_execute_and_not_longer(ledger: Ledger, clock: FrozenClock, offset_s: int, allowed: bool) -> None:
    approved(ledger)
    clock.advance(offset_s, hours=24)
    found = dispatched(ledger)
    assert isinstance(found, Dispatch) is allowed
    if not allowed:
        assert isinstance(found, Ruling)
        assert found.rules == ("approval.expired",)


def test_an_approval_that_ran_out_stays_out_when_the_clock_is_set_back(ledger: Ledger, clock: FrozenClock) -> None:
    approved(ledger)
    clock.advance(hours=24)
    assert isinstance(dispatched(ledger), Ruling)
    clock.advance(hours=-24)
    assert isinstance(dispatched(ledger), Ruling), "the refusal is in the log, and with it the time"


def test_the_configured_spans_are_taken(opening: Opening, clock: FrozenClock) -> None:
    ledger = opening(execute_within="10 minutes", approvals={"HIGH": {"decide_within": "1 hour"}})
    request = asked(ledger)
    assert request.decide_by == clock.at + timedelta(hours=1)
    ledger.decide(request.id, Verdict.APPROVE, authenticated("lena"))
    clock.advance(minutes=10)
    assert isinstance(dispatched(ledger), Ruling)


# --- dispatches -------------------------------------------------------------------------------------------------------------------------


def test_a_step_is_dispatched_once(ledger: Ledger, opening: Opening) -> None:
    approved(ledger)
    first = dispatched(ledger)
    assert isinstance(first, Dispatch)
    for one in (ledger, opening()):
        again = one.dispatch(RUN, "do", 1, effect_class=EffectClass.OPAQUE, before={})
        assert isinstance(again, Ruling)
        assert again.rules == ("dispatch.again",)
    ledger.receive(first, Receipt(status="done"))
    assert isinstance(dispatched(ledger), Ruling)


def test_what_failed_may_be_tried_again_as_another_attempt_with_another_key(ledger: Ledger) -> None:
    approved(ledger)
    first = done(ledger, status="failed")
    second = dispatched(ledger)
    assert isinstance(second, Dispatch)
    assert (second.attempt, second.key != first.key) == (2, True)


def test_keys_differ_between_runs_steps_directions_and_ledgers(opening: Opening) -> None:
    keys = set()
    for name in ("one.db", "two.db"):
        ledger = opening(name)
        approved(ledger)
        keys |= {done(ledger, 1).key, done(ledger, 2, "failed").key}
        undo = dispatched(ledger, 1, "undo")
        assert isinstance(undo, Dispatch)
        keys.add(undo.key)
    assert len(keys) == 6


def test_a_receipt_is_recorded_once(ledger: Ledger) -> None:
    approved(ledger)
    found = done(ledger)
    with pytest.raises(StoreCorrupt, match="settled by somebody else"):
        ledger.receive(found, Receipt(status="failed"))
    assert ledger.dispatches(RUN)[0].state is DispatchState.DONE


def test_the_receipt_of_the_last_step_survives_the_refusal_of_the_next(ledger: Ledger, clock: FrozenClock) -> None:
    approved(ledger)
    first = dispatched(ledger)
    assert isinstance(first, Dispatch)
    clock.advance(hours=25)
    assert isinstance(dispatched(ledger, 2, finishing=(first, Receipt(status="done"))), Ruling)
    assert ledger.dispatches(RUN)[0].state is DispatchState.DONE


def test_nothing_is_taken_back_unless_something_went_wrong_or_somebody_asks(ledger: Ledger) -> None:
    approved(ledger)
    done(ledger, 1)
    assert isinstance(dispatched(ledger, 1, "undo"), Ruling)
    done(ledger, 2)
    ledger.finish(RUN, RunStatus.COMPLETED, Results(run_id=RUN, status="completed"))
    assert isinstance(dispatched(ledger, 2, "undo"), Ruling)
    ledger.ask_back(RUN, authenticated("lena"), 1)
    assert isinstance(dispatched(ledger, 1, "undo"), Ruling), "step 1 is to stay"
    undo = dispatched(ledger, 2, "undo")
    assert isinstance(undo, Dispatch)
    ledger.receive(undo, Receipt(status="failed"))
    ledger.finish(RUN, RunStatus.COMPLETED, Results(run_id=RUN, status="completed"))
    assert isinstance(dispatched(ledger, 2, "undo"), Ruling), "the wish ends with the report"
    assert ledger.verify().ok


def test_a_run_that_is_not_over_is_not_asked_back(ledger: Ledger) -> None:
    approved(ledger)
    with pytest.raises(IllegalTransition):
        ledger.ask_back(RUN, authenticated("lena"), 0)


def test_what_may_be_tried_again_has_not_gone_wrong(ledger: Ledger) -> None:
    approved(ledger)
    done(ledger, 1)
    found = dispatched(ledger, 2)
    assert isinstance(found, Dispatch)
    ledger.receive(found, Receipt(status="not_started", output={"again": True}))
    assert isinstance(dispatched(ledger, 1, "undo"), Ruling)
    found = dispatched(ledger, 2)
    assert isinstance(found, Dispatch)
    ledger.receive(found, Receipt(status="not_started"))
    assert isinstance(dispatched(ledger, 1, "undo"), Dispatch)


# --- doubt ------------------------------------------------------------------------------------------------------------------------------


def _doubted(ledger: Ledger, **subject: Any) -> Request:
    approved(ledger)
    found = dispatched(ledger)
    assert isinstance(found, Dispatch)
    doubt = ledger.doubt(found, "nobody knows")
    about = {"key": doubt.key, "step": 1, **subject}
    return ledger.open_request(ledger.question(RUN, Question.IN_DOUBT, about), RUN, Question.IN_DOUBT, about)


@pytest.mark.parametrize(
    ("verdict", "state", "again"),
    [(Verdict.HAPPENED, "done", False), (Verdict.DID_NOT_HAPPEN, "not_started", True), (Verdict.ABANDON, "abandoned", False)],
)
def test_a_person_settles_a_step_in_doubt(ledger: Ledger, verdict: Verdict, state: str, again: bool) -> None:
    request = _doubted(ledger)
    assert ledger.run(RUN).status is RunStatus.IN_DOUBT
    assert request.decide_by is None, "a doubt does not go away by waiting"
    assert ledger.decide(request.id, verdict, authenticated("lena")).status is RequestStatus.SETTLED
    found = ledger.dispatches(RUN)[0]
    assert (found.state.value, bool(found.receipt and found.receipt.output.get("again"))) == (state, again)
    assert ledger.run(RUN).status is RunStatus.RUNNING
    assert ledger.verify().ok


def test_an_answer_about_a_doubt_is_no_answer_about_the_plan(ledger: Ledger) -> None:
    request = _doubted(ledger)
    ledger.decide(request.id, Verdict.HAPPENED, authenticated("lena"))
    assert isinstance(dispatched(ledger, 2), Dispatch), "the approval of the same person still carries"


@pytest.mark.parametrize("name", ["dora", "robot"])
def test_only_who_may_approve_the_plan_settles_its_doubts(ledger: Ledger, name: str) -> None:
    with pytest.raises(NotAllowed):
        ledger.decide(_doubted(ledger).id, Verdict.HAPPENED, authenticated(name))


def test_nobody_can_say_that_it_did_not_happen_while_it_still_could(ledger: Ledger, clock: FrozenClock) -> None:
    request = _doubted(ledger, quiet_after=(clock.at + timedelta(minutes=5)).isoformat())
    with pytest.raises(NotAllowed, match="could still arrive"):
        ledger.decide(request.id, Verdict.DID_NOT_HAPPEN, authenticated("lena"))
    assert ledger.request(request.id).is_open
    clock.advance(minutes=5)
    assert not ledger.decide(request.id, Verdict.DID_NOT_HAPPEN, authenticated("lena")).is_open


# --- cancel -----------------------------------------------------------------------------------------------------------------------------


def test_cancelling_a_waiting_run_ends_it_and_withdraws_its_questions(ledger: Ledger) -> None:
    request = asked(ledger)
    assert ledger.cancel(RUN, authenticated("dora"), "no").status is RunStatus.CANCELLED
    assert ledger.request(request.id).status is RequestStatus.WITHDRAWN
    with pytest.raises(IllegalTransition):
        ledger.cancel(RUN, authenticated("dora"), "again")


def test_cancelling_a_running_run_stops_it_at_the_next_step(ledger: Ledger) -> None:
    approved(ledger)
    done(ledger, 1)
    assert ledger.cancel(RUN, authenticated("dora"), "no").stop_requested
    found = dispatched(ledger, 2)
    assert isinstance(found, Ruling)
    assert found.rules == ("run.stopped",)


# --- the log ----------------------------------------------------------------------------------------------------------------------------


def test_every_entry_is_canonical_and_without_floats(ledger: Ledger) -> None:
    _doubted(ledger)
    with ledger.store.read() as c:
        rows = c.execute("SELECT bytes FROM event").fetchall()
    assert len(rows) > 8
    assert all(is_canonical(row[0]) for row in rows)


@pytest.mark.parametrize("data", [{"x": 0.5}, {"x": 2**53}, {"ü": 1}, {"x": [{"y": 1.0}]}, {"x": b"b"}, {1: "x"}])
def test_what_an_entry_cannot_hold_is_refused(ledger: Ledger, data: dict[Any, Any]) -> None:
    with pytest.raises(ValueError, match="log entry"), ledger.store.write() as c:
        log.append(c, RUN, "x.y", FrozenClock().at, "me", data)
    assert len(ledger.events()) == 1


@pytest.mark.parametrize("text", ["\x00", "\u202e", "\ud7ff\ue000", "𝔘", "\x1b[2J", "'; DROP TABLE run; --", "\r\n", "\u2028"])
def test_any_text_is_kept_as_it_is(ledger: Ledger, text: str) -> None:
    plan = recorded({"effect": text}, title="HIGH", intent=text)
    ledger.admit(RUN, {"request": text}, graph="par", tier=None, title=text, requester=text)
    ledger.freeze(RUN, plan, editor=text)
    ledger.note(RUN, "note.made", actor=text, text=text)
    request = ledger.open_request("", RUN, Question.PLAN, PLAN_QUESTION)
    ledger.decide(request.id, Verdict.APPROVE, authenticated("lena"), reason=text)
    assert ledger.request(request.id).decisions[0].reason == text
    found = ledger.verify()
    assert found.ok, found.problems


def test_listeners_hear_what_is_committed_and_only_that(ledger: Ledger) -> None:
    heard: list[str] = []
    end = ledger.listen(lambda event: heard.append(event.type))
    with ledger.together():
        admitted(ledger)
        assert heard == []
    ledger.note(RUN, "note.made", deferred=False)
    assert heard == ["run.started", "plan.frozen", "note.made"]
    end()
    ledger.note(RUN, "note.made", deferred=False)
    assert len(heard) == 3


# --- the store --------------------------------------------------------------------------------------------------------------------------


def test_deferred_writes_are_committed_at_the_end_of_their_block(ledger: Ledger, opening: Opening) -> None:
    with ledger.together():
        admitted(ledger)
    assert opening().run(RUN).status is RunStatus.PLANNING
    assert not ledger.store.connection.in_transaction


def test_a_failing_write_does_not_undo_what_was_deferred_before_it(ledger: Ledger, opening: Opening) -> None:
    with ledger.together():
        admitted(ledger)
        with pytest.raises(NotFound):
            ledger.cancel("run_none", authenticated("dora"), "")
        with pytest.raises(IllegalTransition):
            ledger.move(RUN, RunStatus.ROLLED_BACK)
    assert opening().run(RUN).version == 1
    assert ledger.verify().ok


def test_blocks_of_two_flows_that_overlap_leave_nothing_open(ledger: Ledger, opening: Opening) -> None:
    import threading

    steps = [threading.Event() for _ in range(3)]

    def other() -> None:
        with ledger.together():
            ledger.admit("run_other", {}, graph="par", tier=None, title="t", requester="x")
            steps[0].set()
            assert steps[1].wait(10)
        steps[2].set()

    thread = threading.Thread(target=other)
    with ledger.together():
        thread.start()
        assert steps[0].wait(10)
        admitted(ledger)
        steps[1].set()
        assert steps[2].wait(10)
        # Its block is over, so it is told; what it wrote must not wait for ours.
        assert "run_other" in {row.id for row in opening().runs()}
    thread.join()
    assert not ledger.store.connection.in_transaction
    assert {row.id for row in opening().runs()} == {RUN, "run_other"}


def test_a_plan_whose_bytes_were_changed_does_not_run(ledger: Ledger, opening: Opening, tmp_path: Path) -> None:
    approved(ledger)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as c:
        c.execute("DROP TRIGGER plan_is_frozen")
        c.execute("UPDATE plan SET bytes = ?", (recorded("evil", title="HIGH").bytes,))
        c.commit()
    fresh = opening()
    with pytest.raises(StoreCorrupt):
        fresh.plan(RUN)
    with pytest.raises(StoreCorrupt):
        dispatched(fresh)


def test_a_store_of_a_newer_version_is_refused_and_left_alone(opening: Opening, tmp_path: Path) -> None:
    ledger = opening()
    admitted(ledger)
    ledger.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as c:
        c.execute(f"PRAGMA user_version = {tables.VERSION + 1}")
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(StoreNewer, match=f"schema {tables.VERSION + 1}"):
        opening()
    assert (tmp_path / "ledger.db").read_bytes() == before


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path / "ledger.db", clock=clock).close()
    now = tables.VERSION
    monkeypatch.setattr(tables, "VERSION", now + 1)
    monkeypatch.setitem(tables.MIGRATIONS, now, "CREATE TABLE more (x);\nINSERT INTO nowhere VALUES (1);\n")
    tables.schema.cache_clear()
    with pytest.raises(StoreError, match="nowhere"):
        Store(tmp_path / "ledger.db", clock=clock)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as c:
        assert c.execute("PRAGMA user_version").fetchone() == (now,)
        assert c.execute("SELECT count(*) FROM sqlite_master WHERE name = 'more'").fetchone() == (0,)


def test_an_older_store_is_brought_up_to_date(tmp_path: Path, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path / "ledger.db", clock=clock).close()
    now = tables.VERSION
    monkeypatch.setattr(tables, "VERSION", now + 1)
    monkeypatch.setitem(tables.MIGRATIONS, now, "CREATE TABLE more (x);\n")
    tables.schema.cache_clear()
    store = Store(tmp_path / "ledger.db", clock=clock)
    with store.read() as c:
        assert c.execute("PRAGMA user_version").fetchone() == (now + 1,)
        assert c.execute("SELECT count(*) FROM more").fetchone() == (0,)
        assert c.execute("SELECT count(*) FROM event").fetchone() == (1,), "a migration founds nothing again"
    store.close()
    tables.schema.cache_clear()


def test_calls_of_a_store_of_schema_2_keep_their_rows_and_are_not_dispatched_again(ledger: Ledger, opening: Opening, tmp_path: Path) -> None:
    approved(ledger)
    done(ledger, 1, "failed")
    done(ledger, 1)
    dispatched(ledger, 2)
    before = ledger.dispatches(RUN)
    ledger.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as c:
        older = [statement for statement in tables._statements(tables.MIGRATIONS[0]) if "dispatch" in statement]
        assert [statement.split()[:3] for statement in older] == [["CREATE", "TABLE", "dispatch"], ["CREATE", "UNIQUE", "INDEX"]]
        c.execute("ALTER TABLE dispatch RENAME TO kept")
        c.execute("DROP INDEX dispatch_live")
        for statement in older:
            c.execute(statement)
        names = ", ".join(row[1] for row in c.execute("PRAGMA table_info(dispatch)"))
        c.execute(f"INSERT INTO dispatch ({names}) SELECT {names} FROM kept")
        c.execute("DROP TABLE kept")
        c.execute("PRAGMA user_version = 2")
        c.commit()
    later = opening()
    assert later.dispatches(RUN) == before and [(one.step, one.attempt, one.state.value) for one in before] == [(1, 1, "failed"), (1, 2, "done"), (2, 1, "dispatched")]
    for step in (1, 2):
        again = dispatched(later, step)
        assert isinstance(again, Ruling) and again.rules == ("dispatch.again",)
    later.receive(before[-1], Receipt(status="done"))
    assert later.verify().ok
    with later.store.read() as c:
        assert c.execute("PRAGMA user_version").fetchone() == (tables.VERSION,)
        with pytest.raises(sqlite3.IntegrityError):
            c.execute("INSERT INTO dispatch SELECT run_id, step, direction, 9, digest, state, effect_class, 'k', before, started_at, finished_at, receipt FROM dispatch WHERE step = 2")


def test_the_durable_settings_are_in_force(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.store.read() as c:
        assert c.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert c.execute("PRAGMA synchronous").fetchone() == (2,)
    assert stat.S_IMODE(os.stat(tmp_path / "ledger.db").st_mode) == 0o600


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be read as one" * 40, b"SQLite format 3\x00" + bytes(4000)])
def test_what_is_no_database_is_said_to_be_damaged(tmp_path: Path, clock: FrozenClock, content: bytes) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    with pytest.raises(StoreCorrupt, match="damaged"):
        Store(tmp_path / "ledger.db", clock=clock)


def test_a_locked_store_is_a_clear_error_and_nothing_is_changed(tmp_path: Path, clock: FrozenClock) -> None:
    Store(tmp_path / "ledger.db", clock=clock).close()
    store = Store(tmp_path / "ledger.db", clock=clock, busy_s=0.05)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"), store.write() as c:
            c.execute("DELETE FROM meta")
        holder.execute("ROLLBACK")
    with store.read() as c:
        assert c.execute("SELECT count(*) FROM meta").fetchone() == (1,)
    store.close()
    store.close()  # closing twice is closing once


def test_a_full_disk_is_a_clear_error_and_nothing_is_changed(ledger: Ledger) -> None:
    admitted(ledger)
    before = len(ledger.events())
    with ledger.store.read() as c:
        pages = c.execute("PRAGMA page_count").fetchone()[0]
        c.execute(f"PRAGMA max_page_count = {pages}")
    big = recorded(*[{"effect": "x" * 900} for _ in range(200)], title="HIGH")
    with pytest.raises(StoreUnavailable, match="full"):
        ledger.freeze(RUN, big, editor="dora")
    assert len(ledger.events()) == before
    assert ledger.run(RUN).version == 1
    assert not ledger.store.connection.in_transaction
    with ledger.store.read() as c:
        c.execute(f"PRAGMA max_page_count = {pages + 1000}")
    ledger.freeze(RUN, big, editor="dora")
    assert ledger.verify().ok
