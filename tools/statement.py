"""What the text of an SQL statement shows by itself: whether it reads, changes the schema, or changes rows.

Rules: only words outside strings, quoted names and comments count; what is not plainly a read is a write. The engine holds the promise: what is
called a read here is opened read-only there, so a wrong answer fails and changes nothing. Deliberately not a parser: whether a statement is
acceptable is the assessor's question.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from ..schemas.canonical import digest

Kind = Literal["read", "schema", "write"]
EMPTY = digest(b"[]")
"""The digest of a schema without anything in it."""

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])|(?P<word>[^\W\d]\w*)|(?P<other>.)""",
    re.DOTALL,
)
_READ_FIRST = frozenset({"SELECT", "VALUES", "EXPLAIN"})
_SCHEMA_FIRST = frozenset({"CREATE", "DROP", "ALTER"})
_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE"})
_DESTROYS = frozenset({"DELETE", "UPDATE", "REPLACE", "TRUNCATE"})


def kind(text: str) -> Kind:
    """Return what the statement does, as far as its words show."""
    words = _words(text)
    first = words[0] if words else ""
    if first in _SCHEMA_FIRST:
        return "schema"
    if first in _READ_FIRST or (first == "PRAGMA" and "=" not in words) or (first == "WITH" and not _WRITES & set(words)):
        return "read"
    return "write"


def creates(text: str) -> bool:
    """Tell whether the statement may make a database that is not there."""
    return _words(text)[:1] == ("CREATE",)


def destroys(text: str) -> bool:
    """Tell whether the statement takes away what no other statement can bring back."""
    words = _words(text)
    if words[:1] == ("DROP",):
        return words[1:2] != ("INDEX",)
    if words[:1] == ("ALTER",):
        return "DROP" in words
    return kind(text) == "write" and bool(_DESTROYS & set(words))


def table(text: str) -> str:
    """Return the table whose rows the statement changes, unquoted; empty when it is not plain."""
    names = _tokens(text)
    words = [name.upper() for name, _ in names]
    for index, word in enumerate(words):
        if word in ("INTO", "FROM") and words[0] in ("INSERT", "REPLACE", "DELETE") and index + 1 < len(names):
            return _unquoted(names[index + 1])
    if words[:1] == ["UPDATE"] and len(names) > 1:
        return _unquoted(names[3] if words[1] == "OR" and len(names) > 3 else names[1])
    return ""


@lru_cache(maxsize=256)
def _tokens(text: str) -> tuple[tuple[str, bool], ...]:
    """Return words, quoted names and signs, each with whether it was quoted; strings and comments are left out."""
    return tuple((token.group(), token.lastgroup == "quoted") for token in _TOKEN.finditer(text) if token.lastgroup != "skip")


@lru_cache(maxsize=256)
def _words(text: str) -> tuple[str, ...]:
    # `replace(` is a function; REPLACE without a bracket is a statement.
    tokens = [(name.upper(), quoted) for name, quoted in _tokens(text) if not quoted]
    following = [*(name for name, _ in tokens[1:]), ""]
    # Of no token at all nothing follows.
    return tuple(name for (name, _), after in zip(tokens, following, strict=False) if not (name == "REPLACE" and after == "("))


def _unquoted(token: tuple[str, bool]) -> str:
    name, quoted = token
    if not quoted:
        return name if re.fullmatch(r"\w+", name) else ""
    mark = name[0]
    return name[1:-1] if mark == "[" else name[1:-1].replace(mark * 2, mark)
