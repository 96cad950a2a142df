"""Redirections: what a command reads from and writes to besides its arguments.

To /dev/null, or from one descriptor to another, is nothing; from a file is a read, to a file is a write. A here-document counts only when
its text is literal and lies where the text itself says, not only where the parser says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tree_sitter import Node

from ...schemas.risk import Level, Reason
from . import shell_roles
from .shell_values import TEXT, Output, Unproved, Word

if TYPE_CHECKING:
    from .shell_script import Script

_SINKS = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr"})
_WRITES = frozenset({">", ">>", ">|", "&>", "&>>"})
_DELIMITER = re.compile(r"""(['"]?)([A-Za-z_][A-Za-z0-9_]*)\1""")
_NOTHING = Reason(rule="shell.redirect.sink", level=Level.LOW, text="redirects to nothing, or to another descriptor")


def redirect(node: Node, script: Script) -> tuple[list[Reason], Output | None, bool]:
    """Judge one redirection.

    Returns:
        what was found; the standard input where it sets one; whether the output is thrown away.

    Raises:
        Unproved: its form is not on the list.
    """
    children = list(node.children)
    descriptor = ""
    if children and children[0].type == "file_descriptor":
        descriptor = script.slice(children.pop(0))
        if not descriptor.isdigit():
            raise Unproved("redirect.descriptor", "opens a descriptor under a name")
    if children and script.slice(children[0]) in (">&-", "<&-") and len(children) == 1:
        return [_NOTHING], None, False
    if len(children) != 2:
        raise Unproved("redirect.shape", "a redirection that is not understood")
    operator, target = script.slice(children[0]), children[1]
    between = script.text[children[0].end_byte : target.start_byte]
    if between.strip(" \t"):
        raise Unproved("redirect.shape", "a redirection that is not understood")
    if operator in (">&", "<&"):
        if script.slice(target).isdigit():
            return [_NOTHING], None, False
        if operator == "<&" or descriptor:
            raise Unproved("redirect.descriptor", "duplicates a descriptor that is not a number")
        operator = "&>"
    if target.type == "process_substitution":
        if operator != "<":
            raise Unproved("redirect.write", "writes into another command")
        reasons, output = _process(target, script)
        return reasons, output, False
    word = _one(target, script)
    if operator == "<":
        if descriptor not in ("", "0"):
            raise Unproved("redirect.descriptor", "opens another input than the standard one")
        return [*shell_roles.judge("path", word, script.place()), _low("reads a file")], TEXT, False
    if operator in _WRITES:
        return _write(word, operator, descriptor, script)
    raise Unproved("redirect.shape", f"redirects with {operator}")


def heredoc_text(node: Node, script: Script) -> tuple[str, list[Node]]:
    """Return the literal text of a here-document, and the redirections or pipes that stand on its first line.

    Raises:
        Unproved: the delimiter is not plain, the text may be expanded, or the parser and the text disagree on where it ends.
    """
    parts = {child.type: child for child in node.children}
    if script.text.count("<<") != 1 or script.slice(node.children[0]) != "<<":
        raise Unproved("heredoc", "more than one here-document, or one with stripped tabs")
    start = parts.get("heredoc_start")
    match = _DELIMITER.fullmatch(script.slice(start)) if start is not None else None
    if match is None:
        raise Unproved("heredoc", "a here-document with an unusual delimiter")
    line_end = script.text.find("\n", node.start_byte)
    lines = script.text[line_end + 1 :].split("\n") if line_end >= 0 else []
    if match[2] not in lines:
        raise Unproved("heredoc", "a here-document that does not end")
    body = lines[: lines.index(match[2])]
    text = "".join(line + "\n" for line in body)
    found = parts.get("heredoc_body")
    end = parts.get("heredoc_end")
    begin = line_end + 1
    if end is None or end.start_byte != begin + len(text) or (found is not None and found.start_byte < begin):
        raise Unproved("heredoc", "a here-document that the parser ends elsewhere")
    if not match[1] and any(c in text for c in "$`\\"):
        raise Unproved(
            "heredoc", "a here-document whose text is worked out while it runs", f"quote its delimiter: <<'{match[2]}'"
        )
    extra = [child for child in node.children if child.type not in ("<<", "heredoc_start", "heredoc_body", "heredoc_end")]
    for child in extra:
        if child.type not in ("file_redirect", "pipeline") or child.end_byte > line_end:
            raise Unproved("heredoc", "a here-document with more than a pipe on its line")
    between = script.text[start.end_byte if start is not None else 0 : line_end]
    for child in extra:
        between = between.replace(script.slice(child), "", 1)
    if between.strip(" \t"):
        raise Unproved("heredoc", "more on the line of a here-document than the parser sees")
    return text.encode("latin-1").decode("utf-8", "replace"), extra


def _write(word: Word, operator: str, descriptor: str, script: Script) -> tuple[list[Reason], Output | None, bool]:
    if word.literal and word.text in _SINKS:
        silent = word.text == "/dev/null" and descriptor in ("", "1")
        return [_NOTHING], None, silent
    if not word.literal:
        raise Unproved("redirect.write", "writes to a file that is only known while it runs")
    reasons = shell_roles.judge("write", word, script.place())
    text = f"writes to {word.text}" if operator != ">>" else f"appends to {word.text}"
    return [*reasons, Reason(rule="shell.redirect.write", level=Level.MEDIUM, text=text)], None, True


def _process(node: Node, script: Script) -> tuple[list[Reason], Output]:
    if script.text[node.start_byte : node.start_byte + 2] != "<(":
        raise Unproved("redirect.write", "writes into another command")
    script.gaps(node)
    result = script.substitution(node, node.children[1:-1])
    return result.reasons, result.output


def _one(node: Node, script: Script) -> Word:
    ways = script.fields(node)
    if len(ways) != 1 or len(ways[0]) != 1 or ways[0][0].many or ways[0][0].wild:
        raise Unproved("redirect.target", "redirects to a name that is only known while it runs", "write the name out")
    return ways[0][0]


def _low(text: str) -> Reason:
    return Reason(rule="shell.redirect.read", level=Level.LOW, text=text)
