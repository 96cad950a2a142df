"""The log: canonical bytes, chained by hash, never changed.

    chain_i = SHA-256("assent/chain/v1" || 0x00 || chain_(i-1) || SHA-256(0x00 || bytes_i))

An entry's bytes are canonical JSON of strings, integers, booleans, lists and objects with ASCII keys, written in the transaction of the
change that they describe. Its time is the later of the clock and the newest entry, so time never runs backwards here.
Source: RFC 6962 (leaf prefix), RFC 8785 (canonical form). A chain without an anchor kept elsewhere cannot show truncation; see `verify`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...schemas.canonical import LARGEST, canonical, parse
from ...schemas.errors import StoreCorrupt
from ...schemas.event import Event
from ...schemas.noun import stamp
from .rows import REMEDY, decoding

GENESIS = bytes(32)
_PREFIX = b"assent/chain/v1\x00"


class Connection(sqlite3.Connection):
    """A connection that knows the newest entry while it holds the write transaction, in which nobody else can add one."""

    newest: tuple[int, bytes, datetime] | None = None
    """Set by `append` and `head`; whoever undoes something, or sees that another connection committed, sets it to `None`."""
    uses: Any = None
    """What `grant_uses` has read so far."""


def link(previous: bytes, entry: bytes) -> bytes:
    """Return the chain value after `entry`."""
    return hashlib.sha256(_PREFIX + previous + hashlib.sha256(b"\x00" + entry).digest()).digest()


@decoding
def head(connection: sqlite3.Connection) -> tuple[int, bytes, datetime | None]:
    """Return number, chain value and time of the newest entry; (0, zeros, None) for an empty log."""
    if isinstance(connection, Connection) and connection.newest is not None and connection.in_transaction:
        return connection.newest
    row = connection.execute("SELECT seq, chain, bytes FROM event ORDER BY seq DESC LIMIT 1").fetchone()
    if row is None:
        return 0, GENESIS, None
    newest = row[0], row[1], datetime.fromisoformat(json.loads(row[2])["at"])
    if isinstance(connection, Connection) and connection.in_transaction:
        connection.newest = newest
    return newest


def now(connection: sqlite3.Connection, clock: Callable[[], datetime]) -> datetime:
    """Return the later of the clock and the newest entry."""
    newest = head(connection)[2]
    wall = clock()
    return wall if newest is None or wall >= newest else newest


def append(connection: sqlite3.Connection, run_id: str, kind: str, at: datetime, actor: str, data: Mapping[str, Any]) -> int:
    """Add one entry and return its number. The caller holds the write transaction in which the described change is made.

    Raises:
        ValueError: `data` holds a float, a large integer or a key that is not ASCII; a defect of the caller.
    """
    seq, chain, newest = head(connection)
    if newest is not None and at < newest:
        at = newest
    _check(data)
    raw = canonical({"actor": actor, "at": stamp(at), "data": data, "run": run_id, "seq": seq + 1, "type": kind, "v": 1})
    after = link(chain, raw)
    # Python's driver searches for an adapter of each `bytes`, and raises errors in doing so; a `bytearray` it takes as it is.
    connection.execute("INSERT INTO event (seq, run_id, bytes, chain) VALUES (?, ?, ?, ?)", (seq + 1, run_id, bytearray(raw), bytearray(after)))
    if isinstance(connection, Connection):
        connection.newest = (seq + 1, after, at)
    return seq + 1


@decoding
def proved(connection: sqlite3.Connection, seq: int) -> dict[str, Any] | None:
    """Return entry `seq` where its bytes have their place in the chain; `None` where there is no such entry or it does not follow."""
    row = connection.execute(f"{_LINKED} WHERE e.seq = ?", (seq,)).fetchone()
    return None if row is None else _in_place(row)


_LINKED = "SELECT e.seq, e.bytes, e.chain, (SELECT chain FROM event WHERE seq = e.seq - 1) FROM event e"


def _in_place(row: tuple[int, bytes, bytes, bytes | None]) -> dict[str, Any] | None:
    _, raw, chain, before = row
    if before is None or link(before, raw) != chain:
        return None
    entry: dict[str, Any] = parse(raw)
    return entry


def of_kind(connection: sqlite3.Connection, run_id: str, *kinds: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of a run that are of one of these types, newest first.

    Raises:
        StoreCorrupt: one of them does not have its place in the chain, or stands under another run than it was written for.
    """
    rows = connection.execute(
        f"SELECT seq, bytes FROM event WHERE run_id = ? AND run_id <> '' AND {_sieve(kinds)} ORDER BY seq DESC",  # noqa: S608 - marks only
        (run_id, *map(_mark, kinds)),
    )
    return (_held(run_id, row[0], proved(connection, row[0])) for row in rows if _decoded(row[1])["type"] in kinds)


@decoding
def first(connection: sqlite3.Connection, run_id: str) -> dict[str, Any] | None:
    """Return the entry with which a run began; `None`: there is none. Raises: StoreCorrupt, as `of_kind`."""
    row = connection.execute(f"{_LINKED} WHERE e.run_id = ? AND e.run_id <> '' ORDER BY e.seq LIMIT 1", (run_id,)).fetchone()
    return None if row is None else _held(run_id, row[0], _in_place(row))


def _held(run_id: str, seq: int, entry: dict[str, Any] | None) -> dict[str, Any]:
    if entry is None or entry["run"] != run_id:
        # To pass over it would bring back to life what it ended.
        raise StoreCorrupt(f"entry {seq} of the log is not what was written about run {run_id}", hint=REMEDY)
    return entry


def since(connection: sqlite3.Connection, seq: int, *kinds: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of any run after entry `seq` that are of one of these types, in order."""
    rows = connection.execute(f"SELECT bytes FROM event WHERE seq > ? AND {_sieve(kinds)} ORDER BY seq", (seq, *map(_mark, kinds)))  # noqa: S608 - marks only
    return (entry for entry in (_decoded(row[0]) for row in rows) if entry["type"] in kinds)


def _sieve(kinds: Sequence[str]) -> str:
    """Return the condition that lets through what may be of these types."""
    # Sieved in the database, which is many times as fast as reading each entry; the type itself is read off the entry afterwards.
    return f"({' OR '.join('instr(bytes, CAST(? AS BLOB))' for _ in kinds)})"


def _mark(kind: str) -> str:
    return f'"type":"{kind}"'


@decoding
def _decoded(raw: bytes) -> dict[str, Any]:
    """Return one entry as it was written."""
    entry: dict[str, Any] = parse(raw)
    return entry


def read(raw: bytes) -> Event:
    """Decode one entry."""
    entry = parse(raw)
    return Event(seq=entry["seq"], run_id=entry["run"], type=entry["type"], at=entry["at"], actor=entry["actor"], data=entry["data"])


def events(connection: sqlite3.Connection, run_id: str = "", *, after: int = 0, limit: int = -1) -> list[Event]:
    """Return entries in order, of one run or of all."""
    if run_id:
        rows = connection.execute("SELECT bytes FROM event WHERE run_id = ? AND run_id <> '' AND seq > ? ORDER BY seq LIMIT ?", (run_id, after, limit))
    else:
        rows = connection.execute("SELECT bytes FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
    return [read(row[0]) for row in rows.fetchall()]


def _check(value: Any) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is dict:
        for key, inner in value.items():
            if type(key) is not str or not key.isascii():
                raise ValueError(f"a log entry has ASCII keys, found {key!r}")
            if type(inner) is not str:
                _check(inner)
    elif kind is list or kind is tuple:
        for inner in value:
            _check(inner)
    elif kind is not int or abs(value) > LARGEST:
        raise ValueError(f"a log entry holds text, small integers, booleans, lists and objects, found {value!r}")
