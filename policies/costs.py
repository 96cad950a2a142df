"""What a run cost against what was estimated, with its parts. Pure.

Rules: money is exact; people's time is what the document estimates, since nobody measures it, and stands beside the actual cost, not in it.
Source: `actual_costs` and `cost_analysis` of the problem/action/results guide (compute, human oversight, variance, breakdown).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from ..schemas.dispatch import Receipt
from ..schemas.plan import Plan
from ..schemas.results import Costs
from .durations import seconds

_CENT = Decimal("0.01")
_SPAN = re.compile(r"\d+(?:[.,]\d+)?\s*(?:s|sec|seconds?|m|min|minutes?|h|hours?|days?)\b", re.IGNORECASE)


def costs(plan: Plan | None, receipts: Sequence[Receipt], rates: Mapping[str, str]) -> Costs:
    """Return actual cost and time against the estimate.

    Args:
        rates: decimal USD per hour, `compute` and `human`.
    """
    time_s = sum(receipt.duration_ms for receipt in receipts) / 1000
    called = sum((Decimal(receipt.cost_usd) for receipt in receipts), Decimal(0))
    compute = Decimal(rates.get("compute", "0")) * Decimal(str(time_s)) / 3600
    actual = (called + compute).quantize(Decimal("0.0001"))
    estimated = plan.estimate.cost_usd if plan else None
    variance = ""
    if estimated is not None and Decimal(estimated) > 0:
        variance = f"{(actual - Decimal(estimated)) / Decimal(estimated) * 100:+.1f} %"
    breakdown = {"calls": f"{called:.4f}", "compute": f"{compute:.4f}"} if actual else {}
    human_s = oversight_s(plan.estimate.human_oversight) if plan else None
    human = Decimal(rates.get("human", "0")) * human_s / 3600 if human_s is not None else None
    if human:
        breakdown["human_oversight"] = f"{human.quantize(_CENT):f}"
    return Costs(
        estimated_usd=estimated, actual_usd=f"{actual.normalize():f}", estimated_time_s=plan.estimate.time_s if plan else None,
        actual_time_s=round(time_s, 3), variance=variance, breakdown=breakdown, human_time_s=human_s,
        human_usd=f"{human.quantize(_CENT):f}" if human else None,
    )


def oversight_s(written: str) -> int | None:
    """Return the time that people spend, where the text on human oversight names one: `10 minutes`, `Monitoring, 1 h`."""
    found = _SPAN.search(written)
    try:
        return seconds(found[0]) if found else None
    except ValueError:
        return None
