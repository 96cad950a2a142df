"""Conditions: `test`, `[` and `[[`.

A subscript in a condition is arithmetic, and arithmetic runs commands (`test -v 'a[$(x)]'`, `[[ x -eq 'a[...]' ]]`), even in single
quotes. So -v and -R are refused, numbers are compared only when they are digits, and everything else is a test of text or of a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...schemas.risk import Level, Reason
from . import shell_roles
from .shell_table import Entry
from .shell_values import NUMBER, Output, Unproved, Word

if TYPE_CHECKING:
    from .shell_commands import Call, Outcome

_FILE_TESTS = frozenset(
    ["-e", "-f", "-d", "-r", "-w", "-x", "-s", "-L", "-h", "-b", "-c", "-p", "-S", "-g", "-u", "-k", "-O", "-G", "-N"]
)
_TEXT_TESTS = frozenset({"-z", "-n", "-t"})
_TEXT_COMPARISONS = frozenset({"=", "==", "!=", "<", ">", "=~"})
_NUMBER_COMPARISONS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
_FILE_COMPARISONS = frozenset({"-nt", "-ot", "-ef"})
_JOINERS = frozenset({"!", "(", ")", "-a", "-o", "&&", "||"})


def judge_test(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    """Judge the words of `test` or `[`.

    Raises:
        Unproved: an operator is not on the list, or an operand could be read as arithmetic.
    """
    from .shell_commands import Outcome

    given = list(words)
    if entry.name == "[":
        if not given or given[-1].text != "]":
            raise Unproved("test.shape", "[ without its ]")
        given.pop()
    return Outcome(condition(given, call, arithmetic=False), Output("none"))


def condition(words: Sequence[Word], call: Call, *, arithmetic: bool) -> list[Reason]:
    """Judge the operators and operands of a condition.

    Args:
        arithmetic: `[[` evaluates the operands of -eq and its kind; `test` only reads digits.

    Raises:
        Unproved: as above.
    """
    reasons: list[Reason] = []
    for word in words:
        if word.text in ("-v", "-R") or ("[" in word.text and any(c in word.text for c in "$`")):
            raise Unproved("test.arithmetic", f"{word.shown()} may be evaluated as arithmetic, which runs commands")
        if word.many and not word.wild and word.text.strip(NUMBER):
            raise Unproved("test.operand", f"{word.shown()} may become several words, with an operator among them", "quote it")
    at = 0
    while at < len(words):
        text = words[at].text
        following = words[at + 1].text if at + 1 < len(words) else ""
        if following in _TEXT_COMPARISONS | _NUMBER_COMPARISONS | _FILE_COMPARISONS and at + 2 < len(words):
            reasons.extend(_binary(words[at], following, words[at + 2], call, arithmetic=arithmetic))
            at += 3
        elif text in _FILE_TESTS and following and following not in ("-a", "-o", "&&", "||", ")"):
            reasons.extend(_file(words[at + 1], call))
            at += 2
        elif text in _TEXT_TESTS and at + 1 < len(words):
            at += 2
        elif text in _JOINERS:
            at += 1
        elif text.startswith("-") or (words[at].may_be_flag and len(words) > 1):
            raise Unproved("test.operator", f"a condition uses {words[at].shown()}, which is not on the list")
        else:
            at += 1
    reasons.append(Reason(rule="shell.command.test", level=Level.LOW, text="a condition looks at text or at the kind of a file"))
    return reasons


def _binary(left: Word, operator: str, right: Word, call: Call, *, arithmetic: bool) -> list[Reason]:
    if operator in _NUMBER_COMPARISONS:
        for word in (left, right):
            plain = word.text.lstrip("-").isascii() and all(c.isdigit() or c == NUMBER for c in word.text.lstrip("-"))
            if not plain and (arithmetic or any(c in word.text for c in "[$`")):
                raise Unproved("test.arithmetic", f"{word.shown()} would be evaluated as arithmetic", "compare digits")
        return []
    if operator in _FILE_COMPARISONS:
        return _file(left, call) + _file(right, call)
    return []


def _file(word: Word, call: Call) -> list[Reason]:
    return [] if not word.literal else shell_roles.judge("meta", word, call.place)
