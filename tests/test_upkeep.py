"""What happens although nobody calls for it: expiry, reminders, backup, escalation, windows, retention; once, from two places at once, and after a week off."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assent.policies.escalation import blocker_of, due
from assent.policies.policy import read_policy
from assent.policies.windows import is_open, next_opening, overlap
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, Recorder, recorded
from assent.schemas.approval import Need, Question, Request, RequestStatus
from assent.schemas.errors import AssentError, InvalidConfiguration, NotFound, StaleDecision
from assent.schemas.plan import Window
from assent.schemas.risk import Level
from assent.schemas.window import DAYS, Recurring
from assent.tools.toolbox import standard

Door = Callable[..., Runtime]
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
NOTHING = {"expired": 0, "reminded": 0, "backup": 0, "escalated": 0, "resumed": 0, "erased": 0, "notices": 0}
NOTIFY = {"channels": {"here": {"kind": "terminal"}}, "routes": [{"events": ["*"], "channels": ["here"]}]}


def asked(runtime: Runtime, run: Any) -> Request:
    """Return the newest question of a run."""
    return runtime.ledger.requests(run.id)[-1]


def kinds(runtime: Runtime, run: Any) -> list[str]:
    return [event.type for event in run.events() if event.type in ("request.reminded", "request.backup", "request.escalated", "request.settled", "run.erased")]


# --- expiry -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off", "expired"), [(-1, 0), (0, 1), (1, 1)])
def test_what_nobody_decided_expires_on_its_second_and_its_run_ends(door: Door, clock: FrozenClock, recorder: Recorder, off: int, expired: int) -> None:
    dora = door("dora")
    run = dora.start(recorded("a"))
    by = asked(dora, run).decide_by
    assert by is not None
    clock.at = by + timedelta(seconds=off)
    assert dora.sweep()["expired"] == expired
    assert run.status == ("expired" if expired else "awaiting_approval")
    assert (run.results is not None) is bool(expired)
    if expired:
        with pytest.raises(StaleDecision):
            door("lena").decide(asked(dora, run).id, "approve")
    assert recorder.effects_had == []


@pytest.mark.parametrize("back", [1, 3600, 86_400 * 30])
def test_a_clock_that_is_set_back_revives_nothing(door: Door, clock: FrozenClock, recorder: Recorder, back: int) -> None:
    dora, lena = door("dora"), door("lena")
    swept, unswept = dora.start(recorded("a")), dora.start(recorded("b"))
    lapsed = dora.start(recorded("c"))
    lena.decide(asked(dora, lapsed).id, "approve", resume=False)
    clock.advance(days=7)
    dora.ledger.expire(asked(dora, swept).id)
    clock.advance(-back)
    for run in (swept, unswept):
        with pytest.raises(StaleDecision):
            lena.decide(asked(dora, run).id, "approve")
    dora.sweep()
    dora.resume(lapsed.id)
    assert {run.status for run in (swept, unswept, lapsed)} == {"expired"} and recorder.effects_had == []
    assert dora.verify().ok


# --- waiting ----------------------------------------------------------------------------------------------------------------------------


def request(**more: Any) -> Request:
    given: dict[str, Any] = {
        "id": "req_1", "run_id": "run_1", "kind": Question.PLAN, "digest": "sha256:x", "risk": Level.HIGH, "need": Need(roles=("lead",)), "requester": "dora", "opened_at": NOW,
    }  # fmt: skip
    return Request(**{**given, **more})


@pytest.mark.parametrize(("kind", "rules", "blocker", "hours", "to"), [
    (Question.IN_DOUBT, (), "technical_blocker", 2, "senior engineer or architect"), (Question.CONFLICT, (), "technical_blocker", 2, "senior engineer or architect"),
    (Question.PLAN, (), "approval_blocker", 4, "engineering manager"), (Question.REVIEW, (), "approval_blocker", 4, "engineering manager"),
    (Question.OVERRUN, (), "resource_blocker", 8, "engineering manager or director"), (Question.GATE, (), "policy_blocker", 24, "governance committee"),
    (Question.PLAN, ("constitution",), "policy_blocker", 24, "governance committee"),
])  # fmt: skip
def test_the_matrix_of_escalation(kind: Question, rules: tuple[str, ...], blocker: str, hours: int, to: str) -> None:
    policy = read_policy(("test", {"waiting": {"remind_every": "1000 hours"}}))
    waits = request(kind=kind, need=Need(roles=("lead",), rules=rules))
    assert blocker_of(waits) == blocker
    for off, expected in ((-1, []), (0, [("escalate", (to,))]), (1, [("escalate", (to,))])):
        found = [(one.kind, one.to) for one in due(waits, NOW + timedelta(hours=hours, seconds=off), policy)]
        assert found == expected, (kind, off)
    urgent = waits.model_copy(update={"urgency": "critical"})
    assert [one.kind for one in due(urgent, NOW + timedelta(hours=hours / 2), policy)] == ["escalate"], "twice as fast"
    needed = waits.model_copy(update={"required_by": NOW + timedelta(minutes=5)})
    assert [one.why for one in due(needed, NOW + timedelta(minutes=5), policy)] == ["it was required by now"]
    for status in RequestStatus:
        if status is not RequestStatus.OPEN:
            assert list(due(waits.model_copy(update={"status": status}), NOW + timedelta(days=9), policy)) == []


def test_reminders_backup_and_escalation_come_once_each_in_their_time(door: Door, clock: FrozenClock) -> None:
    config: dict[str, Any] = {"waiting": {"remind_every": "1 hour", "backup_after": "2 hours", "backup_roles": ["admin"]}, "notify": NOTIFY}
    dora = door("dora", **config)
    run = dora.start(recorded("a"))
    told = []
    for _ in range(9):
        clock.advance(minutes=30)
        did = dora.sweep()
        told.append((did["reminded"], did["backup"], did["escalated"]))
        assert dora.sweep() | {"notices": 0} == NOTHING, "a second sweep finds nothing"
    assert told == [(0, 0, 0), (1, 0, 0), (0, 0, 0), (1, 1, 0), (0, 0, 0), (1, 0, 0), (0, 0, 0), (1, 0, 1), (0, 0, 0)]
    events = [event for event in run.events() if event.type.startswith("request.") and event.type != "request.opened"]
    assert [event.data["to"] for event in events if event.type == "request.escalated"] == [["engineering manager"]]
    assert [event.data["to"] for event in events if event.type == "request.backup"] == [["admin"]]
    assert dora.verify().ok


def test_after_a_week_off_each_thing_is_done_once(door: Door, clock: FrozenClock) -> None:
    config: dict[str, Any] = {"waiting": {"remind_every": "1 hour", "backup_after": "2 hours", "backup_roles": ["admin"]}, "approvals": {"HIGH": {"decide_within": "30 days"}}}
    dora = door("dora", **config)
    runs = [dora.start(recorded(f"e{n}")) for n in range(5)]
    late = dora.start(recorded({"effect": "m", "level": "MEDIUM"}))
    clock.advance(days=7)
    assert dora.sweep() == NOTHING | {"expired": 1, "reminded": 5, "backup": 5, "escalated": 5}
    assert late.status == "expired"
    assert [kinds(dora, run) for run in runs] == [["request.reminded", "request.backup", "request.escalated"]] * 5
    assert dora.sweep() == NOTHING
    clock.advance(hours=1)
    assert dora.sweep() == NOTHING | {"reminded": 5}


_SWEEPER = """
import json, sys
from datetime import datetime
from pathlib import Path
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, Recorder, authenticated
from assent.tools.toolbox import standard

home, workspace, effects, at, config = sys.argv[1:]
clock = FrozenClock(datetime.fromisoformat(at))
with Runtime(home, workspace=workspace, config=json.loads(config), clock=clock, actor=authenticated("dora"), tools=standard().plus(Recorder(Path(effects)))) as runtime:
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(runtime.sweep()))
"""


def test_two_processes_sweep_at_once_and_each_thing_is_done_once(door: Door, clock: FrozenClock, home: Path, workspace: Path, recorder: Recorder) -> None:
    config: dict[str, Any] = {
        "actors": {"dora": ["developer"], "lena": ["lead"]}, "waiting": {"remind_every": "1 hour", "backup_after": "2 hours", "backup_roles": ["admin"]},
        "approvals": {"HIGH": {"decide_within": "30 days"}}, "windows": [{"from": "09:00", "to": "10:00"}], "retention": {"rejected": "1 day"},
    }  # fmt: skip
    people = config.pop("actors")
    dora, lena = door("dora", people=people, **config), door("lena", people=people, **config)
    waiting = [dora.start(recorded(f"w{n}")) for n in range(10)]
    gone = [dora.start(recorded(f"g{n}")) for n in range(10)]
    for run in gone:
        lena.decide(asked(dora, run).id, "reject")
    late = [dora.start(recorded({"effect": f"m{n}", "level": "MEDIUM"})) for n in range(10)]
    clock.advance(hours=1)
    opens = [dora.start(recorded({"effect": f"low{n}", "level": "LOW"})) for n in range(10)]
    assert {run.status for run in opens} == {"running"} and recorder.effects_had == []
    at = NOW + timedelta(days=8)
    given = [str(home), str(workspace), str(recorder.path), at.isoformat(), json.dumps({"actors": people, **config})]
    both = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(_SWEEPER), *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for one in both:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    for one in both:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate(timeout=120) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    did = [json.loads(out) for out, _ in said]
    total = {name: sum(one[name] for one in did) for name in NOTHING}
    assert (total["reminded"], total["backup"], total["escalated"], total["erased"]) == (10, 10, 10, 10), did
    clock.at = at
    dora.sweep()
    assert sorted(effect.name for effect in recorder.effects_had) == sorted(f"low{n}" for n in range(10)), "each once"
    assert all(kinds(dora, run) == ["request.reminded", "request.backup", "request.escalated"] for run in waiting)
    assert all(kinds(dora, run).count("run.erased") == 1 for run in gone)
    assert all(kinds(dora, run).count("request.settled") == 1 and run.status == "expired" for run in late)
    assert dora.verify().ok and dora.sweep() == NOTHING


def test_one_run_that_cannot_go_on_keeps_nobody_else_waiting(door: Door, clock: FrozenClock) -> None:
    config: dict[str, Any] = {"windows": [{"from": "09:00", "to": "10:00"}]}
    dora = door("dora", **config)
    clock.advance(hours=3)
    stuck = dora.start(recorded({"effect": "stuck", "level": "LOW"}))
    waits = dora.start({"problem": {"title": "Look around"}, "action": {"steps": [{"step": 1, "description": "look", "tool": "shell", "args": {"command": "true"}}]}})
    asks = door("dora").start(recorded("a"))
    clock.advance(days=8)
    without = door("dora", tools=standard(), **config)
    with pytest.raises(AssentError, match="recorder"):
        without.resume(stuck.id)
    clock.at = clock.at.replace(hour=9)
    with pytest.raises(AssentError):
        without.sweep()
    assert asks.status == "expired" and waits.status == "completed" and stuck.status == "running"


# --- windows ----------------------------------------------------------------------------------------------------------------------------


def test_a_run_waits_for_its_window_and_a_sweep_goes_on_with_it(door: Door, clock: FrozenClock, recorder: Recorder) -> None:
    config: dict[str, Any] = {"windows": [{"days": ["tue"], "from": "20:00", "to": "21:00", "zone": "Europe/Berlin"}, {"days": ["mon"], "from": "07:00", "to": "08:00"}]}
    dora = door("dora", **config)
    run = dora.start(recorded({"effect": "a", "level": "LOW"}))
    assert run.status == "running" and dora.ledger.waits_until(run.id) == datetime(2026, 1, 6, 19, 0, tzinfo=UTC)
    for at, resumed in ((datetime(2026, 1, 6, 18, 59, 59, tzinfo=UTC), 0), (datetime(2026, 1, 6, 19, 0, tzinfo=UTC), 1)):
        clock.at = at
        assert dora.sweep()["resumed"] == resumed
    assert run.status == "completed" and [effect.name for effect in recorder.effects_had] == ["a"]


def test_a_notice_that_is_delivered_meanwhile_does_not_make_a_run_miss_its_window(door: Door, clock: FrozenClock, recorder: Recorder) -> None:
    """The newest entry of the log told whether a run waits; a delivered notice is an entry of the same run."""
    config: dict[str, Any] = {"windows": [{"from": "20:00", "to": "21:00"}], "notify": NOTIFY}
    dora, lena = door("dora", **config), door("lena", **config)
    run = dora.start(recorded("a"))
    lena.decide(asked(dora, run).id, "approve")
    dora.sweep()
    assert any(event.type == "notice.sent" for event in run.events()) and dora.ledger.waits_until(run.id) is not None
    clock.at = NOW.replace(hour=20)
    assert dora.sweep()["resumed"] == 1 and run.status == "completed" and len(recorder.effects_had) == 1


def test_a_window_that_opens_after_the_approval_ran_out_runs_nothing(door: Door, clock: FrozenClock, recorder: Recorder) -> None:
    config: dict[str, Any] = {"windows": [{"from": "20:00", "to": "21:00"}], "execute_within": "11 hours"}
    dora, lena = door("dora", **config), door("lena", **config)
    run = dora.start(recorded("a"))
    lena.decide(asked(dora, run).id, "approve")
    clock.at = NOW.replace(hour=20)
    dora.sweep()
    assert run.status == "expired" and recorder.effects_had == []


def window(opens: str, closes: str, zone: str = "UTC", *days: str) -> Recurring:
    return Recurring.model_validate({"from": opens, "to": closes, "zone": zone, **({"days": list(days)} if days else {})})


@pytest.mark.parametrize(("opens", "closes", "at", "expected"), [
    # Clocks go forward in Berlin on 29 March 2026 at 01:00 UTC, from 02:00 to 03:00.
    ("02:30", "04:00", datetime(2026, 3, 28, 23, 0, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
    ("02:15", "02:45", datetime(2026, 3, 28, 23, 0, tzinfo=UTC), datetime(2026, 3, 30, 0, 15, tzinfo=UTC)),
    ("03:00", "04:00", datetime(2026, 3, 28, 23, 0, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
    # They go back on 25 October 2026 at 01:00 UTC, from 03:00 to 02:00: half past two comes twice.
    ("02:30", "02:40", datetime(2026, 10, 24, 23, 0, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ("02:30", "02:40", datetime(2026, 10, 25, 0, 45, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ("02:30", "02:40", datetime(2026, 10, 25, 1, 45, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC)),
])  # fmt: skip
def test_a_window_on_the_day_when_clocks_change(opens: str, closes: str, at: datetime, expected: datetime) -> None:
    recurring = [window(opens, closes, "Europe/Berlin")]
    assert next_opening(recurring, None, at) == expected
    assert is_open(recurring, None, expected) and not is_open(recurring, None, expected - timedelta(seconds=1))


_TIMES = st.integers(0, 95).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
_ZONES = st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Kiritimati"))
_CHANGES = (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 4, 4, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC))


@st.composite
def _windows(draw: st.DrawFn) -> Recurring:
    one, other = sorted(draw(st.lists(_TIMES, min_size=2, max_size=2, unique=True)))
    return window(one, other, draw(_ZONES), *sorted(draw(st.sets(st.sampled_from(DAYS), min_size=1, max_size=3))))


@settings(max_examples=60, deadline=None)
@given(st.lists(_windows(), min_size=1, max_size=3), st.sampled_from(_CHANGES), st.integers(-400, 200), st.none() | st.tuples(st.integers(0, 800), st.integers(1, 800)))
@example([window("09:00", "10:00", "UTC", "mon"), window("09:00", "10:00", "UTC", "tue")], datetime(2026, 1, 5, tzinfo=UTC), 144, None)
def test_the_next_opening_is_the_first_minute_that_is_open(recurring: list[Recurring], day: datetime, fives: int, own: tuple[int, int] | None) -> None:
    now = day + timedelta(minutes=5 * fives)
    plan = None if own is None else Window(opens_at=now + timedelta(minutes=5 * own[0]), closes_at=now + timedelta(minutes=5 * sum(own)))
    found = next_opening(recurring, plan, now)
    step = now
    first = None
    while first is None and step < now + timedelta(days=15):
        if is_open(recurring, plan, step):
            first = step
        step += timedelta(minutes=5)  # every change of an offset and every window here falls on a multiple of five minutes
    assert found == first


@settings(max_examples=60, deadline=None)
@given(_windows(), st.integers(0, 14 * 24 * 60))
def test_a_window_is_its_days_and_hours_on_the_clock_of_its_zone(recurring: Recurring, minutes: int) -> None:
    at = datetime(2026, 3, 22, tzinfo=UTC) + timedelta(minutes=minutes)
    local = at.astimezone(ZoneInfo(recurring.zone))
    there = recurring.opens <= f"{local.hour:02}:{local.minute:02}" < recurring.closes and DAYS[local.weekday()] in recurring.days
    assert is_open([recurring], None, at) is there
    assert overlap([recurring, recurring]) is not None


@pytest.mark.parametrize("wrong", [
    [{"from": "09:00", "to": "09:00"}], [{"from": "22:00", "to": "06:00"}], [{"from": "9:00", "to": "10:00"}], [{"from": "09:00", "to": "24:01"}], [{"from": "09:00", "to": "10:00", "zone": "Mars/Olympus"}],
    [{"days": [], "from": "09:00", "to": "10:00"}], [{"days": ["monday"], "from": "09:00", "to": "10:00"}], [{"from": "09:00", "to": "12:00"}, {"from": "11:00", "to": "13:00"}],
    [{"from": "09:00", "to": "10:00"}, {"from": "10:30", "to": "11:30", "zone": "Europe/Berlin"}],
])  # fmt: skip
def test_windows_that_mean_nothing_are_refused_at_load(wrong: list[dict[str, Any]]) -> None:
    with pytest.raises(InvalidConfiguration):
        read_policy(("config.yaml", {"windows": wrong}))


# --- retention --------------------------------------------------------------------------------------------------------------------------


def kept(runtime: Runtime, run: Any) -> tuple[bool, bool, bool]:
    """Return whether plan, artifacts and checkpoints of a run are there."""
    config: Any = {"configurable": {"thread_id": run.id}}
    return runtime.ledger.plan(run.id) is not None, (runtime.keep.folder / run.id).exists(), runtime.checkpoints.get_tuple(config) is not None


def ended(door: Door) -> dict[str, Any]:
    dora, lena = door("dora"), door("lena")
    runs = {"completed": dora.start(recorded({"effect": "low", "level": "LOW"}, title="Tell nobody"))}
    for name, verdict in (("approved", "approve"), ("rejected", "reject")):
        runs[name] = dora.start(recorded(name, title="Tell nobody"))
        lena.decide(asked(dora, runs[name]).id, verdict, reason="said so")
    runs["cancelled"] = dora.start(recorded("c", title="Tell nobody"))
    dora.cancel(runs["cancelled"].id)
    runs["open"] = door("dora", approvals={"HIGH": {"decide_within": "1000 days"}}).start(recorded("o", title="Still open"))
    return runs


def test_retention_takes_each_in_its_time_and_the_log_stays(door: Door, clock: FrozenClock, home: Path) -> None:
    runs = ended(door)
    dora = door("dora")
    before, anchor = len(dora.ledger.events()), dora.anchor()
    assert dora.prune() == dora.prune(dry_run=True) == []
    clock.advance(days=7)
    assert dora.prune(dry_run=True) == [], "seven days are not more than seven days"
    clock.advance(1)
    first = {runs["rejected"].id, runs["cancelled"].id}
    assert set(dora.prune(dry_run=True)) == first and kept(dora, runs["rejected"])[:2] == (True, True), "a dry run takes nothing"
    assert set(dora.prune()) == first and dora.prune() == dora.prune(dry_run=True) == []
    assert kept(dora, runs["rejected"]) == kept(dora, runs["cancelled"]) == (False, False, False)
    assert kept(dora, runs["approved"])[:2] == (True, True)
    clock.advance(days=23)
    assert dora.sweep()["erased"] == 2
    assert kept(dora, runs["completed"]) == kept(dora, runs["approved"]) == (False, False, False)
    assert kept(dora, runs["open"])[0] and runs["open"].status == "awaiting_approval"
    found = dora.verify(anchor)
    assert found.ok and found.erased == 4 and len(dora.ledger.events()) > before
    assert sum(event.type == "run.erased" for event in dora.ledger.events()) == 4
    assert {record.rationale for record in dora.decisions() if record.decision in ("approved", "rejected")} == {"lena: said so"}, "who decided, and why, stays"
    assert not [path for path in home.rglob("*") if path.is_file() and runs["rejected"].id in str(path)]
    again = door("dora")
    assert again.ledger.run(runs["rejected"].id).title == "" and again.ledger.results(runs["rejected"].id) is None


def test_a_run_that_somebody_holds_is_not_erased_under_them(door: Door, clock: FrozenClock) -> None:
    runs = ended(door)
    dora, other = door("dora"), door("lena")
    clock.advance(days=8)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with other.locks.own(runs["rejected"].id):
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    assert dora.prune() == [runs["cancelled"].id]
    done.set()
    holder.join()
    assert kept(dora, runs["rejected"])[0]
    assert dora.prune() == [runs["rejected"].id] and dora.verify().ok


def test_a_prune_that_was_cut_short_is_made_good_by_the_next(door: Door, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = ended(door)
    dora = door("dora")
    clock.advance(days=8)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    for owner, name in ((dora.checkpoints, "delete_thread"), (dora.ledger, "erase")):
        with monkeypatch.context() as cut, pytest.raises(KeyboardInterrupt):
            cut.setattr(owner, name, dies)
            dora.prune()
    assert set(dora.prune()) == {runs["rejected"].id, runs["cancelled"].id}
    assert kept(dora, runs["rejected"]) == (False, False, False) and dora.verify().ok


def test_more_than_a_thousand_that_are_due_go_in_one_sweep(door: Door, clock: FrozenClock) -> None:
    dora = door("dora")
    with dora.ledger.store.write() as c:
        for n in range(1_201):
            c.execute(
                "INSERT INTO run (id, status, graph, title, requester, ask, created_at, updated_at) VALUES (?, 'failed', 'par', '', 'dora', x'', ?, ?)",
                (f"run_{n:016x}", "2020-01-01T00:00:00.000000Z", "2020-01-01T00:00:00.000000Z"),
            )
    assert len(dora.prune(dry_run=True)) == 1_201


def test_what_never_was_is_not_found(door: Door) -> None:
    with pytest.raises(NotFound):
        door("dora").resume("run_0000000000000000")
