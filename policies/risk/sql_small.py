"""The small grammars beside SELECT: PRAGMA, SHOW, DESCRIBE and the head of EXPLAIN.

Each is a short list of words that only read. EXPLAIN of a query executes nothing, or with ANALYZE the query itself, so what follows the head is
judged as a query; EXPLAIN of anything else escalates, because some databases run parts of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...schemas.risk import Reason
from .sql_text import Token, name_of
from .sql_words import judge_words, listed, refusal

_OPTIONS = frozenset(
    """query plan analyze verbose format json text tree traditional yaml xml extended buffers costs timing summary settings true false on off
    for partitions ( ) , =""".split()  # noqa: SIM905 - a list of words, read as prose
)


def judge_pragma(cut: Sequence[Token]) -> Iterator[Reason]:
    """Yield the reason against what follows PRAGMA: only listed ones, without a value, or with the name of a table."""
    names = [name_of(token) for token in cut]
    if len(names) > 2 and names[1] == ".":
        names = names[2:]
    asks = len(names) == 4 and names[0] in listed("pragmas.asking") and names[1] == "(" and names[3] == ")"
    if not (asks or (len(names) == 1 and names[0] in listed("pragmas.asking") | listed("pragmas.bare"))):
        yield refusal(
            "sql.pragma", "this PRAGMA is not known to read only", "use PRAGMA table_info(name), index_list(name) and the like"
        )


def judge_show(cut: Sequence[Token]) -> Iterator[Reason]:
    """Yield the reason against what follows SHOW: a listed word first, no brackets, and no word that leads to accounts."""
    words = [token.text for token in cut if token.kind == "word"]
    plain = all(token.kind in ("word", "quoted", "string", "number") or token.text in (".", "=", ",", "%") for token in cut)
    if not plain or not words or words[0] not in listed("shows") or listed("hidden_shows").intersection(words):
        yield refusal("sql.show", "this SHOW is not known to be harmless")


def judge_explain(cut: Sequence[Token]) -> tuple[int | None, tuple[Reason, ...]]:
    """Judge what follows EXPLAIN, DESCRIBE or DESC.

    Returns:
        Where the query begins that has to be judged, or `None` when a table is described; and the reasons against the head.
    """
    begins = next((at for at, token in enumerate(cut) if token.text in ("select", "with", "values")), None)
    if begins is None:
        plain = 1 <= len(cut) <= 5 and all(token.kind in ("word", "quoted") or token.text == "." for token in cut)
        odd = () if plain else (refusal("sql.explain", "what is explained is not known to read only"),)
        return None, (*odd, *judge_words(cut))
    if any(token.text not in _OPTIONS for token in cut[:begins]):
        return begins, (refusal("sql.explain", "an option of EXPLAIN that is not known"),)
    return begins, ()
