"""How a path is spelled: what two readers could understand differently, and what each of them could have meant.

A spelling is never corrected. Where an operating system, a web framework, a shell and a person could see different files in one text, the
answer is HIGH, and the readings are offered so that the reason can name the worst of them.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from ...schemas.risk import Level, Reason

MOST_CHARACTERS = 4_096
MOST_CHARACTERS_IN_A_NAME = 255

_VARIABLE = re.compile(r"\$[({]|(?:^|/)\$[A-Z_][A-Z0-9_]*(?:/|$)|%[A-Za-z_()0-9]+%")
_ENCODED = re.compile(r"%(?:[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|.*::")
_ROUTE = re.compile(
    r"[(.)]*\[{1,2}(?:\.\.\.)?\w[\w-]+\]{1,2}[\w.-]*"
)  # a route parameter of a web framework: [id].tsx, [...slug]
_SEPARATORS = re.compile(r"[\\\x00-\x1f;:]")
_QUOTES = re.compile(r"[\[\]{}\"'`]")
_CHOICE = re.compile(r"\{[^{}]*(?:,|\.\.)[^{}]*\}")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_ODD = frozenset(';|<>`"')


@lru_cache(maxsize=1024)
def misspelt(path: str) -> tuple[Reason, ...]:
    """Return what makes a spelling ambiguous; nothing for a plain one."""
    if not path.strip():
        return (_odd("path.empty", "no path is given"),)
    if len(path) > MOST_CHARACTERS or any(len(name) > MOST_CHARACTERS_IN_A_NAME for name in path.split("/")):
        return (_odd("path.too_long", f"the path is longer than {MOST_CHARACTERS} characters, or a name in it than 255"),)
    return (*_letters(path), *_signs(path))


def readings(path: str) -> tuple[str, ...]:
    """Return what a misspelt path could mean to some reader, each as an absolute path."""
    plain = path[:MOST_CHARACTERS]
    if not plain.isascii():  # what is has one form, and nothing in it that cannot be seen and is no control character
        plain = unicodedata.normalize("NFKC", plain)
        plain = "".join("" if unicodedata.category(each) == "Cf" else each for each in plain)
    plain = _SEPARATORS.sub("/", plain)
    decoded = _ENCODED.sub(lambda code: chr(int(code[0].lstrip("%u"), 16)), plain) if "%" in plain else plain
    bare = _QUOTES.sub("", decoded)
    return tuple(dict.fromkeys("/" + posixpath.normpath("/" + each).lstrip("/") for each in dict.fromkeys((plain, decoded, bare))))


def shown(path: str) -> str:
    """Return a path as it may stand in a sentence: at most 80 characters, nothing that moves a cursor."""
    text = path if len(path) <= 80 else path[:77] + "..."
    return text if text.isprintable() else "".join(character if character.isprintable() else "?" for character in text)


def _letters(path: str) -> Iterator[Reason]:
    if any(character < " " or character == "\x7f" for character in path):
        yield _odd("path.control", "the path holds control characters")
    if path.isascii():
        return
    if any(character > "\x7f" and unicodedata.category(character) in _UNSEEN for character in path):
        yield _odd("path.invisible", "the path holds characters that cannot be seen")
    if unicodedata.normalize("NFKC", path) != unicodedata.normalize("NFC", path):
        yield _odd("path.lookalike", "the path holds characters that only look like others")


def _signs(path: str) -> Iterator[Reason]:
    names = path.split("/")
    if "\\" in path:
        yield _odd("path.backslash", "a back-slash is a separator to some readers and a letter to others")
    if _ENCODED.search(path):
        yield _odd("path.encoded", "percent codes stand for other characters to some readers")
    if _VARIABLE.search(path):
        yield _odd("path.variable", "the path holds a variable or a substitution")
    if _SCHEME.match(path):
        yield _odd("path.scheme", "the path begins as an address, a drive or a remote place")
    if _ODD.intersection(path) or any(name.startswith("..") and name != ".." for name in names):
        yield _odd("path.odd", "the path holds characters that some readers treat as an end or a step up")
    if any("*" in name or "?" in name or _CHOICE.search(name) or ("[" in name and not _ROUTE.fullmatch(name)) for name in names):
        yield _odd("path.glob", "the path is a pattern that may stand for other files")
    if path.startswith("-"):
        yield _odd("path.dash", "the path begins with a dash, which a command would read as a flag")


def _odd(rule: str, text: str) -> Reason:
    return Reason(
        rule=rule, level=Level.HIGH, text=text, lower="spell the path plainly: letters, digits, dots, dashes and slashes"
    )
