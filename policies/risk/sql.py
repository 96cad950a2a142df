"""SQL: is this one statement that only reads?

Rules
- LOW is one statement whose letters no dialect reads otherwise (`sql_text.py`), whose calls are all on the list of functions, and whose
  tree holds nothing but a query (`sql_tree.py`). PRAGMA, SHOW, DESCRIBE and EXPLAIN have small grammars of their own.
- The dialect is that of the connection. When it is not known, PostgreSQL and MySQL have to agree: what either of them reads as something
  else than a query escalates. What neither reads is tried as SQLite and as T-SQL.
- A name that speaks of secrets and a catalogue that holds them escalate: the rows go to a model.
- CREATE INDEX in a SQLite file of the workspace is MEDIUM, because DROP INDEX takes it back. Every other change is at least HIGH.

What it does not do: connect, know the schema, or estimate cost beyond the numbers in the text. User-defined functions are never known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from ...schemas.risk import Level, Reason, Risk
from .sql_small import judge_explain, judge_pragma, judge_show
from .sql_text import Token, name_of, skeleton, tokens
from .sql_tree import judge_tree, parse
from .sql_words import judge_calls, judge_names, judge_words, known_functions, listed, refusal
from .surroundings import Surroundings
from .tables import table

_INDEX = re.compile(r"create (?:unique )?index (?:concurrently )?(?:if not exists )?\S+(?: \. \S+)? on \S+ \(.*\)(?: where .*)?")
_EXPLAINED = re.compile(
    r"\s*(?:explain|describe|desc)\b[\w\s(),=]*?(?<!\w)((?:select|with|values)\b.*)", re.IGNORECASE | re.DOTALL
)


def assess_sql(statement: object, around: Surroundings, *, dialect: str | None = None) -> Risk:
    """Judge one SQL statement.

    Args:
        statement: the text as it would be sent.
        around: the place of the action; its dialect is used when none is given.
        dialect: name of the dialect as sqlglot spells it, or `None` when not known.
    """
    if not isinstance(statement, str):
        return Risk.of([refusal("sql.payload", "a statement is a text")])
    spoken = dialect or around.dialect
    dangers = tuple(_dangers(statement))
    cut = tokens(statement, spoken)
    if isinstance(cut, Reason):
        return Risk.of((cut, *dangers))
    against = tuple(_against(cut, statement, around, spoken))
    if not against:
        return Risk.of([Reason(rule="sql.read", level=Level.LOW, text="one query that only reads, of functions that are known")])
    if spoken == "sqlite" and not dangers and _is_index(cut, around, spoken):
        text = "creates an index, which DROP INDEX takes back"
        return Risk.of([Reason(rule="sql.index", level=Level.MEDIUM, text=text)])
    return Risk.of((*dangers, *against))


def _against(cut: Sequence[Token], statement: str, around: Surroundings, dialect: str | None) -> Iterator[Reason]:
    """Yield every reason against LOW."""
    first = cut[0].text if cut[0].kind == "word" else cut[0].text[0]
    yield from judge_names(cut)
    if first == "pragma":
        yield from judge_pragma(cut[1:])
    elif first == "show":
        yield from judge_show(cut[1:])
    elif first in ("explain", "describe", "desc", "table"):  # TABLE t is SELECT * FROM t
        begins, odd = judge_explain(cut[1:])
        yield from odd
        if begins is not None:
            inner = _EXPLAINED.fullmatch(statement)
            yield from _query(cut[1 + begins :], inner[1] if inner else "", around, dialect)
    else:
        yield from _query(cut, statement, around, dialect)


def _query(cut: Sequence[Token], statement: str, around: Surroundings, dialect: str | None) -> Iterator[Reason]:
    yield from judge_words(cut)
    yield from judge_calls(cut, around, dialect)
    first = cut[0].text
    if first not in ("select", "with", "values", "("):
        yield refusal("sql.not_a_query", f"a statement that begins with {first[:20].upper()} is not known to read only")
        return
    known = known_functions(around, dialect) | listed("structure")
    readings = [_tree(statement, language, known) for language in ((dialect,) if dialect else ("postgres", "mysql"))]
    if dialect is None and all(reading is None for reading in readings):
        readings = [_tree(statement, language, known) for language in ("sqlite", "tsql")]
    if all(reading is None for reading in readings):
        yield refusal(
            "sql.syntax", "the statement cannot be read", "correct the statement, or name the dialect of the connection"
        )
    for reading in readings:
        yield from reading or ()


def _tree(statement: str, dialect: str, known: frozenset[str]) -> tuple[Reason, ...] | None:
    """Return the reasons against a statement as one dialect reads it, or `None` when it cannot be read in it."""
    try:
        tree = parse(statement, dialect)
    except RecursionError:
        return (refusal("sql.size", "too deeply nested to be judged"),)
    if tree is None:
        return None
    return (tree,) if isinstance(tree, Reason) else tuple(judge_tree(tree, known))


def _is_index(cut: Sequence[Token], around: Surroundings, dialect: str | None) -> bool:
    """Answer whether a statement creates an index of columns and does nothing else."""
    if _INDEX.fullmatch(" ".join(name_of(token) for token in cut)) is None:
        return False
    columns = cut[next(at for at, token in enumerate(cut) if token.text == "(") :]
    return not any(judge_words(cut[1:])) and not any(judge_calls(columns, around, dialect))


def _dangers(statement: str) -> Iterator[Reason]:
    words = skeleton(statement)
    for entry in table("sql")["critical"]:
        if _pattern(entry["pattern"]).search(words):
            yield Reason(rule=entry["rule"], level=Level.CRITICAL, text=entry["text"])


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)
