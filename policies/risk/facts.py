"""What one action does that may matter to a later one: sends, fetches, deletes, disables, touches a secret, names and writes paths, runs files.

Facts err to the side of too many: they only ever raise, and only together. They are drawn from the text and from the findings about it, with
expressions that are linear in a bounded text; nothing is parsed again.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ...schemas.risk import Level, Risk
from .paths import is_secret
from .patterns import Question, meets
from .surroundings import Surroundings
from .tables import table

MOST_CHARACTERS = 16 * 1024
_MOST_WORDS = 400
_MOST_NAMES = 100
_SECRET_RULES = frozenset({"sql.catalogue", "sql.secret_name", "python.environment"})
_ANYWHERE = Surroundings(workspace="/")

_WORD = re.compile(r"""[^\s'"`|&;<>(){}$=,\[\]]+""")
_BLANKS = re.compile(r"\s{2,}")
_TARGETS = re.compile(
    r"""(?:>{1,2}\|?|&>{1,2})\s*["']?([^\s'"|&;<>()]+)|(?:-o|-O|--output|--output-document|-t|--target-directory)[=\s]["']?([^\s'"|&;<>()]+)|\bof=([^\s'"]+)"""
)
_MOVES = re.compile(r"\b(?:cp|mv|ln|install|rsync|scp|tee|touch|split|unzip|tar|patch|sed\s+-i)\b")
_OPENED = re.compile(
    r"""\bopen\(\s*[rbuf]{0,2}["']([^"'\n]{1,300})["']\s*,\s*["'][^"']{0,4}[wax+]|Path\(\s*["']([^"'\n]{1,300})["']\s*\)\.(?:write|touch|rename|replace)"""
)


@dataclass(frozen=True)
class Facts:
    """What one action does.

    Args:
        secret: it reads or moves something that holds a secret.
        sends: it may carry something to another machine.
        fetches: it brings something in from another machine.
        deletes: it removes something.
        disables: it takes a control away.
        changes: it is not known to only read.
        copies: it may make a copy under a new name.
        named: the paths and words that it names, collapsed, without quotes.
        written: those of them that it may write.
        heads: the kinds of runners that it starts.
    """

    secret: bool
    sends: bool
    fetches: bool
    deletes: bool
    disables: bool
    changes: bool
    copies: bool
    named: frozenset[str]
    written: frozenset[str]
    heads: frozenset[str]


def facts_of(kind: str, payload: object, risk: Risk) -> Facts:
    """Draw the facts of one action.

    Args:
        kind: as for `assess`.
        payload: as for `assess`.
        risk: its own assessment.
    """
    text = _text(payload)
    # A run of blanks says what one blank says; expressions that begin at a line feed would otherwise look at each run once from each of its lines.
    lowered = _BLANKS.sub(lambda run: "\n" if "\n" in run[0] else " ", text.lower())
    reading = kind == "http" and isinstance(payload, Mapping) and str(payload.get("method", "")).upper() in ("GET", "HEAD")
    fetched = kind == "http" and reading
    named = frozenset() if kind == "http" else frozenset(_clean(word) for word in _WORD.findall(text)[:_MOST_WORDS])
    runnable = kind in ("shell", "python")
    return Facts(
        secret=_is_secret(named, risk),
        sends=kind == "http" or (kind in ("shell", "python", "sql") and _says("sends", lowered)),
        fetches=fetched or (runnable and _says("fetches", lowered)),
        deletes=_deletes(kind, payload, lowered),
        disables=_disables(kind, lowered, risk),
        changes=risk.level > Level.LOW,
        copies=kind == "file_write" or (runnable and _says("copies", lowered)),
        named=named,
        written=_written(kind, payload, text, named),
        heads=_heads(kind, lowered),
    )


def _is_secret(named: frozenset[str], risk: Risk) -> bool:
    if any("secret" in rule or rule in _SECRET_RULES for rule in risk.rules):
        return True
    return any(is_secret(word, _ANYWHERE) for word in sorted(named)[:_MOST_NAMES])


def _deletes(kind: str, payload: object, lowered: str) -> bool:
    if kind == "http":
        return isinstance(payload, Mapping) and str(payload.get("method", "")).upper() == "DELETE"
    return kind in ("shell", "sql", "python") and _says("deletes", lowered)


def _heads(kind: str, lowered: str) -> frozenset[str]:
    if kind == "shell":
        return frozenset(name for name, head, _ in runners() if head.search(lowered))
    return frozenset({"python"}) if kind == "python" else frozenset()


def _disables(kind: str, lowered: str, risk: Risk) -> bool:
    if kind == "file_write":
        return any(rule in ("path.control", "path.control.assent", "path.privilege") for rule in risk.rules)
    return kind in ("shell", "sql", "python") and _says("disables", lowered)


def _written(kind: str, payload: object, text: str, named: frozenset[str]) -> frozenset[str]:
    if kind == "file_write":
        return frozenset({_clean(str(payload.get("path", "")))}) if isinstance(payload, Mapping) else frozenset()
    if kind == "python":
        return frozenset(_clean(one or other) for one, other in _OPENED.findall(text)[:_MOST_WORDS])
    if kind != "shell":
        return frozenset()
    targets = frozenset(_clean(next(filter(None, found))) for found in _TARGETS.findall(text)[:_MOST_WORDS])
    return targets | (named if _MOVES.search(text) else frozenset())


def _text(payload: object) -> str:
    if isinstance(payload, str):
        return payload[:MOST_CHARACTERS]
    if isinstance(payload, Mapping) and "path" in payload:
        return str(payload["path"])[:MOST_CHARACTERS]
    try:
        return json.dumps(payload, ensure_ascii=False, default=str)[:MOST_CHARACTERS]
    except (TypeError, ValueError, RecursionError):
        return ""


def _clean(word: str) -> str:
    return posixpath.normpath(word.removeprefix("./").rstrip(":")) if word else ""


def _says(key: str, lowered: str) -> bool:
    return _expressions()[key].search(lowered) is not None


@cache
def _expressions() -> dict[str, re.Pattern[str]]:
    read: Mapping[str, Any] = table("sequence")
    return {key: re.compile(read[key]) for key in ("sends", "fetches", "deletes", "disables", "copies")}


@cache
def runners() -> tuple[tuple[str, re.Pattern[str], Question], ...]:
    """Return every kind of runner: its name, how it is started, and which files it takes orders from."""
    return tuple((entry["rule"], re.compile(entry["head"]), meets(tuple(entry["names"]))) for entry in table("sequence")["runs"])


@cache
def any_takes_orders() -> Question:
    """Return the question whether any kind of runner takes orders from a file."""
    return meets(tuple(name for entry in table("sequence")["runs"] for name in entry["names"]))
