"""Runs in the ledger: admitted, moved from state to state, listed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...schemas.canonical import digest
from ...schemas.errors import IllegalTransition, NotFound, StoreCorrupt
from ...schemas.noun import stamp
from ...schemas.run import TRANSITIONS, RunRow, RunStatus
from . import log
from .rows import REMEDY, decoding

_COLUMNS = "id, status, graph, tier, title, requester, digest, version, stop_requested, created_at, updated_at"


def admit(
    c: sqlite3.Connection, run_id: str, *, graph: str, tier: int | None, title: str, requester: str, ask: bytes, ask_digest: str, at: datetime
) -> None:
    """Record a new run; one that is already there stays as it is."""
    found = c.execute(
        "INSERT INTO run (id, status, graph, tier, title, requester, ask, created_at, updated_at) VALUES (?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT (id) DO NOTHING",
        (run_id, RunStatus.PLANNING.value, graph, tier, title, requester, ask, stamp(at), stamp(at)),
    )
    if found.rowcount:
        data: dict[str, Any] = {"ask": ask_digest, "graph": graph, "requester": requester}
        if tier is not None:
            data["tier"] = tier
        log.append(c, run_id, "run.started", at, requester, data)


def get(c: sqlite3.Connection, run_id: str) -> RunRow:
    """Return one run. Raises: NotFound."""
    row = c.execute(f"SELECT {_COLUMNS} FROM run WHERE id = ?", (run_id,)).fetchone()  # noqa: S608 - constant columns
    if row is None:
        raise NotFound(f"there is no run {run_id!r}", hint="`assent runs` lists them")
    return _row(row)


def find(c: sqlite3.Connection, *, status: str | None, limit: int) -> list[RunRow]:
    """Return runs, newest first, of one status or of all."""
    where, values = ("WHERE status = ?", [status]) if status else ("", [])
    rows = c.execute(f"SELECT {_COLUMNS} FROM run {where} ORDER BY created_at DESC LIMIT ?", [*values, limit])  # noqa: S608 - constant parts
    return [_row(row) for row in rows.fetchall()]


def move(c: sqlite3.Connection, run: RunRow, status: RunStatus, at: datetime, actor: str, **data: Any) -> RunRow:
    """Change the state of a run, with its log entry. The same state again is nothing.

    Raises:
        IllegalTransition: the table of transitions has no such arrow.
    """
    if status is run.status:
        return run
    if status not in TRANSITIONS[run.status]:
        raise IllegalTransition(f"run {run.id} is {run.status.value}; it cannot become {status.value}", hint=f"`assent show {run.id}` tells where it stands")
    c.execute("UPDATE run SET status = ?, updated_at = ? WHERE id = ?", (status.value, stamp(at), run.id))
    log.append(c, run.id, "run.status", at, actor, {"from": run.status.value, "to": status.value, **data})
    return run.model_copy(update={"status": status, "updated_at": at})


def put_in_force(c: sqlite3.Connection, run_id: str, digest: str, version: int, title: str, at: datetime) -> None:
    """Make a plan the one that the run follows."""
    c.execute("UPDATE run SET digest = ?, version = ?, title = ?, updated_at = ? WHERE id = ?", (digest, version, title, stamp(at), run_id))


def ask_stop(c: sqlite3.Connection, run_id: str, at: datetime, actor: str, reason: str) -> None:
    """Ask the process that owns the run to stop at the next step."""
    c.execute("UPDATE run SET stop_requested = 1, updated_at = ? WHERE id = ?", (stamp(at), run_id))
    log.append(c, run_id, "run.stop_requested", at, actor, {"reason": reason})


def ask_back(c: sqlite3.Connection, run_id: str, at: datetime, actor: str, to: int) -> None:
    """Permit the undo of every done step with a number above `to`, until the next report is recorded."""
    c.execute("UPDATE run SET back_to = ?, updated_at = ? WHERE id = ?", (to, stamp(at), run_id))
    log.append(c, run_id, "rollback.requested", at, actor, {"to": to})


def hold(run: RunRow, begun: Mapping[str, Any] | None) -> RunRow:
    """Return a run whose graph, tier and requester are those with which it began: they decide which gates, bounds and people it has.

    Args:
        begun: the first entry of the run (`log.first`).

    Raises:
        StoreCorrupt: they are not what the log says.
    """
    told = None if begun is None or begun["type"] != "run.started" else begun["data"]
    if told is None or (told["graph"], told.get("tier"), told["requester"]) != (run.graph, run.tier, run.requester):
        raise StoreCorrupt(f"what run {run.id} is, is not what the log says", hint=REMEDY)
    return run


@decoding
def workspace(c: sqlite3.Connection, run_id: str, begun: Mapping[str, Any] | None) -> str | None:
    """Return the workspace that was recorded with a run, empty where none was; `None` for a run that is not there or whose details are gone.

    Args:
        begun: the first entry of the run (`log.first`).

    Raises:
        StoreCorrupt: what the run was asked for is not what the log says.
    """
    row = c.execute("SELECT ask, erased FROM run WHERE id = ?", (run_id,)).fetchone()
    if row is None or (row[1] and next(log.of_kind(c, run_id, "run.erased"), None) is not None):
        return None
    if begun is None or begun["type"] != "run.started" or begun["data"]["ask"] != digest(bytes(row[0])):
        raise StoreCorrupt(f"what run {run_id} was asked for is not what the log says", hint=REMEDY)
    # Its bytes have the digest of the log, so they are those that `canonical` wrote.
    return str(json.loads(row[0]).get("workspace", ""))


@decoding
def back_to(c: sqlite3.Connection, run_id: str) -> int | None:
    """Return the number of the last step that stays, while a person's wish to take a run back is being carried out, as the log has it too."""
    row = c.execute("SELECT back_to FROM run WHERE id = ?", (run_id,)).fetchone()
    if row is None or row[0] is None:
        return None
    newest = next(log.of_kind(c, run_id, "rollback.requested", "results.recorded"), None)
    return row[0] if newest is not None and newest["type"] == "rollback.requested" and newest["data"]["to"] == row[0] else None


def ask(c: sqlite3.Connection, run_id: str) -> bytes:
    """Return what the run was asked for, as canonical bytes."""
    row = c.execute("SELECT ask FROM run WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no run {run_id!r}", hint="`assent runs` lists them")
    return bytes(row[0])


def keep_results(c: sqlite3.Connection, run_id: str, results: bytes, digest: str, at: datetime, success: bool | None) -> None:
    """Record the report of a run."""
    c.execute("UPDATE run SET results = ?, back_to = NULL, updated_at = ? WHERE id = ?", (results, stamp(at), run_id))
    log.append(c, run_id, "results.recorded", at, "system", {"results": digest, "success": success})


def results(c: sqlite3.Connection, run_id: str) -> bytes | None:
    """Return the report of a run, or `None` while there is none."""
    row = c.execute("SELECT results FROM run WHERE id = ?", (run_id,)).fetchone()
    return None if row is None or row[0] is None else bytes(row[0])


@decoding
def _row(row: tuple[Any, ...]) -> RunRow:
    return RunRow(
        id=row[0], status=row[1], graph=row[2], tier=row[3], title=row[4], requester=row[5], digest=row[6], version=row[7],
        stop_requested=bool(row[8]), created_at=row[9], updated_at=row[10],
    )
