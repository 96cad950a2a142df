"""Who is told what, and when it is tried again: truth tables and properties."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.backoff import LONGEST_ASKED_S, Backoff
from assent.policies.routing import channels_for, is_event, notices_due, notices_for, trial_notice
from assent.runtime.testing import FrozenClock
from assent.schemas.approval import Need, Question, Request, RequestStatus, Verdict
from assent.schemas.escalation import Due
from assent.schemas.notice import EVENTS, WAITS, Notice, Route
from assent.schemas.risk import Level
from assent.schemas.run import OVER, RunRow, RunStatus

NOW = FrozenClock()()


def request(risk: str = "HIGH", roles: tuple[str, ...] = ("lead", "admin"), **more: Any) -> Request:
    given: dict[str, Any] = {
        "id": "req_1", "run_id": "run_1", "kind": Question.PLAN, "digest": "sha256:" + "0" * 64, "risk": Level(risk), "title": "words of the author",
        "options": (Verdict.APPROVE, Verdict.REJECT), "need": Need(roles=roles, approvals=2, not_from=("dora",)), "requester": "dora", "opened_at": NOW,
        "decide_by": NOW,
    }  # fmt: skip
    return Request(**(given | more))


def run(status: str = "completed") -> RunRow:
    return RunRow(id="run_1", status=RunStatus(status), requester="dora", digest="sha256:" + "0" * 64, version=1, created_at=NOW, updated_at=NOW)


def route(*events: str, risk: tuple[str, ...] = (), roles: tuple[str, ...] = (), to: str = "ops") -> Route:
    return Route(events=events, risk=tuple(map(Level, risk)), roles=roles, channels=(to,))


@pytest.mark.parametrize(
    ("event", "risk", "roles", "rule", "told"),
    [
        ("request.opened", "HIGH", ("lead",), route("request.opened"), True),
        ("request.opened", "HIGH", ("lead",), route("request.expired"), False),
        ("request.opened", "HIGH", ("lead",), route("request.expired", "request.opened"), True),
        ("request.opened", "HIGH", ("lead",), route("request.*"), True),
        ("request.opened", "HIGH", ("lead",), route("run.*"), False),
        ("request.opened", "HIGH", ("lead",), route("*"), True),
        ("request.opened", "HIGH", ("lead",), route("*", risk=("HIGH",)), True),
        ("request.opened", "MEDIUM", ("lead",), route("*", risk=("HIGH", "CRITICAL")), False),
        ("request.opened", "CRITICAL", ("admin",), route("*", risk=("HIGH", "CRITICAL")), True),
        ("request.opened", "HIGH", ("lead", "admin"), route("*", roles=("lead",)), True),
        ("request.opened", "HIGH", ("admin",), route("*", roles=("lead",)), False),
        ("request.opened", "HIGH", ("lead",), route("*", risk=("LOW",), roles=("lead",)), False),
        ("request.rejected", "HIGH", ("lead",), route("request.rejected", risk=("HIGH",), roles=("lead",)), True),
    ],
)
def test_a_request_is_told_where_a_route_names_it(event: str, risk: str, roles: tuple[str, ...], rule: Route, told: bool) -> None:
    found = notices_for(event, request(risk, roles), [rule])
    assert [notice.channels for notice in found] == ([("ops",)] if told else [])


@pytest.mark.parametrize(
    ("risk", "rule", "told"),
    [
        (None, route("run.failed"), True),
        (None, route("run.completed"), False),
        (None, route("*", risk=("LOW", "MEDIUM", "HIGH", "CRITICAL")), False),
        (Level.HIGH, route("run.*", risk=("HIGH",)), True),
        (Level.LOW, route("run.*", risk=("HIGH",)), False),
        (Level.HIGH, route("run.*", roles=("lead",)), False),
    ],
)
def test_a_run_is_told_where_a_route_names_it(risk: Level | None, rule: Route, told: bool) -> None:
    assert bool(notices_for("run.failed", run("failed"), [rule], risk=risk)) is told


def test_without_a_route_nobody_is_told_and_each_channel_is_told_once() -> None:
    assert notices_for("request.opened", request(), []) == []
    (notice,) = notices_for("request.opened", request(), [route("*", to="b"), route("request.*", to="a"), route("*", to="b")])
    assert notice.channels == ("b", "a")


def test_every_status_that_a_request_or_a_run_can_reach_is_an_event() -> None:
    assert {f"request.{status.value}" for status in RequestStatus} - {"request.open"} <= set(EVENTS)
    assert {f"run.{status.value}" for status in OVER} <= set(EVENTS)
    assert is_event("run.*") and is_event("*") and not is_event("runs.*") and not is_event("request.open") and not is_event("")
    with pytest.raises(ValueError, match="no event"):
        notices_for("request.open", request(), [route("*")])


def test_a_notice_is_named_by_what_happened() -> None:
    def name(event: str, subject: Request | RunRow) -> str:
        return notices_for(event, subject, [route("*")])[0].id

    names = [name(event, request()) for event in EVENTS if event.startswith("request.")]
    names += [name(event, run()) for event in EVENTS if event.startswith("run.")]
    names += [name("request.opened", request(id="req_2")), name("request.opened", request(run_id="run_2"))]
    assert len(set(names)) == len(names)
    assert name("request.opened", request()) == name("request.opened", request(title="other words"))
    assert trial_notice("a", "1").id != trial_notice("a", "2").id


def test_a_waiting_notice_names_who_may_decide_and_an_answered_one_whom_it_concerns() -> None:
    (opened,) = notices_for("request.opened", request(), [route("*")])
    assert (opened.roles, opened.approvals, opened.not_from, opened.people, opened.decide_by) == (("lead", "admin"), 2, ("dora",), (), NOW)
    (expired,) = notices_for("request.expired", request(), [route("*")])
    assert (expired.people, expired.decide_by) == (("dora",), None)
    (void,) = notices_for("request.approvals_void", request(), [route("*")], people=["lena", "lena", "ada"])
    assert void.people == ("dora", "lena", "ada")
    assert "author" not in opened.model_dump_json()


def test_each_reminder_is_a_notice_of_its_own_and_the_same_one_is_the_same() -> None:
    rule = [route("*", roles=("manager",))]
    reminders = [notices_due(Due(request_id="req_1", kind="remind", number=n, to=("manager",), why="open for 3 hours"), request(), rule)[0] for n in (1, 2, 2)]
    assert len({notice.id for notice in reminders}) == 2
    assert reminders[0].roles == ("manager",) and reminders[0].why == "open for 3 hours"
    events = [notices_due(Due(request_id="req_1", kind=kind, to=("manager",)), request(), rule)[0].event for kind in ("remind", "backup", "escalate")]
    assert tuple(events) == WAITS[1:]


@given(st.lists(st.builds(Route, events=st.just(("*",)), channels=st.lists(st.text(min_size=1), min_size=1).map(tuple))))
@settings(max_examples=50, deadline=None)
def test_channels_come_from_the_routes_and_each_once(routes: list[Route]) -> None:
    found = channels_for(Notice(id="ntc_" + "0" * 24, event="run.failed"), routes)
    assert len(set(found)) == len(found) and set(found) == {channel for one in routes for channel in one.channels}


# --- back-off -------------------------------------------------------------------------------------------------------------------------

WAITS_S = st.floats(0.001, 1e6)


@given(st.integers(1, 10_000), st.text(), WAITS_S, WAITS_S, st.floats(0, 1e9))
@settings(max_examples=300, deadline=None)
def test_a_wait_lies_between_half_and_the_whole_of_a_doubling_with_a_cap(attempt: int, key: str, first: float, more: float, asked: float) -> None:
    backoff = Backoff(first_s=first, cap_s=first + more, tries=20_000)
    whole = min(backoff.cap_s, first * 2.0 ** min(attempt - 1, 900))
    wait = backoff.wait_s(attempt, key)
    assert wait is not None and whole / 2 <= wait <= whole
    assert wait == backoff.wait_s(attempt, key), "the same every time"
    assert backoff.wait_s(attempt, key, asked_s=asked) == max(wait, min(asked, LONGEST_ASKED_S))


def test_after_the_last_try_there_is_no_wait() -> None:
    assert Backoff(tries=3).wait_s(2, "a") is not None
    assert [Backoff(tries=3).wait_s(n, "a", asked_s=60) for n in (3, 4, 1000)] == [None] * 3
    assert Backoff(tries=1).wait_s(1, "a") is None


def test_what_failed_together_is_not_tried_together() -> None:
    waits = {round(Backoff().wait_s(5, f"ntc_{n}") or 0, 3) for n in range(200)}
    assert len(waits) > 190


def test_the_shipped_patience_lasts_days_and_not_weeks() -> None:
    backoff = Backoff()
    total = sum(backoff.wait_s(n, "a") or 0 for n in range(1, backoff.tries))
    assert 2 <= total / 86_400 <= 4


@pytest.mark.parametrize("given", [{"first_s": 0}, {"first_s": 10, "cap_s": 5}, {"tries": 0}, {"first_s": float("nan")}])
def test_an_impossible_patience_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="back-off"):
        Backoff(**given)
