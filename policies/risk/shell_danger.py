"""Known harm, by name. It only ever raises a level, and it is asked only when something is not LOW already.

The rules are patterns over a command with its words worked out (`words:`) or over the whole text (`raw:`), in tables/shell/dangers.yaml.
They make the difference between "not understood" and "this destroys a disk" for the person who decides; nothing is proved by their silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...schemas.risk import Reason
from .shell_table import Table

_MAX_CHARS = 4000


def dangers(command: str, lines: Sequence[str], table: Table) -> Iterator[Reason]:
    """Yield a finding for each rule that recognises a known harm.

    Args:
        command: the whole text; only the first 4000 characters are looked at.
        lines: each simple command with quotes removed and known variables filled in.
    """
    text = command[:_MAX_CHARS]
    parts = tuple(lines[:64]) or tuple(part.strip() for part in re.split(r"[;&|\n(){}]+", text)[:64])
    for rule in table.dangers:
        by_words = rule.words is not None and any(rule.words.search(part) for part in parts)
        if by_words or (rule.raw is not None and rule.raw.search(text)):
            yield Reason(rule=rule.rule, level=rule.level, text=rule.text)
