"""The database under the ledger: durable settings, transactions, and SQLite's errors in our words.

Rules:
- WAL with synchronous FULL. What was asked for is read back, and anything else is refused.
- Writes and checkpoints of all processes queue at one kernel lock, and nothing checkpoints by itself: SQLite before 3.51.3 can corrupt a
  write-ahead log when one connection checkpoints while another commits, and with this gate that cannot coincide. It also makes the queue
  fair, where SQLite's own busy wait can starve a process for a second.
- Every write is one `BEGIN IMMEDIATE` transaction. `deferred` writes stay in an open transaction until the next write that is not, or
  `flush`: they are for what nothing outside depends on yet. Nobody is told of an uncommitted write.
- A commit whose outcome is unknown is never repeated in place.
"""

from __future__ import annotations

import contextlib
import contextvars
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from ...schemas.errors import StoreCorrupt, StoreNewer, StoreUnavailable, StoreUnsafe
from ..keep import write_whole
from . import log, tables
from .rows import REMEDY
from .trouble import FOREIGN, in_our_words, translated

_FULL = 2
_CHECKPOINT_EVERY = 128
"""Write transactions between two looks at the size of the write-ahead log."""
_CHECKPOINT_BYTES = 4 * 1024 * 1024
# By store: the flow of control (a `together` block, with the threads that work for it) that may leave writes open.
_FLOWS: contextvars.ContextVar[Mapping[int, object]] = contextvars.ContextVar("flows", default={})  # noqa: B039 - never mutated, only replaced


class Store:
    """One SQLite file, one connection, used under one lock."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime], busy_s: float = 30.0) -> None:
        """Open or create the store, check it, migrate it.

        Raises:
            StoreNewer, StoreUnsafe, StoreCorrupt, StoreUnavailable: see the tree of errors.
        """
        self.path = path
        self.lock = threading.RLock()
        self._open_for: object = None
        """The flow whose deferred writes are in the open transaction."""
        self._busy_s = busy_s
        self._writes = 0
        self.generation = 0
        """Changes with everything that may have changed what the file holds, except what is written `keeping` it."""
        self._version = -1
        self._gate = -1
        self._is_checked = False
        self._held = _Held(self)
        with translated(path):
            if not path.exists():
                # SQLite would create it with the umask; the ledger is for its owner only.
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._gate = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            if not path.stat().st_size:
                with self._gated():
                    # Replaced whole behind the gate, and only while it is empty: nobody has it open as a database before it is not.
                    if not path.stat().st_size:
                        write_whole(path, tables.founded(clock()))
            self.connection = sqlite3.connect(
                path, timeout=busy_s, isolation_level=None, check_same_thread=False, cached_statements=256, factory=log.Connection
            )
            try:
                self._settle()
                self._migrate(clock)
            except BaseException:
                self.connection.close()
                os.close(self._gate)
                raise

    def _settle(self) -> None:
        one = self.connection.execute
        found = one("PRAGMA journal_mode").fetchone()[0]
        if found != "wal":
            with self._gated():
                found = one("PRAGMA journal_mode = wal").fetchone()[0]
        one("PRAGMA synchronous = FULL")
        one("PRAGMA trusted_schema = OFF")
        one("PRAGMA mmap_size = 0")
        one("PRAGMA wal_autocheckpoint = 0")
        level = one("PRAGMA synchronous").fetchone()[0]
        if found != "wal" or level != _FULL:
            raise StoreUnsafe(
                f"{self.path}: asked for journal_mode=wal synchronous=FULL, the database answers {found} and {level}",
                hint="put the home on a local disk; network file systems cannot hold a ledger",
            )

    def _migrate(self, clock: Callable[[], datetime]) -> None:
        version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if version == tables.VERSION:
            return
        if version > tables.VERSION:
            raise StoreNewer(
                f"{self.path} has schema {version}; this version of assent reads up to {tables.VERSION}",
                hint="install the version of assent that wrote it, or a newer one",
            )
        self._begin()
        try:
            version = self.connection.execute("PRAGMA user_version").fetchone()[0]
            if version < tables.VERSION:
                tables.migrate(self.connection, version, clock())
            self._commit()
        except BaseException:
            self._rollback()
            raise

    @contextlib.contextmanager
    def write(self, *, deferred: bool = False, keeping: bool = False) -> Iterator[sqlite3.Connection]:
        """Hold the write transaction; commit at the end unless `deferred`, undo everything on an exception.

        Args:
            keeping: the writer tells whoever keeps what was read (`known.py`) itself, so the generation stays.
        """
        with self._held as connection:
            flow = _FLOWS.get().get(id(self))
            if self.connection.in_transaction and flow is not self._open_for:
                # What another flow of this process left open is whole; an error of this one must not undo it.
                self.flush()
            joined = self.connection.in_transaction
            if joined:
                self.connection.execute("SAVEPOINT part")
            else:
                self._begin()
            try:
                yield connection
                if not keeping:
                    self.generation += 1
                if joined:
                    self.connection.execute("RELEASE part")
                if deferred and flow is not None:
                    self._open_for = flow
                    return
                self._commit()
            except BaseException:
                self._undo(joined)
                raise

    def read(self) -> AbstractContextManager[sqlite3.Connection]:
        """Hold the connection for reading; statements outside a transaction see the newest commit."""
        return self._held

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let deferred writes wait for the next full write or the end of this block, whichever comes first."""
        flows = _FLOWS.get()
        if id(self) in flows:
            yield
            return
        flow = object()
        token = _FLOWS.set({**flows, id(self): flow})
        try:
            yield
        finally:
            _FLOWS.reset(token)
            with self.lock:
                if self._open_for is flow:
                    self.flush()

    def flush(self) -> None:
        """Commit what deferred writes left open."""
        with self._held as connection:
            if connection.in_transaction:
                try:
                    self._commit()
                except BaseException:
                    self._rollback()
                    raise

    def close(self) -> None:
        """Commit what is open and close. Closing twice is closing once."""
        with self.lock:
            if self._gate < 0:
                return
            try:
                self.flush()
                # The last connection to close checkpoints; that too has to be alone.
                self._enter()
            finally:
                # Whatever went wrong, the descriptors go; closing the gate also opens it for others.
                self.connection.close()
                os.close(self._gate)
                self._gate = -1

    def _begin(self) -> None:
        self._enter()
        try:
            self._check()
            self.connection.execute("BEGIN IMMEDIATE")
            self._look()
        except BaseException:
            self._leave()
            raise

    def look(self) -> int:
        """Return the generation after a look at what other connections committed since the last one."""
        if not self.connection.in_transaction:
            self._look()
        return self.generation

    def _look(self) -> None:
        version = self.connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._forget()

    def _forget(self) -> None:
        self.generation += 1
        self.connection.newest = None

    def _check(self) -> None:
        """Look through the whole file and its schema before the first write: nothing is dispatched out of a damaged ledger. About 1 ms a megabyte."""
        if not self._is_checked:
            found = self.connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise StoreCorrupt(f"{self.path} is damaged: {' '.join(found.split())}", hint=REMEDY)
            if damage := tables.damage(self.connection):
                raise StoreCorrupt(f"{self.path} is damaged: {', '.join(damage)}", hint=REMEDY)
            self._is_checked = True

    def _commit(self) -> None:
        self.connection.execute("COMMIT")
        self._writes += 1
        if self._writes % _CHECKPOINT_EVERY == 0:
            self._checkpoint()
        self._leave()

    def _undo(self, joined: bool) -> None:
        """Undo one write: alone, where it joined what was already open."""
        self._forget()
        if joined:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK TO part")
                self.connection.execute("RELEASE part")
                return
        self._rollback()

    def _rollback(self) -> None:
        self._forget()
        # After some errors SQLite has rolled back by itself; asking again would hide the first error.
        if self.connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")
        self._leave()

    def _checkpoint(self) -> None:
        with contextlib.suppress(OSError, sqlite3.Error):  # a checkpoint that fails is made later; the commit before it stands
            if Path(f"{self.path}-wal").stat().st_size >= _CHECKPOINT_BYTES:
                self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    @contextlib.contextmanager
    def _gated(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        deadline = time.monotonic() + self._busy_s
        while True:
            try:
                fcntl.flock(self._gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StoreUnavailable(f"{self.path} is locked by another process", hint="wait for it to end, or end it; nothing was changed") from None
                time.sleep(0.0005)

    def _leave(self) -> None:
        fcntl.flock(self._gate, fcntl.LOCK_UN)


class _Held:
    """The connection, held under the store's lock, with SQLite's errors in our words. One serves all: it keeps nothing of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> sqlite3.Connection:
        self._store.lock.acquire()
        return self._store.connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._store.lock.release()
        if isinstance(error, FOREIGN):
            raise in_our_words(self._store.path, error) from error
