"""The gate before the parser: what is refused from the bytes alone.

Every rule here answers one way in which a parser and bash may see two different programs in one text (control bytes, joined lines,
look-alike letters, back-quotes, operators inside `${...}`), or a size that no person reads. A finding is final: nothing behind the gate
lowers it. The scanner knows only quotes, comments and `$(`; where it could be wrong it refuses, and the evaluator of words looks again.
"""

from __future__ import annotations

import re
import unicodedata

from ...schemas.risk import Level, Reason

MAX_BYTES = 8 * 1024
MAX_COMMANDS = 64
_MAX_NESTING = 12

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HIDDEN_CATEGORIES = frozenset({"Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_PLAIN_BRACES = re.compile(r"\$\{#?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9?#])\}")
_SEPARATORS = re.compile(r"[;|&\n]+")


def gate(command: str) -> Reason | None:
    """Return why the text may not even be parsed, or `None` when it may.

    Args:
        command: the exact text that bash would run.
    """
    if len(command) > MAX_BYTES or len(command.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return _no("size", f"longer than {MAX_BYTES} bytes: nobody reads that", "split it into smaller steps")
    if _CONTROL.search(command):
        return _no("control", "holds control bytes, which shells and people read differently")
    if "\\\n" in command:
        return _no("joined-lines", "joins lines with a backslash, which hides words from a parser", "write it on one line")
    if not command.isascii() and any(not c.isascii() and unicodedata.category(c) in _HIDDEN_CATEGORIES for c in command):
        return _no("invisible", "holds invisible or unassigned characters")
    if len(_SEPARATORS.findall(command)) > 4 * MAX_COMMANDS:
        return _no("commands", f"may hold more than {MAX_COMMANDS} commands", "split it into smaller steps")
    return _scan(command)


def _scan(text: str) -> Reason | None:
    heredoc = "<<" in text.replace("<<<", "")
    stack = ["plain"]  # the quoting context: plain, double
    at, end, word_start = 0, len(text), True
    while at < end:
        char, inside = text[at], stack[-1]
        if char == "`":
            return _no("back-quote", "holds a back-quote outside single quotes", "use $(...)")
        if char == "\\":
            at, word_start = at + 2, False
            if at <= end and not text[at - 1].isascii() and inside == "plain":
                return _no("non-ascii", "holds letters outside ASCII that are not quoted", "quote them")
            continue
        if text.startswith("${", at) and not _PLAIN_BRACES.match(text, at):
            return _no(
                "expansion-operator", "uses an operator inside ${...}, which can run or rewrite text", "use the plain ${name}"
            )
        if text.startswith("$(", at):
            stack.append("plain")
            if len(stack) > _MAX_NESTING:
                return _no("nesting", "nests deeper than a person follows")
            at, word_start = at + 2, True
            continue
        if char == '"':
            if inside == "double":
                stack.pop()
            else:
                stack.append("double")
        elif inside == "plain":
            if char == "'":
                close = _single_end(text, at)
                if close < 0:
                    return _no("quote", "holds an open quote")
                if heredoc and "`" in text[at:close]:
                    return _no("back-quote", "holds a back-quote beside a here-document")
                at, word_start = close + 1, False
                continue
            if char == "#" and word_start:
                stop = text.find("\n", at)
                comment = text[at:] if stop < 0 else text[at:stop]
                if "`" in comment or not comment.isascii():
                    return _no("comment", "hides back-quotes or letters outside ASCII in a comment")
                at = end if stop < 0 else stop
                continue
            if char == "(":
                stack.append("plain")
                if len(stack) > _MAX_NESTING:
                    return _no("nesting", "nests deeper than a person follows")
            elif char == ")" and len(stack) > 1 and stack[-1] == "plain":
                stack.pop()
            elif not char.isascii():
                return _no("non-ascii", "holds letters outside ASCII that are not quoted", "quote them")
        word_start = inside == "plain" and char in " \t\n;&|("
        at += 1
    return None


def _single_end(text: str, at: int) -> int:
    if at and text[at - 1] == "$":  # ANSI-C quoting: a backslash protects the quote
        at += 1
        while at < len(text) and text[at] != "'":
            at += 2 if text[at] == "\\" else 1
        return at if at < len(text) else -1
    return text.find("'", at + 1)


def _no(rule: str, why: str, lower: str = "") -> Reason:
    return Reason(rule=f"shell.gate.{rule}", level=Level.HIGH, text=f"the command {why}", lower=lower)
