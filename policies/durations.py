"""Read durations, money and percentages as people write them: `1 h 30 min`, `$2.50`, `20-30 %`.

Rules:
- of a range the upper end counts, since an estimate that is too low is the one that hurts;
- money is decimal text and never a float; a currency other than the dollar is refused, not converted;
- what cannot be read is an error that says what was expected: a guess would become a limit somewhere.

Deliberately absent: calendars. A day has 24 hours, a month 30 days, a year 365.
"""

from __future__ import annotations

import re
from decimal import Decimal

LONGEST_S = 100 * 365 * 86_400
LARGEST_USD = Decimal(10) ** 12

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000}
_UNITS = {
    "s": "second", "sec": "second", "secs": "second", "second": "second", "seconds": "second",
    "m": "minute", "min": "minute", "mins": "minute", "minute": "minute", "minutes": "minute",
    "h": "hour", "hr": "hour", "hrs": "hour", "hour": "hour", "hours": "hour",
    "d": "day", "day": "day", "days": "day", "w": "week", "wk": "week", "week": "week", "weeks": "week",
    "month": "month", "months": "month", "mo": "month", "y": "year", "yr": "year", "year": "year", "years": "year",
}  # fmt: skip
_WORDS = {
    "a": "1",
    "an": "1",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "ten": "10",
    "half": "0.5",
}
_ABOUT = re.compile(
    r"^(?:about|around|approx(?:imately)?\.?|circa|ca\.|roughly|up to|at most|max(?:imum)?\.?|within|under|less than|<=?|≤|~|≈)\s*"
)
_NUMBER = r"\d{1,12}(?:[.,]\d{1,6})?"
_DURATION_PART = re.compile(rf"({_NUMBER})\s*([a-z]+)\.?(?:\s*(?:,|and|&|\+)?\s*)")
_RANGE = re.compile(rf"({_NUMBER})\s*[a-z]*\s*(?:-|–|—|to|or|bis)\s*(?={_NUMBER})")
_ISO = re.compile(r"p(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:t(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?)?")
_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d))?\s*(h|hours?|hrs?)?")
_DOLLARS = re.compile(r"^(?:us\$|\$|usd)\s*|\s*(?:us\$|\$|usd|us dollars?|dollars?|bucks)$")
_AMOUNT = re.compile(r"(\d[\d.,\s']{0,24}?)\s*(k|m|thousand|million|cents?)?")
_SCALE = {"": "1", "k": "1000", "thousand": "1000", "m": "1000000", "million": "1000000", "cent": "0.01", "cents": "0.01"}


def seconds(text: str) -> int:
    """Read a duration.

    Args:
        text: such as `15 minutes`, `1 h 30 min`, `1-5 days`, `1:30 h`, `PT15M`, `about an hour`.

    Returns:
        Whole seconds, rounded up.

    Raises:
        ValueError: not a duration, or without a unit; the sentence says what was expected.
    """
    words = _tidy(text)
    iso = _ISO.fullmatch(words)
    clock = _CLOCK.fullmatch(words)
    if iso and any(iso.groups()):
        total = Decimal(sum(int(n or 0) * size for n, size in zip(iso.groups(), (604_800, 86_400, 3600, 60, 1), strict=True)))
    elif clock and (clock[3] or clock[4]):
        total = Decimal(int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3] or 0))
    else:
        total = _parts(words)
    if total > LONGEST_S:
        raise ValueError("a duration below a hundred years")
    return int(total.to_integral_value(rounding="ROUND_CEILING"))


def dollars(text: str) -> str:
    """Read an amount of US dollars.

    Args:
        text: such as `$2.50`, `USD 3`, `2,50`, `$12,000`, `$10K`, `$1-3`, `50 cents`. A remark in brackets behind it is passed over.

    Returns:
        Decimal text such as `2.50`.

    Raises:
        ValueError: not an amount, below zero, or in another currency; the sentence says what was expected.
    """
    words = _tidy(text)
    upper = re.split(r"(?<=[\dkm])\s*(?:-|–|—|\bto\b)\s*(?=(?:us\$|\$|usd)?\s*\d)", words)[-1] if words[:1] != "-" else words
    if words in ("0", "free", "none", "nothing"):
        return "0"
    for _ in range(2):
        upper = _DOLLARS.sub("", upper).strip()
    found = _AMOUNT.fullmatch(upper)
    if not found:
        raise ValueError("an amount in US dollars, such as $2.50")
    amount = Decimal(_decimal(found[1])) * Decimal(_SCALE[found[2] or ""])
    if amount > LARGEST_USD:
        raise ValueError("an amount below a trillion dollars")
    return f"{amount:f}"


def percent(text: str) -> str:
    """Read a percentage.

    Args:
        text: such as `25 %`, `>25%`, `20-30 percent`.

    Returns:
        Decimal text without the sign, such as `25`.

    Raises:
        ValueError: not a percentage; the sentence says what was expected.
    """
    found = re.fullmatch(
        rf"(?:[<>]=?|≤|≥)?\s*(?:{_NUMBER}\s*%?\s*(?:-|–|to)\s*)?({_NUMBER})\s*(?:%|percent|per cent|pct)", _tidy(text)
    )
    if not found:
        raise ValueError("a percentage, such as 25 %")
    return f"{Decimal(found[1].replace(',', '.')):f}"


def _tidy(text: str) -> str:
    words = re.sub(r"\s*\([^()]*\)\s*$", "", text.strip().lower()[:200]).strip().rstrip(".")
    return _ABOUT.sub("", words)


def _parts(words: str) -> Decimal:
    if words in ("half an hour", "half a day"):
        return Decimal(1800 if "hour" in words else 43_200)
    words = re.sub(r"^(an?|one|two|three|four|five|six|ten|half)\b", lambda found: _WORDS[found[1]], words)
    words = re.sub(r"^(\d+)\s+1/2\b|^(\d+)\s+and a half\b", lambda found: f"{found[1] or found[2]}.5", words)
    words = _RANGE.sub("", words, count=1)
    # `1h30`: the smaller unit is said by the larger one.
    words = re.sub(r"^(\d+)\s*h\s*(\d{1,2})$", r"\1 h \2 min", words)
    total, at, sizes = Decimal(0), 0, []
    while part := _DURATION_PART.match(words, at):
        unit = _UNITS.get(part[2])
        if unit is None:
            break
        total += Decimal(_decimal(part[1])) * _SECONDS[unit]
        sizes.append(_SECONDS[unit])
        at = part.end()
    if not sizes or at != len(words) or sizes != sorted(set(sizes), reverse=True):
        raise ValueError("a duration with its unit, such as 15 minutes or 1 h 30 min")
    return total


def _decimal(written: str) -> str:
    """Settle what comma and point mean: the last one followed by one or two digits is the decimal mark, three digits make thousands."""
    digits = re.sub(r"[\s']", "", written)
    if re.fullmatch(r"\d+(\.\d+)?", digits):
        return digits
    if re.fullmatch(r"\d+,\d{1,2}", digits):
        return digits.replace(",", ".")
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", digits):
        return digits.replace(",", "")
    if re.fullmatch(r"\d{1,3}(\.\d{3})+,\d{1,2}", digits):
        return digits.replace(".", "").replace(",", ".")
    raise ValueError("a number whose comma and point are clear, such as 1,234.50")
