"""The words that intent-based access control (IBAC) knows, read once from `intent.yaml` beside this module, and how a text is split into words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
WORD = re.compile(r"[a-z]+|\d+")


@dataclass(frozen=True)
class IntentWords:
    """The table, compiled."""

    asks: Mapping[str, frozenset[str]]
    sql: Mapping[str, str]
    files: Mapping[str, str]
    http: Mapping[str, str]
    patterns: Mapping[str, tuple[tuple[str, re.Pattern[str]], ...]]
    prohibits: re.Pattern[str]
    only: re.Pattern[str]
    forbids: Mapping[str, frozenset[str]]
    elsewhere: re.Pattern[str]
    production: frozenset[str]
    empty: frozenset[str]
    kinds: frozenset[str]
    threshold_pct: int


@cache
def words_of_intent() -> IntentWords:
    """Return the table."""
    text = files(__package__ or "assent.policies").joinpath("intent.yaml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506 - the safe loader, in C where there is one
    acts = table["acts"]
    return IntentWords(
        asks={act: frozenset(map(_stem, verbs)) for act, verbs in table["asks"].items()},
        sql=acts["sql"],
        files=acts["files"],
        http=acts["http"],
        patterns={tool: tuple((act, re.compile(pattern)) for act, pattern in acts[tool].items()) for tool in ("shell", "python")},
        prohibits=re.compile(table["prohibits"]),
        only=re.compile(table["reads_only"]),
        forbids={act: frozenset(map(_stem, said)) for act, said in table["forbids"].items()},
        elsewhere=re.compile(table["elsewhere"]),
        production=frozenset(table["production"]),
        empty=frozenset(map(_stem, table["empty"])),
        kinds=frozenset(map(_stem, table["kinds"])),
        threshold_pct=int(table["threshold_pct"]),
    )


def stems(text: str) -> frozenset[str]:
    """Return the words of a lower-case text without their plural."""
    return frozenset(_stem(word) if word.endswith("s") else word for word in WORD.findall(text))


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 5 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
