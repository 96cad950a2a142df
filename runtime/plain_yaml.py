"""A tree of plain values as YAML in block style, letter for letter what PyYAML writes with `sort_keys=False, allow_unicode=True, width=120`.

Rules:
- A text that surely stands as it is, and the few other spellings that reports are full of, are written here; every other value is left to
  PyYAML, one by one, and a tree with an odd key or of great depth as a whole. So nothing here decides how something odd is quoted.
- A tree: no value contains itself.

PyYAML builds a node for each value and asks a dozen expressions of each text; a report of a thousand steps has twenty thousand values.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

WIDTH = 120
_DEEPEST = 40
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# Begins with no sign of YAML's and no digit; a colon is followed by a letter, a blank by a word, so neither ends the text.
_PLAIN = re.compile(r"[A-Za-z/$(_](?:[A-Za-z0-9_./(),+$%=;-]|:(?=[A-Za-z0-9])| (?=[A-Za-z0-9(/$_]))*")
# What would be read as a time, a date or a number, and a sentence with a colon before a blank: as they are, in quotes.
_QUOTED = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,6}(?:Z|\+00:00))?|0|[1-9][0-9]*|[0-9]+\.[0-9]+"
    r"|(?=.*: )[A-Za-z](?:[A-Za-z0-9_./(),+$%=;:-]| (?=[A-Za-z0-9(/$_]))*"
)
_WORDS = frozenset({"yes", "no", "true", "false", "on", "off", "null"})
"""What YAML reads as something else than a text."""


class _Odd(Exception):
    """The tree is for PyYAML."""


def plain_yaml(tree: dict[str, Any]) -> str:
    """Return a mapping of plain values (text, numbers, booleans, `None`, lists, mappings) as YAML."""
    lines: list[str] = []
    try:
        _mapping(tree, 0, lines)
    except _Odd:
        return _theirs(tree, WIDTH)
    return "\n".join([*lines, ""]) if tree else "{}\n"


def _mapping(tree: dict[str, Any], indent: int, lines: list[str]) -> None:
    if indent > _DEEPEST:
        raise _Odd
    pad = " " * indent
    for key, value in tree.items():
        if type(key) is not str or len(key) > WIDTH - _DEEPEST or not _is_plain(key):
            raise _Odd
        kind = type(value)
        if kind is dict and value:
            lines.append(f"{pad}{key}:")
            _mapping(value, indent + 2, lines)
        elif kind is list and value:
            lines.append(f"{pad}{key}:")
            _sequence(value, indent, lines)
        else:
            text = _scalar(value, WIDTH - indent - len(key) - 2)
            lines.append(f"{pad}{key}: {text}" if text is not None else _left({key: value}, pad))


def _sequence(items: list[Any], indent: int, lines: list[str]) -> None:
    if indent > _DEEPEST:
        raise _Odd
    pad = " " * indent
    for item in items:
        first = len(lines)
        if type(item) is dict and item:
            _mapping(item, indent + 2, lines)
        elif type(item) is list and item:
            _sequence(item, indent + 2, lines)
        if len(lines) > first:
            lines[first] = f"{pad}- {lines[first][indent + 2 :]}"
        else:
            text = _scalar(item, WIDTH - indent - 2)
            lines.append(f"{pad}- {text}" if text is not None else _left([item], pad))


def _scalar(value: Any, room: int) -> str | None:
    """Return a value on one line of at most `room` characters; `None` where PyYAML has to say how."""
    kind = type(value)
    if kind is str:
        if not value:
            return "''"
        if len(value) + 2 > room:
            return None
        return value if _is_plain(value) else f"'{value}'" if _QUOTED.fullmatch(value) else None
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is float:
        number = repr(value)
        return number if number.strip("-0123456789") == "." else None
    if value is None:
        return "null"
    if kind is dict or kind is list:
        return "[]" if kind is list else "{}"
    return None


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS


def _left(value: Any, pad: str) -> str:
    text = _theirs(value, WIDTH - len(pad))
    lines = text.rstrip("\n").split("\n")
    if len(lines) != len(text.splitlines()):
        raise _Odd  # it holds line ends of another kind, behind which PyYAML puts blanks as well
    return "\n".join(pad + line if line else line for line in lines)


def _theirs(value: Any, width: int) -> str:
    return str(yaml.dump(value, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=width))
