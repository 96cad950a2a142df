"""What `assent doctor` looks at in the ledger: settings, integrity, the log, runs that nobody drives, questions that are late, backups.

Rules: a damaged ledger is reported with the backup to go to; nothing is expired, resumed or repaired from here.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ...policies.counted import counted
from ...schemas.errors import StoreError
from ...schemas.noun import stamp
from ..home import Home
from ..ledger import backup as copies
from ..ledger import outbox, tables, verify
from ..ledger.store import Store
from .checks import Check
from .lines import ago

_OLD_DAYS = 7


def ledger(root: Path) -> Iterator[Check]:
    """Look at the ledger of a home."""
    path = root / "ledger.db"
    if not path.exists():
        if root.exists() and any(root.glob("ledger.*")):
            yield Check("ledger", "fail", f"{path} is missing, though others of its files are there", copies.remedy(root))
        else:
            yield Check("ledger", "ok", "none yet")
        return
    try:
        store = Store(path, clock=lambda: datetime.now(UTC), busy_s=5.0)
    except StoreError as error:
        yield Check("ledger", "fail", error.message, copies.remedy(root) if "damaged" in error.message else error.hint)
        return
    try:
        yield from _inside(root, store)
    except (StoreError, sqlite3.DatabaseError) as error:
        yield Check("ledger", "fail", str(error), copies.remedy(root))
    finally:
        store.close()


def _inside(root: Path, store: Store) -> Iterator[Check]:
    with store.read() as c:
        journal = c.execute("PRAGMA journal_mode").fetchone()[0]
        synchronous = {1: "NORMAL", 2: "FULL", 3: "EXTRA"}.get(c.execute("PRAGMA synchronous").fetchone()[0], "OFF")
        version = c.execute("PRAGMA user_version").fetchone()[0]
        # Opening refuses anything weaker, so what is read back here is the proof and not the check.
        yield Check("database", "ok", f"journal {journal}, synchronous {synchronous}, schema {version} of {tables.VERSION}")
        problems = [str(row[0]) for row in c.execute("PRAGMA quick_check(5)").fetchall() if row[0] != "ok"]
        yield Check("pages", "fail" if problems else "ok", "; ".join(problems) or "whole", copies.remedy(root) if problems else "")
        found = verify.verify(c)
        said = f"whole: {counted(found.entries, 'entry', 'entries')}" if found.ok else f"{counted(len(found.problems), 'problem')}: {found.problems[0]}"
        yield Check("log", "ok" if found.ok else "fail", said, f"`assent verify` tells all of it. {copies.remedy(root)}" if not found.ok else "")
        yield from _runs(root, c)
        yield from _late(c)
        yield from _undelivered(c)


def _runs(root: Path, c: sqlite3.Connection) -> Iterator[Check]:
    rows = c.execute("SELECT id, status FROM run WHERE status IN ('running', 'planning') ORDER BY created_at").fetchall()
    orphans = [str(name) for name, _ in rows if not _is_owned(root / "locks" / str(name))]
    if orphans:
        names = ", ".join(orphans[:5]) + (f" and {len(orphans) - 5} more" if len(orphans) > 5 else "")
        yield Check("runs", "warn", f"{len(orphans)} under way that no process drives: {names}", f"`assent resume {orphans[0]}` goes on where it stopped")
    else:
        yield Check("runs", "ok", f"{len(rows)} under way, each with its process" if rows else "none under way")
    doubts = c.execute("SELECT count(*) FROM run WHERE status = 'in_doubt'").fetchone()[0]
    if doubts:
        yield Check("in doubt", "warn", f"{doubts} wait for somebody to say whether a step happened", "`assent inbox` lists them, `assent settle` answers")


def _is_owned(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _late(c: sqlite3.Connection) -> Iterator[Check]:
    waiting = c.execute("SELECT count(*) FROM request WHERE status = 'open'").fetchone()[0]
    late = c.execute("SELECT count(*) FROM request WHERE status = 'open' AND decide_by IS NOT NULL AND decide_by <= ?", (stamp(datetime.now(UTC)),)).fetchone()[0]
    if late:
        yield Check("questions", "warn", f"{waiting} open, {late} of them past their time", "`assent sweep` settles them; run it from cron")
    else:
        yield Check("questions", "ok", f"{waiting} open")


def _undelivered(c: sqlite3.Connection) -> Iterator[Check]:
    counts = outbox.counts(c)
    if counts["failing"] or counts["given_up"]:
        said = f"{counted(counts['failing'], 'notice fails and is', 'notices fail and are')} tried again; given up: {counts['given_up']}"
        yield Check("notices", "warn", said, "`assent notify list` says why, `assent notify retry` tries again")


def backups(root: Path) -> Iterator[Check]:
    """Look at the newest backup."""
    if not (root / "ledger.db").exists() and not (root / "backups").exists():
        return
    found = copies.newest(Home(root))
    if found is None:
        yield Check("backups", "warn", "none", "`assent backup` makes one; run it from cron")
        return
    path, problems = found
    if problems:
        yield Check("backups", "fail", f"no backup is whole; the newest, {path.name}: {problems[0]}", "`assent backup` makes a new one while the ledger is whole")
        return
    made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    old = (datetime.now(UTC) - made).days >= _OLD_DAYS
    yield Check("backups", "warn" if old else "ok", f"{path} is whole, {ago(made)}", "`assent backup` makes a newer one")
