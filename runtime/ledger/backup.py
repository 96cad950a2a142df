"""Backups of the ledger: SQLite's online copy, checked before it counts, and put back whole.

Rules: a copy that does not verify is not a backup; restoring sets the present store aside, never deletes it; a store that is older than what
happened must not repeat it, so after a restore every call that the backup shows as dispatched is in doubt, like after any crash.
"""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from ...schemas.errors import AssentError, NotFound, StoreCorrupt
from ..home import Home
from . import tables, verify
from .rows import REMEDY
from .trouble import translated


def backup(home: Home, target: Path | None = None) -> Path:
    """Copy the ledger while it is in use, check the copy, and return its path.

    Args:
        target: file to write; `backups/ledger-<time>.db` in the home by default.

    Raises:
        NotFound: there is no ledger yet.
        StoreCorrupt: the copy does not verify, so neither does the ledger; the copy is removed.
    """
    if not home.ledger.exists():
        raise NotFound(f"{home.root} holds no ledger yet", hint="start a run first")
    path = target or home.backups / f"ledger-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.db"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        raise StoreCorrupt(f"{path} exists", hint="choose another name; a backup never replaces a file")
    half = path.with_name(path.name + ".part")
    try:
        with translated(home.ledger):
            copy(home.ledger, half)
        problems = check(half)
        if problems:
            raise StoreCorrupt(f"the copy does not verify: {problems[0]}", hint="`assent verify` tells more; an earlier backup may be whole")
        half.chmod(0o600)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
    return path


def copy(source: Path, target: Path) -> None:
    """Copy a database page by page, consistently, while others use it."""
    with contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)
        # A copy of a database in WAL mode would need its side files; a backup is one file.
        new.execute("PRAGMA journal_mode = DELETE")


def check(path: Path) -> list[str]:
    """Return everything that is wrong with a backup; empty when it is whole."""
    if not path.is_file():
        return [f"there is no file {path}"]
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as c:
            found = [str(row[0]) for row in c.execute("PRAGMA integrity_check(20)").fetchall() if row[0] != "ok"]
            version = c.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 or version > tables.VERSION:
                return [*found, f"its schema is {version}; this version of assent reads 1 to {tables.VERSION}"]
            return found + list(verify.verify(c).problems)
    except sqlite3.DatabaseError as error:
        return [f"not a readable database: {error}"]


def restore(home: Home, path: Path) -> Path | None:
    """Put a backup in the place of the ledger.

    Returns:
        Where the ledger that was there is now; `None` when there was none.

    Raises:
        StoreCorrupt: the backup does not verify; nothing was changed.
    """
    problems = check(path)
    if problems:
        raise StoreCorrupt(f"{path} is no whole backup: {problems[0]}", hint="`assent backup --check FILE` lists everything; try an earlier one")
    fresh = home.ledger.with_name("ledger.restored")
    fresh.unlink(missing_ok=True)
    copy(path, fresh)
    fresh.chmod(0o600)
    aside: Path | None = None
    if home.ledger.exists():
        aside = home.ledger.with_name(f"ledger.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}.db")
        home.ledger.replace(aside)
        for side in ("-wal", "-shm", "-journal"):
            Path(f"{home.ledger}{side}").unlink(missing_ok=True)
    fresh.replace(home.ledger)
    return aside


def newest(home: Home) -> tuple[Path, list[str]] | None:
    """Return the newest backup that is whole, or else the newest one with its problems; `None` when there is none."""
    files = sorted(home.backups.glob("ledger-*.db"), reverse=True) if home.backups.is_dir() else []
    if not files:
        return None
    for file in files:
        if not check(file):
            return file, []
    return files[0], check(files[0])


def remedy(root: Path) -> str:
    """Say how a damaged ledger comes back: which backup of the home is the last good one, as far as there is one."""
    found = newest(Home(root))
    if found is None:
        return "there is no backup in this home; keep the damaged file, and restore one from elsewhere: `assent backup --restore FILE`"
    path, problems = found
    if problems:
        return f"no backup in {path.parent} is whole; keep the damaged file, and restore one from elsewhere: `assent backup --restore FILE`"
    return f"the last good backup is {path}: `assent backup --restore {path}`"


def with_remedy(error: AssentError, root: Path) -> AssentError:
    """Name the last good backup in an error that says that the ledger is damaged; any other stays as it is."""
    if isinstance(error, StoreCorrupt) and error.hint == REMEDY:
        # Looking for it reads every backup until one is whole, so it is done only where somebody will read the error.
        with contextlib.suppress(OSError, sqlite3.Error, AssentError):
            error.hint = remedy(root)
    return error
