"""Nodes: what was written, before any field has given it a meaning; and the bounds that hold for every tree of them.

Rules: scalars stay text, and know whether they stood without quotes; a tree is bounded in depth and size; characters that a terminal
obeys or that reverse what is shown never come out as part of a value.
Source: "Trojan Source" (CVE-2021-42574) for the characters that reverse text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ..schemas.canonical import LARGEST
from ..schemas.errors import Complaint, InvalidDocument

DEEPEST = 40
MOST_NODES = 200_000

# A carriage return alone moves the terminal's cursor back over what was shown; as a part of a line's end it is harmless.
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]|\r(?!\n)")


@dataclass(slots=True)
class Scalar:
    """Text, and whether it stood without quotes."""

    text: str
    plain: bool
    line: int | None = None
    size: int = 1


@dataclass(slots=True)
class Items:
    """A list of nodes."""

    items: list[Node]
    line: int | None = None
    size: int = 1


@dataclass(slots=True)
class Fields:
    """Keys with their nodes, in the order in which they were written."""

    pairs: dict[str, Node]
    line: int | None = None
    size: int = 1


Node = Scalar | Items | Fields


class TooMuch(Exception):
    """A bound was passed; ends the reading."""

    def __init__(self, where: str, expected: str, found: str, line: int | None) -> None:
        super().__init__(expected)
        self.where, self.expected, self.found, self.line = where, expected, found, line


def is_empty(node: Node) -> bool:
    """Tell whether nothing was written: no text at all, or a bare `null` or `~`."""
    return isinstance(node, Scalar) and node.plain and node.text in ("", "~", "null", "Null", "NULL")


def unsafe(text: str) -> str:
    """Name the first character that must not stand in a document; empty when there is none."""
    found = _UNSAFE.search(text)
    return f"U+{ord(found.group()[0]):04X}" if found else ""


def nodes_of(value: Any, *, file: str = "") -> tuple[Node, list[Complaint]]:
    """Turn Python values (as JSON or a YAML loader gives them) into nodes without lines, under the same bounds.

    Raises:
        InvalidDocument: nested too deeply, which includes a value that contains itself, or too large.
    """
    complaints: list[Complaint] = []
    try:
        return _Copying(complaints).node(value, "document", 0), complaints
    except TooMuch as error:
        raise InvalidDocument([Complaint(error.where, error.expected, error.found, error.line, file)], file=file) from None


class _Copying:
    """Turns Python values into nodes."""

    def __init__(self, complaints: list[Complaint]) -> None:
        self.complaints = complaints
        self.left = MOST_NODES

    def node(self, value: Any, where: str, depth: int) -> Node:
        self.left -= 1
        if self.left < 0:
            raise TooMuch("document", f"at most {MOST_NODES:,} values", "more", None)
        if depth > DEEPEST:
            raise TooMuch(where[:200], f"at most {DEEPEST} levels, and no value that contains itself", "more", None)
        if isinstance(value, str):
            return Scalar(str(value), False)
        if value is None or isinstance(value, bool):
            return Scalar("" if value is None else str(value).lower(), True)
        if isinstance(value, Mapping):
            return self._fields(value, where, depth)
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
            return Items([self.node(item, f"{where}[{number}]", depth + 1) for number, item in enumerate(value, 1)])
        if isinstance(value, int) and abs(value) <= LARGEST:
            return Scalar(str(int(value)), True)
        if isinstance(value, float) and abs(value) <= LARGEST:
            return Scalar(repr(float(value)), True)
        if isinstance(value, date):
            return Scalar(value.isoformat(), False)
        expected = "text, true, false, a list, a mapping, or a finite number within 2^53"
        self.complaints.append(Complaint(where, expected, type(value).__name__))
        return Scalar("", True)

    def _fields(self, value: Mapping[Any, Any], where: str, depth: int) -> Fields:
        pairs: dict[str, Node] = {}
        for key, item in value.items():
            name = key if isinstance(key, str) else ascii(key)[:60]
            bad = unsafe(name)
            if bad:
                self.complaints.append(Complaint(f"a key in {where}", "printable characters", bad))
            elif name in pairs:
                self.complaints.append(Complaint(f"{where}.{name[:60]}", "each field once", "again"))
            else:
                pairs[name] = self.node(item, f"{where}.{name[:60]}", depth + 1)
        return Fields(pairs)
