"""Standing grants in the ledger: given, listed, used, revoked; every use is an entry of the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from ...schemas.canonical import digest
from ...schemas.errors import NotFound, StaleDecision
from ...schemas.grant import Grant
from ...schemas.noun import stamp
from . import grant_uses, log

TABLES = """
CREATE TABLE standing_grant (
    id TEXT PRIMARY KEY, seq INTEGER NOT NULL, body TEXT NOT NULL, uses INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0, spent_usd TEXT NOT NULL DEFAULT '0',
    expires_at TEXT NOT NULL, revoked_at TEXT, revoked_by TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TRIGGER grant_is_given BEFORE UPDATE OF seq, body, uses, expires_at ON standing_grant BEGIN SELECT RAISE(ABORT, 'a grant does not change'); END;
CREATE TABLE grant_use (key TEXT PRIMARY KEY, grant_id TEXT NOT NULL, run_id TEXT NOT NULL, step INTEGER NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX grant_use_by_run ON grant_use (run_id, step);
"""
_COLUMNS = "body, used, spent_usd, revoked_at, revoked_by"


def give(c: sqlite3.Connection, grant: Grant, at: datetime) -> None:
    """Record a new grant."""
    raw = grant.model_dump_json(exclude={"used", "spent_usd", "revoked_at", "revoked_by"})
    seq = log.append(c, "", "grant.given", at, grant.by.id, _facts(grant, raw))
    row = (grant.id, seq, raw, grant.uses, stamp(grant.expires_at))
    c.execute("INSERT INTO standing_grant (id, seq, body, uses, expires_at) VALUES (?,?,?,?,?)", row)


def _facts(grant: Grant, raw: str) -> dict[str, Any]:
    return {
        "body": digest(raw.encode()), "expires": stamp(grant.expires_at), "grant": grant.id, "highest": grant.highest.value, "tool": grant.tool,
        "uses": grant.uses,
    }


def get(c: sqlite3.Connection, grant_id: str) -> Grant:
    """Return one grant. Raises: NotFound."""
    row = c.execute(f"SELECT {_COLUMNS} FROM standing_grant WHERE id = ?", (grant_id,)).fetchone()  # noqa: S608 - constant columns
    if row is None:
        raise NotFound(f"there is no grant {grant_id!r}", hint="`assent grants` lists them")
    return _row(row)


def live(c: sqlite3.Connection, now: datetime) -> list[Grant]:
    """Return grants that still cover something and of which the log tells the same, those that end first before the others."""
    rows = c.execute(
        f"SELECT {_COLUMNS}, seq FROM standing_grant WHERE revoked_at IS NULL AND expires_at > ? AND used < uses ORDER BY expires_at, id",  # noqa: S608
        (stamp(now),),
    ).fetchall()
    if not rows:
        return []
    told = grant_uses.told(c, min(row[5] for row in rows))
    return [grant for row in rows for grant in [_row(row[:5])] if _is_logged(c, grant, row[0], row[5]) and _is_used_as_logged(grant, told)]


def _is_logged(c: sqlite3.Connection, grant: Grant, raw: str, seq: int) -> bool:
    entry = log.proved(c, seq)
    return entry is not None and (entry["type"], entry["actor"], entry["data"]) == ("grant.given", grant.by.id, _facts(grant, raw))


def may_cover(c: sqlite3.Connection, run_id: str) -> bool:
    """Tell whether a grant was ever given here, or a run used one."""
    given = "SELECT EXISTS (SELECT 1 FROM standing_grant) OR EXISTS (SELECT 1 FROM grant_use WHERE run_id = ?)"
    return bool(c.execute(given, (run_id,)).fetchone()[0])


def _is_used_as_logged(grant: Grant, told: Mapping[str, tuple[int, str, bool]]) -> bool:
    return told.get(grant.id, (0, "0", False)) == (grant.used, grant.spent_usd, False)


def every(c: sqlite3.Connection, *, limit: int) -> list[Grant]:
    """Return grants, those that end last first."""
    rows = c.execute(f"SELECT {_COLUMNS} FROM standing_grant ORDER BY expires_at DESC, id LIMIT ?", (limit,))  # noqa: S608
    return [_row(row) for row in rows.fetchall()]


def use(c: sqlite3.Connection, grant: Grant, *, key: str, run_id: str, step: int, cost_usd: Decimal, at: datetime) -> None:
    """Take one use of a grant for one dispatch, in the transaction of that dispatch."""
    spent = str(Decimal(grant.spent_usd) + cost_usd)
    c.execute("INSERT INTO grant_use (key, grant_id, run_id, step, at) VALUES (?,?,?,?,?)", (key, grant.id, run_id, step, stamp(at)))
    c.execute("UPDATE standing_grant SET used = used + 1, spent_usd = ? WHERE id = ?", (spent, grant.id))
    log.append(c, run_id, "grant.used", at, grant.by.id, {"grant": grant.id, "key": key, "spent": spent, "step": step, "used": grant.used + 1})


def used_by(c: sqlite3.Connection, run_id: str) -> list[str]:
    """Return the ids of the grants that a run used."""
    return [row[0] for row in c.execute("SELECT DISTINCT grant_id FROM grant_use WHERE run_id = ?", (run_id,)).fetchall()]


def revoke(c: sqlite3.Connection, grant_id: str, *, actor: str, at: datetime) -> Grant:
    """End a grant at once. Raises: NotFound; StaleDecision when it is revoked already."""
    grant = get(c, grant_id)
    if grant.revoked_at is not None:
        raise StaleDecision(f"grant {grant_id} was revoked by {grant.revoked_by}", hint="`assent grants` lists those that hold")
    c.execute("UPDATE standing_grant SET revoked_at = ?, revoked_by = ? WHERE id = ?", (stamp(at), actor, grant_id))
    log.append(c, "", "grant.revoked", at, actor, {"grant": grant_id})
    return grant.model_copy(update={"revoked_at": at, "revoked_by": actor})


def facts(c: sqlite3.Connection) -> dict[str, tuple[str, int, bool]]:
    """Return what `verify` compares: digest of the body, uses taken, whether revoked, by id."""
    rows = c.execute("SELECT id, body, used, revoked_at FROM standing_grant").fetchall()
    return {row[0]: (digest(str(row[1]).encode()), row[2], row[3] is not None) for row in rows}


def _row(row: tuple[Any, ...]) -> Grant:
    kept = Grant.model_validate_json(row[0])
    return kept.model_copy(update={"used": row[1], "spent_usd": row[2], "revoked_at": None if row[3] is None else _at(row[3]), "revoked_by": row[4]})


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
