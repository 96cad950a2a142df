"""Questions that wait, in the ledger: claims with a lease, and what was already done about waiting (reminders, backup, escalation)."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

from ...schemas.approval import Request
from ...schemas.errors import StaleDecision
from ...schemas.escalation import Due
from ...schemas.noun import stamp
from . import log
from .rows import decoding

TABLES = """
CREATE TABLE due_done (
    request_id TEXT NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL, run_id TEXT NOT NULL, digest TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (request_id, kind, number)
) WITHOUT ROWID;
"""


def claim(c: sqlite3.Connection, request: Request, actor: str, *, lease_s: int, at: datetime) -> datetime:
    """Tell others that somebody looks at a question. Returns until when.

    Raises:
        StaleDecision: somebody else has claimed it and the lease has not run out.
    """
    if request.claimed_by and request.claimed_by != actor and request.claimed_until is not None and at < request.claimed_until:
        raise StaleDecision(
            f"{request.claimed_by} looks at request {request.id} until {stamp(request.claimed_until)}",
            hint="ask them, or wait; a claim keeps nobody from deciding",
        )
    until = at + timedelta(seconds=lease_s)
    c.execute("UPDATE request SET claimed_by = ?, claimed_until = ? WHERE id = ?", (actor, stamp(until), request.id))
    log.append(c, request.run_id, "request.claimed", at, actor, {"request": request.id, "until": stamp(until)})
    return until


def release(c: sqlite3.Connection, request: Request, actor: str, at: datetime) -> None:
    """Give a claim back; somebody else's stays."""
    found = c.execute("UPDATE request SET claimed_by = '', claimed_until = NULL WHERE id = ? AND claimed_by = ?", (request.id, actor))
    if found.rowcount:
        log.append(c, request.run_id, "request.released", at, actor, {"request": request.id})


def do(c: sqlite3.Connection, due: Due, request: Request, at: datetime) -> bool:
    """Record that a due thing is done now; false when it was done before, by whichever sweep came first."""
    found = c.execute(
        "INSERT INTO due_done (request_id, kind, number, run_id, digest, at) VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        (due.request_id, due.kind, due.number, request.run_id, request.digest, stamp(at)),
    )
    if not found.rowcount:
        return False
    name = {"remind": "request.reminded", "backup": "request.backup", "escalate": "request.escalated"}[due.kind]
    log.append(c, request.run_id, name, at, "system", {"digest": request.digest, "number": due.number, "request": due.request_id, "to": list(due.to), "why": due.why})
    return True


def done(c: sqlite3.Connection) -> set[tuple[str, str, int]]:
    """Return what was done already about questions that are still open: request, kind, number."""
    rows = c.execute("SELECT request_id, kind, number FROM due_done WHERE request_id IN (SELECT id FROM request WHERE status = 'open')")
    return set(rows.fetchall())


@decoding
def backup_since(c: sqlite3.Connection, run_id: str, digest: str) -> bool:
    """Tell whether the backup may answer the questions about a plan, as the log has it too."""
    found = c.execute("SELECT 1 FROM due_done WHERE run_id = ? AND digest = ? AND kind = 'backup' LIMIT 1", (run_id, digest)).fetchone()
    return found is not None and any(entry["data"]["digest"] == digest for entry in log.of_kind(c, run_id, "request.backup"))
