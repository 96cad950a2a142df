"""Notes: complaints about a document, each with the line of its field, and the texts that are read on the way.

Rules: a text that is still what a template holds in its place has no value and is no complaint; a text that cannot be read is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from ..schemas.document import Document
from ..schemas.errors import Complaint
from .wording import is_placeholder

T = TypeVar("T")


class Notes:
    """Collects complaints about one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.complaints: list[Complaint] = []

    def complain(self, where: str, expected: str, found: str = "") -> None:
        """Note one complaint."""
        self.complaints.append(Complaint(where, expected, found, self.line(where), self.document.file))

    def line(self, where: str) -> int | None:
        """Return the line of a field, or of what it would stand in."""
        path = where
        while path and path not in self.document.lines:
            path = re.sub(r"(?:\.[^.\[\]]+|\[\d+\]|^[^.\[\]]+)$", "", path)
        return self.document.lines.get(path)

    def value(self, read: Callable[[str], T], text: str, where: str) -> T | None:
        """Read a text, with a complaint when it cannot be read; None when nothing was filled in."""
        if not filled(text):
            return None
        try:
            return read(text)
        except ValueError as error:
            self.complain(where, str(error), repr(text[:60]))
            return None


def filled(text: str) -> str:
    """Return the text, or nothing when it is what a template holds in its place."""
    return "" if is_placeholder(text) else text
