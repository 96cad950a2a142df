"""Trouble with the database: SQLite's errors in our words, each with what to do."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ...schemas.errors import StoreCorrupt, StoreError, StoreUnavailable
from .rows import REMEDY

# Our statements fit our schema, unless that or its version is damaged.
_MISFIT = re.compile("^no such (column|index|table)|has no column named|^(index|table|trigger) .* already exists")
FOREIGN = (sqlite3.DatabaseError, UnicodeDecodeError, OSError)
"""What using the database raises."""


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Let a block raise our errors for SQLite's."""
    try:
        yield
    except FOREIGN as error:
        raise in_our_words(path, error) from error


def in_our_words(path: Path, error: sqlite3.DatabaseError | UnicodeDecodeError | OSError) -> StoreError | sqlite3.DatabaseError:
    """Return the error to raise in place of a foreign one."""
    if isinstance(error, UnicodeDecodeError):
        # The module could not even read SQLite's own words about a schema that is damaged.
        return StoreCorrupt(f"{path} is damaged: {error}", hint=REMEDY)
    if isinstance(error, OSError):
        return StoreUnavailable(f"{path} cannot be used: {error}", hint="check the folder's owner, permissions and disk; nothing was changed")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # Text that is not UTF-8 is an error of the Python module, which has no code.
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or str(error).startswith("Could not decode to UTF-8") or _MISFIT.search(str(error)):
        return StoreCorrupt(f"{path} is damaged: {error}", hint=REMEDY)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnavailable(f"{path} is locked by another process", hint="wait for it to end, or end it; nothing was changed")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreUnavailable(f"{path} cannot be written: {error}", hint="check the folder's owner and permissions; nothing was changed")
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return StoreUnavailable(f"{path}: {error}", hint="free disk space or mend the disk, then resume the run; nothing was changed")
    return error
