"""The outbox in the ledger: what people are still to be told, kept in the transaction of what happened.

Rules:
- A notice enters in the transaction that makes it true, so none is lost and none is sent of what was not committed.
- At least once: a sender takes a row by moving the time at which it is due to the end of a short lease, before it sends. If it is never heard of
  again, the row is due again by itself, under the same id.
- The number of the try is the fence: whoever lost the row to a later try cannot record a failure over it.
- What was given up stays listed until somebody asks for another try. It is not part of what `verify` compares; its log entries are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from ...policies.backoff import Backoff
from ...schemas.notice import Delivery, Notice, Outcome, Posted
from ...schemas.noun import stamp
from . import log

_COLUMNS = "notice, channel, state, attempts, at, next_at, said"
State = Literal["waiting", "sent", "given_up"]


def enqueue(c: sqlite3.Connection, notices: Iterable[Notice], at: datetime) -> int:
    """Put notices into the outbox, one row for each channel; one that is there already stays as it is. Returns how many rows are new."""
    added = 0
    for notice in notices:
        raw = notice.model_dump_json(exclude_defaults=True)
        for channel in notice.channels:
            found = c.execute(
                "INSERT INTO outbox (id, channel, run_id, notice, at, next_at) VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING",
                (notice.id, channel, notice.run_id, raw, stamp(at), stamp(at)),
            )
            added += found.rowcount
    return added


def channels(c: sqlite3.Connection, now: datetime) -> list[str]:
    """Return the channels for which something is due."""
    return [row[0] for row in c.execute("SELECT DISTINCT channel FROM outbox WHERE state = 'waiting' AND next_at <= ? ORDER BY channel", (stamp(now),))]


def due(c: sqlite3.Connection, now: datetime, limit: int = 100, *, channel: str | None = None) -> list[Posted]:
    """Return what is due, longest due first, for one channel or for all."""
    where, values = ("AND channel = ?", [channel]) if channel is not None else ("", [])
    rows = c.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE state = 'waiting' AND next_at <= ? {where} ORDER BY next_at, id LIMIT ?",  # noqa: S608 - constant parts
        [stamp(now), *values, limit],
    )
    return [_row(row) for row in rows.fetchall()]


def claim(c: sqlite3.Connection, posted: Posted, now: datetime, lease_s: float) -> Posted | None:
    """Take a row for one try; `None` when another sender took it or it is no longer due.

    Args:
        lease_s: after this many seconds without a word it is due again.
    """
    until = now + timedelta(seconds=lease_s)
    found = c.execute(
        "UPDATE outbox SET attempts = attempts + 1, next_at = ? WHERE id = ? AND channel = ? AND state = 'waiting' AND attempts = ? AND next_at <= ?",
        (stamp(until), posted.notice.id, posted.channel, posted.attempts, stamp(now)),
    )
    return posted.model_copy(update={"attempts": posted.attempts + 1, "next_at": until}) if found.rowcount else None


def mark(c: sqlite3.Connection, posted: Posted, delivery: Delivery, at: datetime, backoff: Backoff) -> Posted:
    """Record what came of a try, with its log entry, and when the next one is due.

    Args:
        posted: as `claim` returned it.
        delivery: what came of it; `said` without secrets.

    Returns: the row as it is now. A failure of a try that a later one overtook changes nothing.
    """
    state: State = "waiting"
    next_at = at
    kind = "notice.failed"
    fence = "AND attempts = ?"
    values: list[object] = [posted.attempts]
    wait_s = backoff.wait_s(posted.attempts, posted.notice.id, asked_s=delivery.retry_after_s)
    if delivery.outcome is Outcome.SENT:
        # Sent is sent, whichever try it was.
        state, kind, fence, values = "sent", "notice.sent", "", []
    elif delivery.outcome is Outcome.NEVER or wait_s is None:
        state, kind = "given_up", "notice.given_up"
    else:
        next_at = at + timedelta(seconds=wait_s)
    found = c.execute(
        f"UPDATE outbox SET state = ?, next_at = ?, said = ? WHERE id = ? AND channel = ? AND state = 'waiting' {fence}",  # noqa: S608 - constant parts
        [state, stamp(next_at), delivery.said, posted.notice.id, posted.channel, *values],
    )
    if found.rowcount:
        data: dict[str, object] = {"attempt": posted.attempts, "channel": posted.channel, "event": posted.notice.event, "notice": posted.notice.id}
        if posted.notice.request_id:
            data["request"] = posted.notice.request_id
        if delivery.said:
            data["said"] = delivery.said
        log.append(c, posted.notice.run_id, kind, at, "system:notify", data)
    return posted.model_copy(update={"state": state, "next_at": next_at, "said": delivery.said})


def listed(c: sqlite3.Connection, state: State | None = None, *, limit: int = 50) -> list[Posted]:
    """Return rows, newest first, of one state or of all that were not sent."""
    where, values = ("state = ?", [state]) if state else ("state <> 'sent'", [])
    rows = c.execute(f"SELECT {_COLUMNS} FROM outbox WHERE {where} ORDER BY at DESC, id LIMIT ?", [*values, limit])  # noqa: S608 - constant parts
    return [_row(row) for row in rows.fetchall()]


def counts(c: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows wait, wait after a failure (`failing`), were sent, and were given up."""
    found = {"waiting": 0, "failing": 0, "sent": 0, "given_up": 0}
    for state, number, failing in c.execute("SELECT state, COUNT(*), SUM(state = 'waiting' AND said <> '') FROM outbox GROUP BY state"):
        found[state] = number
        found["failing"] += failing
    return found


def again(c: sqlite3.Connection, at: datetime, *, channel: str | None = None) -> int:
    """Make what was given up, or waits for its next try, due now with all its tries. Returns how many rows."""
    where, values = ("AND channel = ?", [channel]) if channel is not None else ("", [])
    found = c.execute(
        f"UPDATE outbox SET state = 'waiting', attempts = 0, next_at = ? WHERE (state = 'given_up' OR (state = 'waiting' AND said <> '')) {where}",  # noqa: S608
        [stamp(at), *values],
    )
    return found.rowcount


def prune(c: sqlite3.Connection, before: datetime) -> int:
    """Delete what was sent and happened before a time. What was not sent stays. Returns how many rows."""
    return c.execute("DELETE FROM outbox WHERE state = 'sent' AND at < ?", (stamp(before),)).rowcount


def _row(row: tuple[str, str, State, int, datetime, datetime, str]) -> Posted:
    return Posted(notice=Notice.model_validate_json(row[0]), channel=row[1], state=row[2], attempts=row[3], at=row[4], next_at=row[5], said=row[6])
