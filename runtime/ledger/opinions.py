"""Opinions of models in the ledger: kept once for each question and model, found by the question's digest, believed only where the log has them.

Rules: a row permits nothing. Derived again at every dispatch, it can at most take back a doubt about the intent; a row that the log does not hold
word for word is as if it were not there. The reason in the model's words goes with the details of its run; the log has its digest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from ...schemas.canonical import digest
from ...schemas.event import Event
from ...schemas.noun import stamp
from ...schemas.opinion import KeptOpinion
from . import log
from .rows import decoding

TABLES = """
CREATE TABLE opinion (
    key TEXT NOT NULL, model TEXT NOT NULL, seq INTEGER NOT NULL, run_id TEXT NOT NULL, answer TEXT NOT NULL, confidence_pct INTEGER NOT NULL,
    words TEXT NOT NULL, ms INTEGER NOT NULL, at TEXT NOT NULL, PRIMARY KEY (key, model)
) WITHOUT ROWID;
CREATE INDEX opinion_by_run ON opinion (run_id);
CREATE TRIGGER opinion_stays BEFORE UPDATE OF key, model, seq, run_id, answer, confidence_pct, ms, at ON opinion
    BEGIN SELECT RAISE(ABORT, 'an opinion does not change'); END;
"""
RECORDED = "opinion.recorded"
_COLUMNS = "key, model, run_id, answer, confidence_pct, words, ms, at, seq"


def give(c: sqlite3.Connection, opinion: KeptOpinion) -> None:
    """Keep an answer; the first answer of a model to a question stays."""
    if c.execute("SELECT 1 FROM opinion WHERE key = ? AND model = ?", (opinion.key, opinion.model)).fetchone():
        return
    data = {**_facts(opinion), "words": digest(opinion.reason.encode("utf-8", "surrogateescape"))}
    seq = log.append(c, opinion.run_id, RECORDED, opinion.at, f"model:{opinion.model}", data)
    c.execute(
        f"INSERT INTO opinion ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constant columns
        (
            opinion.key, opinion.model, opinion.run_id, opinion.answer, opinion.confidence_pct, opinion.reason, opinion.ms, stamp(opinion.at), seq,
        ),
    )  # fmt: skip


def about(c: sqlite3.Connection, key: str) -> tuple[KeptOpinion, ...]:
    """Return what models answered to a question and the log holds."""
    rows = c.execute(f"SELECT {_COLUMNS} FROM opinion WHERE key = ? ORDER BY seq", (key,)).fetchall()  # noqa: S608 - constant columns
    return tuple(opinion for opinion, seq in map(_row, rows) if _is_logged(c, opinion, seq))


def are_there(c: sqlite3.Connection) -> bool:
    """Tell whether any model ever answered anything here."""
    return c.execute("SELECT 1 FROM opinion LIMIT 1").fetchone() is not None


def entries(c: sqlite3.Connection, kinds: tuple[str, ...], *, run_id: str = "") -> Iterator[Event]:
    """Yield the entries of some kinds, of one run or of all, in order."""
    marks = " OR ".join("instr(bytes, ?) > 0" for _ in kinds)
    where = "run_id = ? AND run_id <> ''" if run_id else "1"
    # The kind stands in the entry's bytes; what merely contains its spelling is sorted out after decoding.
    rows = c.execute(
        f"SELECT bytes FROM event WHERE {where} AND ({marks}) ORDER BY seq",  # noqa: S608 - constant parts
        (*((run_id,) if run_id else ()), *(f'"type":"{kind}"'.encode() for kind in kinds)),
    )
    for row in rows.fetchall():
        event = log.read(row[0])
        if event.type in kinds:
            yield event


def _facts(opinion: KeptOpinion) -> dict[str, Any]:
    return {
        "answer": opinion.answer, "confidence_pct": opinion.confidence_pct, "key": opinion.key, "model": opinion.model, "ms": opinion.ms,
    }  # fmt: skip


def _is_logged(c: sqlite3.Connection, opinion: KeptOpinion, seq: int) -> bool:
    entry = log.proved(c, seq)
    if entry is None or entry["type"] != RECORDED or entry["run"] != opinion.run_id or entry["at"] != stamp(opinion.at):
        return False
    return {name: value for name, value in entry["data"].items() if name != "words"} == _facts(opinion)


@decoding
def _row(row: tuple[Any, ...]) -> tuple[KeptOpinion, int]:
    return KeptOpinion(
        key=row[0], model=row[1], run_id=row[2], answer=row[3], confidence_pct=row[4], reason=row[5], ms=row[6], at=row[7],
    ), row[8]  # fmt: skip
