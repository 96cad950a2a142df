"""The approver's desk: what waits and for whom, who looks at it, approving alike things together, grants, records, and questions nobody could settle."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from assent.policies.grants import covers
from assent.policies.policy import read_policy
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, Recorder, RecorderArguments, authenticated, recorded
from assent.schemas.approval import Actor, Request
from assent.schemas.errors import InvalidDocument, NotAllowed, NotFound, StaleDecision
from assent.schemas.grant import Grant
from assent.schemas.plan import RequiredApproval
from assent.schemas.risk import Level
from assent.tools.tool import Arguments
from assent.tools.toolbox import standard

Door = Callable[..., Runtime]
MEDIUM = {"effect": "m", "level": "MEDIUM"}


class CommandArguments(RecorderArguments):
    """A recorded effect with a command, so that a grant can name it."""

    command: str = ""


class Commanded(Recorder):
    """A recorder that a grant can cover."""

    Arguments: ClassVar[type[Arguments]] = CommandArguments


@pytest.fixture
def recorder() -> Recorder:
    """A recorder that a grant can cover."""
    return Commanded()


def asked(runtime: Runtime, run: Any) -> Request:
    """Return the open question of a run."""
    (found,) = [request for request in runtime.ledger.requests(run.id) if request.is_open]
    return found


def effects(recorder: Recorder) -> list[str]:
    return [effect.name for effect in recorder.effects_had]


# --- the inbox --------------------------------------------------------------------------------------------------------------------------


def test_mine_are_those_that_i_could_approve_now(door: Door, clock: FrozenClock) -> None:
    dora = door("dora", preset="team")
    runs = {}
    for level in ("MEDIUM", "HIGH", "CRITICAL"):
        runs[level] = dora.start(recorded({"effect": level, "level": level})).id
        clock.advance(1)
    own = door("lena", preset="team").start(recorded({"effect": "own", "level": "HIGH"})).id

    def mine(who: str, **config: Any) -> set[str]:
        return {request.run_id for request in door(who, **{"preset": "team", **config}).inbox(mine=True)}

    assert mine("dora") == set()
    assert mine("lena") == {runs["MEDIUM"], runs["HIGH"]}, "not what lena asked for, and not what takes admins"
    assert mine("lou") == {runs["MEDIUM"], runs["HIGH"], own}
    assert mine("ada") == {*runs.values(), own}
    assert mine("guest") == mine("robot") == mine("nobody-known") == set()
    ada = door("ada", preset="team")
    critical = next(request for request in ada.inbox() if request.run_id == runs["CRITICAL"])
    ada.decide(critical.id, "approve", reason="read it")
    assert runs["CRITICAL"] not in mine("ada"), "already answered"
    assert runs["CRITICAL"] in mine("amos")


def test_mine_follows_the_chain_and_the_backup(door: Door, clock: FrozenClock) -> None:
    config: dict[str, Any] = {
        "preset": "team", "approvals": {"HIGH": {"chain": [{"roles": ["lead"]}, {"roles": ["admin"]}]}},
        "waiting": {"backup_after": "1 hour", "backup_roles": ["developer"]}, "actors": {"dora": ["developer"], "dave": ["developer"], "lena": ["lead"], "ada": ["admin"]},
    }  # fmt: skip
    config["people"] = config.pop("actors")
    dora = door("dora", **config)
    run = dora.start(recorded("a"))
    request = asked(dora, run)
    assert [r.id for r in door("lena", **config).inbox(mine=True)] == [request.id]
    assert door("ada", **config).inbox(mine=True) == [], "the chain asks the lead first"
    assert door("dave", **config).inbox(mine=True) == []
    door("lena", **config).decide(request.id, "approve")
    assert door("lena", **config).inbox(mine=True) == []
    assert [r.id for r in door("ada", **config).inbox(mine=True)] == [request.id]
    clock.advance(hours=1)
    assert dora.sweep()["backup"] == 1
    assert [r.id for r in door("dave", **config).inbox(mine=True)] == [request.id]
    door("dave", **config).decide(request.id, "approve")
    assert run.status == "completed" and door("dave", **config).inbox() == []


def test_filters_and_orders_agree_with_a_plain_look_at_everything(door: Door, clock: FrozenClock) -> None:
    dora = door("dora")
    for number in range(24):
        context = {"environment": ("development", "staging")[number % 2], "affected_systems": [f"sys_{number % 3}", "100%", "a_b"][: 1 + number % 3]}
        plan = recorded(
            {"effect": f"e{number}", "level": ("MEDIUM", "HIGH", "CRITICAL")[number % 3]}, problem={"context": context}, urgency=("low", "high", "normal", "critical", "")[number % 5]
        )
        dora.start(plan)
        clock.advance(minutes=7)
    everything = dora.inbox(limit=100)
    assert len(everything) == 24 and everything == sorted(everything, key=lambda r: (r.opened_at, r.id))
    hurry = {"critical": 0, "high": 1, "normal": 2, "low": 3}
    by_urgency = sorted(everything, key=lambda r: (hurry[r.urgency], r.opened_at, r.id))
    assert dora.inbox(limit=100, order="urgency") == by_urgency
    for order, ordered in (("oldest", everything), ("urgency", by_urgency)):
        for risk in ("", "medium", "HIGH", "CRITICAL", "LOW"):
            for tag in ("", "staging", "sys_1", "100%", "a_b", "%", "_", "a%b", "stag"):
                for older in (0, "1 hour", "2 hours", 3600 * 24):
                    least = {0: 0, "1 hour": 3600, "2 hours": 7200}.get(older, 3600 * 24)
                    wanted = [
                        r for r in ordered
                        if (not risk or r.risk.value == risk.upper()) and (not tag or tag in r.tags) and (not least or clock() - r.opened_at > timedelta(seconds=least))
                    ]  # fmt: skip
                    assert dora.inbox(limit=100, order=order, risk=risk, tag=tag, older_than=older) == wanted, (order, risk, tag, older)
                    assert dora.inbox(limit=3, order=order, risk=risk, tag=tag, older_than=older) == wanted[:3]
    assert dora.verify().ok


@pytest.mark.parametrize("wrong", [{"order": "newest"}, {"risk": "SEVERE"}, {"older_than": "yesterday"}, {"older_than": "4"}])
def test_a_filter_that_means_nothing_is_refused(door: Door, wrong: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed):
        door("lena").inbox(**wrong)


def test_what_is_settled_leaves_every_list(door: Door, clock: FrozenClock) -> None:
    dora, lena = door("dora"), door("lena")
    runs = [dora.start(recorded("a", problem={"context": {"environment": "staging"}})) for _ in range(4)]
    lena.decide(asked(dora, runs[0]).id, "approve")
    lena.decide(asked(dora, runs[1]).id, "reject")
    dora.cancel(runs[2].id)
    for look in ({}, {"mine": True}, {"risk": "HIGH"}, {"tag": "staging"}, {"order": "urgency"}):
        assert [r.run_id for r in lena.inbox(**look)] == [runs[3].id]
    clock.advance(days=8)
    dora.sweep()
    assert lena.inbox() == [] and lena.inbox(tag="staging") == [] and lena.verify().ok


def test_a_request_taken_off_a_list_behind_the_ledgers_back_is_found(door: Door) -> None:
    dora = door("dora")
    dora.start(recorded("a"))
    with dora.ledger.store.write() as c:
        c.execute("DELETE FROM request_facet WHERE facet = 'open'")
    assert dora.inbox() == []
    assert any("request_facet open" in problem for problem in dora.verify().problems)


# --- claims -----------------------------------------------------------------------------------------------------------------------------


def test_a_claim_is_a_lease_that_keeps_nobody_from_deciding(door: Door, clock: FrozenClock) -> None:
    dora, lena, lou = door("dora"), door("lena"), door("lou")
    run = dora.start(recorded("a"))
    request = asked(dora, run)
    held = lena.claim(request.id)
    assert (held.claimed_by, held.claimed_until) == ("lena", clock() + timedelta(minutes=15))
    with pytest.raises(StaleDecision, match="lena looks at"):
        lou.claim(request.id)
    clock.advance(minutes=14, seconds=59)
    with pytest.raises(StaleDecision):
        lou.claim(request.id)
    assert lena.claim(request.id).claimed_until == clock() + timedelta(minutes=15), "claimed again is longer"
    lou.claim(request.id, release=True)
    assert lou.ledger.request(request.id).claimed_by == "lena", "nobody gives back what another one claimed"
    clock.advance(minutes=15)
    assert lou.claim(request.id, for_s=60).claimed_by == "lou"
    clock.advance(minutes=-60)
    with pytest.raises(StaleDecision):
        lena.claim(request.id)
    assert lou.claim(request.id, release=True).claimed_by == ""
    lou.claim(request.id)
    lena.decide(request.id, "approve")
    assert run.status == "completed"
    with pytest.raises(StaleDecision):
        lena.claim(request.id)
    with pytest.raises(NotFound):
        lena.claim("req_0")
    assert lena.verify().ok


# --- many at once -----------------------------------------------------------------------------------------------------------------------


def test_alike_requests_are_approved_together(door: Door, recorder: Recorder) -> None:
    dora, lena = door("dora"), door("lena")
    runs = [dora.start(recorded(MEDIUM)) for _ in range(3)]
    found = lena.approve_many({asked(dora, run).id: asked(dora, run).digest for run in runs}, reason="routine")
    assert [run.status for run in found] == ["completed"] * 3
    assert effects(recorder) == ["m"] * 3
    assert {d.reason for run in runs for r in lena.ledger.requests(run.id) for d in r.decisions} == {"routine"}


def test_nothing_is_approved_where_one_of_them_is_not_like_the_others(door: Door, recorder: Recorder) -> None:
    dora, lena = door("dora"), door("lena")
    first = dora.start(recorded(MEDIUM))
    opens = {"opens_at": "2026-01-05T00:00:00Z", "closes_at": "2026-01-06T00:00:00Z"}
    look = {"tool": "recorder", "args": {"effect": "l", "looks": True}, "criterion": "c", "read": "value"}
    others = {
        "another argument": dora.start(recorded({**MEDIUM, "can_undo": False})),
        "HIGH": dora.start(recorded({"effect": "m", "level": "HIGH"})),
        "one step more": dora.start(recorded(MEDIUM, MEDIUM)),
        "a measure more": dora.start(recorded(MEDIUM, measures=(look,))),
        "another window": dora.start(recorded(MEDIUM, execution_window=opens)),
        "another environment": dora.start(recorded(MEDIUM, problem={"context": {"environment": "staging"}})),
    }
    mine = asked(dora, first)
    for what, other in others.items():
        request = asked(dora, other)
        with pytest.raises(NotAllowed):
            lena.approve_many({mine.id: mine.digest, request.id: request.digest})
        assert effects(recorder) == [], what
    alike = asked(dora, dora.start(recorded(MEDIUM)))
    for wrong in ({mine.id: mine.digest, alike.id: "sha256:another"}, {mine.id: "", alike.id: alike.digest}):
        with pytest.raises(NotAllowed):
            lena.approve_many(wrong)
    lena.decide(alike.id, "reject")
    with pytest.raises(NotAllowed, match="open"):
        lena.approve_many({mine.id: mine.digest, alike.id: alike.digest})
    assert effects(recorder) == [] and asked(dora, first).decisions == ()
    # The same one named twice is one.
    assert [run.status for run in lena.approve_many([(mine.id, mine.digest), (mine.id, mine.digest)])] == ["completed"]


def test_what_became_riskier_since_it_was_asked_is_not_approved_with_others(door: Door, recorder: Recorder) -> None:
    class Worse(Commanded):
        """The same tool, judged more strictly."""

        def actions(self, args: Any) -> Any:
            return []

    dora = door("dora")
    run = dora.start(recorded(MEDIUM))
    request = asked(dora, run)
    assert request.risk is Level.MEDIUM
    worse = Worse()
    lena = door("lena", tools=standard().plus(worse))
    with pytest.raises(NotAllowed, match="HIGH"):
        lena.approve_many({request.id: request.digest})
    assert worse.effects_had == []


# --- grants -----------------------------------------------------------------------------------------------------------------------------


def step(**more: Any) -> dict[str, Any]:
    return {"effect": "x", "command": "make docs", **more}


def test_a_grant_covers_so_many_calls_and_each_use_is_logged(door: Door, recorder: Recorder) -> None:
    dora, lena = door("dora", preset="team"), door("lena", preset="team")
    given = lena.grant("recorder", command="make docs", uses=2, reason="docs are harmless")
    first = dora.start(recorded(step()))
    assert first.status == "completed" and [e.type for e in first.events()].count("grant.used") == 1
    assert dora.start(recorded(step(), step())).status == "awaiting_approval", "one use is left, and this takes two"
    assert dora.start(recorded(step(command="make  docs"))).status == "awaiting_approval", "byte for byte"
    assert dora.start(recorded(step())).status == "completed"
    assert dora.start(recorded(step())).status == "awaiting_approval", "used up"
    assert lena.grants() == []
    (kept,) = lena.grants(live=False)
    assert (kept.id, kept.used, kept.uses_left, kept.reason) == (given.id, 2, 0, "docs are harmless")
    assert effects(recorder) == ["x", "x"] and lena.verify().ok


@pytest.mark.parametrize(("off", "runs"), [(-1, True), (0, False), (1, False)])
def test_a_grant_ends_on_its_second(door: Door, clock: FrozenClock, off: int, runs: bool) -> None:
    door("lena").grant("recorder", command="make docs", valid_for="10 minutes")
    clock.advance(600 + off)
    assert (door("dora").start(recorded(step())).status == "completed") is runs
    assert bool(door("lena").grants()) is runs


def test_a_revoked_grant_covers_nothing_from_then_on(door: Door) -> None:
    lena = door("lena")
    given = lena.grant("recorder", command="make docs")
    with pytest.raises(NotAllowed):
        door("guest").revoke(given.id)
    with pytest.raises(NotAllowed):
        door("robot").revoke(given.id)
    assert door("dora").revoke(given.id).revoked_by == "dora", "whoever holds a role may end what is too much"
    with pytest.raises(StaleDecision, match="revoked by dora"):
        lena.revoke(given.id)
    with pytest.raises(NotFound):
        lena.revoke("grt_0")
    assert door("dora").start(recorded(step())).status == "awaiting_approval"
    assert lena.verify().ok


def test_a_budget_is_a_sum(door: Door, recorder: Recorder) -> None:
    def priced(cost: str | None) -> Any:
        plan = recorded(step())
        return plan.model_copy(update={"steps": (plan.steps[0].model_copy(update={"cost_usd": cost}),)})

    lena, dora = door("lena"), door("dora")
    lena.grant("recorder", command="make docs", uses=10, budget_usd="2")
    assert dora.start(priced("0.70")).status == dora.start(priced("1.30")).status == "completed", "up to the last cent"
    assert dora.start(priced("0.01")).status == "awaiting_approval"
    assert dora.start(priced(None)).status == "completed", "what costs nothing"
    (kept,) = lena.grants()
    assert kept.spent_usd == "2.00" and kept.left_usd == 0 and lena.verify().ok


def test_nothing_critical_is_ever_granted(door: Door) -> None:
    ada, dora = door("ada"), door("dora")
    with pytest.raises(InvalidDocument, match="critical"):
        ada.grant("recorder", command="make docs", highest="CRITICAL")
    ada.grant("recorder", command="make docs")
    assert dora.start(recorded(step(level="CRITICAL"))).status == "awaiting_approval"
    assert dora.start(recorded(step(), {"effect": "c", "level": "CRITICAL"})).status == "awaiting_approval"


@pytest.mark.parametrize(("who", "level", "allowed"), [
    ("dora", "MEDIUM", True), ("dora", "HIGH", False), ("lena", "HIGH", True), ("ada", "HIGH", True), ("guest", "LOW", False), ("guest", "MEDIUM", False), ("robot", "MEDIUM", False),
    ("robot", "HIGH", False), ("stranger", "MEDIUM", False),
])  # fmt: skip
def test_who_may_grant_what(door: Door, who: str, level: str, allowed: bool) -> None:
    runtime = door(who, preset="team")
    if allowed:
        assert runtime.grant("recorder", command="x", highest=level).by.id == who
        return
    with pytest.raises(NotAllowed):
        runtime.grant("recorder", command="x", highest=level)
    assert runtime.grants() == []


@pytest.mark.parametrize("fields", [
    {}, {"command": ""}, {"command": "x", "uses": 0}, {"command": "x", "uses": 1001}, {"command": "x", "budget_usd": "-1"}, {"command": "x", "budget_usd": "1e3"},
    {"command": "x", "commmand": "y"}, {"command": "x", "highest": "SEVERE"}, {"command": "x", "valid_for": 0}, {"command": "x", "valid_for": -60}, {"command": "x", "used": -5, "uses": 5.5},
])  # fmt: skip
def test_a_grant_that_is_not_narrow_or_not_one_is_refused(door: Door, fields: dict[str, Any]) -> None:
    with pytest.raises((InvalidDocument, NotAllowed)):
        door("lena").grant("recorder", **fields)
    assert door("lena").grants(live=False) == []


def test_a_grant_of_something_else_lets_nothing_flow(door: Door, recorder: Recorder) -> None:
    """With any live grant at all, a plan without a call to cover once counted as covered."""
    door("lena").grant("shell", command="make docs")
    none = door("dora", auto_approve="none").start(recorded({"effect": "low", "level": "LOW"}))
    assert none.status == "awaiting_approval"
    dual = door("dora").start(recorded({"effect": "low", "level": "LOW"}, required_approvals=(RequiredApproval(type="dual_signoff"),)))
    assert dual.status == "awaiting_approval"
    assert effects(recorder) == []


def test_a_plan_that_asks_for_people_is_not_covered(door: Door) -> None:
    door("lena").grant("recorder", command="make docs")
    for kind in ("dual_signoff", "pre_approval"):
        assert door("dora").start(recorded(step(), required_approvals=(RequiredApproval(type=kind, approver="admin"),))).status == "awaiting_approval"
    assert door("dora").start(recorded(step(), required_approvals=(RequiredApproval(type="post_review"),))).status == "completed"


def test_a_grant_does_not_fill_a_chain_or_outlive_its_givers_role(door: Door) -> None:
    door("lena").grant("recorder", command="make docs")
    chain = {"HIGH": {"chain": [{"roles": ["lead"]}, {"roles": ["admin"]}]}}
    assert door("dora", approvals=chain).start(recorded(step())).status == "awaiting_approval"
    with pytest.raises(NotAllowed):
        door("lena", approvals=chain).grant("recorder", command="make docs")
    people = {"dora": ["developer"], "lena": ["developer"], "ada": ["admin"]}
    assert door("dora", people=people).start(recorded(step())).status == "awaiting_approval"
    agents = {"dora": ["developer"], "lena": {"roles": ["lead"], "kind": "agent"}, "ada": ["admin"]}
    assert door("dora", people=agents).start(recorded(step())).status == "awaiting_approval"
    assert door("dora").start(recorded(step())).status == "completed"


NOW = FrozenClock()()


def _covers(grant: dict[str, Any], tool: str, args: dict[str, Any]) -> bool:
    from decimal import Decimal

    whole = {"id": "g", "by": Actor(id="lena"), "tool": tool, "uses": 1, "given_at": NOW, "expires_at": NOW + timedelta(hours=1), **grant}
    policy = read_policy(("test", {"actors": {"lena": ["lead"]}}))
    return covers(Grant.model_validate(whole), tool, args, Level.HIGH, requester="dora", contributors=["dora"], cost_usd=Decimal(0), policy=policy, now=NOW)


@pytest.mark.parametrize(("path", "args", "covered"), [
    ("docs", {"path": "docs/a.md"}, True), ("docs", {"path": "docs"}, True), ("docs/", {"path": "docs/a/b.md"}, True), ("./docs", {"path": "docs/./a.md"}, True),
    ("docs", {"path": "docs/../a.md"}, False), ("docs", {"path": "docs-old/a.md"}, False), ("docs", {"path": "a/docs/x"}, False), ("docs", {"path": "/docs/a.md"}, False),
    ("docs", {"path": "../docs/a.md"}, False), ("docs", {"path": "docs/a\x00b"}, False), ("docs", {"path": "docs/a.md", "to": "src/a.md"}, False),
    ("docs", {"path": "docs/a.md", "to": "docs/b.md"}, True), ("docs", {"database": "docs/x.db"}, True), ("docs", {"command": "rm docs"}, False), ("docs", {}, False),
    (".", {"path": "anything"}, True), (".", {"path": "../x"}, False), (".", {"path": "/x"}, False), ("/", {"path": "x"}, False), ("..", {"path": "x"}, False),
    ("Docs", {"path": "docs/a"}, False), ("docs", {"path": "docs\u2215a"}, False), ("docs", {"path": None}, False),
])  # fmt: skip
def test_a_path_is_this_path_or_what_is_below_it(path: str, args: dict[str, Any], covered: bool) -> None:
    assert _covers({"path": path}, "files", args) is covered


@pytest.mark.parametrize(("url", "covered"), [
    ("https://api.example.com/x", True), ("https://API.example.com:8443/x", True), ("https://api.example.com.evil.org/", False), ("https://evil.org/api.example.com", False),
    ("https://api.example.com@evil.org/", False), ("https://evil.org#api.example.com", False), ("https://evil.org?api.example.com", False), ("https://api.example.com./", False),
    ("https://xn--pi-example.com/", False), ("https://аpi.example.com/", False), ("https://[::1", False), ("", False), ("api.example.com", False),
])  # fmt: skip
def test_a_host_is_that_host(url: str, covered: bool) -> None:
    assert _covers({"host": "api.example.com"}, "http", {"method": "POST", "url": url}) is covered


def test_every_bound_of_a_grant_holds() -> None:
    both = {"command": "VACUUM", "path": "data"}
    assert _covers(both, "sql", {"statement": "VACUUM", "database": "data/a.db"})
    assert not _covers(both, "sql", {"statement": "VACUUM", "database": "other/a.db"})
    assert not _covers(both, "sql", {"statement": "DROP TABLE x", "database": "data/a.db"})


# --- records ----------------------------------------------------------------------------------------------------------------------------


def test_every_settled_request_leaves_a_record(door: Door, clock: FrozenClock) -> None:
    # Longer than a week, because retention takes the title of what was rejected.
    dora, lena, ada, amos = (door(who, retention={"rejected": "60 days"}) for who in ("dora", "lena", "ada", "amos"))
    approved = dora.start(recorded("a", title="Rotate keys"))
    lena.decide(asked(dora, approved).id, "approve", reason="keys are old")
    clock.advance(1)
    rejected = dora.start(recorded("b", title="Drop the archive"))
    lena.decide(asked(dora, rejected).id, "reject", reason="we need it")
    clock.advance(1)
    edited = dora.start(recorded({"effect": "c", "level": "CRITICAL"}, title="Wipe"))
    ada.decide(asked(dora, edited).id, "approve", reason="fine by me")
    amos.decide(asked(dora, edited).id, "edit", edit={"steps": {1: {"args": {"effect": "d"}}}}, reason="smaller")
    clock.advance(1)
    cancelled = dora.start(recorded("e", title="Never mind"))
    dora.cancel(cancelled.id)
    expired = dora.start(recorded({"effect": "f", "level": "CRITICAL"}, title="Too late"))
    ada.decide(asked(dora, expired).id, "approve", reason="yes")
    assert all(asked(dora, run).id for run in (expired, edited))
    clock.advance(days=7)
    dora.sweep()

    by_title = {record.question.split(": ")[1].rstrip("?"): record for record in dora.decisions() if record.decision != "expired" or "Too late" in record.question}
    assert set(by_title) == {"Rotate keys", "Drop the archive", "Wipe", "Too late"}
    one = by_title["Rotate keys"]
    assert (one.decision, one.decided_by, one.rationale, one.confidence, one.dissent) == ("approved", ("lena",), "lena: keys are old", "unanimous", ())
    assert one.next_review_at == one.decided_at + timedelta(days=90) and one.options == ("approve", "reject", "edit")
    two = by_title["Drop the archive"]
    assert (two.decision, two.decided_by, two.next_review_at) == ("rejected", ("lena",), None)
    three = by_title["Wipe"]
    assert (three.decision, three.decided_by, three.dissent, three.confidence) == ("edited", ("amos",), ("ada: fine by me",), "split")
    four = by_title["Too late"]
    assert (four.decision, four.decided_by, four.confidence) == ("expired", (), ""), "one of two who approved did not decide it"
    assert [r.decided_at for r in dora.decisions()] == sorted((r.decided_at for r in dora.decisions()), reverse=True)
    assert [r.id for r in dora.decisions("ARCHIVE")] == [two.id] and dora.decisions("no such text") == []
    assert len(dora.decisions(limit=2)) == 2
    assert [r.id for r in dora.decisions(due_by=one.next_review_at)] == [one.id]
    assert dora.decisions(due_by=one.next_review_at - timedelta(seconds=1)) == []
    assert "Rotate keys" in one.markdown() and "keys are old" in one.markdown()


# --- who is missing ---------------------------------------------------------------------------------------------------------------------

TWO_ADMINS = {"dora": ["developer"], "lena": ["lead"], "ada": ["admin"], "robot": {"roles": ["admin"], "kind": "agent"}}


@pytest.mark.parametrize(("asker", "people", "level", "config", "words"), [
    ("dora", TWO_ADMINS, "CRITICAL", {}, ("2 of admin", "only 1 could", "ada")),
    ("ada", {"ada": ["admin"], "amos": ["admin"]}, "CRITICAL", {}, ("only 1 could", "amos", "ada may not")),
    ("lena", {"lena": ["lead"]}, "HIGH", {}, ("1 of lead or admin", "nobody", "lena may not")),
    ("dora", {"dora": ["developer"], "lena": ["lead"]}, "HIGH", {"approvals": {"HIGH": {"chain": [{"roles": ["lead"]}, {"roles": ["admin"]}]}}}, ("stage 2", "admin", "nobody")),
    ("dora", {"dora": ["developer"], "al": ["lead", "admin"]}, "HIGH", {"approvals": {"HIGH": {"chain": [{"roles": ["lead"]}, {"roles": ["admin"]}]}}}, ("stage 2", "al")),
])  # fmt: skip
def test_a_question_that_nobody_could_settle_is_refused_at_the_start(
    door: Door, recorder: Recorder, asker: str, people: dict[str, Any], level: str, config: dict[str, Any], words: tuple[str, ...]
) -> None:
    runtime = door(asker, preset="team", people=people, **config)
    run = runtime.start(recorded({"effect": "x", "level": level}))
    assert run.status == "denied" and runtime.inbox() == [] and effects(recorder) == []
    said = str(run.results)
    for word in words:
        assert word in said, said


@pytest.mark.parametrize(("people", "chain"), [
    # Whoever is taken first for the first stage must be able to move, or the last stage looks empty.
    ({"dora": [], "a": ["x", "y"], "b": ["x", "z"], "c": ["z"]}, ["x", "y", "z"]),
    ({"dora": [], "a": ["x", "y", "z"], "b": ["x"], "c": ["x", "y"]}, ["x", "y", "z"]),
    ({"dora": [], "a": ["x"], "b": ["x", "y"], "c": ["y", "z"], "d": ["z", "x"]}, ["z", "y", "x", "x"]),
])  # fmt: skip
def test_a_chain_that_can_be_filled_is_asked(door: Door, people: dict[str, Any], chain: list[str]) -> None:
    stages = [{"roles": [role]} for role in chain]
    runtime = door("dora", preset="team", people=people, roles=["developer", "lead", "admin", "x", "y", "z"], approvals={"HIGH": {"chain": stages}})
    assert runtime.start(recorded("a")).status == "awaiting_approval"


def test_who_may_answer_once_the_backup_is_called_is_not_missing(door: Door, clock: FrozenClock, recorder: Recorder) -> None:
    config: dict[str, Any] = {"preset": "team", "people": {"lena": ["lead"], "dave": ["developer"]}, "waiting": {"backup_roles": ["developer"], "backup_after": "2 hours"}}
    lena, dave = door("lena", **config), door("dave", **config)
    run = lena.start(recorded("a"))
    assert run.status == "awaiting_approval"
    with pytest.raises(NotAllowed):
        dave.decide(asked(lena, run).id, "approve")
    clock.advance(hours=2)
    lena.sweep()
    dave.decide(asked(lena, run).id, "approve")
    assert run.status == "completed" and effects(recorder) == ["a"]


def test_an_edit_by_the_last_who_could_approve_is_denied_and_says_who_is_missing(door: Door) -> None:
    config: dict[str, Any] = {"preset": "team", "people": {"dora": ["developer"], "lena": ["lead"]}}
    dora, lena = door("dora", **config), door("lena", **config)
    run = dora.start(recorded("a"))
    lena.decide(asked(dora, run).id, "edit", edit={"steps": {1: {"args": {"effect": "b"}}}})
    assert run.status == "denied" and "dora, lena may not" in str(run.results)


# --- answering --------------------------------------------------------------------------------------------------------------------------


def test_a_changed_mind_is_recorded_and_the_last_answer_counts(door: Door, recorder: Recorder) -> None:
    config = {"approvals": {"HIGH": {"approvals": 2, "denials": 2}}}
    dora, lena, lou, ada = (door(who, **config) for who in ("dora", "lena", "lou", "ada"))
    run = dora.start(recorded("a"))
    request = asked(dora, run)
    lena.decide(request.id, "approve")
    lena.decide(request.id, "reject", reason="on second thoughts")
    lou.decide(request.id, "approve")
    now = lou.ledger.request(request.id)
    assert [(d.actor.id, d.verdict.value, d.counted) for d in now.decisions] == [("lena", "approve", False), ("lena", "reject", True), ("lou", "approve", True)]
    assert run.status == "awaiting_approval" and effects(recorder) == []
    ada.decide(request.id, "approve")
    assert run.status == "completed"
    (record,) = dora.decisions()
    assert record.decided_by == ("lou", "ada") and record.dissent == ("lena: on second thoughts",) and record.confidence == "split"


def test_a_changed_mind_counts_in_a_chain_from_when_it_changed_although_the_clock_stood_still(door: Door, recorder: Recorder) -> None:
    config = {"approvals": {"HIGH": {"chain": [{"roles": ["lead"]}, {"roles": ["admin"]}], "denials": 2}}}
    dora, lena, ada = (door(who, **config) for who in ("dora", "lena", "ada"))
    run = dora.start(recorded("a"))
    request = asked(dora, run)
    ada.decide(request.id, "reject")
    lena.decide(request.id, "approve")
    lena.decide(request.id, "approve", reason="still")
    ada.decide(request.id, "approve")
    assert run.status == "completed" and effects(recorder) == ["a"]


@pytest.mark.parametrize(("denials", "against", "ends"), [(1, ["lena"], True), (2, ["lena"], False), (2, ["lena", "lena"], False), (2, ["lena", "lou"], True), (3, ["lena", "lou"], False)])
def test_so_many_rejections_end_it(door: Door, denials: int, against: list[str], ends: bool) -> None:
    config = {"approvals": {"HIGH": {"denials": denials}}}
    dora = door("dora", **config)
    run = dora.start(recorded("a"))
    for who in against:
        door(who, **config).decide(asked(dora, run).id, "reject")
    assert (run.status == "rejected") is ends


@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_a_reason_is_asked_for_where_the_rules_say_so(door: Door, verdict: str) -> None:
    config = {"approvals": {"HIGH": {"reason_required": True}}}
    dora, lena = door("dora", **config), door("lena", **config)
    run = dora.start(recorded("a"))
    for blank in ("", "  \n\t"):
        with pytest.raises(NotAllowed, match="reason"):
            lena.decide(asked(dora, run).id, verdict, reason=blank)
    assert asked(dora, run).decisions == ()
    lena.decide(asked(dora, run).id, verdict, reason="read it")
    assert run.status == ("completed" if verdict == "approve" else "rejected")


def test_an_edit_makes_approvals_void_and_says_so_to_those_who_gave_them(door: Door, recorder: Recorder) -> None:
    notify = {"channels": {"here": {"kind": "terminal"}}, "routes": [{"events": ["*"], "channels": ["here"]}]}
    config = {"approvals": {"HIGH": {"approvals": 2}}, "notify": notify}
    dora, lena, lou, ada = (door(who, **config) for who in ("dora", "lena", "lou", "ada"))
    run = dora.start(recorded("a"))
    first = asked(dora, run)
    lena.decide(first.id, "approve", resume=False)
    ada.decide(first.id, "edit", edit={"steps": {1: {"args": {"effect": "b"}}}}, resume=False)
    (void,) = [event for event in run.events() if event.type == "request.approvals_void"]
    assert void.data == {"people": ["lena"], "request": first.id} and void.actor == "ada"
    with dora.ledger.store.read() as c:
        told = [row[0] for row in c.execute("SELECT notice FROM outbox WHERE notice LIKE '%approvals_void%'")]
    assert len(told) == 1 and '"lena"' in told[0]
    dora.resume(run.id)
    second = asked(dora, run)
    assert second.id != first.id and second.decisions == () and second.version == 2
    with pytest.raises(StaleDecision):
        lou.decide(first.id, "approve")
    lou.decide(second.id, "approve")
    assert effects(recorder) == [], "lena's approval was of other bytes"
    lena.decide(second.id, "approve")
    assert effects(recorder) == ["b"] and dora.verify().ok


def test_a_plan_that_is_edited_back_is_asked_about_again(door: Door, recorder: Recorder) -> None:
    """The bytes of the first version in force again once found their old, settled question, and the graph went round until its limit."""
    config = {"approvals": {"HIGH": {"approvals": 2}}}
    dora, lena, lou, ada = (door(who, **config) for who in ("dora", "lena", "lou", "ada"))
    run = dora.start(recorded("a"))
    first = asked(dora, run)
    lena.decide(first.id, "approve")
    lou.decide(first.id, "edit", edit={"steps": {1: {"args": {"effect": "b"}}}})
    lou.decide(asked(dora, run).id, "edit", edit={"steps": {1: {"args": {"effect": "a"}}}})
    third = asked(dora, run)
    assert (third.digest, third.version, third.decisions) == (first.digest, 3, ()) and third.id != first.id
    ada.decide(third.id, "approve")
    assert effects(recorder) == [], "what lena said about the same bytes is void since they were edited"
    lena.decide(third.id, "approve")
    assert effects(recorder) == ["a"] and dora.verify().ok


def test_a_person_is_who_the_server_says_whatever_they_call_themselves(door: Door) -> None:
    dora = door("dora", preset="team")
    run = dora.start(recorded("a"))
    for liar in (Actor(id="lena2", roles=("admin", "lead")), authenticated("guest"), Actor(id="dora", roles=("admin",)), Actor(id="ada", kind="agent")):
        with pytest.raises(NotAllowed):
            door(liar, preset="team").decide(asked(dora, run).id, "approve", reason="me")
