"""Remove each guard in turn and see it missed.

A guard is removed by rewriting the source of the function that holds it, in memory, wherever that function is used. Each is removed twice:

- quickly, under a scenario written for it (`test_a_removed_guard_is_found`), which passes with the guard in place;
- slowly, under the machine of `test_approval_machine.py` (`pytest -m slow`), which does not know what was removed.

Results: 51 guards, 51 found by their scenario; 46 lie in the machine's world, 46 found by the machine within 250 examples of 30 to 40 actions. Its first
version found 35 of the 46; what it lacked were actions that go together (edit there and back, be asked again after a lost role, swap roles along a
chain, ask on the second on which a grant ends), and those it has now. Found by the machine, in seconds:

    who       agents never decide 3, requester does not approve 1, editor is a contributor 1, duties are separated at dispatch as well 6,
              an answer takes a role 1, roles are those of now 6, critical takes a reason 1
    how many  one person counts once 19, critical takes two 1, a plan may ask for two 1, a chain is answered in order 10, each stage has its own
              roles 1, a changed mind counts from then on 1, the last answer counts 1, enough rejections end it 1, a rejection takes a role of
              now 28, LOW flows only where it may 3, the backup waits until it is called 2
    bytes     an answer is about these bytes 9, an edit makes approvals void 2, each asking adds up by itself 14, no edit after the first step 1
    when      decide-by is outside 2, what expired stays expired 1, the clock of the log never runs back 1, execute-within is outside 1,
              an approval runs out 7, steps run inside the window 1, a stop is a stop 10
    grants    critical is never granted 17, a grant has a highest level 1, uses are counted 1, uses are counted inside a plan 1, a grant covers its
              command 1, a grant covers its requester 18, nobody grants to themselves 1, a grant is worth the role of now 2, a grant fills no
              chain 2, a grant is given by who may 1, a grant is revoked by who may 1, a revoked grant covers nothing 9, the end of a grant is
              outside 5, a plan that asks for people gets people 5, each call that would not flow is covered 6, a grant of something else
              covers nothing 33, a void approval keeps no grant from covering 46

Found by their scenario only, because the machine's steps neither fail nor crash, its agents have no tier, and nobody in it writes to the database:
a run that is over does nothing, a call is dispatched once, an agent's tier holds at dispatch, the log holds every decision, a retry takes a grant that
holds now. Three guards stand behind one another ("critical is never granted"), and two each
("uses are counted", "the end of a grant is outside", "a grant of
something else covers nothing"; three also for "a revoked grant covers nothing"): there all of them are removed, because one alone is made good by the next.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from assent.runtime.testing import ProcessDied, recorded
from assent.schemas.dispatch import EffectClass
from assent.schemas.ruling import Ruling
from assent.tests.approval_world import ABE, ANN, BOT, ED, OTTO, RITA, Course, Rules, Work, World
from assent.tests.test_approval_machine import QUICK, Approvals

Scenario = Callable[[World], None]
CHAIN = {"HIGH": ((("lead",), 1), (("admin",), 1))}


@dataclass(frozen=True)
class Guard:
    """What is taken out, and the scenario that shows it."""

    name: str
    scenario: Scenario
    cuts: tuple[tuple[str, str, str, str], ...]
    """Module, function (or `Class.method`), text, and what it becomes."""
    machine: bool = True
    """Whether the machine is expected to find it; otherwise what it takes is outside of its world."""


def _ask(world: World, *levels: str, who: str = RITA, dual: bool = False, takes_s: int = 0) -> Course:
    return world.start(who, [Work(world.effect(), level, takes_s) for level in levels], dual=dual)


def _say(world: World, run: Course, who: str, verdict: str = "approve", *, hold: bool = False, reason: str = "seen") -> None:
    world.answer(run, run.asked[-1], who, verdict, reason=reason, resume=not hold)


def _roles(world: World, **roles: tuple[str, ...]) -> None:
    world.reconfigure(roles=world.rules.roles | roles)


def _stages(world: World, **stages: Any) -> None:
    world.reconfigure(stages=world.rules.stages | stages)


# --- who ------------------------------------------------------------------------------------------------------------------------------


def agent_answers(world: World) -> None:
    _say(world, _ask(world, "HIGH"), BOT)


def requester_approves(world: World) -> None:
    _say(world, _ask(world, "HIGH"), RITA)


def editor_approves_the_edit(world: World) -> None:
    run = _ask(world, "HIGH")
    world.edit(run, run.asked[-1], ED, [Work(world.effect())])
    _say(world, run, ED)


def requester_approved_while_duties_were_not_separated(world: World) -> None:
    world.reconfigure(preset="solo")
    run = _ask(world, "HIGH")
    _say(world, run, RITA, hold=True)
    world.reconfigure(preset="team")
    world.resume(run)


def outsider_answers(world: World) -> None:
    _say(world, _ask(world, "HIGH"), OTTO)


def approver_loses_the_role_before_the_step(world: World) -> None:
    run = _ask(world, "HIGH")
    _say(world, run, ANN, hold=True)
    _roles(world, ann=("developer",))
    world.resume(run)


def critical_without_a_reason(world: World) -> None:
    _say(world, _ask(world, "CRITICAL"), ANN, reason=" ")


# --- how many, in which order ----------------------------------------------------------------------------------------------------------


def one_person_approves_twice(world: World) -> None:
    run = _ask(world, "CRITICAL")
    _say(world, run, ANN)
    _say(world, run, ANN)


def one_of_two_approves(world: World) -> None:
    _say(world, _ask(world, "CRITICAL"), ANN)


def plan_asks_for_two(world: World) -> None:
    _say(world, _ask(world, "HIGH", dual=True), ANN)


def second_of_a_chain_comes_first(world: World) -> None:
    _stages(world, **CHAIN)
    _roles(world, abe=("admin",))
    _say(world, _ask(world, "HIGH"), ABE)


def second_of_a_chain_is_no_longer_what_it_takes(world: World) -> None:
    _stages(world, **CHAIN)
    _roles(world, ann=("lead",), abe=("admin",))
    run = _ask(world, "HIGH")
    _say(world, run, ANN)
    _say(world, run, ABE, hold=True)
    _roles(world, ann=("admin",), abe=("lead",))
    world.resume(run)


def changed_mind_counts_from_then_on(world: World) -> None:
    _stages(world, **CHAIN)
    world.reconfigure(denials=world.rules.denials | {"HIGH": 2})
    _roles(world, ann=("lead",), abe=("admin",))
    run = _ask(world, "HIGH")
    _say(world, run, ABE, "reject")
    _say(world, run, ANN)
    _say(world, run, ABE)


def changed_mind_replaces_the_approval(world: World) -> None:
    _stages(world, HIGH=((("lead", "admin"), 2),))
    world.reconfigure(denials=world.rules.denials | {"HIGH": 2})
    run = _ask(world, "HIGH")
    _say(world, run, ANN)
    _say(world, run, ANN, "reject")
    _say(world, run, ABE)


def rejection_ends_it(world: World) -> None:
    run = _ask(world, "HIGH")
    _say(world, run, ANN, "reject")
    _say(world, run, ABE)


def rejection_of_somebody_whose_role_is_gone(world: World) -> None:
    world.reconfigure(denials=world.rules.denials | {"HIGH": 2})
    run = _ask(world, "HIGH")
    _say(world, run, ANN, "reject")
    _roles(world, ann=())
    _say(world, run, ABE, "reject")


def low_when_nothing_flows(world: World) -> None:
    world.reconfigure(auto_approve="none")
    _ask(world, "LOW")


def backup_before_its_time(world: World) -> None:
    world.reconfigure(backup_roles=("developer",))
    _roles(world, abe=("developer",))
    run = _ask(world, "HIGH")
    world.clock.advance(1199)
    world.sweep()
    _say(world, run, ABE)


# --- which bytes -----------------------------------------------------------------------------------------------------------------------


def approval_of_other_bytes(world: World) -> None:
    run = _ask(world, "HIGH")
    _say(world, run, ANN, hold=True)
    _roles(world, ann=())
    world.resume(run)
    world.edit(run, run.asked[-1], ED, [Work(world.effect())])
    _say(world, run, ABE, hold=True)
    _roles(world, ann=("lead", "admin"), abe=())
    world.resume(run)


def approval_that_an_edit_made_void(world: World) -> None:
    _stages(world, HIGH=((("lead", "admin"), 2),))
    run = _ask(world, "HIGH")
    first = run.works
    _say(world, run, ANN)
    world.edit(run, run.asked[-1], ED, [Work(world.effect())])
    world.edit(run, run.asked[-1], ED, first)
    _stages(world, HIGH=((("lead", "admin"), 1),))
    _say(world, run, ABE, hold=True)
    _roles(world, abe=())
    world.resume(run)


def answers_of_two_askings_add_up_to_nothing(world: World) -> None:
    run = _ask(world, "CRITICAL")
    _say(world, run, ANN)
    _say(world, run, ABE, hold=True)
    _roles(world, abe=())
    world.resume(run)
    _say(world, run, ANN)
    _say(world, run, ED, hold=True)
    _roles(world, ann=(), abe=("admin",))
    world.resume(run)


def edit_after_the_first_step(world: World) -> None:
    run = _ask(world, "HIGH", "HIGH", takes_s=3600)
    _say(world, run, ANN)
    world.edit(run, run.asked[-1], ED, [Work(world.effect())])


# --- when ------------------------------------------------------------------------------------------------------------------------------


def decided_on_the_second(world: World) -> None:
    run = _ask(world, "HIGH")
    world.clock.at = run.asked[-1].decide_by
    _say(world, run, ANN)


def decided_long_after(world: World) -> None:
    run = _ask(world, "HIGH")
    world.clock.advance(days=30)
    _say(world, run, ANN)


def decided_after_a_sweep_and_a_clock_set_back(world: World) -> None:
    run = _ask(world, "HIGH")
    world.clock.at = run.asked[-1].decide_by
    _ask(world, "LOW")
    world.clock.advance(-7200)
    _say(world, run, ANN)


def executed_on_the_second(world: World) -> None:
    run = _ask(world, "HIGH")
    _say(world, run, ANN, hold=True)
    world.clock.advance(3600)
    world.resume(run)


def executed_long_after(world: World) -> None:
    run = _ask(world, "HIGH")
    _say(world, run, ANN, hold=True)
    world.clock.advance(days=2)
    world.resume(run)


def executed_outside_the_window(world: World) -> None:
    world.reconfigure(window=(8, 18))
    world.clock.advance(hours=10)
    _ask(world, "LOW")
    world.clock.at = world.next_opening() - timedelta(seconds=1)
    world.sweep()
    world.clock.advance(1)
    world.sweep()


def stopped_after_the_approval(world: World) -> None:
    run = _ask(world, "HIGH")
    _say(world, run, ANN, hold=True)
    world.cancel(run)


# --- grants ----------------------------------------------------------------------------------------------------------------------------


def _granted(world: World, level: str = "HIGH", *asked: str, **fields: Any) -> Course:
    world.grant(ANN, level, **fields)
    return _ask(world, *(asked or (level,)))


def critical_is_never_granted(world: World) -> None:
    _granted(world, "CRITICAL")


def grant_up_to_medium(world: World) -> None:
    _granted(world, "HIGH", highest="MEDIUM")


def grant_used_up(world: World) -> None:
    _granted(world, "HIGH", uses=1)
    _ask(world, "HIGH")


def grant_for_one_call_of_two(world: World) -> None:
    _granted(world, "HIGH", "HIGH", "HIGH", uses=1)


def grant_of_another_command(world: World) -> None:
    _granted(world, "MEDIUM", "HIGH")


def grant_for_another_requester(world: World) -> None:
    _granted(world, "HIGH", requester=BOT)


def grant_by_the_requester(world: World) -> None:
    world.grant(RITA, "HIGH")
    _ask(world, "HIGH")


def grant_of_somebody_whose_role_is_gone(world: World) -> None:
    world.grant(ANN, "HIGH")
    _roles(world, ann=())
    _ask(world, "HIGH")


def grant_where_a_chain_is_asked_for_since(world: World) -> None:
    world.grant(ANN, "HIGH")
    _stages(world, **CHAIN)
    _ask(world, "HIGH")


def grant_by_an_outsider(world: World) -> None:
    world.grant(OTTO, "HIGH")


def grant_revoked_by_an_outsider(world: World) -> None:
    grant = world.grant(ANN, "HIGH")
    assert grant is not None
    world.revoke(grant, OTTO)


def grant_revoked_before_the_window(world: World) -> None:
    world.reconfigure(window=(8, 18))
    world.clock.advance(hours=10)
    grant = world.grant(ANN, "HIGH", valid_for_s=86_400)
    assert grant is not None
    _ask(world, "HIGH")
    world.revoke(grant, ANN)
    world.clock.at = world.next_opening()
    world.sweep()


def grant_on_its_last_second(world: World) -> None:
    grant = world.grant(ANN, "HIGH")
    assert grant is not None
    world.clock.at = grant.expires_at
    _ask(world, "HIGH")


def grant_where_the_plan_asks_for_people(world: World) -> None:
    world.grant(ANN, "HIGH")
    _ask(world, "HIGH", dual=True)


def grant_beside_a_call_that_would_not_flow(world: World) -> None:
    world.reconfigure(auto_approve="none")
    _granted(world, "HIGH", "HIGH", "LOW")


def grant_of_something_else_where_nothing_flows(world: World) -> None:
    world.reconfigure(auto_approve="none")
    _granted(world, "MEDIUM", "LOW")


def grant_after_an_edit_of_what_somebody_approved(world: World) -> None:
    _stages(world, HIGH=((("lead", "admin"), 2),))
    run = _ask(world, "HIGH")
    _say(world, run, ANN)
    world.grant(ABE, "MEDIUM", highest="MEDIUM")
    world.edit(run, run.asked[-1], ED, [Work(world.effect(), "MEDIUM")])


# --- what the machine's world does not hold ---------------------------------------------------------------------------------------------


def run_that_failed_goes_on(world: World) -> None:
    door = world.door(RITA)
    run = door.start(recorded({"effect": "a", "level": "LOW", "outcome": "failed"}, {"effect": "b", "level": "LOW"}))
    assert door.ledger.run(run.id).status.is_over
    answer = door.ledger.dispatch(run.id, "do", 2, effect_class=EffectClass.OPAQUE, before={})
    assert isinstance(answer, Ruling) and answer.rules == ("run.over",)


def call_is_dispatched_twice(world: World) -> None:
    door = world.door(RITA)
    run = door.start(recorded({"effect": "a", "level": "LOW"}))
    answer = door.ledger.dispatch(run.id, "do", 1, effect_class=EffectClass.OPAQUE, before={})
    assert isinstance(answer, Ruling) and answer.rules == ("dispatch.again",)


def tier_is_lowered_after_the_approval(world: World) -> None:
    run = world.door(RITA).start(recorded({"effect": "a", "level": "HIGH"}), tier=2)
    world.door(ANN).decide(world.door(ANN).inbox()[0].id, "approve", resume=False)
    world.reconfigure(tiers={2: {"name": "Developer", "highest": "LOW", "environments": ["development"]}})
    world.door(RITA).resume(run.id)
    assert world.worker.effects_had == []


def decision_that_the_log_does_not_hold(world: World) -> None:
    door = world.door(RITA)
    run = door.start(recorded({"effect": "a", "level": "HIGH"}))
    asked = door.inbox()[0]
    who = '{"id":"ann","kind":"human","roles":["lead","admin"],"assurance":"authenticated","name":""}'
    with door.ledger.store.write() as c:
        seq = c.execute("SELECT max(seq) FROM event").fetchone()[0]
        c.execute(
            "INSERT INTO decision (seq, request_id, run_id, actor_id, actor, verdict, digest, reason, at) VALUES (?,?,?,?,?,?,?,?,?)",
            (seq, asked.id, run.id, ANN, who, "approve", asked.digest, "", "2026-01-05T09:00:00.000000Z"),
        )
        c.execute("UPDATE request SET status = 'approved' WHERE id = ?", (asked.id,))
        c.execute("UPDATE run SET status = 'running' WHERE id = ?", (run.id,))
    assert isinstance(door.ledger.dispatch(run.id, "do", 1, effect_class=EffectClass.OPAQUE, before={}), Ruling)


def retry_after_the_grant_was_revoked(world: World) -> None:
    door = world.door(RITA)
    grant = world.door(ANN).grant("recorder", command="do it", uses=5)
    with pytest.raises(ProcessDied):
        door.start(recorded({"effect": "a", "command": "do it", "outcome": "dies_before", "effect_class": "readable"}))
    world.door(ANN).revoke(grant.id)
    world.worker.will("a", "done")
    world.shut()
    run = world.door(RITA).runs()[0]
    world.door(RITA).resume(run.id)
    assert world.worker.effects_had == []


# --- the guards ------------------------------------------------------------------------------------------------------------------------

_APPROVALS, _AUTHORITY, _GRANTS = "policies.approvals", "policies.authority", "policies.grants"
_AS_LOGGED = ("runtime.ledger.grants", "_is_used_as_logged", "return ", "return True or ")
"""Behind what a row says of a grant stands what the log says of it."""
_ASKING, _EFFECTS, _REQUESTS, _STORED, _STANDING = (f"runtime.ledger.{name}" for name in ("asking", "effects", "requests", "grants", "standing"))

GUARDS = (
    Guard("agents never decide", agent_answers, ((_APPROVALS, "may_decide", "if not is_person(actor, policy):", "if False:"),)),
    Guard("requester does not approve", requester_approves, ((_APPROVALS, "may_decide", "actor.id in question.not_from", "False"),)),
    Guard("editor is a contributor", editor_approves_the_edit, (("runtime.ledger.plans", "contributors", "*(row[0] for row in rows)", ""),)),
    Guard("duties are separated at dispatch as well", requester_approved_while_duties_were_not_separated, ((_AUTHORITY, "assent_of", "facts.contributors", "()"),)),
    Guard("an answer takes a role", outsider_answers, ((_APPROVALS, "may_decide", "if not held & set(wanted):", "if False:"),)),
    Guard("roles are those of now", approver_loses_the_role_before_the_step, ((_APPROVALS, "roles_of", "return member.roles", "return actor.roles"),)),
    Guard("critical takes a reason", critical_without_a_reason, ((_APPROVALS, "may_decide", "question.reason_required and", "False and"),)),
    Guard("one person counts once", one_person_approves_twice, ((_APPROVALS, "counting", "last[decision.actor.id] = decision", "last[f'{len(last)}'] = decision"),)),
    Guard("critical takes two", one_of_two_approves, ((_APPROVALS, "_filled", "have >= question.chain[stage].approvals", "have >= 1"),)),
    Guard("a plan may ask for two", plan_asks_for_two, ((_APPROVALS, "need", 'if any(approval.type == "dual_signoff"', 'if False and any(approval.type == "dual_signoff"'),)),
    Guard("a chain is answered in order", second_of_a_chain_comes_first, ((_APPROVALS, "may_decide", "wanted = _present(others, question, policy).roles", "wanted = question.roles"),)),
    Guard("each stage has its own roles", second_of_a_chain_is_no_longer_what_it_takes, ((_APPROVALS, "_filled", "question.chain[stage].roles", "question.roles"),)),
    Guard("a changed mind counts from then on", changed_mind_counts_from_then_on, ((_APPROVALS, "counting", "del last[decision.actor.id]", "pass"),)),
    Guard("the last answer counts", changed_mind_replaces_the_approval, ((_APPROVALS, "counting", "if held is not None and held.verdict", "if held is not None:\n            continue\n        if held is not None and held.verdict"),)),
    Guard("enough rejections end it", rejection_ends_it, ((_APPROVALS, "tally", "len(rejected) >= question.denials", "False"),)),
    Guard("a rejection takes a role of now", rejection_of_somebody_whose_role_is_gone, ((_APPROVALS, "tally", "may_decide(d.actor, d.verdict, question, policy, reason=d.reason).is_allowed", "True"),)),
    Guard("LOW flows only where it may", low_when_nothing_flows, ((_APPROVALS, "need", 'policy.auto_approve == "LOW"', "True"),)),
    Guard("the backup waits until it is called", backup_before_its_time, ((_APPROVALS, "need", "if backup and", "if"),)),
    Guard("an answer is about these bytes", approval_of_other_bytes, ((_APPROVALS, "counting", "decision.digest != digest", "False"),)),
    Guard("an edit makes approvals void", approval_that_an_edit_made_void, ((_REQUESTS, "proved", "== (Question.PLAN.value, RequestStatus.APPROVED.value)", "is not None"),)),
    Guard("each asking adds up by itself", answers_of_two_askings_add_up_to_nothing, ((_AUTHORITY, "_granted", "if decision.request_id == request", ""),)),
    Guard("no edit after the first step", edit_after_the_first_step, ((_ASKING, "Asking._options", "if begun", "if False"),)),
    Guard("decide-by is outside", decided_on_the_second, ((_ASKING, "Asking.expire", "at < request.decide_by", "at <= request.decide_by"),)),
    Guard("what expired stays expired", decided_long_after, ((_ASKING, "Asking.expire", "if not request.is_open or", "if True or"),)),
    Guard("the clock of the log never runs back", decided_after_a_sweep_and_a_clock_set_back, (("runtime.ledger.log", "now", "newest is None or wall >= newest", "True"),)),
    Guard("execute-within is outside", executed_on_the_second, ((_AUTHORITY, "_is_approved", "facts.now >= granted", "facts.now > granted"),)),
    Guard("an approval runs out", executed_long_after, ((_AUTHORITY, "_is_approved", "if not measuring and", "if False and"),)),
    Guard("steps run inside the window", executed_outside_the_window, ((_AUTHORITY, "may_run", 'if direction != "after" and', "if False and"),)),
    Guard("a stop is a stop", stopped_after_the_approval, ((_AUTHORITY, "may_run", "if run.stop_requested and", "if False and"),)),
    Guard("critical is never granted", critical_is_never_granted, (
        (_GRANTS, "flows", "risk.whole.level is Level.CRITICAL or", ""), (_GRANTS, "covers", "level is Level.CRITICAL or level > grant.highest or", ""),
        (_GRANTS, "could_alone", "stages[0].approvals == 1", "True"),
    )),
    Guard("a grant has a highest level", grant_up_to_medium, ((_GRANTS, "covers", "level > grant.highest or", ""),)),
    Guard("uses are counted", grant_used_up, ((_STORED, "use", "used = used + 1", "used = used"), _AS_LOGGED)),
    Guard("uses are counted inside a plan", grant_for_one_call_of_two, ((_GRANTS, "flows", '"used": grant.used + 1', '"used": grant.used'),)),
    Guard("a grant covers its command", grant_of_another_command, ((_GRANTS, "_matches", "if grant.command and", "if False and"),)),
    Guard("a grant covers its requester", grant_for_another_requester, ((_GRANTS, "covers", "if grant.requester and", "if False and"),)),
    Guard("nobody grants to themselves", grant_by_the_requester, ((_GRANTS, "covers", "if level in policy.separation_of_duties and", "if False and"),)),
    Guard("a grant is worth the role of now", grant_of_somebody_whose_role_is_gone, ((_GRANTS, "covers", "if not could_alone(grant.by, level, policy):", "if False:"),)),
    Guard("a grant fills no chain", grant_where_a_chain_is_asked_for_since, ((_GRANTS, "could_alone", "len(stages) == 1 and", ""),)),
    Guard("a grant is given by who may", grant_by_an_outsider, ((_STANDING, "Standing.give_grant", "if not granting.could_alone(actor, grant.highest, self.policy):", "if False:"),)),
    Guard("a grant is revoked by who may", grant_revoked_by_an_outsider, ((_STANDING, "Standing.revoke_grant", 'if actor.kind != "human" or (', "if False and ("),)),
    Guard("a revoked grant covers nothing", grant_revoked_before_the_window, (
        (_STORED, "live", "revoked_at IS NULL AND ", ""), (_GRANTS, "covers", "grant.revoked_at is not None or", ""), _AS_LOGGED,
    )),
    Guard("the end of a grant is outside", grant_on_its_last_second, (
        (_STORED, "live", "expires_at > ?", "expires_at >= ?"), (_GRANTS, "covers", "now < grant.expires_at", "now <= grant.expires_at"),
    )),
    Guard("a plan that asks for people gets people", grant_where_the_plan_asks_for_people, ((_GRANTS, "flows", "if any(approval.type in", "if False and any(approval.type in"),)),
    Guard("each call that would not flow is covered", grant_beside_a_call_that_would_not_flow, ((_GRANTS, "flows", ' and policy.auto_approve == "LOW"', ""),)),
    Guard("a grant of something else covers nothing", grant_of_something_else_where_nothing_flows, (
        (_GRANTS, "flows", ' and policy.auto_approve == "LOW"', ""), (_EFFECTS, "Effects.covered", "found if found or grants.used_by(c, run.id) else None", "found"),
    )),
    Guard("a void approval keeps no grant from covering", grant_after_an_edit_of_what_somebody_approved, (
        (_EFFECTS, "Effects.dispatch", 'if direction in ("do", "before")', 'if direction == "do" and not c.execute("SELECT 1 FROM decision WHERE run_id = ?", (run_id,)).fetchone()'),
    )),
    Guard("a run that is over does nothing", run_that_failed_goes_on, ((_AUTHORITY, "may_run", "if run.status is not RunStatus.RUNNING:", "if False:"),), machine=False),
    Guard("a call is dispatched once", call_is_dispatched_twice, ((_AUTHORITY, "may_run", "if any(d.direction == direction and", "if False and any(d.direction == direction and"),), machine=False),
    Guard("an agent's tier holds at dispatch", tier_is_lowered_after_the_approval, ((_AUTHORITY, "may_run", "if not tier.is_allowed:", "if False:"),), machine=False),
    Guard("the log holds every decision", decision_that_the_log_does_not_hold, ((_REQUESTS, "proved", "if not _is_logged(c, row):", "if False:"),), machine=False),
    Guard("a retry takes a grant that holds now", retry_after_the_grant_was_revoked, ((_EFFECTS, "Effects.covered", " and d.state is not DispatchState.NOT_STARTED", ""),), machine=False),
)  # fmt: skip


def remove(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewrite the functions that hold a guard, wherever they are used."""
    for module_name, path, text, becomes in guard.cuts:
        module = importlib.import_module(f"assent.{module_name}")
        *owners, name = path.split(".")
        owner: Any = getattr(module, owners[0]) if owners else module
        function = getattr(owner, name)
        source = textwrap.dedent(inspect.getsource(function))
        assert text in source, f"{guard.name}: {path} no longer holds {text!r}"
        made: dict[str, Any] = {}
        exec(compile("from __future__ import annotations\n" + source.replace(text, becomes), f"<without: {guard.name}>", "exec"), vars(module), made)
        if owners:
            monkeypatch.setattr(owner, name, made[name])
            continue
        for other in [found for key, found in sys.modules.items() if key.startswith("assent") and vars(found).get(name) is function]:
            monkeypatch.setattr(other, name, made[name])


def _id(guard: Guard) -> str:
    return guard.name.replace(" ", "-")


@pytest.mark.parametrize("guard", GUARDS, ids=_id)
def test_a_removed_guard_is_found(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    with World(Rules()) as world:
        guard.scenario(world)
    remove(guard, monkeypatch)
    with World(Rules()) as world, pytest.raises(Exception):  # noqa: B017 - however it shows, the scenario no longer passes
        guard.scenario(world)


def test_there_are_no_two_guards_of_one_name() -> None:
    assert len({guard.name for guard in GUARDS}) == len(GUARDS) >= 40


def hunt(guard: Guard, monkeypatch: pytest.MonkeyPatch, examples: int = 400) -> bool:
    """Let the machine look for a removed guard; tell whether it found it."""
    remove(guard, monkeypatch)
    try:
        run_state_machine_as_test(Approvals, settings=settings(QUICK, max_examples=examples, phases=[Phase.generate], database=None, report_multiple_bugs=False))
    except Exception:  # noqa: BLE001 - any failure of the machine is the finding
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("guard", [guard for guard in GUARDS if guard.machine], ids=_id)
def test_the_machine_finds_a_removed_guard(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hunt(guard, monkeypatch, 2_000)
