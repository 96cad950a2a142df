"""Verification: recompute the chain over every entry, then hold every table against what the log says happened.

The chain shows any change, loss, doubling or exchange of entries before the head. What it cannot show by itself, a log cut short or an older
copy of the whole store, shows against an anchor that was kept elsewhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from ...schemas.canonical import digest, is_canonical, parse
from ...schemas.event import Anchor, Verification
from . import log

_MOST = 200
"""Problems beyond this many are counted, not listed."""


def verify(c: sqlite3.Connection, *, anchor: Anchor | None = None) -> Verification:
    """Recompute the log and compare the tables with it. Reads one consistent snapshot.

    Args:
        anchor: an earlier head kept elsewhere; the log must still contain it.
    """
    c.execute("BEGIN")
    try:
        problems: list[str] = []
        entries, head = _chain(c, problems, anchor)
        return Verification(ok=not problems, entries=entries, head=head.hex(), problems=tuple(problems[:_MOST]))
    finally:
        c.execute("COMMIT")


def _chain(c: sqlite3.Connection, problems: list[str], anchor: Anchor | None) -> tuple[int, bytes]:
    chain, expected = log.GENESIS, 0
    facts = _Facts()
    at_anchor = log.GENESIS if anchor is not None and anchor.entries == 0 else None
    newest = ""
    for seq, run_id, raw, kept in c.execute("SELECT seq, run_id, bytes, chain FROM event ORDER BY seq"):
        expected += 1
        if seq != expected:
            problems.append(f"entry {expected} is missing (the next one is {seq})")
            expected = seq
        raw = bytes(raw) if isinstance(raw, bytes) else str(raw).encode()
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
            facts.take(seq, entry)
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
    if entry["seq"] != seq or entry["run"] != run_id:
        problems.append(f"entry {seq}: stands in the wrong place")
        return None
    return entry


def _against(anchor: Anchor, c: sqlite3.Connection, entries: int, at_anchor: bytes | None) -> Iterator[str]:
    name = c.execute("SELECT value FROM meta WHERE key = 'deployment'").fetchone()
    if name is None or name[0] != anchor.deployment:
        yield f"the anchor is of another ledger ({anchor.deployment})"
    elif entries < anchor.entries:
        yield f"the log was cut short or rolled back: the anchor saw {anchor.entries} entries, there are {entries}"
    elif at_anchor is None or at_anchor.hex() != anchor.head:
        yield f"the log is not the one that the anchor saw: entry {anchor.entries} has another chain value"


class _Facts:
    """What the log says the tables hold."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.plans: dict[tuple[str, int], str] = {}
        self.requests: dict[str, str] = {}
        self.decisions: dict[int, dict[str, Any]] = {}
        self.dispatches: dict[str, tuple[str, str]] = {}
        self.results: dict[str, str] = {}
        self.erased: set[str] = set()

    def take(self, seq: int, entry: dict[str, Any]) -> None:
        """Follow one entry."""
        run, kind, data = entry["run"], entry["type"], entry["data"]
        if kind == "run.started":
            self.status[run] = "planning"
        elif kind == "run.status":
            self.status[run] = data["to"]
        elif kind in ("plan.frozen", "plan.edited"):
            self.plans[run, data["version"]] = data["digest"]
        elif kind == "request.opened":
            self.requests[data["request"]] = "open"
        elif kind == "request.settled":
            self.requests[data["request"]] = data["status"]
        elif kind == "decision.recorded":
            self.decisions[seq] = {**data, "actor": entry["actor"], "at": entry["at"], "run": run}
        elif kind == "step.dispatched":
            self.dispatches[data["key"]] = ("dispatched", "")
        elif kind == "results.recorded":
            self.results[run] = data["results"]
        elif kind == "run.erased":
            self.erased.add(run)
        elif kind.startswith("step.") and "receipt" in data:
            self.dispatches[data["key"]] = (data["state"], data["receipt"])

    def compare(self, c: sqlite3.Connection) -> Iterator[str]:
        """Yield every difference between the tables and the log."""
        yield from self._runs_and_plans(c)
        rows = {row[0]: row[1] for row in c.execute("SELECT id, status FROM request")}
        yield from _differences("request", rows, self.requests)
        held = {row[0]: row[1:] for row in c.execute("SELECT seq, request_id, run_id, actor_id, actor, verdict, digest, reason, at FROM decision")}
        for seq in held.keys() | self.decisions.keys():
            said, row = self.decisions.get(seq), held.get(seq)
            if said is None:
                yield f"decision {seq}: the log does not know it"
            elif row is None:
                yield f"decision {seq}: the log knows it, the table does not"
            elif (
                (row[0], row[1], row[2], row[4], row[5], row[7]) != (said["request"], said["run"], said["actor"], said["verdict"], said["digest"], said["at"])
                or digest(str(row[3]).encode()) != said["who"]
                or digest(str(row[6]).encode()) != said["reason"]
            ):
                yield f"decision {seq}: not what the log says"
        dispatched = {row[0]: (row[1], digest(row[2].encode()) if row[2] else "") for row in c.execute("SELECT key, state, receipt FROM dispatch")}
        yield from _differences("dispatch", dispatched, self.dispatches)

    def _runs_and_plans(self, c: sqlite3.Connection) -> Iterator[str]:
        runs = {row[0]: row[1:] for row in c.execute("SELECT id, status, digest, version, results FROM run")}
        status = {run: said for run, said in self.status.items() if run not in self.erased}
        yield from _differences("run", {run: row[0] for run, row in runs.items()}, status)
        plans = {(row[0], row[1]): (row[2], bytes(row[3])) for row in c.execute("SELECT run_id, version, digest, bytes FROM plan")}
        for place in plans.keys() | {p for p in self.plans if p[0] not in self.erased}:
            run, version = place
            kept = plans.get(place)
            if kept is None or kept[0] != self.plans.get(place) or digest(kept[1]) != kept[0]:
                yield f"plan version {version} of run {run}: not what the log says"
        for run, row in runs.items():
            newest = max((version for name, version in self.plans if name == run), default=0)
            if row[2] != newest or row[1] != self.plans.get((run, newest), ""):
                yield f"run {run}: the plan in force is not the newest one of the log"
            if (digest(bytes(row[3])) if row[3] is not None else "") != self.results.get(run, ""):
                yield f"run {run}: its results are not what the log says"


def _differences(what: str, held: dict[str, Any], said: dict[str, Any]) -> Iterator[str]:
    for name in sorted(held.keys() | said.keys()):
        if held.get(name) != said.get(name):
            yield f"{what} {name}: the table says {_brief(held.get(name))}, the log says {_brief(said.get(name))}"


def _brief(value: Any) -> str:
    return "nothing" if value is None else str(value[0] if isinstance(value, tuple) else value)
