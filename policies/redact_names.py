"""Read a name: does `db.password`, `X-Api-Key`, `AWS_SECRET_ACCESS_KEY` or `max_tokens` name a secret?

- A name is cut into words; the last word decides, the words before it may take it back (`next_token`, `primary_key`) and a last
  word that speaks about a secret (`token_ttl`, `secret_name`) does too.
- Names written together count by how they end (`dbpassword`, `npassword` after an escaped newline).

Words are data (`secrets.yaml`, `names`). It never looks at the value.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache

from .redact_table import table

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


class Tier(IntEnum):
    """What a name says of its value. The higher, the less is asked of the value."""

    NONE = 0
    WEAK = 1
    SECRET = 2
    PASSWORD = 3


@lru_cache(maxsize=8192)
def tier_of(name: str, *, in_query: bool = False) -> Tier:
    """Return what `name` (an identifier, a header, an option; at most some hundred characters) says of its value.

    Args: `in_query` if the name is a parameter of a URL, where a signature opens what it signs.
    """
    words = [w.lower() for w in _WORD.findall(name)]
    while words and words[-1].isdigit():
        words.pop()
    if not words:
        return Tier.NONE
    lists = table().names
    last = words[-1]
    before = words[:-1]
    joined = "".join(words)
    if last in lists["about"]:
        return Tier.WEAK if joined.endswith(("secretid", "sessionid", "sessid")) else Tier.NONE
    if last == "data" and before[-1:] == ["key"]:
        return Tier.WEAK
    harmless = lists["harmless"].intersection(before[-2:])
    if last in lists["password"]:
        return Tier.PASSWORD
    if last in ("word", "phrase") and before[-1:] == ["pass"]:
        return Tier.PASSWORD
    if last == "key":
        return _key(name, before)
    if last in lists["secret"]:
        return Tier.NONE if harmless and last not in ("secret", "password") else Tier.SECRET
    if last in lists["weak"] or (in_query and last in lists["query"]):
        return Tier.NONE if harmless else Tier.WEAK
    return _run_together(last, joined)


def _key(name: str, before: list[str]) -> Tier:
    lists = table().names
    if not before:
        return Tier.WEAK
    if before[-1] in lists["keyed"]:
        return Tier.SECRET
    if before[-1] in lists["harmless"]:
        return Tier.NONE
    return Tier.SECRET if name.isupper() else Tier.WEAK


def _run_together(last: str, joined: str) -> Tier:
    lists = table().names
    for tier, key in ((Tier.PASSWORD, "password"), (Tier.SECRET, "secret")):
        if any(len(w) > 4 and last.endswith(w) for w in lists[key]):
            return tier
    if any(len(w) > 5 and joined.endswith(w) for w in lists["weak"]):
        return Tier.WEAK
    return Tier.NONE
