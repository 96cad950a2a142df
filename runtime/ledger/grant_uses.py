"""What the log says of grants: how often each was used, for how much, and whether it was revoked.

Rules: a grant whose row says something else than the log covers nothing, so that nobody makes it last longer by writing to the table. The log is
read once from the oldest grant on and then only where it grew; what was read counts only while the entry where it ended is still the same one.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from . import log
from .rows import decoding


@dataclass
class Told:
    """What was read so far: the part of the log, the chain value at its end, and for each grant its uses, what was spent, and whether it ended."""

    begin: int
    end: int
    chain: bytes
    grants: dict[str, tuple[int, str, bool]] = field(default_factory=dict)


@decoding
def told(c: sqlite3.Connection, begin: int) -> dict[str, tuple[int, str, bool]]:
    """Return uses, spent USD and whether it was revoked, for every grant of which the log tells after entry `begin`."""
    read: Told | None = c.uses if isinstance(c, log.Connection) else None
    if read is None or read.begin > begin or _chain(c, read.end) != read.chain:
        read = Told(begin, begin, _chain(c, begin))
    for entry in log.since(c, read.end, "grant.used", "grant.revoked"):
        _take(read.grants, entry["type"], entry["data"])
    end, chain, _ = log.head(c)
    if end > read.end:
        read.end, read.chain = end, chain
    if isinstance(c, log.Connection):
        c.uses = read
    return read.grants


def _take(grants: dict[str, tuple[int, str, bool]], kind: str, data: dict[str, Any]) -> None:
    used, spent, revoked = grants.get(data["grant"], (0, "0", False))
    grants[data["grant"]] = (used, spent, True) if kind == "grant.revoked" else (used + 1, data["spent"], revoked)


def _chain(c: sqlite3.Connection, seq: int) -> bytes:
    found = c.execute("SELECT chain FROM event WHERE seq = ?", (seq,)).fetchone()
    return b"" if found is None else bytes(found[0])
