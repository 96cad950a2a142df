"""The table of secrets, read once: formats of tokens, words of names, words of values, command options.

- `secrets.yaml` beside this file is the only place where vendors, names and placeholders are listed; this file gives it types.
- The table is checked when it is read, its words and expressions by a test: a row that cannot be used is an error of the package, not of the text.
- The digest covers the exact bytes of the file, so that a record can say which table hid what.

It holds no rule: how a format is looked for is `redact_formats`, how a name is read `redact_names`, how a value is judged
`redact_values`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any

import yaml

_START = 3
"""How much of a word is its start, by which a text is asked for it."""
LEAST = 16
"""Fewer characters than this hold no format."""
_ESCAPES = (r"\\[nrtfbv]", "%[0-9A-Fa-f]{2}", r"\\u00[0-9A-Fa-f]{2}")
"""A word may begin behind one of these, though it ends in a letter or digit: escapes of JSON and of URLs."""


@dataclass(frozen=True)
class Format:
    """One token format: its kind, the words without which it cannot be there, and its expression."""

    kind: str
    words: tuple[str, ...]
    expression: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The expression, compiled only where one of the words was seen: most texts hold none of three hundred."""
        return re.compile(self.expression)


@dataclass(frozen=True)
class Command:
    """One command option that takes a secret: the commands' names, the option, and how its value is attached."""

    heads: frozenset[str]
    option: str
    form: str


@dataclass(frozen=True)
class Table:
    """Everything in `secrets.yaml`, typed. `digest` is the SHA-256 of the file, in hexadecimal."""

    version: int
    digest: str
    formats: tuple[Format, ...]
    names: dict[str, frozenset[str]]
    values: dict[str, tuple[str, ...]]
    commands: tuple[Command, ...]

    def there(self, said: str) -> Iterator[Format]:
        """Yield the formats that stand in a text, each once. No format holds a blank, so `said` needs each part between blanks only once, in any order."""
        parts = [part for part in said.split() if len(part) >= LEAST]
        if not parts:
            return
        said = " ".join(parts)
        # Asking for each of three hundred words would cost more than all the rest of looking for secrets.
        starts = self._by_start.keys() & set(zip(*(said[at:] for at in range(_START)), strict=False))
        words = (*self._short_words, *(pair for start in starts for pair in self._by_start[start]))
        likely = {id(form): form for word, form in words if word in said and form.pattern.search(" ".join([part for part in parts if word in part]))}
        yield from likely.values()

    @cached_property
    def _words(self) -> tuple[tuple[str, Format], ...]:
        return tuple((word, form) for form in self.formats for word in form.words)

    @cached_property
    def _short_words(self) -> tuple[tuple[str, Format], ...]:
        return tuple((word, form) for word, form in self._words if len(word) < _START)

    @cached_property
    def _by_start(self) -> dict[tuple[str, ...], list[tuple[str, Format]]]:
        found: dict[tuple[str, ...], list[tuple[str, Format]]] = {}
        for word, form in self._words:
            if len(word) >= _START:
                found.setdefault(tuple(word[:_START]), []).append((word, form))
        return found


@lru_cache(maxsize=1)
def table() -> Table:
    """Return the shipped table. Raises `KeyError` if the package's own file is damaged."""
    raw = files(__package__ or "assent.policies").joinpath("secrets.yaml").read_bytes()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: dict[str, Any] = yaml.load(raw, Loader=loader)  # noqa: S506  # both are safe loaders
    rows = loaded["prefixed"]
    prefixed = [Format(kind, (p,), re.escape(p) + body) for kind, prefixes, body in rows for p in prefixes]
    worded = [Format(kind, (p,), _begun(re.escape(p)) + body) for kind, prefixes, body in loaded["worded"] for p in prefixes]
    shaped = [Format(kind, tuple(words), _begun(first) + rest) for kind, words, first, rest in loaded["shaped"]]
    return Table(
        version=int(loaded["version"]),
        digest=hashlib.sha256(raw).hexdigest(),
        formats=(*prefixed, *worded, *shaped),
        names={tier: frozenset(words) for tier, words in loaded["names"].items()},
        values={tier: tuple(words) for tier, words in loaded["values"].items()},
        commands=tuple(Command(frozenset(heads), option, form) for heads, option, form in loaded["commands"]),
    )


def _begun(first: str) -> str:
    """Return a pattern for `first`, itself one of fixed width, where a word may begin. It stands before the question whether one
    does, so that the search goes from one such place to the next."""
    return f"{first}(?:(?<![A-Za-z0-9]{first})|{'|'.join(f'(?<={escape}{first})' for escape in _ESCAPES)})"
