"""The database under the ledger: durable settings, transactions, and SQLite's errors in our words.

Rules:
- WAL with synchronous FULL where SQLite is at least 3.51.3; DELETE with synchronous EXTRA otherwise, because older versions can corrupt a
  write-ahead log that two connections reset at once. What was asked for is read back, and anything else is refused.
- Every write is one `BEGIN IMMEDIATE` transaction. `deferred` writes stay in an open transaction until the next write that is not, or
  `flush`: they are for what nothing outside depends on yet. Nobody is told of an uncommitted write.
- A commit whose outcome is unknown is never repeated in place.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from ...schemas.errors import StoreCorrupt, StoreError, StoreNewer, StoreUnavailable, StoreUnsafe
from . import tables

WAL_IS_SAFE = (3, 51, 3)
_SYNCHRONOUS = {"FULL": 2, "EXTRA": 3}


class Store:
    """One SQLite file, one connection, used under one lock."""

    def __init__(self, path: Path, *, busy_s: float = 30.0) -> None:
        """Open or create the store, check it, migrate it.

        Raises:
            StoreNewer, StoreUnsafe, StoreCorrupt, StoreUnavailable: see the tree of errors.
        """
        self.path = path
        self.lock = threading.RLock()
        self._deferred = False
        with translated(path):
            if not path.exists():
                # SQLite would create it with the umask; the ledger is for its owner only.
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self.connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False, cached_statements=256)
            try:
                self._settle()
                self._migrate()
            except BaseException:
                self.connection.close()
                raise

    def _settle(self) -> None:
        one = self.connection.execute
        journal, synchronous = ("wal", "FULL") if sqlite3.sqlite_version_info >= WAL_IS_SAFE else ("delete", "EXTRA")
        found = one("PRAGMA journal_mode").fetchone()[0]
        if found != journal:
            found = one(f"PRAGMA journal_mode = {journal}").fetchone()[0]
        one(f"PRAGMA synchronous = {synchronous}")
        one("PRAGMA foreign_keys = ON")
        one("PRAGMA trusted_schema = OFF")
        one("PRAGMA mmap_size = 0")
        level = one("PRAGMA synchronous").fetchone()[0]
        if found != journal or level != _SYNCHRONOUS[synchronous]:
            raise StoreUnsafe(
                f"{self.path}: asked for journal_mode={journal} synchronous={synchronous}, the database answers {found} and {level}",
                hint="put the home on a local disk; network file systems cannot hold a ledger",
            )

    def _migrate(self) -> None:
        version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if version == tables.VERSION:
            return
        if version > tables.VERSION:
            raise StoreNewer(
                f"{self.path} has schema {version}; this version of assent reads up to {tables.VERSION}",
                hint="install the version of assent that wrote it, or a newer one",
            )
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            version = self.connection.execute("PRAGMA user_version").fetchone()[0]
            if version < tables.VERSION:
                tables.migrate(self.connection, version)
            self.connection.execute("COMMIT")
        except BaseException:
            self._rollback()
            raise

    @contextlib.contextmanager
    def write(self, *, deferred: bool = False) -> Iterator[sqlite3.Connection]:
        """Hold the write transaction; commit at the end unless `deferred`, undo everything on an exception."""
        with self.lock, translated(self.path):
            if not self.connection.in_transaction:
                self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                if deferred and self._deferred:
                    return
                self.connection.execute("COMMIT")
            except BaseException:
                self._rollback()
                raise

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection for reading; statements outside a transaction see the newest commit."""
        with self.lock, translated(self.path):
            yield self.connection

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let deferred writes wait for the next full write or the end of this block, whichever comes first."""
        with self.lock:
            nested, self._deferred = self._deferred, True
        try:
            yield
        finally:
            with self.lock:
                self._deferred = nested
                if not nested:
                    self.flush()

    def flush(self) -> None:
        """Commit what deferred writes left open."""
        with self.lock, translated(self.path):
            if self.connection.in_transaction:
                try:
                    self.connection.execute("COMMIT")
                except BaseException:
                    self._rollback()
                    raise

    def close(self) -> None:
        """Commit what is open and close."""
        with self.lock:
            self.flush()
            self.connection.close()

    def _rollback(self) -> None:
        # After some errors SQLite has rolled back by itself; asking again would hide the first error.
        if self.connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, with what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _translate(path, error) from error


def _translate(path: Path, error: sqlite3.DatabaseError) -> StoreError | sqlite3.DatabaseError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreCorrupt(
            f"{path} is damaged: {error}",
            hint="`assent doctor` names the last good backup; `assent backup --restore FILE` puts it back",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnavailable(f"{path} is locked by another process", hint="wait for it to end, or end it; nothing was changed")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreUnavailable(f"{path} cannot be written: {error}", hint="check the folder's owner and permissions; nothing was changed")
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return StoreUnavailable(f"{path}: {error}", hint="free disk space or mend the disk, then resume the run; nothing was changed")
    return error
