"""The outbox under every order of events: nothing lost, nothing sent of what was not committed, at least once, and an end to every row.

`test_any_schedule_of_senders_and_crashes_delivers_everything` plays two senders that stop at every point against a small model of a receiver.
Guards that were removed once, each found by a test of this file or of `test_notify_channels`:
    the claim's condition on the time                two senders send the same notice at once
    the claim's condition on the number of the try   the same, when both read before either claims
    the fence of a failure                           a late failure postpones what a later try is sending
    the condition on `waiting` in `mark`             a late failure takes back what was sent
    the lease                                        what a dead sender took is never sent
    `ON CONFLICT DO NOTHING`                         an event recorded twice is an error
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.backoff import Backoff
from assent.runtime.ledger import log, outbox, tables
from assent.runtime.testing import FrozenClock
from assent.schemas.notice import Delivery, Notice, Outcome

START = FrozenClock()()
SENT, LATER, NEVER = (Delivery(outcome=outcome, said="" if outcome is Outcome.SENT else "said") for outcome in Outcome)
LEASE_S = 30.0


def notice(n: int = 0, *channels: str) -> Notice:
    return Notice(id=f"ntc_{n:024x}", event="run.failed", run_id="run_1", channels=channels or ("a",))


def store() -> sqlite3.Connection:
    c = sqlite3.connect(":memory:", isolation_level=None)
    c.execute("BEGIN")
    tables.migrate(c, 0, START)
    c.execute("COMMIT")
    return c


@pytest.fixture
def c() -> Any:
    connection = store()
    yield connection
    connection.close()


def types(c: sqlite3.Connection) -> Counter[str]:
    return Counter(event.type for event in log.events(c))


def test_what_was_rolled_back_is_never_due(c: sqlite3.Connection) -> None:
    c.execute("BEGIN")
    outbox.enqueue(c, [notice()], START)
    c.execute("ROLLBACK")
    assert outbox.due(c, START) == [] and outbox.channels(c, START) == []


def test_an_event_recorded_twice_is_one_row_a_channel(c: sqlite3.Connection) -> None:
    assert outbox.enqueue(c, [notice(0, "a", "b")], START) == 2
    assert outbox.enqueue(c, [notice(0, "a", "b", "c")], START + timedelta(hours=1)) == 1
    assert outbox.enqueue(c, [], START) == 0
    assert outbox.channels(c, START) == ["a", "b"]
    assert [posted.channel for posted in outbox.due(c, START + timedelta(hours=1))] == ["a", "b", "c"]


def test_a_row_is_taken_by_one_sender_until_its_lease_ends(c: sqlite3.Connection) -> None:
    outbox.enqueue(c, [notice()], START)
    (seen,) = outbox.due(c, START)
    mine = outbox.claim(c, seen, START, LEASE_S)
    assert mine is not None and mine.attempts == 1
    assert outbox.claim(c, seen, START, LEASE_S) is None
    assert outbox.claim(c, mine, START + timedelta(seconds=LEASE_S - 1), LEASE_S) is None
    assert outbox.due(c, START + timedelta(seconds=LEASE_S - 1)) == []
    (again,) = outbox.due(c, START + timedelta(seconds=LEASE_S))
    assert again.attempts == 1 and outbox.claim(c, seen, again.next_at, LEASE_S) is None, "only as it stands now"
    assert outbox.claim(c, again, again.next_at, LEASE_S) is not None


def test_a_late_failure_neither_takes_back_what_was_sent_nor_postpones_a_later_try(c: sqlite3.Connection) -> None:
    outbox.enqueue(c, [notice()], START)
    first = outbox.claim(c, outbox.due(c, START)[0], START, LEASE_S)
    later = START + timedelta(seconds=LEASE_S)
    second = outbox.claim(c, outbox.due(c, later)[0], later, LEASE_S)
    assert first is not None and second is not None
    outbox.mark(c, first, NEVER, later, Backoff())
    assert outbox.listed(c)[0].state == "waiting" and outbox.listed(c)[0].next_at == second.next_at
    outbox.mark(c, second, SENT, later, Backoff())
    outbox.mark(c, second, LATER, later, Backoff())
    assert outbox.listed(c) == [] and outbox.counts(c)["sent"] == 1
    assert types(c)["notice.sent"] == 1 and types(c)["notice.failed"] == types(c)["notice.given_up"] == 0


def test_a_late_success_of_an_overtaken_try_is_a_success(c: sqlite3.Connection) -> None:
    outbox.enqueue(c, [notice()], START)
    first = outbox.claim(c, outbox.due(c, START)[0], START, LEASE_S)
    later = START + timedelta(seconds=LEASE_S)
    outbox.claim(c, outbox.due(c, later)[0], later, LEASE_S)
    assert first is not None
    outbox.mark(c, first, SENT, later, Backoff())
    assert outbox.due(c, later + timedelta(days=1)) == []


def test_what_is_pruned_was_sent(c: sqlite3.Connection) -> None:
    outbox.enqueue(c, [notice(n, "a") for n in range(3)], START)
    for posted, delivery in zip(outbox.due(c, START), (SENT, NEVER, LATER), strict=True):
        mine = outbox.claim(c, posted, START, LEASE_S)
        assert mine is not None
        outbox.mark(c, mine, delivery, START, Backoff())
    assert outbox.prune(c, START) == 0
    assert outbox.prune(c, START + timedelta(seconds=1)) == 1
    assert outbox.counts(c) == {"waiting": 1, "failing": 1, "sent": 0, "given_up": 1}
    assert [posted.state for posted in outbox.listed(c, "given_up")] == ["given_up"]
    assert outbox.again(c, START, channel="b") == 0 and outbox.again(c, START) == 2
    assert [posted.attempts for posted in outbox.due(c, START)] == [0, 0]


def test_the_rows_of_one_channel_do_not_hide_those_of_another(c: sqlite3.Connection) -> None:
    outbox.enqueue(c, [notice(n, "a") for n in range(50)] + [notice(99, "b")], START)
    assert len(outbox.due(c, START, 10, channel="a")) == 10 and len(outbox.due(c, START, 10, channel="b")) == 1
    assert len(outbox.due(c, START, 10)) == 10


# --- any schedule ---------------------------------------------------------------------------------------------------------------------

ACTIONS = st.sampled_from(["enqueue", "read", "claim", "send ok", "send busy", "mark", "die", "wait a little", "wait out the lease", "enqueue again", "roll back"])


class Sender:
    """One sender: what it read, what it holds, and what came of its try."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.seen: Any = None
        self.mine: Any = None
        self.delivery: Delivery | None = None


@given(st.lists(st.tuples(st.integers(0, 1), ACTIONS), max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_schedule_of_senders_and_crashes_delivers_everything(schedule: list[tuple[int, str]]) -> None:
    c, now, backoff = store(), START, Backoff(tries=10_000)
    senders, received, promised = [Sender(), Sender()], Counter[str](), set[str]()
    holders: dict[str, tuple[int, Any]] = {}
    number = 0

    def act(who: int, action: str) -> None:
        nonlocal now, number
        me = senders[who]
        match action:
            case "enqueue":
                number += 1
                outbox.enqueue(c, [notice(number)], now)
                promised.add(notice(number).id)
            case "enqueue again" if promised:
                assert outbox.enqueue(c, [notice(number)], now) == 0
            case "roll back":
                c.execute("BEGIN")
                outbox.enqueue(c, [notice(10_000 + number)], now)
                c.execute("ROLLBACK")
            case "read":
                me.seen = next(iter(outbox.due(c, now)), None)
            case "claim" if me.seen is not None:
                me.mine, me.seen = outbox.claim(c, me.seen, now, LEASE_S), None
                if me.mine is not None:
                    other = holders.get(me.mine.notice.id)
                    assert other is None or other[1] <= now, "two hold it within one lease"
                    holders[me.mine.notice.id] = (who, me.mine.next_at)
            case "send ok" if me.mine is not None and me.delivery is None:
                received[me.mine.notice.id] += 1
                me.delivery = SENT
            case "send busy" if me.mine is not None and me.delivery is None:
                me.delivery = LATER
            case "mark" if me.mine is not None and me.delivery is not None:
                outbox.mark(c, me.mine, me.delivery, now, backoff)
                if holders.get(me.mine.notice.id) == (who, me.mine.next_at):
                    del holders[me.mine.notice.id]
                me.forget()
            case "die":
                me.forget()
            case "wait a little":
                now += timedelta(seconds=5)
            case "wait out the lease":
                now += timedelta(seconds=LEASE_S)

    for who, action in schedule:
        act(who, action)
    # Whatever happened before: a sender that works brings everything to its end.
    senders[0].forget()
    while outbox.counts(c)["waiting"]:
        now += timedelta(days=1)
        for action in ("read", "claim", "send ok", "mark"):
            act(0, action)
    assert set(received) == promised, "everything promised was delivered, and nothing else"
    assert outbox.counts(c)["sent"] == len(promised)
    assert types(c)["notice.sent"] == len(promised)
    c.close()
