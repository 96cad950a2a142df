"""Convert between the units of measured values: time, bytes, percent, money, counts, and rates of these.

Rules: exact (decimal factors, no binary rounding); two units compare when they measure the same thing; a word that is no known unit
(`errors`, `rows`) counts that thing, and compares with itself and with a bare number.
Deliberately absent: units with an offset (temperatures).
"""

from __future__ import annotations

from decimal import Decimal

_FACTORS: dict[str, tuple[str, str]] = {
    "ns": ("time", "1e-9"), "us": ("time", "1e-6"), "µs": ("time", "1e-6"), "μs": ("time", "1e-6"),
    "ms": ("time", "0.001"), "msec": ("time", "0.001"), "msecs": ("time", "0.001"), "millis": ("time", "0.001"),
    "millisecond": ("time", "0.001"), "milliseconds": ("time", "0.001"), "microseconds": ("time", "1e-6"),
    "s": ("time", "1"), "sec": ("time", "1"), "secs": ("time", "1"), "second": ("time", "1"), "seconds": ("time", "1"),
    "min": ("time", "60"), "mins": ("time", "60"), "minute": ("time", "60"), "minutes": ("time", "60"),
    "h": ("time", "3600"), "hr": ("time", "3600"), "hrs": ("time", "3600"), "hour": ("time", "3600"), "hours": ("time", "3600"),
    "d": ("time", "86400"), "day": ("time", "86400"), "days": ("time", "86400"),
    "week": ("time", "604800"), "weeks": ("time", "604800"),
    "byte": ("bytes", "1"), "bytes": ("bytes", "1"), "kib": ("bytes", "1024"), "mib": ("bytes", "1048576"),
    "gib": ("bytes", "1073741824"), "tib": ("bytes", "1099511627776"),
    "%": ("share", "0.01"), "percent": ("share", "0.01"), "pct": ("share", "0.01"), "ratio": ("share", "1"), "fraction": ("share", "1"),
    "$": ("money", "1"), "usd": ("money", "1"), "dollar": ("money", "1"), "dollars": ("money", "1"),
    "cent": ("money", "0.01"), "cents": ("money", "0.01"),
    "rps": ("request/time", "1"), "qps": ("query/time", "1"), "tps": ("transaction/time", "1"),
}  # fmt: skip
# Upper case decides between bits and bytes, so these are looked up as written.
_BYTES = {
    "B": "1",
    "kB": "1000",
    "KB": "1000",
    "MB": "1000000",
    "GB": "1000000000",
    "TB": "1000000000000",
    "K": "1000",
    "M": "1000000",
}
_SINGULAR = {
    "req": "request",
    "reqs": "request",
    "requests": "request",
    "queries": "query",
    "entries": "entry",
    "retries": "retry",
}


def measures(unit: str) -> tuple[str, Decimal]:
    """Return what a unit measures (empty for a bare number) and how many of the base unit it is."""
    word = unit.strip()
    if not word:
        return "", Decimal(1)
    top, slash, bottom = (part.strip() for part in word.replace(" per ", "/").partition("/"))
    if slash and top and bottom:
        (above, above_factor), (below, below_factor) = measures(top), measures(bottom)
        return f"{above}/{below}", above_factor / below_factor
    if word in _BYTES:
        return "bytes", Decimal(_BYTES[word])
    lowered = word.lower()
    if lowered in _FACTORS:
        dimension, factor = _FACTORS[lowered]
        return dimension, Decimal(factor)
    if lowered in ("kb", "mb", "gb", "tb"):
        return "bytes", Decimal(_BYTES[lowered.upper()])
    return _SINGULAR.get(lowered, lowered.removesuffix("s")), Decimal(1)


def is_count(dimension: str) -> bool:
    """Tell whether a dimension counts things, rather than measuring time, bytes, shares, money or a rate."""
    return bool(dimension) and "/" not in dimension and dimension not in {known for known, _ in _FACTORS.values()}


def convert(value: float, unit: str, into: str) -> Decimal | None:
    """Return `value unit` expressed in `into`; None when they do not measure the same.

    A bare number is taken for a count, and a bare target takes whatever was measured; a bare number is never taken for milliseconds.
    """
    (given, given_factor), (wanted, wanted_factor) = measures(unit), measures(into)
    if given != wanted and wanted != "" and not (given == "" and is_count(wanted)):
        return None
    number = Decimal(repr(float(value)))
    if not number.is_finite():
        return None
    return number if wanted == "" else number * given_factor / wanted_factor
