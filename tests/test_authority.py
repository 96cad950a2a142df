"""Truth tables: who may answer, what the answers add up to, and what may run when. No store, no clock, no graph."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.policies.approvals import ALL_ROLES, counting, may_decide, need, roles_of, tally
from assent.policies.authority import CURABLE, Facts, beyond_tier, may_run
from assent.policies.policy import Policy, read_policy
from assent.runtime.testing import recorded
from assent.schemas.approval import AUTO, Actor, Assurance, Decision, Need, Verdict
from assent.schemas.dispatch import Direction, Dispatch, DispatchState
from assent.schemas.errors import InvalidConfiguration
from assent.schemas.plan import Plan, RequiredApproval
from assent.schemas.risk import Level, Reason, Risk
from assent.schemas.run import RunRow, RunStatus

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PEOPLE: dict[str, Any] = {
    "dora": ["developer"], "lena": ["lead"], "lou": ["lead"], "ada": ["admin"], "amos": ["admin"], "guest": [],
    "robot": {"roles": ["developer", "lead", "admin"], "kind": "agent"},
}


def policy(**overlay: Any) -> Policy:
    return read_policy(("test", {"actors": PEOPLE, **overlay}))


def actor(name: str, **more: Any) -> Actor:
    return Actor(id=name, assurance=Assurance.AUTHENTICATED, **more)


def plan(**more: Any) -> Plan:
    return recorded("a", "b", **more)


def decision(name: str, verdict: str = "approve", *, of: Plan | None = None, request: str = "req_1", at: datetime = NOW, reason: str = "because", **more: Any) -> Decision:
    return Decision(request_id=request, actor=actor(name, **more), verdict=Verdict(verdict), digest=(of or plan()).digest, reason=reason, at=at)


def question(level: str, *, of: Plan | None = None, contributors: Iterable[str] = ("dora",), rules: Policy | None = None) -> Need:
    found = need(Level(level), of or plan(), contributors, rules or policy())
    assert found is not None
    return found


# --- what a level takes -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "preset", "auto", "extra", "takes"),
    [
        ("LOW", "solo", "LOW", None, None),
        ("LOW", "team", "LOW", None, None),
        ("LOW", "solo", "none", None, (1, ALL_ROLES, ())),
        ("LOW", "team", "none", None, (1, ALL_ROLES, ("dora",))),
        ("LOW", "solo", "LOW", "pre_approval", (1, ALL_ROLES, ())),
        ("LOW", "solo", "LOW", "dual_signoff", (2, ALL_ROLES, ())),
        ("LOW", "solo", "LOW", "post_review", None),
        ("MEDIUM", "solo", "LOW", None, (1, ALL_ROLES, ())),
        ("MEDIUM", "team", "LOW", None, (1, ALL_ROLES, ("dora",))),
        ("HIGH", "solo", "LOW", None, (1, ("lead", "admin"), ())),
        ("HIGH", "solo", "LOW", "dual_signoff", (2, ("lead", "admin"), ())),
        ("HIGH", "solo", "LOW", "post_review", (1, ("lead", "admin"), ())),
        ("CRITICAL", "solo", "LOW", None, (2, ("admin",), ())),
        ("CRITICAL", "team", "none", "pre_approval", (2, ("admin",), ("dora",))),
    ],
)
def test_what_each_level_of_risk_takes(level: str, preset: str, auto: str, extra: Any, takes: tuple[int, tuple[str, ...], tuple[str, ...]] | None) -> None:
    asked = plan(required_approvals=(RequiredApproval(type=extra),)) if extra else plan()
    found = need(Level(level), asked, ["dora"], policy(preset=preset, auto_approve=auto))
    if takes is None:
        assert found is None
        return
    assert found is not None
    assert (found.approvals, found.roles, found.not_from) == takes
    assert found.reason_required is (level == "CRITICAL")


def test_critical_never_takes_less_than_two_people() -> None:
    with pytest.raises(InvalidConfiguration, match="at least 2"):
        policy(approvals={"CRITICAL": {"approvals": 1}})


# --- who may answer ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["approve", "reject", "edit"])
@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("dora", {"LOW", "MEDIUM"}), ("lena", {"LOW", "MEDIUM", "HIGH"}), ("ada", {"LOW", "MEDIUM", "HIGH", "CRITICAL"}),
        ("guest", set()), ("robot", set()), ("stranger", set()),
    ],
)
def test_who_may_answer_about_which_level(name: str, allowed: set[str], verdict: str) -> None:
    rules = policy(auto_approve="none")
    for level in Level:
        ruling = may_decide(actor(name), Verdict(verdict), question(level.value, contributors=(), rules=rules), rules, reason="seen")
        assert ruling.is_allowed is (level.value in allowed), (name, level, ruling)


@pytest.mark.parametrize("kind", ["agent", "system"])
@pytest.mark.parametrize("level", ["LOW", "MEDIUM", "HIGH", "CRITICAL"])
def test_nothing_but_a_person_ever_decides(kind: Any, level: str) -> None:
    rules = policy(auto_approve="none", actors={**PEOPLE, "ada": ["developer", "lead", "admin"]})
    for who in (actor("ada", kind=kind), actor("other", kind=kind, roles=("developer", "lead", "admin")), AUTO):
        for verdict in Verdict:
            assert may_decide(who, verdict, question(level, rules=rules), rules, reason="x").rules == ("actor.agent",)


@pytest.mark.parametrize(
    ("verdict", "own", "rule"),
    [("approve", True, "separation_of_duties"), ("reject", True, None), ("edit", True, None), ("approve", False, None), ("reject", False, None)],
)
def test_duties_are_separated_for_approvals_only(verdict: str, own: bool, rule: str | None) -> None:
    rules = policy(preset="team")
    ruling = may_decide(actor("lena"), Verdict(verdict), question("HIGH", contributors=["dora", "lena"] if own else ["dora"], rules=rules), rules)
    assert ruling.rules == ((rule,) if rule else ("approvals.HIGH", "separation_of_duties"))
    assert ruling.is_allowed is (rule is None)


@pytest.mark.parametrize(
    ("preset", "configured", "brought", "held"),
    [
        ("solo", None, ("lead",), ("lead",)), ("team", None, ("lead",), ()), ("solo", [], ("lead",), ()), ("team", ["admin"], ("lead",), ("admin",)),
        ("solo", ["developer"], ("admin",), ("developer",)), ("solo", None, (), ()),
    ],
)
def test_roles_are_those_of_the_configuration(preset: str, configured: Any, brought: tuple[str, ...], held: tuple[str, ...]) -> None:
    people = {} if configured is None else {"x": configured}
    assert roles_of(actor("x", roles=brought), read_policy(("test", {"preset": preset, "actors": people}))) == held


@pytest.mark.parametrize(("reason", "fine"), [("", False), ("   ", False), ("\n\t", False), ("looked at it", True)])
def test_a_critical_decision_needs_a_reason(reason: str, fine: bool) -> None:
    for verdict in (Verdict.APPROVE, Verdict.REJECT):
        assert may_decide(actor("ada"), verdict, question("CRITICAL"), policy(), reason=reason).is_allowed is fine


# --- what the answers add up to ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "answers", "outcome"),
    [
        ("HIGH", [], "open"),
        ("HIGH", [("lena", "approve")], "approved"),
        ("HIGH", [("dora", "approve")], "open"),
        ("HIGH", [("robot", "approve")], "open"),
        ("HIGH", [("guest", "approve"), ("dora", "approve"), ("stranger", "approve")], "open"),
        ("HIGH", [("lena", "reject")], "rejected"),
        ("HIGH", [("dora", "reject")], "open"),
        ("HIGH", [("lena", "approve"), ("lou", "reject")], "rejected"),
        ("HIGH", [("lena", "reject"), ("lou", "approve")], "rejected"),
        ("HIGH", [("lena", "reject"), ("lena", "approve")], "approved"),
        ("HIGH", [("lena", "approve"), ("lena", "reject")], "rejected"),
        ("HIGH", [("lena", "edit")], "open"),
        ("CRITICAL", [("ada", "approve")], "open"),
        ("CRITICAL", [("ada", "approve"), ("ada", "approve"), ("ada", "approve")], "open"),
        ("CRITICAL", [("ada", "approve"), ("amos", "approve")], "approved"),
        ("CRITICAL", [("ada", "approve"), ("lena", "approve")], "open"),
        ("CRITICAL", [("ada", "approve"), ("robot", "approve")], "open"),
        ("CRITICAL", [("ada", "approve"), ("amos", "reject")], "rejected"),
        ("CRITICAL", [("ada", "approve"), ("amos", "approve"), ("amos", "edit")], "open"),
    ],
)
def test_what_answers_add_up_to(level: str, answers: list[tuple[str, str]], outcome: str) -> None:
    rules = policy()
    assert tally([decision(*answer) for answer in answers], plan().digest, question(level), rules) == outcome


def test_answers_about_other_bytes_count_nothing() -> None:
    other = recorded("other")
    assert tally([decision("lena", of=other), decision("lou", "reject", of=other)], plan().digest, question("HIGH"), policy()) == "open"


def test_an_approval_without_the_reason_that_is_required_counts_nothing() -> None:
    given = [decision("ada", reason=""), decision("amos", reason=" ")]
    assert tally(given, plan().digest, question("CRITICAL"), policy()) == "open"


names = st.sampled_from(["dora", "lena", "lou", "ada", "amos", "guest", "robot", "stranger"])
answers = st.lists(st.tuples(names, st.sampled_from(["approve", "reject", "edit"]), st.booleans()), max_size=12)


@given(answers, st.sampled_from(["MEDIUM", "HIGH", "CRITICAL"]), st.sampled_from(["solo", "team"]))
def test_approved_always_means_enough_different_entitled_people_and_no_rejection(given_: list[tuple[str, str, bool]], level: str, preset: str) -> None:
    rules = policy(preset=preset)
    asked = question(level, contributors=["lena"], rules=rules)
    other = recorded("other")
    decisions = [decision(name, verdict, of=plan() if right else other) for name, verdict, right in given_]
    last = {d.actor.id: d for d in decisions if d.digest == plan().digest}
    entitled = {name for name, d in last.items() if may_decide(d.actor, d.verdict, asked, rules, reason=d.reason).is_allowed}
    approvals = {name for name in entitled if last[name].verdict is Verdict.APPROVE}
    rejected = any(last[name].verdict is Verdict.REJECT for name in entitled)
    expected = "rejected" if rejected else "approved" if len(approvals) >= asked.approvals else "open"
    assert tally(decisions, plan().digest, asked, rules) == expected
    assert not approvals & {"guest", "robot", "stranger", *(["lena"] if preset == "team" else [])}
    assert len(counting(decisions, plan().digest)) == len(last)


# --- what may run -----------------------------------------------------------------------------------------------------------------------


def row(**more: Any) -> RunRow:
    return RunRow(**{"id": "run_1", "status": "running", "digest": plan().digest, "version": 1, "requester": "dora", "created_at": NOW, "updated_at": NOW, **more})


def facts(**more: Any) -> Facts:
    level = more.pop("level", "HIGH")
    base: dict[str, Any] = {
        "run": row(), "plan": plan(), "risk": Risk.of([Reason(rule="x", level=Level(level), text="x")]), "decisions": [decision("lena")],
        "contributors": ["dora"], "dispatches": [], "now": NOW + timedelta(minutes=1),
    }
    return Facts(**{**base, **more})


def dispatch(direction: Direction, state: str, step: int = 1) -> Dispatch:
    return Dispatch(run_id="run_1", digest=plan().digest, step=step, direction=direction, state=DispatchState(state), key="k", started_at=NOW)


def rules_of(direction: Direction = "do", step: int = 1, rules: Policy | None = None, **more: Any) -> tuple[str, ...]:
    ruling = may_run(direction, step, facts(**more), rules or policy())
    assert ruling.is_allowed is not any("." in rule and rule in REFUSALS for rule in ruling.rules)
    assert ruling.is_allowed or ruling.reasons, "a refusal says why"
    return ruling.rules


REFUSALS = {
    "plan.other", "plan.step", "dispatch.again", "approval.missing", "approval.expired", "run.over", "run.stopped", "window.closed", "undo.nothing",
    "undo.unasked", "decision.unproved", "tier.authority", "tier.environment", "tier.unknown",
}


def test_an_approved_step_of_a_running_run_may_run() -> None:
    assert rules_of() == ("approvals.HIGH",)
    assert rules_of(step=2) == ("approvals.HIGH",)
    assert rules_of(level="LOW", decisions=[]) == ("auto.low",)


@pytest.mark.parametrize("status", [status.value for status in RunStatus if status is not RunStatus.RUNNING])
@pytest.mark.parametrize("direction", ["do", "before", "after"])
def test_nothing_runs_forward_unless_the_run_is_running(status: str, direction: Any) -> None:
    measured = recorded("a", measures=[{"criterion": "c", "tool": "recorder", "args": {"effect": "m", "looks": True}, "read": "value"}])
    found = rules_of(direction, run=row(status=status, digest=measured.digest), plan=measured, decisions=[decision("lena", of=measured)])
    over = RunStatus(status).is_over
    assert found == (("run.over",) if over else ("approval.missing",))
    assert bool(set(found) & CURABLE) is not over


@pytest.mark.parametrize(("direction", "step"), [("do", 0), ("do", 3), ("do", -1), ("undo", 3), ("before", 1), ("after", 1)])
def test_a_call_that_the_plan_does_not_have_is_refused(direction: Any, step: int) -> None:
    assert rules_of(direction, step) == ("plan.step",)


def test_a_plan_with_other_bytes_than_those_in_force_is_refused() -> None:
    assert rules_of(plan=recorded("other")) == ("plan.other",)
    assert rules_of(run=row(digest="")) == ("plan.other",)


@pytest.mark.parametrize(("state", "refused"), [("dispatched", True), ("done", True), ("in_doubt", True), ("failed", False), ("not_started", False), ("abandoned", True)])
def test_a_call_is_dispatched_once_while_it_may_have_happened(state: str, refused: bool) -> None:
    assert (rules_of(dispatches=[dispatch("do", state)]) == ("dispatch.again",)) is refused
    assert rules_of(dispatches=[dispatch("undo", state)]) == ("approvals.HIGH",), "an undo is another call"


@pytest.mark.parametrize(("decisions", "rule"), [
    ([], "approval.missing"),
    ([decision("dora")], "approval.missing"),
    ([decision("robot")], "approval.missing"),
    ([decision("lena", of=recorded("other"))], "approval.missing"),
    ([decision("lena"), decision("lou", "reject")], "approval.missing"),
    ([decision("lena"), decision("lena", "edit")], "approval.missing"),
    ([decision("lena")], "approvals.HIGH"),
    ([decision("lena", at=NOW - timedelta(hours=24))], "approval.expired"),
    ([decision("lena", at=NOW - timedelta(hours=23, minutes=58))], "approvals.HIGH"),
    # Asked again after it ran out: the new answer carries, answers to the old question do not renew it.
    ([decision("lena", at=NOW - timedelta(hours=30)), decision("lou", request="req_2")], "approvals.HIGH"),
    ([decision("lena", at=NOW - timedelta(hours=30)), decision("dora", request="req_2")], "approval.expired"),
    ([decision("lena", at=NOW - timedelta(hours=30)), decision("lena", "edit", request="req_2")], "approval.expired"),
])
def test_which_decisions_let_a_high_step_run(decisions: list[Decision], rule: str) -> None:
    assert rules_of(decisions=decisions) == (rule,)


def test_two_approvals_of_different_askings_do_not_add_up() -> None:
    apart = [decision("ada", at=NOW - timedelta(hours=30)), decision("amos", request="req_2")]
    assert rules_of(level="CRITICAL", decisions=apart) == ("approval.missing",)
    assert rules_of(level="CRITICAL", decisions=[decision("ada"), decision("amos")]) == ("approvals.CRITICAL",)


def test_an_answer_of_somebody_who_lost_the_role_renews_nothing() -> None:
    given_ = [decision("lena", at=NOW - timedelta(hours=30)), decision("lou", at=NOW)]
    assert rules_of(decisions=given_) == ("approvals.HIGH",)
    assert rules_of(decisions=given_, rules=policy(actors={**PEOPLE, "lou": []})) == ("approval.expired",)


def test_a_decision_that_the_log_does_not_hold_refuses_everything_that_takes_an_approval() -> None:
    assert rules_of(unproved=(12,)) == ("decision.unproved",)
    assert not {"decision.unproved"} & CURABLE
    assert rules_of(unproved=(12,), level="LOW") == ("auto.low",)


@pytest.mark.parametrize(("offset", "rule"), [(-1, "approvals.HIGH"), (0, "approval.expired"), (1, "approval.expired")])
def test_the_approval_ends_exactly_when_its_time_is_over(offset: int, rule: str) -> None:
    end = NOW + timedelta(hours=24)
    assert rules_of(now=end + timedelta(microseconds=offset)) == (rule,)


@pytest.mark.parametrize(("offset", "rule"), [(-1, "window.closed"), (0, "approvals.HIGH"), (3_599_999_999, "approvals.HIGH"), (3_600_000_000, "window.closed")])
def test_the_execution_window_holds_its_beginning_and_not_its_end(offset: int, rule: str) -> None:
    opens = NOW + timedelta(hours=1)
    asked = plan(execution_window={"opens_at": opens, "closes_at": opens + timedelta(hours=1)})
    now = opens + timedelta(microseconds=offset)
    assert rules_of(plan=asked, run=row(digest=asked.digest), decisions=[decision("lena", of=asked)], now=now) == (rule,)


def test_a_result_is_measured_although_the_time_to_start_is_over() -> None:
    opens = NOW
    asked = recorded(
        "a", measures=[{"criterion": "c", "tool": "recorder", "args": {"effect": "m", "looks": True}, "read": "value"}],
        execution_window={"opens_at": opens, "closes_at": opens + timedelta(hours=1)},
    )
    late: dict[str, Any] = {"plan": asked, "run": row(digest=asked.digest, stop_requested=True), "decisions": [decision("lena", of=asked)], "now": NOW + timedelta(days=2)}
    assert rules_of("after", **late) == ("approvals.HIGH",)
    assert rules_of("before", **late) == ("window.closed",)


def test_a_run_that_is_asked_to_stop_starts_no_step() -> None:
    assert rules_of(run=row(stop_requested=True)) == ("run.stopped",)


@pytest.mark.parametrize(
    ("tier", "level", "environment", "rule"),
    [
        (None, "CRITICAL", "production", None), (1, "LOW", None, None), (1, "MEDIUM", None, "tier.authority"), (2, "HIGH", "staging", None),
        (2, "HIGH", "production", "tier.environment"), (2, "CRITICAL", None, "tier.authority"), (3, "CRITICAL", "production", None),
        (4, "MEDIUM", "production", None), (4, "HIGH", "development", "tier.authority"), (5, "LOW", None, "tier.unknown"),
    ],
)
def test_what_each_tier_has_no_authority_for(tier: int | None, level: str, environment: str | None, rule: str | None) -> None:
    asked = plan(problem={"context": {"environment": environment}} if environment else {})
    found = beyond_tier(tier, asked, Level(level), policy())
    assert found.is_allowed is (rule is None)
    if rule is not None:
        assert found.rules == (rule,)
        given_ = [decision(name, of=asked) for name in ("ada", "amos")]
        assert rules_of(run=row(tier=tier, digest=asked.digest), plan=asked, level=level, decisions=given_) == (rule,), "whoever approves"


# --- taking back ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "done", "went_wrong", "back_to", "rule"),
    [
        ("running", True, True, None, "plan.rollback"),
        ("running", True, False, None, "undo.unasked"),
        ("running", True, False, 0, "undo.unasked"),
        ("running", False, True, None, "undo.nothing"),
        ("awaiting_approval", True, True, None, "undo.unasked"),
        ("in_doubt", True, True, None, "undo.unasked"),
        ("completed", True, False, None, "undo.unasked"),
        ("completed", True, True, None, "undo.unasked"),
        ("completed", True, False, 0, "rollback.requested"),
        ("failed", True, True, 0, "rollback.requested"),
        ("cancelled", True, False, 0, "rollback.requested"),
        ("cancelled", True, False, 1, "undo.unasked"),
        ("rejected", False, False, 0, "undo.nothing"),
    ],
)
def test_when_a_step_may_be_taken_back(status: str, done: bool, went_wrong: bool, back_to: int | None, rule: str) -> None:
    known = [dispatch("do", "done" if done else "failed")]
    assert rules_of("undo", run=row(status=status), dispatches=known, went_wrong=went_wrong, back_to=back_to, decisions=[]) == (rule,)


def test_a_step_is_taken_back_once() -> None:
    known = [dispatch("do", "done"), dispatch("undo", "done")]
    assert rules_of("undo", dispatches=known, went_wrong=True) == ("dispatch.again",)


@given(
    st.sampled_from(["do", "undo", "before", "after"]), st.integers(-1, 3), st.sampled_from(list(RunStatus)), answers, st.sampled_from(list(Level)),
    st.booleans(), st.sampled_from([None, 1, 2, 3, 4]), st.integers(0, 60),
)
def test_whatever_runs_forward_above_low_was_approved_in_time_by_enough_people(
    direction: Any, step: int, status: RunStatus, given_: list[tuple[str, str, bool]], level: Level, stop: bool, tier: int | None, hours: int,
) -> None:
    rules = policy(preset="team")
    decisions = [decision(name, verdict) for name, verdict, right in given_ if right]
    now = NOW + timedelta(hours=hours)
    found = may_run(direction, step, facts(run=row(status=status, stop_requested=stop, tier=tier), decisions=decisions, level=level.value, now=now), rules)
    if not found.is_allowed:
        assert set(found.rules) <= REFUSALS
        return
    assert direction == "do"
    assert step in (1, 2)
    assert status is RunStatus.RUNNING
    assert not stop
    if level > Level.LOW:
        asked = question(level.value, rules=rules)
        assert hours < 24
        assert tally(decisions, plan().digest, asked, rules) == "approved"
        assert len({d.actor.id for d in decisions if d.verdict is Verdict.APPROVE} - {"dora", "robot", "guest", "stranger"}) >= asked.approvals
