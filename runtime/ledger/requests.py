"""Requests and decisions in the ledger: questions opened once, answered by people, settled."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...schemas.approval import Actor, Decision, Question, Request, RequestStatus, Verdict
from ...schemas.canonical import canonical, compact, digest
from ...schemas.errors import NotFound, StoreCorrupt
from ...schemas.noun import stamp
from . import facets, log
from .rows import REMEDY, decoding

_COLUMNS = (
    "id, run_id, kind, digest, version, risk, title, subject, options, need, requester, urgency, required_by, tags, opened_at, decide_by, status, "
    "settled_at, claimed_by, claimed_until"
)
_NAMES = _COLUMNS.split(", ")
_MARKS = ",".join("?" * len(_NAMES))
INDEX = facets.TABLES
ASKED = ("run_id", "kind", "digest", "version", "risk", "title", "subject", "options", "need", "requester", "urgency", "required_by", "tags", "opened_at", "decide_by")
"""The columns of a question that never change."""


def open_new(c: sqlite3.Connection, request: Request, at: datetime, *, with_backup: bool = False) -> None:
    """Record a new question.

    Args:
        with_backup: the backup was called for this plan before, so it may answer this question as well.

    Raises:
        StoreCorrupt: it is there already, and was not found among the questions of its run.
    """
    j = request.model_dump(mode="json")
    row = {**j, "subject": _text(j["subject"]), "options": _text(j["options"]), "need": _text(j["need"]), "tags": _text(j["tags"])}
    try:
        c.execute(f"INSERT INTO request ({_COLUMNS}) VALUES ({_MARKS})", [row[name] for name in _NAMES])  # noqa: S608 - constant columns
    except sqlite3.IntegrityError as error:
        raise StoreCorrupt(f"question {request.id} of run {request.run_id} lies under another run", hint=REMEDY) from error
    data = {"request": request.id, "kind": request.kind.value, "digest": request.digest, "risk": request.risk.value, "asked": asked(row)}
    log.append(c, request.run_id, "request.opened", at, "system", data)
    facets.put(c, request, with_backup=with_backup)


def asked(row: Mapping[str, Any]) -> str:
    """Return the digest of everything about a question that never changes, over the texts that its columns hold."""
    return digest(canonical({name: row[name] for name in ASKED}))


def get(c: sqlite3.Connection, request_id: str) -> Request:
    """Return one request with its decisions. Raises: NotFound."""
    row = c.execute(f"SELECT {_COLUMNS} FROM request WHERE id = ?", (request_id,)).fetchone()  # noqa: S608 - constant columns
    if row is None:
        raise NotFound(f"there is no request {request_id!r}", hint="`assent inbox` lists those that wait")
    return _row(row, decisions(c, "request_id", request_id))


def of_run(c: sqlite3.Connection, run_id: str) -> list[Request]:
    """Return every request of a run, oldest first."""
    rows = c.execute(f"SELECT {_COLUMNS} FROM request WHERE run_id = ?", (run_id,))  # noqa: S608 - constant columns
    given: dict[str, list[Decision]] = {}
    for decision in decisions(c, "run_id", run_id):
        given.setdefault(decision.request_id, []).append(decision)
    found = [_row(row, tuple(given.get(row[0], ()))) for row in rows.fetchall()]
    return sorted(found, key=lambda one: (one.opened_at, one.version, one.settled_at is None, one.settled_at or one.opened_at, one.id))


def waiting(
    c: sqlite3.Connection, *, risk: str = "", tag: str = "", roles: Sequence[str] | None = None, with_backup: bool = False,
    before: datetime | None = None, by_urgency: bool = False,
) -> Iterator[Request]:
    """Yield open requests of all runs, oldest first or most urgent first.

    Args:
        risk: only of this level.
        tag: only with this tag.
        roles: only those that ask for one of these roles.
        with_backup: with `roles`, also those for which the backup was called.
        before: only those opened before this time.
    """
    wanted: list[list[str]] = [[f"{name}:{value}"] for name, value in (("risk", risk), ("tag", tag)) if value]
    if roles is not None:
        wanted.append([*(f"role:{role}" for role in dict.fromkeys(roles)), *([facets.BACKUP] if with_backup else [])])
    for request_id in facets.ids(c, wanted, before=before, by_urgency=by_urgency):
        yield get(c, request_id)


def list_for_backup(c: sqlite3.Connection, request: Request) -> None:
    """Let the backup find every open question about this plan."""
    for other in of_run(c, request.run_id):
        if other.is_open and other.digest == request.digest:
            facets.put(c, other, with_backup=True)


def open_ids(c: sqlite3.Connection) -> list[str]:
    """Return the ids of open requests, oldest first."""
    return [row[0] for row in c.execute("SELECT id FROM request WHERE status = 'open' ORDER BY opened_at, id")]


def settled(c: sqlite3.Connection) -> Iterator[Request]:
    """Yield settled requests of all runs, newest first."""
    rows = c.execute(f"SELECT {_COLUMNS} FROM request WHERE status <> 'open' ORDER BY settled_at DESC, id").fetchall()  # noqa: S608 - constant columns
    for row in rows:
        yield _row(row, decisions(c, "request_id", row[0]))


def due(c: sqlite3.Connection, now: datetime) -> list[str]:
    """Return the ids of open requests whose time to decide has passed."""
    return [r[0] for r in c.execute("SELECT id FROM request WHERE status = 'open' AND decide_by IS NOT NULL AND decide_by <= ?", (stamp(now),)).fetchall()]


def record(c: sqlite3.Connection, request: Request, actor: Actor, verdict: Verdict, reason: str, at: datetime) -> Request:
    """Keep an answer for ever, with its log entry. Returns the question with it."""
    decision = Decision(request_id=request.id, actor=actor, verdict=verdict, digest=request.digest, reason=reason, at=at)
    who = _text(actor.model_dump(mode="json"))
    data = _facts(request.id, actor, who, verdict.value, request.digest, reason)
    seq = log.append(c, request.run_id, "decision.recorded", at, actor.id, data)
    c.execute(
        "INSERT INTO decision (seq, request_id, run_id, actor_id, actor, verdict, digest, reason, at) VALUES (?,?,?,?,?,?,?,?,?)",
        (seq, request.id, request.run_id, actor.id, who, verdict.value, request.digest, reason, stamp(at)),
    )
    return request.model_copy(update={"decisions": _counted((*request.decisions, decision))})


def proved(c: sqlite3.Connection, run_id: str, asked: Iterable[Request]) -> tuple[tuple[Decision, ...], tuple[int, ...]]:
    """Hold the decisions on a run against the log.

    Args:
        asked: the questions of the run.

    Returns:
        Those that answer whether the plan may run, where the question ended with an approval, and that the log holds word for word; and the
        numbers of those, on whatever question, that the log does not hold.
    """
    questions = {request.id: (request.kind.value, request.status.value) for request in asked}
    held: list[Decision] = []
    strangers: list[int] = []
    for row in c.execute(f"{_DECISIONS} WHERE run_id = ? ORDER BY seq", (run_id,)).fetchall():
        if not _is_logged(c, row):
            strangers.append(row[6])
        elif questions.get(row[0]) == (Question.PLAN.value, RequestStatus.APPROVED.value):
            held.append(_decision(row))
    return tuple(held), tuple(strangers)


def logged(c: sqlite3.Connection, request_id: str) -> tuple[Decision, ...]:
    """Return the decisions on one question that the log holds word for word."""
    rows = c.execute(f"{_DECISIONS} WHERE request_id = ? ORDER BY seq", (request_id,))
    return tuple(_decision(row) for row in rows.fetchall() if _is_logged(c, row))


def _is_logged(c: sqlite3.Connection, row: tuple[Any, ...]) -> bool:
    request_id, who, verdict, about, reason, at, seq, run_id, actor_id = row
    actor = Actor.model_validate_json(who)
    wanted = {
        "actor": actor_id, "at": at, "data": _facts(request_id, actor, who, verdict, about, reason), "run": run_id, "seq": seq,
        "type": "decision.recorded", "v": 1,
    }
    return actor.id == actor_id and log.proved(c, seq) == wanted


def _facts(request_id: str, actor: Actor, who: str, verdict: str, about: str, reason: str) -> dict[str, Any]:
    return {
        "request": request_id, "verdict": verdict, "digest": about, "assurance": actor.assurance.value, "kind": actor.kind,
        "who": digest(who.encode()), "reason": digest(reason.encode()),
    }


def settle(c: sqlite3.Connection, request: Request, status: RequestStatus, at: datetime, actor: str) -> Request:
    """Close a question."""
    c.execute("UPDATE request SET status = ?, settled_at = ? WHERE id = ? AND status = 'open'", (status.value, stamp(at), request.id))
    facets.take(c, request)
    log.append(c, request.run_id, "request.settled", at, actor, {"request": request.id, "status": status.value})
    return request.model_copy(update={"status": status, "settled_at": at})


_DECISIONS = "SELECT request_id, actor, verdict, digest, reason, at, seq, run_id, actor_id FROM decision"


def decisions(c: sqlite3.Connection, column: str, value: str) -> tuple[Decision, ...]:
    """Return decisions in the order in which they were given."""
    rows = c.execute(f"{_DECISIONS} WHERE {column} = ? ORDER BY seq", (value,)).fetchall()
    return _counted([_decision(row) for row in rows])


def _counted(found: Sequence[Decision]) -> tuple[Decision, ...]:
    """Mark the answers that a later one of the same person replaced."""
    last = {(d.request_id, d.actor.id): n for n, d in enumerate(found)}
    return tuple(d if last[d.request_id, d.actor.id] == n else d.model_copy(update={"counted": False}) for n, d in enumerate(found))


@decoding
def _decision(row: tuple[Any, ...]) -> Decision:
    return Decision(request_id=row[0], actor=Actor.model_validate_json(row[1]), verdict=row[2], digest=row[3], reason=row[4], at=row[5])


@decoding
def _row(row: tuple[Any, ...], given: tuple[Decision, ...]) -> Request:
    return Request(
        id=row[0], run_id=row[1], kind=row[2], digest=row[3], version=row[4], risk=row[5], title=row[6], subject=json.loads(row[7]),
        options=json.loads(row[8]), need=json.loads(row[9]), requester=row[10], urgency=row[11], required_by=row[12],
        tags=json.loads(row[13]), opened_at=row[14], decide_by=row[15], status=row[16], settled_at=row[17], claimed_by=row[18], claimed_until=row[19],
        decisions=given,
    )


def _text(value: Any) -> str:
    return compact(value)
