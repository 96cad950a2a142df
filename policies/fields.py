"""Turn nodes into the values of fields: text, lists of text, choices, numbers, records, open values.

Rules:
- the field decides what a scalar means; a text field gets the text that was written, whatever YAML would have made of it;
- a field that still holds the list of its choices is not an error: it is noted in `Reading.unchosen` and has no value yet;
- complaints are collected, never raised, and each one names a path (`action.steps[2].risk`, counted from 1) and a line;
- in arguments a bare scalar is a number, true, false or nothing exactly where JSON would read it so, otherwise text.

Deliberately absent: which fields there are, which `read_document` knows.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from ..schemas.canonical import LARGEST
from ..schemas.document import Unchosen
from ..schemas.errors import Complaint
from .nodes import Fields, Items, Node, Scalar, is_empty, unsafe

MOST_COMPLAINTS = 50
LONGEST_TEXT = 100_000

Reader = Callable[["Reading", Node, str], Any]
"""Reads one node; None means that nothing was given."""

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


class Reading:
    """What was noticed while a document was read."""

    def __init__(self, file: str = "") -> None:
        self.file = file
        self.complaints: list[Complaint] = []
        self.omitted = 0
        self.unchosen: list[Unchosen] = []
        self.lines: dict[str, int] = {}

    def complain(self, where: str, expected: str, found: str = "", line: int | None = None) -> None:
        """Note one complaint; beyond `MOST_COMPLAINTS` they are only counted."""
        if len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(Complaint(where or "document", expected, found, line, self.file))
        else:
            self.omitted += 1

    def values(
        self, node: Node, path: str, fields: Mapping[str, Reader], also: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Read the fields of a mapping; unknown ones are complaints that name the nearest known one.

        Args:
            node: what was written.
            path: where it stands.
            fields: reader of each known field.
            also: further names of fields.
        """
        if not isinstance(node, Fields):
            self.complain(path, f"a mapping with {enumerate_words(fields)}", kind(node), node.line)
            return {}
        found: dict[str, Any] = {}
        for name, child in node.pairs.items():
            field = (also or {}).get(name, name)
            reader = fields.get(field)
            where = f"{path}.{field}" if path else field
            if reader is None:
                if len(self.complaints) < MOST_COMPLAINTS:
                    self.complain(
                        f"{path}.{name[:60]}" if path else name[:60], did_you_mean(name, fields), repr(name[:60]), child.line
                    )
                else:
                    self.omitted += 1
                continue
            if field in found:
                self.complain(where, "this field once", f"again as {name}", child.line)
                continue
            if child.line is not None:
                self.lines[where] = child.line
            if not is_empty(child):
                value = reader(self, child, where)
                if value is not None:
                    found[field] = value
        return found


def text(reading: Reading, node: Node, path: str) -> str | None:
    """Read text as it was written, without the spaces around it."""
    if not isinstance(node, Scalar):
        reading.complain(path, "text", kind(node), node.line)
        return None
    return _clean(reading, node, path).strip()


def texts(reading: Reading, node: Node, path: str) -> tuple[str, ...] | None:
    """Read a list of texts; a single text is a list of one.

    An entry such as `Budget: $5` without quotes is a mapping for YAML; here it is the text that the person wrote.
    """
    if isinstance(node, Scalar):
        written = text(reading, node, path)
        return None if written is None else (written,)
    if isinstance(node, Fields):
        reading.complain(path, "a list of texts", kind(node), node.line)
        return None
    found = []
    for number, item in enumerate(node.items, 1):
        where = f"{path}[{number}]"
        if item.line is not None:
            reading.lines[where] = item.line
        if isinstance(item, Fields) and len(item.pairs) == 1:
            ((key, value),) = item.pairs.items()
            if isinstance(value, Scalar):
                found.append(f"{key}: {_clean(reading, value, where).strip()}".strip())
                continue
        if is_empty(item):
            continue
        written = text(reading, item, where)
        if written is not None:
            found.append(written)
    return tuple(found)


def choice(names: Iterable[str], also: Mapping[str, str] | None = None) -> Reader:
    """Return a reader of one of `names`, in any case, with `-` or spaces for `_`."""
    known = {name: name for name in names} | dict(also or {})
    listed = ", ".join(dict.fromkeys(known.values()))

    def read(reading: Reading, node: Node, path: str) -> str | None:
        if isinstance(node, Items) and len(node.items) > 1 and all(isinstance(item, Scalar) for item in node.items):
            offered = [item.text for item in node.items if isinstance(item, Scalar)]
            if all(_plain(word) in known for word in offered):
                reading.unchosen.append(Unchosen(field=path, choices=tuple(dict.fromkeys(map(_plain, offered))), line=node.line))
                return None
        if not isinstance(node, Scalar):
            reading.complain(path, f"one of {listed}", kind(node), node.line)
            return None
        word = _plain(node.text)
        if word not in known:
            near = difflib.get_close_matches(word[:60], known, n=1)
            reading.complain(path, f"one of {listed}" + (f" (did you mean {near[0]}?)" if near else ""), kind(node), node.line)
            return None
        return known[word]

    return read


_truth = choice(("true", "false"), {"yes": "true", "no": "false"})


def yes_no(reading: Reading, node: Node, path: str) -> bool | None:
    """Read true or false; yes and no are understood."""
    word = _truth(reading, node, path)
    return None if word is None else word == "true"


def whole(least: int, most: int) -> Reader:
    """Return a reader of a whole number within bounds."""

    def read(reading: Reading, node: Node, path: str) -> int | None:
        if isinstance(node, Scalar) and re.fullmatch(r"[0-9]{1,9}", node.text) and least <= int(node.text) <= most:
            return int(node.text)
        reading.complain(path, f"a whole number from {least:,} to {most:,}", kind(node), node.line)
        return None

    return read


def record(
    model: type[BaseModel], fields: Mapping[str, Reader], *, also: Mapping[str, str] | None = None, alone: str = ""
) -> Reader:
    """Return a reader of a mapping with these fields; a bare text is the field `alone`, where one is named."""

    def read(reading: Reading, node: Node, path: str) -> BaseModel:
        if alone and isinstance(node, Scalar):
            value = fields[alone](reading, node, path)
            return model() if value is None else model(**{alone: value})
        return model(**reading.values(node, path, fields, also))

    return read


def listing(entry: Reader) -> Reader:
    """Return a reader of a list."""

    def read(reading: Reading, node: Node, path: str) -> tuple[Any, ...] | None:
        if not isinstance(node, Items):
            reading.complain(path, "a list", kind(node), node.line)
            return None
        found = []
        for number, item in enumerate(node.items, 1):
            where = f"{path}[{number}]"
            if item.line is not None:
                reading.lines[where] = item.line
            if not is_empty(item):
                found.append(entry(reading, item, where))
        return tuple(value for value in found if value is not None)

    return read


def json_value(textual: frozenset[str] = frozenset(), chosen: frozenset[str] = frozenset()) -> Reader:
    """Return a reader of any value.

    Args:
        textual: keys below which every scalar stays text.
        chosen: keys whose list of bare words is a choice that was not made.
    """

    def value(reading: Reading, node: Node, path: str, key: str, is_text: bool) -> Any:
        if isinstance(node, Fields):
            return {
                name: value(reading, child, f"{path}.{name[:60]}", name, is_text or name in textual)
                for name, child in node.pairs.items()
            }
        if isinstance(node, Items):
            if key in chosen and len(node.items) > 1 and all(isinstance(item, Scalar) for item in node.items):
                words = tuple(item.text for item in node.items if isinstance(item, Scalar))
                reading.unchosen.append(Unchosen(field=path, choices=words, line=node.line))
                return None
            return [value(reading, item, f"{path}[{number}]", "", is_text) for number, item in enumerate(node.items, 1)]
        written = _clean(reading, node, path)
        if is_text or not node.plain:
            return written
        return None if is_empty(node) else _bare(reading, written, path, node.line)

    return lambda reading, node, path: value(reading, node, path, path.rpartition(".")[2], False)


def open_mapping(reading: Reading, node: Node, path: str) -> Any:
    """Read a mapping whose fields are the author's own."""
    if not isinstance(node, Fields):
        reading.complain(path, "a mapping", kind(node), node.line)
        return None
    return json_value()(reading, node, path)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Say what was expected instead of an unknown field: the nearest known one, or all of them."""
    names = list(known)
    near = difflib.get_close_matches(word[:60].lower(), names, n=1, cutoff=0.6)
    return f"a known field (did you mean {near[0]}?)" if near else f"one of the fields {', '.join(names)}"


def enumerate_words(words: Iterable[str]) -> str:
    """List the first few of them."""
    names = list(words)
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")


def kind(node: Node) -> str:
    """Say what was found, shortly."""
    if isinstance(node, Fields):
        return f"a mapping with {enumerate_words(key[:40] for key in node.pairs)}" if node.pairs else "an empty mapping"
    if isinstance(node, Items):
        words = [item.text[:20] for item in node.items[:4] if isinstance(item, Scalar)]
        return f"a list: {ascii(words) if any(map(unsafe, words)) else ', '.join(words)}" if words else "a list"
    shown = node.text if len(node.text) <= 60 else node.text[:57] + "…"
    return (ascii(shown) if unsafe(shown) else repr(shown)) if shown else "nothing"


def _clean(reading: Reading, node: Scalar, path: str) -> str:
    bad = unsafe(node.text)
    if bad:
        reading.complain(path, "printable characters, no control characters and none that reverse the text", bad, node.line)
        return ""
    if len(node.text) > LONGEST_TEXT:
        reading.complain(path, f"at most {LONGEST_TEXT:,} characters", f"{len(node.text):,}", node.line)
        return ""
    return node.text


def _plain(word: str) -> str:
    return re.sub(r"[-\s]+", "_", word.strip().lower())


def _bare(reading: Reading, written: str, path: str, line: int | None) -> Any:
    if written in ("true", "false"):
        return written == "true"
    if not _NUMBER.fullmatch(written):
        return written
    number = json.loads(written) if len(written) <= 40 else math.inf
    # A float beyond 2^53 is whole as well: its canonical spelling is an integer that cannot be read back.
    if abs(number) > LARGEST:
        reading.complain(path, "a number within 2^53, or the same in quotes", written[:40], line)
        return None
    return number
