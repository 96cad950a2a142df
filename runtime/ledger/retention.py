"""Retention: the details of runs that ended long ago are removed; the log and the decisions outlive them.

What goes: what was asked for, the plan's bytes, receipts, results, artifacts, the request's title and subject. What stays: the row of the run
without details, and every entry of the log with its digests. The removal is an entry itself, so that `verify` says *erased*, never silently *ok*.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

from ...schemas.noun import stamp
from ...schemas.run import RunStatus
from . import log

_REJECTED = (RunStatus.REJECTED.value, RunStatus.EXPIRED.value, RunStatus.DENIED.value, RunStatus.CANCELLED.value)
_COMPLETED = (RunStatus.COMPLETED.value, RunStatus.FAILED.value, RunStatus.ROLLED_BACK.value)


def due(c: sqlite3.Connection, now: datetime, *, completed_s: int, rejected_s: int) -> list[str]:
    """Return the ids of runs whose details are due to go, oldest first."""
    found: list[str] = []
    for states, age_s in ((_COMPLETED, completed_s), (_REJECTED, rejected_s)):
        marks = ",".join("?" * len(states))
        rows = c.execute(
            f"SELECT id FROM run WHERE erased = 0 AND status IN ({marks}) AND updated_at < ? ORDER BY updated_at",  # noqa: S608 - marks only
            (*states, stamp(now - timedelta(seconds=age_s))),
        )
        found += [row[0] for row in rows.fetchall()]
    return found


def erase(c: sqlite3.Connection, run_id: str, at: datetime) -> bool:
    """Remove the details of one run; false when somebody else did it before."""
    if c.execute("SELECT 1 FROM run WHERE id = ? AND erased = 0", (run_id,)).fetchone() is None:
        return False
    c.execute("DELETE FROM plan WHERE run_id = ?", (run_id,))
    c.execute("DELETE FROM dispatch WHERE run_id = ?", (run_id,))
    c.execute("DELETE FROM artifact WHERE run_id = ?", (run_id,))
    c.execute("UPDATE request SET title = '', subject = '{}', tags = '[]' WHERE run_id = ?", (run_id,))
    c.execute("UPDATE opinion SET words = '' WHERE run_id = ?", (run_id,))
    c.execute("UPDATE run SET erased = 1, ask = x'', title = '', results = NULL WHERE id = ?", (run_id,))
    log.append(c, run_id, "run.erased", at, "system", {})
    return True
