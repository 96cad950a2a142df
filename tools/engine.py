"""Databases that `sql` can talk to: the port, and SQLite.

Rules of the SQLite engine: the file is inside the workspace and is the one that was opened; reads open it read-only; an authorizer denies
ATTACH, DETACH, `load_extension`, and every PRAGMA that is not listed; a statement ends at its time limit; SQLite rolls back what fails.
Deliberately never opens the database file except through SQLite: closing another descriptor of it would drop SQLite's own locks.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import quote

from ..schemas.canonical import digest
from . import confine
from .tool import Place, ToolRefused

BUSY_S = 5.0
"""How long a locked database is waited for, in seconds."""
_STEPS = 20_000  # virtual machine steps between two looks at the clock: about a millisecond
COUNTED_ROWS = 50_000
"""Tables with more rows are not counted before a statement."""
_READING_PRAGMAS = frozenset(
    {
        "application_id", "collation_list", "compile_options", "data_version", "database_list", "encoding", "foreign_key_check",
        "foreign_key_list", "foreign_keys", "freelist_count", "function_list", "index_info", "index_list", "index_xinfo", "integrity_check",
        "journal_mode", "module_list", "page_count", "page_size", "pragma_list", "quick_check", "schema_version", "synchronous", "table_info",
        "table_list", "table_xinfo", "user_version",
    }
)  # fmt: skip
_WITH_NAMES = frozenset(
    {"foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo", "integrity_check", "quick_check", "table_info",
     "table_list", "table_xinfo"}
)  # fmt: skip
_SETTABLE = frozenset({"application_id", "user_version"})
_NOT_RUN = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB)


class EngineError(Exception):
    """The database did not do it; `status` is what that means for the receipt."""

    def __init__(self, reason: str, status: Literal["failed", "not_started", "unknown"]) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Result:
    """What a statement gave. `changed` is -1 where the engine does not say; `was_cut`: there were more rows than the limit."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    changed: int
    elapsed_s: float
    was_cut: bool = False


class Session(Protocol):
    """An open connection."""

    def execute(self, statement: str, parameters: Any, *, most_bytes: int) -> Result:
        """Run one statement in one transaction. Raises: EngineError."""
        ...

    def schema(self) -> str:
        """Return a digest of the schema. Raises: EngineError."""
        ...

    def count(self, table: str) -> int | None:
        """Return the number of rows where that is cheap. Raises: EngineError."""
        ...


class Engine(Protocol):
    """One kind of database."""

    def exists(self, place: Place, database: str) -> bool:
        """Tell whether the database is there. Raises: ToolRefused: it is not allowed."""
        ...

    def connect(
        self, place: Place, database: str, *, writes: bool, may_create: bool, time_s: float
    ) -> AbstractContextManager[Session]:
        """Open it. Raises: ToolRefused, EngineError."""
        ...


class Sqlite:
    """SQLite files inside the workspace."""

    def exists(self, place: Place, database: str) -> bool:
        """Look at the file without opening it."""
        return _inode(place, database) is not None

    @contextmanager
    def connect(self, place: Place, database: str, *, writes: bool, may_create: bool, time_s: float) -> Iterator[SqliteSession]:
        """Open the file, and make sure that it is the one inside the workspace. A file that was made and stayed empty is removed."""
        before = _inode(place, database)
        if before is None and not (writes and may_create):
            raise ToolRefused(f"there is no database {database!r}; only a CREATE makes one", rule="sql.missing")
        path = os.path.join(os.path.realpath(place.workspace), *confine.inside(place, database))  # noqa: PTH118
        # A read of a database whose writer was killed has to roll back first, which a read-only connection cannot.
        mode = "rwc" if before is None else "rw" if writes or _inode(place, database + "-journal") else "ro"
        busy_s = min(BUSY_S, time_s)
        try:
            connection = sqlite3.connect(f"file:{quote(path)}?mode={mode}", uri=True, timeout=busy_s, isolation_level=None)
        except sqlite3.Error as error:
            raise EngineError(f"the database could not be opened: {error}", "not_started") from error
        try:
            opened = connection.execute("PRAGMA database_list").fetchone()[2]
            now = _inode(place, database)
            if opened != path or now is None or (before is not None and now != before):
                raise ToolRefused(f"{database!r} was swapped while it was opened", rule="sql.swapped")
            yield SqliteSession(connection, writes=writes, deadline=time.monotonic() + time_s)
        except sqlite3.Error as error:
            raise _translated(error, "not_started") from error
        finally:
            connection.close()
            if before is None:
                _remove_if_empty(place, database)


class SqliteSession:
    """One connection for one statement."""

    def __init__(self, connection: sqlite3.Connection, *, writes: bool, deadline: float) -> None:
        self._connection = connection
        self._writes = writes
        self._deadline = deadline
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.execute("PRAGMA trusted_schema = OFF")
        if not writes:
            connection.execute("PRAGMA query_only = ON")
        connection.set_progress_handler(self._is_late, _STEPS)

    def execute(self, statement: str, parameters: Any, *, most_bytes: int) -> Result:
        """Run one statement: a write between BEGIN IMMEDIATE and COMMIT."""
        connection = self._connection
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(most_bytes, 1_000_000))
        if self._writes:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise _translated(error, "not_started") from error
        denied: list[str] = []
        connection.set_authorizer(lambda *asked: _authorize(denied, *asked))
        began = time.perf_counter()
        try:
            cursor = connection.execute(statement, _bound(parameters))
            columns = tuple(column[0] for column in cursor.description or ())
            rows, was_cut = _fetch(cursor, most_bytes)
            changed = cursor.rowcount
            cursor.close()
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
            raise self._rolled_back(error, denied) from error
        finally:
            connection.set_authorizer(None)
        if self._writes:
            try:
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._rolled_back(error, denied) from error
        return Result(columns, rows, changed, time.perf_counter() - began, was_cut)

    def schema(self) -> str:
        """Return a digest over names, tables and definitions."""
        rows = self._connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
        return digest(json.dumps(rows, ensure_ascii=True, separators=(",", ":")).encode())

    def count(self, table: str) -> int | None:
        """Count up to `COUNTED_ROWS`; None for more, or for what is no table."""
        name = table.replace('"', '""')
        try:
            # A plain count(*) is one step of the virtual machine, which no handler can stop, however many pages it reads.
            found: int = self._connection.execute(
                f'SELECT count(*) FROM (SELECT 1 FROM "{name}" LIMIT {COUNTED_ROWS + 1})'  # noqa: S608 quoted as a name
            ).fetchone()[0]
        except sqlite3.Error:
            return None
        return found if found <= COUNTED_ROWS else None

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def _rolled_back(self, error: Exception, denied: list[str]) -> EngineError:
        self._connection.set_authorizer(None)
        self._connection.set_progress_handler(None, 0)
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as second:
                return EngineError(f"{error}; and the roll-back failed: {second}", "unknown")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_IOERR and self._writes:
            return EngineError(f"{error}: whether it was written is not known", "unknown")
        if denied:
            return EngineError(f"nothing was changed: this tool does not run {denied[0]}", "failed")
        if code == sqlite3.SQLITE_INTERRUPT:
            return EngineError("nothing was changed: stopped at the time limit", "failed")
        return _translated(error, "failed")


ENGINES: Mapping[str, Engine] = {"sqlite": Sqlite()}


def _authorize(denied: list[str], action: int, first: str | None, second: str | None, *_: str | None) -> int:
    reason = ""
    if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH):
        reason = "ATTACH, DETACH or VACUUM"
    elif action in (sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT):
        reason = "transactions of the statement's own"
    elif action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in ("load_extension", "fts3_tokenizer"):
        reason = f"{second}()"
    elif action == sqlite3.SQLITE_PRAGMA:
        name = (first or "").lower()
        allowed = name in _SETTABLE or (name in _READING_PRAGMAS and (second is None or name in _WITH_NAMES))
        reason = "" if allowed else f"PRAGMA {name}"
    if not reason:
        return sqlite3.SQLITE_OK
    denied.append(reason)
    return sqlite3.SQLITE_DENY


def _fetch(cursor: sqlite3.Cursor, most_bytes: int) -> tuple[list[Any], bool]:
    rows: list[Any] = []
    size = 0
    while found := cursor.fetchmany(256):
        rows.extend(found)
        size += sum(len(item) if isinstance(item, str | bytes) else 8 for row in found for item in row)
        if size > most_bytes:
            return rows, True
    return rows, False


def _bound(parameters: Any) -> Any:
    return () if parameters is None else parameters


def _translated(error: Exception, status: Literal["failed", "not_started"]) -> EngineError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return EngineError(f"nothing was changed: the database stayed locked ({error})", "not_started")
    return EngineError(f"nothing was changed: {error}", "not_started" if code in _NOT_RUN else status)


def _inode(place: Place, database: str) -> tuple[int, int] | None:
    try:
        with confine.spot(place, database) as here:
            found = os.stat(here.name, dir_fd=here.folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise ToolRefused(f"{database!r} is not a regular file", rule="file.kind")
    return found.st_dev, found.st_ino


def _remove_if_empty(place: Place, database: str) -> None:
    with contextlib.suppress(FileNotFoundError), confine.spot(place, database) as here:
        if os.stat(here.name, dir_fd=here.folder, follow_symlinks=False).st_size == 0:
            os.unlink(here.name, dir_fd=here.folder)
