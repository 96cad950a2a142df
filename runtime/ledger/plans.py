"""Plans in the ledger: exact bytes by run and version."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from ...schemas.canonical import digest as digest_of
from ...schemas.errors import StoreCorrupt
from ...schemas.noun import stamp
from ...schemas.plan import Plan
from . import log, runs


def freeze(c: sqlite3.Connection, run_id: str, plan: Plan, *, editor: str, at: datetime) -> int:
    """Keep a plan as the next version and put it in force; the plan that is in force already stays. Returns its version."""
    run = runs.get(c, run_id)
    if run.digest == plan.digest:
        return run.version
    version = run.version + 1
    c.execute(
        "INSERT INTO plan (run_id, version, digest, bytes, editor, created_at) VALUES (?,?,?,?,?,?)",
        (run_id, version, plan.digest, plan.bytes, editor, stamp(at)),
    )
    runs.put_in_force(c, run_id, plan.digest, version, plan.problem.title, at)
    data = {"digest": plan.digest, "version": version, "steps": len(plan.steps), "title": digest_of(plan.problem.title.encode())}
    log.append(c, run_id, "plan.frozen" if version == 1 else "plan.edited", at, editor, data)
    return version


def get(c: sqlite3.Connection, run_id: str, version: int) -> Plan | None:
    """Return one version, decoded from its bytes.

    Raises:
        StoreCorrupt: the bytes do not have the digest under which they were kept.
    """
    row = c.execute("SELECT digest, bytes FROM plan WHERE run_id = ? AND version = ?", (run_id, version)).fetchone()
    if row is None:
        return None
    kept, raw = row[0], bytes(row[1])
    if digest_of(raw) != kept:
        raise StoreCorrupt(f"the plan of run {run_id} does not have the digest it was frozen with", hint="`assent verify` tells what else was changed")
    return Plan.read(raw)


def contributors(c: sqlite3.Connection, run_id: str, requester: str) -> tuple[str, ...]:
    """Return requester, authors and editors of every version."""
    rows = c.execute("SELECT editor FROM plan WHERE run_id = ?", (run_id,)).fetchall()
    return tuple(sorted({name for name in (requester, *(row[0] for row in rows)) if name}))
