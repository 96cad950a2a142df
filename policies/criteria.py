"""Read the comparison in a success criterion, judge a measured value by it, and say how much better it became.

Rules:
- exactly one comparison or none: `p95 < 20 ms and p99 < 50 ms` is not half of a target, so it is no target;
- what stands in brackets (`currently 850ms`) is a remark;
- what is relative to the value before (`no increase in error rate`, `40 % fewer errors`) is no target: there is no number to compare with;
- units that do not compare give no verdict, never a wrong one.

Source: success criteria of the problem/action/results guide; its improvement is the relative change (850 ms to 165 ms is 80.6 %).
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from .units import convert

Op = Literal["<", "<=", ">", ">=", "=", "!="]

_MEANINGLESS = 10**12
_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
_NOT: dict[str, Op] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "!=", "!=": "="}
_COMPARATORS: tuple[tuple[str, Op], ...] = (
    (r"<=|=<|≤|⩽", "<="),
    (r">=|=>|≥|⩾", ">="),
    (r"!=|<>|≠", "!="),
    (r"(?<![-<])<(?!<)", "<"),
    (r"(?<![->=])>(?!>)", ">"),
    (r"==?", "="),
    (r"\b(?:less|fewer|lower|smaller|shorter) than or equal to\b", "<="),
    (r"\b(?:more|greater|higher|larger|longer) than or equal to\b", ">="),
    (r"\b(?:(?:no|not) (?:more|greater|higher|longer|later|larger) than|at most|up to|max(?:imum)?(?: of)?|within)\b", "<="),
    (r"\b(?:(?:no|not) (?:less|fewer|lower|smaller) than|at least|min(?:imum)?(?: of)?)\b", ">="),
    (r"\b(?:(?:less|fewer|lower|shorter|smaller|faster) than|under|below)\b", "<"),
    (r"\b(?:(?:more|greater|higher|longer|larger) than|over|above|exceed(?:s|ing)?)\b", ">"),
    (r"\b(?:exactly|equals?(?: to)?)\b", "="),
)
_COMPARATOR = re.compile("|".join(f"(?P<op{n}>{pattern})" for n, (pattern, _) in enumerate(_COMPARATORS)), re.IGNORECASE)
_NEGATED = re.compile(
    r"\b(?:not|never|cannot|\w+n't)\s+(?:(?:be|is|drops?|falls?|goes|go|rises?|gets?|climbs?|stays?)\s+)?$", re.IGNORECASE
)
_QUANTITY = re.compile(
    r"\s*(?:(?:of|the|a|total of)\s+)?(?P<money>\$\s*|usd\s+)?(?P<sign>[-−])?"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d{1,9})?|\d{1,15}(?:\.\d{1,9})?)(?![\d,.]*\d|\s*[-–]\s*\d)(?P<kilo>k\b)?"
    r"(?:\s*(?!per\b)(?P<unit>[%$]|[a-zA-Zµμ]+))?(?:\s*(?:/|\bper\b)\s*(?P<per>[a-zA-Z]+))?",
    re.IGNORECASE,
)
_OR_LESS = re.compile(
    r"\s*(?:or (?P<less>less|fewer|lower|faster|below)|or (?P<more>more|higher|better|above|greater))\b", re.IGNORECASE
)
_FROM = re.compile(r"\bfrom\b", re.IGNORECASE)
_TO = re.compile(r"\s*(?:down |up )?to\b|\s*(?:->|→)", re.IGNORECASE)
_NONE_OF = re.compile(r"\s*(?:0|zero)\s+([a-zA-Z]+)", re.IGNORECASE)
# Said of the value before, not of a number that can be compared with.
_RELATIVE_BEFORE = re.compile(
    r"\b(?:by|drop (?:of|by)|increase|decrease|reduction|growth|change|improvement|regression|saving)s?(?:\s+(?:of|is|by))?\s*$",
    re.IGNORECASE,
)
_RELATIVE_AFTER = re.compile(
    r"\s*(?:faster|slower|lower|higher|less|fewer|more|better|worse|cheaper|smaller|larger|shorter|longer|(?:of )?(?:the )?baseline|"
    r"reduction|increase|decrease|improvement|compared|relative)\b",
    re.IGNORECASE,
)
_FURTHER = re.compile(r"(?:\band\b|[,;&])\s*(?:no|zero|all|every|without|nothing)\b", re.IGNORECASE)
# Words that follow a number without being its unit.
_NO_UNIT = re.compile(
    r"(?:and|as|at|before|by|during|each|every|for|from|if|in|instead|is|of|on|or|over|per|since|so|than|the|then|to|under|until|up|when|"
    r"while|with|within|after|again|across|currently|down|max|min|maximum|minimum|total)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Target:
    """A comparison with a number: `< 200 ms`."""

    op: Op
    value: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.op} {self.value:g} {self.unit}".rstrip()


def parse_criterion(text: str) -> Target | None:
    """Read the one comparison in a success criterion.

    Args:
        text: such as `P95 latency < 200ms (currently 850ms)`, `at most 3 errors`, `raise coverage from 65% to 92%`, or only `< 20`.

    Returns:
        The target; None when the text holds no comparison with a number, or more than one.
    """
    words = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", text[:1000])
    compared = [*_compared(words), *_or_less(words)]
    none_of = _none_of(words)
    if _FURTHER.search(words) or (compared and none_of):
        return None
    found = compared or _from_to(words) or none_of
    return found[0] if len(found) == 1 else None


def met(target: Target, value: float, unit: str = "") -> bool | None:
    """Tell whether a measured value meets a target.

    Args:
        target: what was asked for.
        value: what was measured.
        unit: of the value; empty for a bare number.

    Returns:
        None when the units do not compare or the value is no finite number.
    """
    measured = convert(value, unit, target.unit)
    return None if measured is None else _COMPARE[target.op](measured, Decimal(repr(target.value)))


def improvement(before: float | None, after: float | None, op: str) -> str:
    """Return the relative change towards the target, such as `80.6 %`; negative when it became worse.

    Args:
        before: measured before, in the same unit as `after`.
        after: measured after.
        op: comparison of the target, which says which way is better.

    Returns:
        Empty where it has no meaning: nothing measured, (nearly) zero before, or a target that is one value.
    """
    if before is None or after is None or not math.isfinite(before) or not math.isfinite(after) or before == 0:
        return ""
    if op not in ("<", "<=", ">", ">="):
        return ""
    start, end = Decimal(repr(float(before))), Decimal(repr(float(after)))
    gained = (start - end if op[0] == "<" else end - start) / abs(start) * 100
    return f"{gained.quantize(Decimal('0.1')) + 0:f} %" if abs(gained) < _MEANINGLESS else ""


def _compared(words: str) -> list[Target | None]:
    """Return every comparison; None for one that cannot be judged, so that it still counts as one."""
    found: list[Target | None] = []
    for sign in _COMPARATOR.finditer(words):
        quantity = _quantity(words, sign.end())
        if quantity is None:
            if not sign.group()[0].isalpha():
                found.append(None)
            continue
        op = next(op for number, (_, op) in enumerate(_COMPARATORS) if sign[f"op{number}"] is not None)
        if _NEGATED.search(words[: sign.start()]):
            op = _NOT[op]
        value, unit, end = quantity
        if _RELATIVE_BEFORE.search(words[: sign.start()]) or _RELATIVE_AFTER.match(words, end):
            found.append(None)
        elif not _OR_LESS.match(words, end):
            found.append(Target(op, value, unit))
    return found


def _or_less(words: str) -> list[Target | None]:
    found: list[Target | None] = []
    for number in re.finditer(r"(?<![\w.,])\$?\d", words):
        quantity = _quantity(words, number.start())
        after = _OR_LESS.match(words, quantity[2]) if quantity else None
        if quantity and after:
            found.append(Target("<=" if after["less"] else ">=", quantity[0], quantity[1]))
    return found


def _from_to(words: str) -> list[Target | None]:
    """Read `from A to B`: the way from A to B says which side of B is wanted."""
    found: list[Target | None] = []
    for start in _FROM.finditer(words):
        first = _quantity(words, start.end())
        to = _TO.match(words, first[2]) if first else None
        last = _quantity(words, to.end()) if to else None
        if first and last and first[0] != last[0]:
            found.append(Target(">=" if last[0] > first[0] else "<=", last[0], last[1] or first[1]))
    return found


def _none_of(words: str) -> list[Target | None]:
    found = _NONE_OF.match(words)
    return [Target("=", 0.0)] if found and not _NO_UNIT.fullmatch(found[1]) else []


def _quantity(words: str, at: int) -> tuple[float, str, int] | None:
    found = _QUANTITY.match(words, at)
    if found is None:
        return None
    value = Decimal(found["number"].replace(",", "")) * (1000 if found["kilo"] else 1) * (-1 if found["sign"] else 1)
    unit, end = found["unit"] or "", found.end()
    if unit and (_NO_UNIT.fullmatch(unit) or _RELATIVE_AFTER.match(unit)):
        unit, end = "", found.start("unit")
    elif unit and found["per"]:
        unit = f"{unit}/{found['per']}"
    if found["money"]:
        unit = "$" if not found["per"] else f"$/{found['per']}"
    return float(value), unit, end
