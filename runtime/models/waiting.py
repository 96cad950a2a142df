"""When to try again, and how long to wait before it. Pure.

Rules: what the service says (`retry-after`, in seconds, milliseconds or as a date; `x-should-retry`) goes before what we think; what cannot
get better by repeating (a wrong key, a spent quota, a wrong request) is not repeated; otherwise the wait doubles.
Source: RFC 9110 section 10.2.3; OpenAI's guide to rate limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

_AGAIN = frozenset({408, 409, 429})
_SPENT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_FIRST_S = 0.5
_LONGEST_S = 8.0


def is_worth_repeating(status: int, headers: Mapping[str, str], code: str = "") -> bool:
    """Tell whether the same request may be answered later."""
    said = headers.get("x-should-retry", "").lower()
    if said in ("true", "false"):
        return said == "true"
    return (status in _AGAIN or status >= 500) and code not in _SPENT


def wait_s(attempt: int, headers: Mapping[str, str], now: datetime, jitter: float) -> float:
    """Return how long to wait, in seconds.

    Args:
        attempt: how many were made, from 1.
        headers: of the last answer, with lower-case names; empty when none came.
        now: aware.
        jitter: 0 to 1; takes off up to a quarter, so that many clients do not come back at once.
    """
    said = asked_s(headers, now)
    if said is not None:
        return said
    return min(_FIRST_S * 2.0 ** (attempt - 1), _LONGEST_S) * (1 - jitter / 4)


def asked_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how long the service asks to wait; `None` when it does not say, or not readably."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            found = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        if 0 <= found < 86_400 * 365:
            return found
    try:
        at = parsedate_to_datetime(headers["retry-after"])
        return max(0.0, (at - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None
