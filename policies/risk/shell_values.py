"""What the shell judge knows of a text that it does not have in full: words with holes, and what a command prints.

A `Word` is one field as a command will receive it. What is known stands in `text` as itself; what is not stands as one character of the
private area: `STAR`, `QUEST` and `CLASS` for active wildcards, `NUMBER`, `TOKEN`, `PATHS` and `UNKNOWN` for values that are made while the
script runs. The gate refuses those characters in the input, so they cannot be forged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...schemas.risk import Level, Reason

STAR, QUEST, CLASS = "\ue000", "\ue001", "\ue002"
NUMBER, TOKEN, PATHS, UNKNOWN = "\ue003", "\ue004", "\ue005", "\ue006"
WILD = frozenset({STAR, QUEST, CLASS})
HOLES = frozenset({NUMBER, TOKEN, PATHS, UNKNOWN})
ANY = WILD | HOLES
_SHOWN = {STAR: "*", QUEST: "?", CLASS: "[...]", NUMBER: "$number", TOKEN: "$token", PATHS: "$paths", UNKNOWN: "$unknown"}


@dataclass(frozen=True, slots=True)
class Output:
    """What a command prints: `none`, `value` (known), `number`, `token` (one word, no dash before it), `paths` or `text`."""

    kind: str = "text"
    value: str = ""
    pattern: str | None = None
    """For paths: every name ends as this file pattern says; `None` when any file of the workspace may be named."""
    single: bool = False
    """It is one word whatever happens: no blank, and no dash in front."""
    rooted: bool = False
    """For paths: none of them begins with a dash."""


SETTING = re.compile(r"[A-Za-z0-9_.@,+-]*|[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z][A-Za-z0-9_+-]*)+")
"""A value of LANG, TZ, COLUMNS and their like that names no file of the workspace."""
NOTHING = Output("none")
TEXT = Output("text")


class Unproved(Exception):
    """Something that is not on the list of what is understood."""

    def __init__(self, rule: str, text: str, lower: str = "") -> None:
        super().__init__(text)
        self.rule = f"shell.{rule}"
        self.text = text
        self.lower = lower

    def finding(self) -> Reason:
        """Return it as a finding: HIGH, because nothing was proved."""
        return Reason(rule=self.rule, level=Level.HIGH, text=self.text, lower=self.lower)


@dataclass(frozen=True, slots=True)
class Word:
    """One field. `many`: it may become no field, or several. `pattern`: the glob, for `fnmatch`. `source`: where `PATHS` came from."""

    text: str
    many: bool = False
    pattern: str = ""
    source: Output | None = None

    @property
    def literal(self) -> bool:
        """Is the whole text known?"""
        return not self.many and not any(c in ANY for c in self.text)

    @property
    def wild(self) -> bool:
        """Does it hold an active wildcard, and no other hole?"""
        return any(c in WILD for c in self.text) and not any(c in HOLES for c in self.text)

    @property
    def may_be_flag(self) -> bool:
        """Could the first character turn out to be a dash?"""
        first = self.text[:1]
        if first == PATHS and self.source is not None:
            return not self.source.rooted
        return first in (STAR, QUEST, CLASS, UNKNOWN) and first != ""

    def shown(self) -> str:
        """Return the word for people, with names in place of holes."""
        return "".join(_SHOWN.get(c, c) for c in self.text)
