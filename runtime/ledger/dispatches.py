"""Dispatches in the ledger: the intent before the effect, the receipt after it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...schemas.canonical import compact
from ...schemas.canonical import digest as digest_of
from ...schemas.dispatch import Direction, Dispatch, DispatchState, EffectClass, Receipt
from ...schemas.errors import StoreCorrupt
from ...schemas.noun import stamp
from . import log
from .rows import decoding

# Rows lie in the order in which calls began: a row with its receipt is too large to lie in the order of its key without a page of its own. A key
# needs no index, because it follows from the columns of the primary key. SQLite builds a table for a list behind IN, at every call; not for ORs.
TABLES = """
ALTER TABLE dispatch RENAME TO dispatch_before;
DROP INDEX dispatch_live;
CREATE TABLE dispatch (
    run_id TEXT NOT NULL, step INTEGER NOT NULL, direction TEXT NOT NULL, attempt INTEGER NOT NULL, digest TEXT NOT NULL,
    state TEXT NOT NULL, effect_class TEXT NOT NULL, key TEXT NOT NULL, before TEXT NOT NULL,
    started_at TEXT NOT NULL, finished_at TEXT, receipt TEXT,
    PRIMARY KEY (run_id, digest, direction, step, attempt)
);
CREATE UNIQUE INDEX dispatch_live ON dispatch (run_id, digest, direction, step) WHERE state = 'dispatched' OR state = 'done' OR state = 'in_doubt';
INSERT INTO dispatch (run_id, step, direction, attempt, digest, state, effect_class, key, before, started_at, finished_at, receipt)
    SELECT run_id, step, direction, attempt, digest, state, effect_class, key, before, started_at, finished_at, receipt
    FROM dispatch_before ORDER BY started_at, step, attempt;
DROP TABLE dispatch_before;
"""
_COLUMNS = "run_id, digest, step, direction, attempt, state, effect_class, key, before, started_at, finished_at, receipt"
_STATE = {"done": DispatchState.DONE, "failed": DispatchState.FAILED, "not_started": DispatchState.NOT_STARTED, "unknown": DispatchState.IN_DOUBT}


def key_of(deployment: str, run_id: str, digest: str, direction: str, step: int, attempt: int) -> str:
    """Return the idempotency key of one attempt; a take-over by another process sends the same one."""
    parts = "\x00".join(("assent/key/v1", deployment, run_id, digest, direction, str(step), str(attempt)))
    return hashlib.sha256(parts.encode()).hexdigest()[:40]


def insert(
    c: sqlite3.Connection, *, deployment: str, run_id: str, digest: str, step: int, direction: Direction, attempt: int,
    effect_class: EffectClass, before: Mapping[str, Any], rules: tuple[str, ...], at: datetime,
) -> Dispatch:
    """Record the intent. The caller has just ruled on it in this transaction."""
    key = key_of(deployment, run_id, digest, direction, step, attempt)
    noted = compact(before)
    c.execute(
        "INSERT INTO dispatch (run_id, digest, step, direction, attempt, state, effect_class, key, before, started_at) VALUES (?,?,?,?,?,?,?,?,?,?)",
        (run_id, digest, step, direction, attempt, DispatchState.DISPATCHED.value, effect_class.value, key, noted, stamp(at)),
    )
    data = {"attempt": attempt, "before": digest_of(noted.encode()), "class": effect_class.value, "digest": digest, "direction": direction, "key": key, "step": step, "rules": list(rules)}
    log.append(c, run_id, "step.dispatched", at, "system", data)
    return Dispatch(
        run_id=run_id, digest=digest, step=step, direction=direction, attempt=attempt, effect_class=effect_class, key=key, before=dict(before), started_at=at,
    )


def close(c: sqlite3.Connection, dispatch: Dispatch, receipt: Receipt, at: datetime, *, actor: str = "system", state: DispatchState | None = None) -> Dispatch:
    """Record what came of a dispatch, once.

    Raises:
        StoreCorrupt: the row is no longer open; something else closed it, which the run's lock should have made impossible.
    """
    state = state or _STATE[receipt.status]
    raw = receipt.model_dump_json()
    found = c.execute(
        "UPDATE dispatch SET state = ?, finished_at = ?, receipt = ? WHERE run_id = ? AND digest = ? AND direction = ? AND step = ? AND attempt = ?"
        " AND key = ? AND state IN ('dispatched', 'in_doubt')",
        (state.value, stamp(at), raw, dispatch.run_id, dispatch.digest, dispatch.direction, dispatch.step, dispatch.attempt, dispatch.key),
    )
    if found.rowcount != 1:
        raise StoreCorrupt(f"step {dispatch.step} of run {dispatch.run_id} was settled by somebody else", hint="`assent verify` tells what was changed")
    data = {
        "attempt": dispatch.attempt, "direction": dispatch.direction, "key": dispatch.key, "ms": receipt.duration_ms, "receipt": digest_of(raw.encode()),
        "state": state.value, "step": dispatch.step,
    }
    log.append(c, dispatch.run_id, "step." + state.value, at, actor, data)
    return dispatch.model_copy(update={"state": state, "finished_at": at, "receipt": receipt})


def of_step(c: sqlite3.Connection, run_id: str, digest: str, step: int, *, measures: bool) -> list[Dispatch]:
    """Return every dispatch of a step (or of a measure) under one plan, in order."""
    ways = "('before', 'after')" if measures else "('do', 'undo')"
    rows = c.execute(
        f"SELECT {_COLUMNS} FROM dispatch WHERE run_id = ? AND digest = ? AND direction IN {ways} AND step = ? ORDER BY direction, attempt",  # noqa: S608
        (run_id, digest, step),
    )
    return [_row(row) for row in rows.fetchall()]


def went_wrong(c: sqlite3.Connection, run_id: str, digest: str) -> bool:
    """Tell whether a step of a plan ended without being done, or taking the plan back has begun."""
    found = c.execute(
        "SELECT 1 FROM dispatch WHERE run_id = ? AND digest = ? AND direction = 'undo' UNION ALL "
        "SELECT 1 FROM dispatch WHERE run_id = ? AND digest = ? AND direction = 'do' AND (state IN ('failed', 'abandoned')"
        # What is known to have done nothing and may be tried again did not go wrong.
        " OR (state = 'not_started' AND coalesce(json_extract(receipt, '$.output.again'), 0) = 0)) LIMIT 1",
        (run_id, digest, run_id, digest),
    )
    return found.fetchone() is not None


def of_run(c: sqlite3.Connection, run_id: str) -> list[Dispatch]:
    """Return every dispatch of a run in the order in which they began."""
    rows = c.execute(f"SELECT {_COLUMNS} FROM dispatch WHERE run_id = ?", (run_id,))  # noqa: S608
    return sorted(map(_row, rows.fetchall()), key=began)


def began(dispatch: Dispatch) -> tuple[datetime, int, int]:
    """Return what orders calls by when they began."""
    return dispatch.started_at, dispatch.step, dispatch.attempt


@decoding
def _row(row: tuple[Any, ...]) -> Dispatch:
    return Dispatch(
        run_id=row[0], digest=row[1], step=row[2], direction=row[3], attempt=row[4], state=row[5], effect_class=row[6], key=row[7],
        before=json.loads(row[8]), started_at=row[9], finished_at=row[10], receipt=None if row[11] is None else Receipt.model_validate_json(row[11]),
    )
