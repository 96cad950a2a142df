"""May anything run now? The execution windows of the rules and of the plan. Pure.

Without a window, always. With windows in the rules, only inside one of them; with a window in the plan, only inside that as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from ..schemas.plan import Window
from ..schemas.window import DAYS, Recurring


def is_open(recurring: Sequence[Recurring], own: Window | None, now: datetime) -> bool:
    """Tell whether steps may run at `now`."""
    if own is not None and not own.holds(now):
        return False
    return not recurring or any(_holds(window, now) for window in recurring)


def next_opening(recurring: Sequence[Recurring], own: Window | None, now: datetime) -> datetime | None:
    """Return when steps may run next, `now` itself when they may; `None` when never again."""
    if is_open(recurring, own, now):
        return now
    begins = [now] + ([own.opens_at] if own is not None and own.opens_at > now else [])
    for window in recurring:
        zone = ZoneInfo(window.zone)
        # Two weeks and a day cover every recurrence also after the opening of the plan's own window.
        first = max(begins).astimezone(zone).date()
        for ahead in range(16):
            day = first + timedelta(days=ahead)
            if DAYS[day.weekday()] in window.days:
                hour, minute = map(int, window.opens.split(":"))
                begins.append(datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC))
    found = sorted(at for at in begins if at >= now and is_open(recurring, own, at))
    return found[0] if found else None


def overlap(windows: Sequence[Recurring]) -> str | None:
    """Return a sentence that names two windows which share time, or `None`. Windows of different zones are compared in UTC on a winter week."""
    spans = []
    for number, window in enumerate(windows, 1):
        zone = ZoneInfo(window.zone)
        for index, day in enumerate(DAYS):
            if day in window.days:
                base = datetime(2026, 1, 5 + index, tzinfo=zone)  # a Monday
                spans.append((_at(base, window.opens).astimezone(UTC), _at(base, window.closes).astimezone(UTC), number, day))
    spans.sort()
    for (_, end, first, day), (begin, _, second, _) in pairwise(spans):
        if begin < end:
            return f"windows {first} and {second} overlap on {day}"
    return None


def _holds(window: Recurring, now: datetime) -> bool:
    local = now.astimezone(ZoneInfo(window.zone))
    return DAYS[local.weekday()] in window.days and window.opens <= local.strftime("%H:%M") < window.closes


def _at(day: datetime, time: str) -> datetime:
    hour, minute = map(int, time.split(":"))
    return day + timedelta(hours=hour, minutes=minute)
