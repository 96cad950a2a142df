"""Find text from outside that tries to steer whoever reads it: a file that says "approve this", an output that claims to be the system.

Rules: a finding changes no risk and no authority, since neither was ever taken from such text; it is shown to the person who decides, who
should know that somebody tried. Finding nothing proves nothing. Linear in the length of the text.

Source: OWASP LLM01 (prompt injection). The patterns are data, `outside.yaml`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LONGEST = 200_000
_BLANKS = re.compile(r"[^\S\n]+")


@dataclass(frozen=True)
class Steering:
    """Something that tries to steer: the rule, what it does, and the words."""

    rule: str
    text: str
    words: str

    def __str__(self) -> str:
        return f"{self.text}: {self.words!r}"


def steering(text: str) -> tuple[Steering, ...]:
    """Return what in a text tries to steer its reader; each rule at most once."""
    lowered = _BLANKS.sub(" ", text[:LONGEST]).lower()
    found = []
    for rule, what, pattern in _patterns():
        hit = pattern.search(lowered)
        if hit:
            found.append(Steering(rule, what, " ".join(hit[0].split())[:120]))
    return tuple(found)


def table() -> dict[str, Any]:
    """Return the patterns as they are written."""
    text = files(__package__ or "assent.policies").joinpath("outside.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506 - the safe loader, in C where there is one
    return found


@cache
def _patterns() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    return tuple((one["id"], one["text"], re.compile(one["pattern"])) for one in table()["patterns"])
