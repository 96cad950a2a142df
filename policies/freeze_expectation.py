"""What a document expects of its solution: the saving against which the return on investment is held, and what is to be done afterwards. Pure.

Rules: a saving counts where its amount and its period can be read (`5 hours/week`, `$250` under `cost_saved_per_week`, `annual_savings: $4,000`);
anything else is words and counts for nothing. A ratio that somebody wrote down is never believed.
Source: `roi_analysis` of the results and output sections, and `follow_up_actions`, of the problem/action/results guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar

from ..schemas.document import Document
from ..schemas.plan import Expectation, WantedFollowUp
from .durations import dollars, seconds
from .notes import filled

_WEEKS = {"day": Decimal(7), "week": Decimal(1), "month": Decimal(12) / 52, "quarter": Decimal(4) / 52, "year": Decimal(1) / 52}
"""So many of each are in a week."""
_PERIODS = (
    ("day", re.compile(r"daily|(?:per|/|_a|a)[ _]*day")), ("week", re.compile(r"weekly|(?:per|/|_a|a)[ _]*w(?:ee)?k")),
    ("month", re.compile(r"monthly|(?:per|/|_a|a)[ _]*month")), ("quarter", re.compile(r"quarterly|(?:per|/|_a|a)[ _]*quarter")),
    ("year", re.compile(r"annual(?:ly)?|yearly|(?:per|/|_a|a)[ _]*year")),
)  # fmt: skip
_SAVES = re.compile(r"sav(?:e|ed|es|ing|ings)\b|reduced_|sav(?:ed|ings?)_", re.IGNORECASE)
_Amount = TypeVar("_Amount")


def expectation(document: Document) -> Expectation | None:
    """Return what the author expects, or `None` where nothing of it can be read."""
    usd, time_s = Decimal(0), Decimal(0)
    known_usd = known_time = False
    for name, text in _savings(document):
        times = _period(f"{name} {text}")
        if times is None:
            continue
        plain = _without_period(text)
        if (money := _read(dollars, plain)) is not None and "time" not in name:
            usd, known_usd = usd + Decimal(money) * times, True
        elif (span := _read(seconds, plain)) is not None:
            time_s, known_time = time_s + Decimal(span) * times, True
    follow_ups = tuple(_follow_ups(document))
    if not (known_usd or known_time or follow_ups):
        return None
    return Expectation(
        saves_usd_per_week=f"{usd.quantize(Decimal('0.01'), ROUND_HALF_UP).normalize():f}" if known_usd else None,
        saves_time_s_per_week=int(time_s) if known_time else None, follow_ups=follow_ups,
    )  # fmt: skip


def _savings(document: Document) -> Iterator[tuple[str, str]]:
    """Yield what the document says of savings: name of the field and text."""
    output = document.sections.get("output")
    places = [document.results.roi_analysis if document.results else {}, output.get("roi_analysis", {}) if isinstance(output, Mapping) else {}]
    for place in places:
        for name, value in place.items() if isinstance(place, Mapping) else ():
            text = filled(str(value)) if isinstance(value, str | int | float) else ""
            if text and _SAVES.search(str(name)):
                yield str(name).lower(), text


def _period(text: str) -> Decimal | None:
    return next((_WEEKS[name] for name, pattern in _PERIODS if pattern.search(text.lower())), None)


def _without_period(text: str) -> str:
    plain = re.sub(r"\s*\([^()]*\)\s*$", "", text)
    return re.sub(r"(?i)\s*(?:/|\bper\b|\ba\b)\s*(?:day|week|wk|month|quarter|year)s?\b.*$|\s*\b(?:daily|weekly|monthly|quarterly|annually|yearly)\b.*$", "", plain)


def _read(read: Callable[[str], _Amount], text: str) -> _Amount | None:
    try:
        return read(text)
    except ValueError:
        return None


def _follow_ups(document: Document) -> Iterator[WantedFollowUp]:
    for one in document.results.follow_up_actions if document.results else ():
        action: Any = filled(one.action or one.problem)
        if action:
            yield WantedFollowUp(action=action, assignee=filled(one.assignee), due_date=filled(one.due_date), priority=one.priority or "")
