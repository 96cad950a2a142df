"""May anything run now? The execution windows of the rules and of the plan. Pure.

Without a window, always. With windows in the rules, only inside one of them; with a window in the plan, only inside that as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
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
    earliest = max(now, own.opens_at) if own is not None else now
    found = [earliest] if is_open(recurring, own, earliest) else []
    for window in recurring:
        zone = ZoneInfo(window.zone)
        first = earliest.astimezone(zone).date()
        # Two weeks and a day cover every recurrence.
        for ahead in range(16):
            day = first + timedelta(days=ahead)
            if DAYS[day.weekday()] in window.days:
                found += [at for at in _openings(day, window, zone) if at > earliest and is_open(recurring, own, at)]
    return min(found, default=None)


def _openings(day: date, window: Recurring, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield when a window opens on a day: twice where clocks are set back over its beginning, late where they are set forward over it."""
    hour, minute = map(int, window.opens.split(":"))
    written = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
    for fold in (0, 1):
        yield written.replace(fold=fold).astimezone(UTC)
    if written.astimezone(UTC).astimezone(zone).strftime("%H:%M") != window.opens:
        # That time of day does not exist on this day: the window opens with the first minute that does.
        after, before = written.astimezone(UTC), written.replace(fold=1).astimezone(UTC)
        minutes = range(int((after - before).total_seconds() // 60) + 1)
        yield next(at for at in (before + timedelta(minutes=n) for n in minutes) if at.astimezone(zone).strftime("%H:%M") > window.opens)


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
