"""What the tables have to hold, told from the log alone, and every place where they do not.

Rules: each column that anything is decided or reported on follows from the log, by value or by digest; a row too many, a row too few and a
column that differs are one finding each, with table, name, and both values. An entry that lacks what its type needs is a finding, not a crash.
Deliberately absent: times of day against other clocks, and whether what was recorded was right; see `verify` for the chain itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...schemas.canonical import digest
from . import facets, requests, tables

Row = dict[str, Any]

_TABLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "meta": (("key",), ("value",)),
    "run": (
        ("id",),
        ("status", "graph", "tier", "title", "requester", "digest", "version", "stop_requested", "back_to", "ask", "created_at", "updated_at", "results", "erased"),
    ),
    "plan": (("run_id", "version"), ("digest", "bytes", "editor", "created_at")),
    "request": (("id",), ("status", "settled_at", "claimed_by", "claimed_until", *requests.ASKED)),
    "decision": (("seq",), ("request_id", "run_id", "actor_id", "actor", "verdict", "digest", "reason", "at")),
    "dispatch": (
        ("key",),
        ("run_id", "digest", "step", "direction", "attempt", "state", "effect_class", "before", "started_at", "finished_at", "receipt"),
    ),
    "standing_grant": (("id",), ("seq", "body", "uses", "used", "spent_usd", "expires_at", "revoked_at", "revoked_by")),
    "grant_use": (("key",), ("grant_id", "run_id", "step", "at")),
    "due_done": (("request_id", "kind", "number"), ("run_id", "digest", "at")),
    "opinion": (("key", "model"), ("seq", "run_id", "answer", "confidence_pct", "words", "ms", "at")),
    "artifact": (("run_id", "name"), ("digest", "size_bytes", "media_type", "created_at")),
}
_DIGESTS = {"standing_grant": ("body",), "opinion": ("words",), "run": ("ask", "results", "title"), "plan": ("bytes",), "decision": ("actor", "reason"), "dispatch": ("before", "receipt")}
"""Columns of which the log holds the digest, not the value."""
_ERASED = frozenset({"ask", "title", "results", "asked", "words"})
"""Columns of a run, its requests and its opinions that retention empties."""


class Recount:
    """What the log says the tables hold."""

    def __init__(self) -> None:
        self.said: dict[str, dict[Any, Row]] = {name: {} for name in _TABLES}
        self.erased: set[str] = set()

    def take(self, seq: int, entry: Row) -> None:
        """Follow one entry.

        Raises:
            KeyError, TypeError, AttributeError: the entry lacks what its type needs, or speaks of something that the log never named.
        """
        kind, data = entry["type"], entry["data"]
        follow = _FOLLOW.get(kind)
        if follow is not None:
            follow(self, seq, entry, data)
        elif kind.startswith("step.") and "receipt" in data:
            row = self.said["dispatch"][data["key"]]
            row |= {"state": data["state"], "receipt": data["receipt"], "finished_at": entry["at"]}

    def compare(self, c: sqlite3.Connection) -> Iterator[str]:
        """Yield every difference between the tables and the log."""
        yield from _schema(c)
        yield from facets.unlisted(c)
        for table, (key, columns) in _TABLES.items():
            names = ", ".join((*key, *columns))
            held: dict[Any, Row] = {}
            for found in c.execute(f"SELECT {names} FROM {table}"):  # noqa: S608 - constants of this file
                name = found[0] if len(key) == 1 else found[: len(key)]
                if name in held:
                    yield f"{_place(table, name)}: the table holds it twice"
                held[name] = _row(table, dict(zip(columns, found[len(key) :], strict=True)))
            said = self.said[table]
            # Other settings of the store than its name are nobody's authority.
            for name in sorted(said.keys() if table == "meta" else held.keys() | said.keys(), key=str):
                yield from self._differences(table, name, held.get(name), said.get(name))

    def _differences(self, table: str, name: Any, held: Row | None, said: Row | None) -> Iterator[str]:
        where = _place(table, name)
        if said is None:
            yield f"{where}: the log does not know it"
        elif held is None:
            if self._run_of(table, name, said) not in self.erased:
                yield f"{where}: the log knows it, the table does not"
        else:
            gone = _ERASED if self._run_of(table, name, said) in self.erased else ()
            for column, value in said.items():
                if column in gone:
                    continue
                if held[column] != value or type(held[column]) is not type(value):
                    yield f"{where}: {column} is not what the log says (the table: {_brief(held[column])}, the log: {_brief(value)})"

    @staticmethod
    def _run_of(table: str, name: Any, said: Row) -> Any:
        return name if table == "run" else said.get("run_id", name[0] if isinstance(name, tuple) else "")

    # --- one kind of entry each -----------------------------------------------------------------------------------------------------

    def _founded(self, seq: int, entry: Row, data: Row) -> None:
        self.said["meta"]["deployment"] = {"value": data["deployment"]}

    def _started(self, seq: int, entry: Row, data: Row) -> None:
        self.said["run"][entry["run"]] = {
            "status": "planning", "graph": data["graph"], "tier": data.get("tier"), "requester": data["requester"], "digest": "", "version": 0,
            "stop_requested": 0, "back_to": None, "ask": data["ask"], "created_at": entry["at"], "updated_at": entry["at"], "results": "", "erased": 0,
        }

    def _run(self, entry: Row, **changed: Any) -> Row:
        row = self.said["run"][entry["run"]]
        row |= {**changed, "updated_at": entry["at"]}
        return row

    def _moved(self, seq: int, entry: Row, data: Row) -> None:
        if self.said["run"][entry["run"]]["status"] != data["from"]:
            raise KeyError(data["from"])
        self._run(entry, status=data["to"])

    def _planned(self, seq: int, entry: Row, data: Row) -> None:
        about = data["digest"]
        self.said["plan"][entry["run"], data["version"]] = {"digest": about, "bytes": about, "editor": entry["actor"], "created_at": entry["at"]}
        self._run(entry, digest=about, version=data["version"], title=data["title"])

    def _asked(self, seq: int, entry: Row, data: Row) -> None:
        self.said["request"][data["request"]] = {"status": "open", "settled_at": None, "asked": data["asked"], "run_id": entry["run"], "claimed_by": "", "claimed_until": None}

    def _settled(self, seq: int, entry: Row, data: Row) -> None:
        self.said["request"][data["request"]] |= {"status": data["status"], "settled_at": entry["at"]}

    def _decided(self, seq: int, entry: Row, data: Row) -> None:
        self.said["decision"][seq] = {
            "request_id": data["request"], "run_id": entry["run"], "actor_id": entry["actor"], "actor": data["who"], "verdict": data["verdict"],
            "digest": data["digest"], "reason": data["reason"], "at": entry["at"],
        }

    def _dispatched(self, seq: int, entry: Row, data: Row) -> None:
        self.said["dispatch"][data["key"]] = {
            "run_id": entry["run"], "digest": data["digest"], "step": data["step"], "direction": data["direction"], "attempt": data["attempt"],
            "state": "dispatched", "effect_class": data["class"], "before": data["before"], "started_at": entry["at"], "finished_at": None, "receipt": "",
        }

    def _kept(self, seq: int, entry: Row, data: Row) -> None:
        self.said["artifact"][entry["run"], data["name"]] = {
            "digest": data["digest"], "size_bytes": data["size"], "media_type": data["type"], "created_at": entry["at"],
        }

    def _stopped(self, seq: int, entry: Row, data: Row) -> None:
        self._run(entry, stop_requested=1)

    def _back(self, seq: int, entry: Row, data: Row) -> None:
        self._run(entry, back_to=data["to"])

    def _reported(self, seq: int, entry: Row, data: Row) -> None:
        self._run(entry, results=data["results"], back_to=None)

    def _granted(self, seq: int, entry: Row, data: Row) -> None:
        self.said["standing_grant"][data["grant"]] = {
            "seq": seq, "body": data["body"], "uses": data["uses"], "used": 0, "spent_usd": "0", "expires_at": data["expires"], "revoked_at": None, "revoked_by": "",
        }

    def _used(self, seq: int, entry: Row, data: Row) -> None:
        self.said["standing_grant"][data["grant"]] |= {"used": data["used"], "spent_usd": data["spent"]}
        self.said["grant_use"][data["key"]] = {"grant_id": data["grant"], "run_id": entry["run"], "step": data["step"], "at": entry["at"]}

    def _revoked(self, seq: int, entry: Row, data: Row) -> None:
        self.said["standing_grant"][data["grant"]] |= {"revoked_by": entry["actor"], "revoked_at": entry["at"]}

    def _opined(self, seq: int, entry: Row, data: Row) -> None:
        self.said["opinion"][data["key"], data["model"]] = {
            "seq": seq, "run_id": entry["run"], "answer": data["answer"], "confidence_pct": data["confidence_pct"], "words": data["words"],
            "ms": data["ms"], "at": entry["at"],
        }

    def _erased(self, seq: int, entry: Row, data: Row) -> None:
        self.erased.add(entry["run"])
        self.said["run"][entry["run"]]["erased"] = 1

    def _claimed(self, seq: int, entry: Row, data: Row) -> None:
        self.said["request"][data["request"]] |= {"claimed_by": entry["actor"], "claimed_until": data["until"]}

    def _released(self, seq: int, entry: Row, data: Row) -> None:
        self.said["request"][data["request"]] |= {"claimed_by": "", "claimed_until": None}

    def _waited(self, seq: int, entry: Row, data: Row) -> None:
        kind = {"request.reminded": "remind", "request.backup": "backup", "request.escalated": "escalate"}[entry["type"]]
        self.said["due_done"][data["request"], kind, data["number"]] = {"run_id": entry["run"], "digest": data["digest"], "at": entry["at"]}


_FOLLOW: Mapping[str, Callable[[Recount, int, Row, Row], None]] = {
    "ledger.founded": Recount._founded,
    "run.started": Recount._started,
    "run.status": Recount._moved,
    "run.stop_requested": Recount._stopped,
    "rollback.requested": Recount._back,
    "results.recorded": Recount._reported,
    "run.erased": Recount._erased,
    "plan.frozen": Recount._planned,
    "plan.edited": Recount._planned,
    "request.opened": Recount._asked,
    "request.settled": Recount._settled,
    "decision.recorded": Recount._decided,
    "step.dispatched": Recount._dispatched,
    "artifact.kept": Recount._kept,
    "request.claimed": Recount._claimed,
    "request.released": Recount._released,
    "request.reminded": Recount._waited,
    "request.backup": Recount._waited,
    "request.escalated": Recount._waited,
    "opinion.recorded": Recount._opined,
    "grant.given": Recount._granted,
    "grant.used": Recount._used,
    "grant.revoked": Recount._revoked,
}


def _place(table: str, name: Any) -> str:
    return f"{table} {name if not isinstance(name, tuple) else ' '.join(map(str, name))}"


def _row(table: str, row: Row) -> Row:
    for column in _DIGESTS.get(table, ()):
        row[column] = _digest(row[column])
    if table == "request":
        try:
            row["asked"] = requests.asked(row)
        except ValueError:
            row["asked"] = "unreadable"
    return row


def _digest(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return digest(value)
    return digest(str(value).encode("utf-8", "surrogateescape"))


def _schema(c: sqlite3.Connection) -> Iterator[str]:
    for name, how in tables.differences(c).items():
        yield f"schema: {name} is {how}"


def _brief(value: Any) -> str:
    return "nothing" if value is None or value == "" else repr(value)[:80]


