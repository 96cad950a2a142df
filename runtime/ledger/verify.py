"""Verification: recompute the chain over every entry, then hold every table against what the log says happened.

The chain shows any change, loss, doubling or exchange of entries before the head. What it cannot show by itself, a log cut short or an older
copy of the whole store, shows against an anchor that was kept elsewhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from ...policies.counted import counted
from ...schemas.canonical import is_canonical, parse
from ...schemas.event import Anchor, Verification
from . import log
from .recount import Recount

_MOST = 200
"""Problems beyond this many are counted, not listed."""


def verify(c: sqlite3.Connection, *, anchor: Anchor | None = None) -> Verification:
    """Recompute the log and compare the tables with it. Reads one consistent snapshot.

    Args:
        anchor: an earlier head kept elsewhere; the log must still contain it.
    """
    own = not c.in_transaction
    if own:
        c.execute("BEGIN")
    # What somebody changed need not be text; it is to be reported, not to end the report.
    c.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        damage = [str(row[0]) for row in c.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
        problems = [f"the file is damaged: {' '.join(what.split())}" for what in damage]
        entries, head = _chain(c, problems, anchor)
        erased = c.execute("SELECT count(*) FROM run WHERE erased = 1").fetchone()[0]
        return Verification(ok=not problems, entries=entries, head=head.hex(), problems=tuple(problems[:_MOST]), erased=erased)
    finally:
        c.text_factory = str
        if own:
            c.execute("COMMIT")


def _chain(c: sqlite3.Connection, problems: list[str], anchor: Anchor | None) -> tuple[int, bytes]:
    chain, expected = log.GENESIS, 0
    facts = Recount()
    at_anchor = log.GENESIS if anchor is not None and anchor.entries == 0 else None
    newest = ""
    for seq, run_id, raw, kept in c.execute("SELECT seq, run_id, bytes, chain FROM event ORDER BY seq"):
        expected += 1
        if seq != expected:
            problems.append(f"entry {expected} is missing (the next one is {seq})")
            expected = seq
        raw = bytes(raw) if isinstance(raw, bytes) else str(raw).encode("utf-8", "surrogateescape")
        chain = log.link(chain, raw)
        if kept != chain:
            problems.append(f"entry {seq}: its bytes or those before it were changed")
            # Go on from what is kept, so that one change is one finding.
            chain = bytes(kept) if isinstance(kept, bytes) else chain
        if anchor is not None and seq == anchor.entries:
            at_anchor = chain
        entry = _entry(seq, raw, run_id, problems)
        if entry is not None:
            if entry["at"] < newest:
                problems.append(f"entry {seq}: its time is before that of the entry before it")
            newest = max(newest, entry["at"])
            try:
                facts.take(seq, entry)
            except (KeyError, TypeError, AttributeError):
                problems.append(f"entry {seq}: a {entry['type']} that does not follow from the entries before it")
    if expected == 0:
        problems.append("the log is empty; not even its founding is there")
    if anchor is not None:
        problems.extend(_against(anchor, c, expected, at_anchor))
    problems.extend(facts.compare(c))
    return expected, chain


def _entry(seq: int, raw: bytes, run_id: str, problems: list[str]) -> dict[str, Any] | None:
    if not is_canonical(raw):
        problems.append(f"entry {seq}: not canonical JSON")
        return None
    entry = parse(raw)
    if not isinstance(entry, dict) or set(entry) != {"actor", "at", "data", "run", "seq", "type", "v"}:
        problems.append(f"entry {seq}: not an entry of this log")
        return None
    if not (isinstance(entry["data"], dict) and all(isinstance(entry[name], str) for name in ("actor", "at", "run", "type"))):
        problems.append(f"entry {seq}: not an entry of this log")
        return None
    if entry["seq"] != seq or entry["run"] != run_id or entry["v"] != 1:
        problems.append(f"entry {seq}: stands in the wrong place")
        return None
    return entry


def _against(anchor: Anchor, c: sqlite3.Connection, entries: int, at_anchor: bytes | None) -> Iterator[str]:
    name = c.execute("SELECT value FROM meta WHERE key = 'deployment'").fetchone()
    if name is None or name[0] != anchor.deployment:
        yield f"the anchor is of another ledger ({anchor.deployment})"
    elif entries < anchor.entries:
        yield f"the log was cut short or rolled back: the anchor saw {counted(anchor.entries, 'entry', 'entries')}, there are {entries}"
    elif at_anchor is None or at_anchor.hex() != anchor.head:
        yield f"the log is not the one that the anchor saw: entry {anchor.entries} has another chain value"
