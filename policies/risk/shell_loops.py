"""Branches and loops: every part is judged, from every folder that a part before it may have left.

A loop over words gives its variable exactly those words; a loop over a wildcard gives it the wildcard, which the role of the place then
judges. What a condition would decide is not asked: both branches count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tree_sitter import Node

from ...schemas.risk import Reason
from .shell_script import WORDS, Result, Script, low, union
from .shell_values import NUMBER, TEXT, Output, Unproved, Word

_BREAKS = frozenset({";", "\n"})
_COUNT = re.compile(
    r"for \(\(\s*([a-z_]\w*)\s*=\s*\d+\s*;\s*([a-z_]\w*)\s*(?:<=?|>=?|!=)\s*\d+\s*;\s*([a-z_]\w*)\s*(?:\+\+|--|\+=\s*\d+)\s*\)\)[\s;]*do\b"
)


def branch(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    """Judge if ... then ... elif ... else ... fi."""
    return _blocks(script, node, cwds, stdin, ("if", "then", "fi", "elif", "else"), rounds=1)


def repeat(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    """Judge while and until."""
    return _blocks(script, node, cwds, stdin, ("while", "until", "do", "done"), rounds=2)


def _blocks(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output, keywords: Sequence[str], *, rounds: int) -> Result:
    script.gaps(node)
    reasons: list[Reason] = []
    here = cwds
    for number in range(1, rounds + 1):  # the second round of a loop starts where the first one ended
        before = here
        reasons = []
        for child in node.children:
            if child.type in keywords or child.type in _BREAKS:
                continue
            if child.type == "comment":
                script.comment(child)
                continue
            if child.type in ("elif_clause", "else_clause"):
                part = _blocks(script, child, here, stdin, keywords, rounds=1)
            elif child.type == "do_group":
                part = script.sequence(child, here, stdin)
            else:
                part = script.statement(child, here, stdin)
            reasons.extend(part.reasons)
            here = union(here, part.anyhow)
        if here == before:
            break
        if rounds > 1 and number == rounds:
            raise Unproved("folder.unknown", "a loop that changes the folder in every round", "write the folders out")
    return Result(reasons, TEXT, here, here)


def over_words(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    """Judge `for name in words`.

    Raises:
        Unproved: it is `select`, it sets a special variable, or a word is not understood.
    """
    script.gaps(node)
    if node.children[0].type != "for":
        raise Unproved("node", "uses select, which waits for a person")
    name = ""
    values: list[Word] = []
    body: Node | None = None
    for child in node.children[1:]:
        if child.type == "variable_name" and not name:
            name = script.slice(child)
        elif child.type == "do_group":
            body = child
        elif child.type in WORDS:
            for way in script.fields(child):
                values.extend(Word(word.text, False, word.pattern, word.source) for word in way)
        elif child.type not in ("in", ";", "\n"):
            raise Unproved("node", f"uses {child.type!r} in the head of a loop")
    if body is None:
        raise Unproved("node", "a loop without a body")
    script.set(name, tuple(dict.fromkeys(values)) or (Word(""),))
    return _body(script, body, cwds, stdin)


def counting(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    """Judge `for ((i = 0; i < 10; i++))`, with digits only.

    Raises:
        Unproved: its head holds more than that.
    """
    text = script.slice(node)
    head = _COUNT.match(text)
    body = node.children[-1]
    if not head or len(set(head.groups())) != 1 or body.type != "do_group" or node.start_byte + head.end() != body.start_byte + 2:
        raise Unproved("arithmetic", "a counting loop that is more than `for ((i = 0; i < 10; i++))`")
    script.set(head[1], (Word(NUMBER),))
    return _body(script, body, cwds, stdin)


def _body(script: Script, body: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    result = script.sequence(body, cwds, stdin)
    if result.anyhow != cwds:  # the second round starts where the first one ended
        reached = result.anyhow
        result = script.sequence(body, reached, stdin)
        if result.anyhow != reached:
            raise Unproved("folder.unknown", "a loop that changes the folder in every round", "write the folders out")
    return Result(result.reasons, TEXT, result.anyhow, result.anyhow)


def choose(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    """Judge case ... esac.

    Raises:
        Unproved: its word or one of its patterns is not understood.
    """
    script.gaps(node)
    reasons: list[Reason] = [low("a case")]
    here = cwds
    for child in node.children:
        if child.type == "case_item":
            part = _choice(script, child, here, stdin)
            reasons.extend(part.reasons)
            here = union(here, part.anyhow)
        elif child.type in WORDS:
            script.fields(child)
        elif child.type not in ("case", "in", "esac", ";", "\n"):
            raise Unproved("node", f"uses {child.type!r} in a case")
    return Result(reasons, TEXT, here, here)


def _choice(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    script.gaps(node)
    reasons: list[Reason] = []
    here, patterns = cwds, True
    for child in node.children:
        if child.type == ")":
            patterns = False
        elif patterns and child.type in WORDS:
            if any(c in script.slice(child) for c in "$`("):
                raise Unproved("word.pattern", "a case with a pattern that is worked out while it runs")
        elif not patterns and child.type == "comment":
            script.comment(child)
        elif not patterns and child.is_named:
            part = script.statement(child, here, stdin)
            reasons.extend(part.reasons)
            here = union(here, part.anyhow)
        elif child.type not in ("|", ";;", ";", "\n", "("):
            raise Unproved("node", f"uses {child.type!r} in a case")
    return Result(reasons, TEXT, here, here)
