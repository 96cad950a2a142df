"""The words that the lint knows: what is vague, what says an impact, and what a template left to be filled in.

Source: `lint.yaml` beside this module; read once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True)
class Vague:
    """Words that cannot be measured, and what to write instead."""

    words: frozenset[str]
    metric: str
    title: str
    criterion: str


@dataclass(frozen=True)
class Wording:
    """The table, compiled."""

    starts: tuple[str, ...]
    patterns: re.Pattern[str]
    vague: tuple[Vague, ...]
    complaints: re.Pattern[str]
    empty: frozenset[str]
    impact: re.Pattern[str]
    absolute: re.Pattern[str]


@cache
def wording() -> Wording:
    """Return the table."""
    text = files(__package__ or "assent.policies").joinpath("lint.yaml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - the safe loader, in C
    return Wording(
        starts=tuple(table["placeholders"]["starts"]),
        patterns=re.compile("|".join(f"(?:{pattern})" for pattern in table["placeholders"]["patterns"])),
        vague=tuple(
            Vague(frozenset(group["words"]), group["metric"], group["title"], group["criterion"]) for group in table["vague"]
        ),
        complaints=re.compile(table["complaints"]),
        empty=frozenset(table["empty"]),
        impact=re.compile(table["impact"]),
        absolute=re.compile(table["absolute"]),
    )


def is_placeholder(text: str) -> bool:
    """Tell whether a text still is what a template holds in its place."""
    lowered = text.strip().lower()
    known = wording()
    return lowered.startswith(known.starts) or bool(known.patterns.search(lowered))
