"""Return on investment: one week of what the solution is declared to save, against what the run cost. Pure.

    ratio = saved in a week : calls + computing + people's time

Rules: without a declared saving, without an accounted cost, or without known success there is no ratio, and it is said why; what was declared in
hours is worth the configured rate for people. Source: `roi_analysis` of the problem/action/results guide ($250 a week for $10.68 is 23.4:1).
"""

from __future__ import annotations

from decimal import Decimal

from ..schemas.plan import Expectation
from ..schemas.results import Costs, Roi

_HOUR_S = 3600


def roi(expected: Expectation | None, costs: Costs, *, human_usd_per_hour: str = "0", success: bool | None) -> Roi:
    """Return what can be said of the return.

    Args:
        expected: what the author declared.
        human_usd_per_hour: decimal text, for savings that are declared in hours.
        success: of the run; what did not work saves nothing.
    """
    total = Decimal(costs.actual_usd) + Decimal(costs.human_usd or "0")
    saved, time_s = _saved(expected, Decimal(human_usd_per_hour)), expected.saves_time_s_per_week if expected is not None else None
    found = Roi(
        time_saved_per_week=_hours(time_s) if time_s is not None else "", cost_saved_per_week=_usd(saved) if saved is not None else "",
        total_cost=_usd(total),
    )  # fmt: skip
    why = ""
    if expected is None or (expected.saves_usd_per_week is None and time_s is None):
        why = "the document declares no saving (results.roi_analysis: time_saved_per_week or cost_saved_per_week)"
    elif success is False:
        why = "the run did not succeed, so nothing of the declared saving is there"
    elif success is None:
        why = "nobody measured whether it worked, so the declared saving may not be there"
    elif saved is None:
        why = "hours are worth nothing here until costs.human_usd_per_hour is set in config.yaml"
    elif not total:
        why = "nothing that the run cost is accounted for; set costs in config.yaml"
    if why or saved is None:
        return found.model_copy(update={"note": f"not known: {why}"})
    if not saved:
        return found.model_copy(update={"roi_ratio": "0:1", "note": "the document declares that nothing is saved"})
    note = "one week's declared saving to the cost of the run" + ("" if costs.human_usd is not None else ", people's time not included")
    return found.model_copy(update={"roi_ratio": f"{_round(saved / total)}:1", "payback_period": _span(total / saved), "note": note})


def in_words(found: Roi) -> str:
    """Return it in a line."""
    return f"{found.roi_ratio} ({found.note}; paid back after {found.payback_period})" if found.payback_period else found.roi_ratio or found.note


def _saved(expected: Expectation | None, rate: Decimal) -> Decimal | None:
    if expected is None:
        return None
    if expected.saves_usd_per_week is not None:
        # Where both are declared they say the same in two ways, as in the source's own example.
        return Decimal(expected.saves_usd_per_week)
    if expected.saves_time_s_per_week is None or not rate:
        return None
    return rate * expected.saves_time_s_per_week / _HOUR_S


def _usd(amount: Decimal) -> str:
    return f"${amount.quantize(Decimal('0.01')) if amount >= Decimal('0.01') or not amount else amount.normalize():f}"


def _round(ratio: Decimal) -> str:
    return f"{ratio:,.1f}" if ratio >= Decimal("0.1") else f"{ratio:.2g}"


def _hours(seconds: int) -> str:
    hours = Decimal(seconds) / _HOUR_S
    return f"{hours.quantize(Decimal('0.1')).normalize():f} hour{'' if hours == 1 else 's'}"


def _span(weeks: Decimal) -> str:
    days = weeks * 7
    for amount, unit in ((days / 365, "year"), (days / 30, "month"), (weeks, "week"), (days, "day"), (days * 24, "hour")):
        if amount >= 1:
            return f"{amount:.1f} {unit}s"
    return "less than an hour"
