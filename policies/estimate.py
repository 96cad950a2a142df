"""Estimates with a buffer, and what it means when the actual value leaves them.

    actual above the estimate by    more than 25 %   pause and reassess
                                    more than 50 %   escalate

Rules: decimal arithmetic, so that 25.0 % is not over and 25.1 % is; an estimate of nothing is exceeded by anything, and what has no estimate
cannot be overrun. Source: feature A12; troubleshooting section of the problem/action/results guide (buffer of 20 to 30 %).
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Literal

Overrun = Literal["none", "pause", "escalate"]

BUFFER = Decimal("0.25")
SMALLEST, LARGEST = Decimal("0.20"), Decimal("0.30")
PAUSE, ESCALATE = Decimal("0.25"), Decimal("0.50")

_Number = Decimal | str | int


def buffered(estimate: _Number, buffer: Decimal = BUFFER) -> str:
    """Return an estimate with its buffer, as decimal text.

    Args:
        estimate: at least 0; money or seconds.
        buffer: share that is added, 0.20 to 0.30.

    Raises:
        ValueError: a negative estimate, or a buffer outside of its bounds.
    """
    if not SMALLEST <= buffer <= LARGEST:
        raise ValueError(f"a buffer of {SMALLEST} to {LARGEST}, not {buffer}")
    return _text(_amount(estimate) * (1 + buffer))


def buffered_s(estimate_s: int, buffer: Decimal = BUFFER) -> int:
    """Return whole seconds with their buffer, rounded up. Raises: ValueError as `buffered`."""
    return int(Decimal(buffered(estimate_s, buffer)).to_integral_value(ROUND_CEILING))


def overrun(estimate: _Number | None, actual: _Number) -> Overrun:
    """Say what an actual value means.

    Args:
        estimate: what was approved, its buffer included; `None`: nobody estimated.
        actual: in the same unit.

    Raises:
        ValueError: a negative value.
    """
    if estimate is None:
        return "none"
    expected, found = _amount(estimate), _amount(actual)
    if found > expected * (1 + ESCALATE):
        return "escalate"
    return "pause" if found > expected * (1 + PAUSE) else "none"


def variance(estimate: _Number, actual: _Number) -> str:
    """Return how far an actual value is from its estimate, as signed percent with one digit; empty for an estimate of nothing."""
    expected, found = _amount(estimate), _amount(actual)
    if not expected:
        return ""
    return f"{(found - expected) * 100 / expected:+.1f} %"


def _amount(value: _Number) -> Decimal:
    amount = Decimal(value)
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"an amount of at least 0, not {value}")
    return amount


def _text(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
