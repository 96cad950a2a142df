"""What a measure read, and what that says about its criterion. Pure.

Rules: a value is a number wherever one can be read; what cannot be read says why; a criterion without exactly one comparison has no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..schemas.dispatch import Receipt
from ..schemas.plan import Measure
from ..schemas.results import Outcome
from .criteria import improvement, met, parse_criterion

Reading = tuple[float | str | None, str]
"""The value, and why there is none."""


def reading(measure: Measure, direction: str, receipt: Receipt | None) -> Reading:
    """Return what a measure read.

    Args:
        direction: `before` or `after`.
        receipt: of the call that measured; `None` where there was none.
    """
    if receipt is None:
        return None, f"not measured {direction}"
    if not receipt.is_done:
        return None, f"could not be measured {direction}: {receipt.summary}"
    value: Any = receipt.output
    for part in measure.read.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            known = ", ".join(sorted(receipt.output)) or "nothing"
            return None, f"the output has no {measure.read}; it has {known}"
    if isinstance(value, str):
        try:
            return float(value), ""
        except ValueError:
            return value[:200], ""
    return (float(value), "") if isinstance(value, bool | int | float) else (None, f"{measure.read} is not a value")


def outcome(measure: Measure, before: Reading, after: Reading) -> Outcome:
    """Return what two readings say about the criterion of a measure."""
    target = parse_criterion(measure.target or measure.criterion)
    found = Outcome(
        criterion=measure.criterion, before=before[0], after=after[0], unit=measure.unit, target=measure.target or measure.criterion, note=after[1] or before[1],
    )
    if not isinstance(found.after, int | float):
        return found.model_copy(update={"note": found.note or f"{measure.read} is not a number"})
    if target is None:
        return found.model_copy(update={"note": "measured; the criterion names no comparison, so nothing says whether it is met"})
    better = improvement(found.before, found.after, target.op) if isinstance(found.before, int | float) else ""
    return found.model_copy(update={"met": met(target, float(found.after), measure.unit), "improvement": better})
