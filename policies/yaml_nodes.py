"""Read YAML into a tree of nodes that keeps lines and the text as it was written; bounded, and nothing is resolved.

Rules:
- scalars stay text: `no`, `1.0` and `2025-10-12` mean what the field that holds them says, not what YAML guesses;
- no tree is built by recursion and aliases are shared, never copied, so depth, size and expansion are bounded before they cost anything;
- refused: more than one document, duplicate keys, tags, merge keys, loops, control characters and characters that reverse what is shown;
- a syntax error ends the reading; everything else is collected, so that a person sees all of it at once.

Source: YAML 1.1 as libyaml scans it.
Deliberately absent: the meaning of fields, which `read_document` knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml

from ..schemas.canonical import parse
from ..schemas.errors import Complaint, InvalidDocument
from .nodes import DEEPEST, MOST_NODES, Fields, Items, Node, Scalar, TooMuch, nodes_of, unsafe

LARGEST_BYTES = 1024 * 1024
MOST_ALIASES = 50

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")}
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_REMEDIES = (
    ("mapping values are not allowed", "quotes around a text that contains a colon and a space, and equal indentation"),
    ("block scalar", "quotes around a text that begins with > or |"),
    ("cannot start any token", "quotes around a text that begins with %, @ or a backquote"),
    ("expected alphabetic or numeric character", "quotes around a text that begins with & or *"),
    ("found unexpected end of stream", "a closing quote or bracket"),
    ("did not find expected ',' or", "a comma or a closing bracket; quote texts that contain brackets, braces or commas"),
    ("did not find expected key", "equal indentation, and quotes around a text that goes on after a closing quote"),
    ("did not find expected '-' indicator", "every entry of the list at the same indentation, with a dash"),
)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read."""

    node: Items | Fields
    anchor: str | None
    key: Scalar | None = None
    skip: bool = False


def read_nodes(text: str, *, file: str = "") -> tuple[Node | None, list[Complaint]]:
    """Read one YAML document.

    Args:
        text: at most `LARGEST_BYTES` as UTF-8.
        file: name for the complaints.

    Returns:
        The root, None when the text is empty; and everything that was found wrong while the tree could still be built.

    Raises:
        InvalidDocument: too large, unreadable characters, or not YAML.
    """
    complaint = _unreadable(text)
    if complaint is None:
        if text.lstrip()[:1] == "{":
            # JSON writes some texts as YAML cannot (surrogate pairs), and its numbers are numbers whatever their spelling.
            with suppress(ValueError):
                return nodes_of(parse(text), file=file)
        reading = _Reading()
        try:
            return reading.run(yaml.parse(text.removeprefix("\ufeff"), Loader=_LOADER)), reading.complaints
        except yaml.MarkedYAMLError as error:
            complaint = _syntax(error, text)
        except yaml.YAMLError as error:
            complaint = Complaint(where="text", expected="readable YAML", found=" ".join(str(error).split())[:120])
        except TooMuch as error:
            complaint = Complaint(where=error.where, expected=error.expected, found=error.found, line=error.line)
        complaints = [*reading.complaints, complaint]
    else:
        complaints = [complaint]
    raise InvalidDocument([Complaint(c.where, c.expected, c.found, c.line, file) for c in complaints], file=file)


class _Reading:
    """Builds the tree from the stream of events."""

    def __init__(self) -> None:
        self.complaints: list[Complaint] = []
        self.root: Node | None = None
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node] = {}
        self.aliases = 0
        self.nodes = 0

    def run(self, events: Iterator[Any]) -> Node | None:
        documents = 0
        for event in events:
            kind = type(event)
            line = event.start_mark.line + 1
            if kind is yaml.ScalarEvent:
                self._check(event, line)
                self._add(Scalar(event.value, bool(event.implicit[0]) and not event.style, line), event.anchor)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._check(event, line)
                if len(self.stack) >= DEEPEST:
                    raise TooMuch("nesting", f"at most {DEEPEST} levels", "more", line)
                node: Items | Fields = Fields({}, line) if kind is yaml.MappingStartEvent else Items([], line)
                self.stack.append(_Open(node, event.anchor))
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                closed = self.stack.pop()
                self._add(closed.node, closed.anchor)
            elif kind is yaml.AliasEvent:
                self._alias(event.anchor, line)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise TooMuch("---", "one document in a file", "a second one", line)
        return self.root

    def _check(self, event: Any, line: int) -> None:
        if event.tag not in (None, "!") and event.tag not in _PLAIN_TAGS:
            self.complaints.append(Complaint(self._path("tag"), "plain values without a tag", str(event.tag)[:80], line))

    def _alias(self, name: str, line: int) -> None:
        self.aliases += 1
        if self.aliases > MOST_ALIASES:
            raise TooMuch("aliases", f"at most {MOST_ALIASES} aliases", "more", line)
        target = self.anchors.get(name)
        if target is None:
            inside = any(opened.anchor == name for opened in self.stack)
            expected = "a value that does not contain itself" if inside else "an anchor of that name before it"
            self.complaints.append(
                Complaint(self._path("alias"), f"{expected}; quote a text that begins with *", f"*{name[:40]}", line)
            )
            target = Scalar("", False, line)
        self._add(target, None, target.size)

    def _add(self, node: Node, anchor: str | None, count: int = 1) -> None:
        # An alias counts with everything below it: the bound holds for what a reader of the tree would walk.
        self.nodes += count
        if self.nodes > MOST_NODES:
            raise TooMuch("document", f"at most {MOST_NODES:,} values", "more", node.line)
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        top.node.size += node.size
        if isinstance(top.node, Items):
            top.node.items.append(node)
        elif top.key is None:
            top.key, top.skip = self._key(node, top.node)
        else:
            if not top.skip:
                top.node.pairs[top.key.text] = node
            top.key = None

    def _key(self, node: Node, mapping: Fields) -> tuple[Scalar, bool]:
        """Return the key, and whether what stands under it is left out."""
        if not isinstance(node, Scalar):
            self.complaints.append(
                Complaint(
                    self._path("key"), "a word before the colon; quote a text with brackets", "a list or mapping", node.line
                )
            )
            return Scalar("", False, node.line), True
        bad = unsafe(node.text)
        if bad:
            self.complaints.append(Complaint(self._path("key"), "printable characters", bad, node.line))
            return node, True
        if node.text == "<<" and node.plain:
            self.complaints.append(Complaint(self._path("<<"), "fields written out; they are not merged", "<<", node.line))
            return node, True
        if node.text in mapping.pairs:
            first = mapping.pairs[node.text].line
            self.complaints.append(
                Complaint(self._path(node.text[:60]), "each field once", f"again; the first is in line {first}", node.line)
            )
            return node, True
        return node, False

    def _path(self, last: str) -> str:
        """Say where the reading stands, for a complaint."""
        path = ""
        for opened in self.stack:
            if isinstance(opened.node, Items):
                path += f"[{len(opened.node.items) + 1}]"
            elif opened.key is not None:
                path += f".{opened.key.text[:60]}"
        return f"{path}.{last}".removeprefix(".")


def _unreadable(text: str) -> Complaint | None:
    size = len(text) if len(text) > LARGEST_BYTES else len(text.encode("utf-8", "surrogatepass"))
    if size > LARGEST_BYTES:
        return Complaint("text", f"at most {LARGEST_BYTES:,} bytes", f"{size:,}")
    found = _UNREADABLE.search(text)
    if found is None:
        return None
    line = text.count("\n", 0, found.start()) + 1
    return Complaint("text", "printable characters in UTF-8", f"U+{ord(found.group()):04X}", line)


def _syntax(error: yaml.MarkedYAMLError, text: str) -> Complaint:
    said = " ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in said), "valid YAML")
    lines = text.splitlines()
    if mark and mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1]:
        remedy = "spaces, not tabs, for indentation"
    where = f"YAML, column {mark.column + 1}" if mark else "YAML"
    return Complaint(where, remedy, said[:160], mark.line + 1 if mark else None)
