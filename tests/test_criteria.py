"""A criterion is read as exactly one comparison or not at all, and a measured value is judged only in units that compare."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.policies.criteria import Op, Target, improvement, met, parse_criterion
from assent.policies.durations import dollars, percent, seconds


@pytest.mark.parametrize(
    ("text", "op", "value", "unit"),
    [
        ("P95 latency < 200ms (currently 850ms)", "<", 200, "ms"),
        ("orders query p95 < 20 ms", "<", 20, "ms"),
        ("Database CPU < 60%", "<", 60, "%"),
        (">= 99.5 %", ">=", 99.5, "%"),
        ("p95 ≤ 20", "<=", 20, ""),
        ("at most 3 errors", "<=", 3, "errors"),
        ("no more than 3 errors", "<=", 3, "errors"),
        ("more than 3 errors per hour", ">", 3, "errors/hour"),
        ("increase coverage from 65% to 92%", ">=", 92, "%"),
        ("reduce latency from 850ms to 200 ms", "<=", 200, "ms"),
        ("error rate must not exceed 1%", "<=", 1, "%"),
        ("availability never drops below 99.9%", ">=", 99.9, "%"),
        ("coverage isn't less than 80 %", ">=", 80, "%"),
        ("p95 less than or equal to 200 ms", "<=", 200, "ms"),
        ("500 ms or less", "<=", 500, "ms"),
        ("95% or higher", ">=", 95, "%"),
        ("throughput >= 1,200 req/s", ">=", 1200, "req/s"),
        ("under 10k rows", "<", 10_000, "rows"),
        ("memory below 1.5 GB", "<", 1.5, "GB"),
        ("cost at most $0.50 per run", "<=", 0.5, "$/run"),
        ("Monthly bill is less than USD 300", "<", 300, "$"),
        ("deploys within 5 minutes of merge", "<=", 5, "minutes"),
        ("latency under load < 20 ms", "<", 20, "ms"),
        ("exit code = 0", "=", 0, ""),
        ("0 critical issues", "=", 0, ""),
        ("zero downtime", "=", 0, ""),
        ("< -5", "<", -5, ""),
    ],
)
def test_comparison_is_read(text: str, op: Op, value: float, unit: str) -> None:
    assert parse_criterion(text) == Target(op, value, unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No service disruption during fix",
        "no increase in error rate",
        "p95 < 20 ms and p99 < 50 ms",
        "p95 < 20 ms, no errors",
        "0 errors and p95 < 20 ms",
        "10 < x < 20",
        "between 5 and 10",
        "queue < 10-20",
        "200 ms > p95",
        "a -> 5",
        "version 3.11 installed",
        "p95 <= 20.5.1",
        "p95 at least 40% faster than before",
        "reduce cost by at least 20%",
        "error rate increase < 5%",
        "at least 2x faster",
        "100% compliance with SOC 2 requirements",
        "within the budget",
    ],
)
def test_no_comparison_or_more_than_one_or_a_relative_one_is_no_target(text: str) -> None:
    assert parse_criterion(text) is None


@pytest.mark.parametrize(
    ("op", "target", "target_unit", "value", "unit", "expected"),
    [
        ("<", 200, "ms", 0.165, "s", True),
        ("<", 200, "ms", 0.2, "s", False),
        ("<=", 200, "ms", 0.2, "s", True),
        ("<", 200, "ms", 165_000, "us", True),
        ("<", 60, "%", 0.52, "ratio", True),
        (">=", 99.5, "%", 99.4, "percent", False),
        ("<", 1.5, "GB", 1600, "MB", False),
        ("<", 1, "MiB", 1000, "KB", True),
        (">=", 1200, "req/s", 80_000, "requests/min", True),
        ("<=", 3, "errors", 3, "", True),
        ("<=", 3, "errors", 4, "error", False),
        ("<", 20, "", 165, "ms", False),
        ("=", 0, "", 0, "", True),
        ("!=", 0, "", 0, "", False),
        (">", 5, "", 6, "", True),
        # What does not compare has no verdict.
        ("<", 200, "ms", 165, "", None),
        ("<", 60, "%", 52, "", None),
        ("<", 60, "%", 52, "ms", None),
        ("<=", 3, "errors", 2, "rows", None),
        ("<=", 3, "errors", 2, "ms", None),
        (">=", 10, "req/s", 20, "", None),
        ("<", 1, "", math.nan, "", None),
        ("<", 1, "", math.inf, "", None),
    ],
)
def test_value_is_judged_in_units_that_compare(
    op: Op, target: float, target_unit: str, value: float, unit: str, expected: bool | None
) -> None:
    assert met(Target(op, target, target_unit), value, unit) is expected


@pytest.mark.parametrize(
    ("before", "after", "op", "expected"),
    [
        (850, 165, "<", "80.6 %"),
        (85, 52, "<", "38.8 %"),
        (65, 92, ">=", "41.5 %"),
        (10, 11, "<", "-10.0 %"),
        (10, 10, "<=", "0.0 %"),
        (-10, -5, ">", "50.0 %"),
        (0, 1, "<", ""),
        (1, None, "<", ""),
        (None, 1, "<", ""),
        (1, 2, "=", ""),
        (math.nan, 2, "<", ""),
    ],
)
def test_improvement_is_the_relative_change_towards_the_target(
    before: float | None, after: float | None, op: str, expected: str
) -> None:
    assert improvement(before, after, op) == expected


@given(st.text(max_size=200))
def test_any_text_can_be_asked(text: str) -> None:
    target = parse_criterion(text)
    if target is not None:
        assert met(target, target.value, target.unit) is (target.op in ("<=", ">=", "="))
        assert str(target)


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["<", ">=", "="]),
)
def test_improvement_never_fails(before: float, after: float, op: str) -> None:
    assert improvement(before, after, op) == "" or improvement(before, after, op).endswith(" %")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15 minutes", 900),
        ("1 h 30 min", 5400),
        ("1h30", 5400),
        ("1:30 h", 5400),
        ("PT1H30M", 5400),
        ("28 minutes 30 seconds", 1710),
        ("1 hour and 20 minutes", 4800),
        ("1-5 days", 432_000),
        ("30 min - 1 hour", 3600),
        ("2-3 minutes", 180),
        ("< 1 hour", 3600),
        ("Within 24 hours", 86_400),
        ("about an hour", 3600),
        ("half an hour", 1800),
        ("1.5 hours", 5400),
        ("1,500 hours", 5_400_000),
        ("0.2 s", 1),
        ("2 weeks", 1_209_600),
        ("18 months", 46_656_000),
        ("45 minutes (with buffer)", 2700),
    ],
)
def test_duration_is_read(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "15", "soon", "X minutes", "-5 min", "1 min 2 hours", "10 minutes oversight", "1:30", "9999 years", "1 min 1 min"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$2.50", "2.50"),
        ("USD 3", "3"),
        ("3 dollars", "3"),
        ("2,50", "2.50"),
        ("$12,000", "12000"),
        ("$1,234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("$10K", "10000"),
        ("50 cents", "0.50"),
        ("$0.10 - $0.50", "0.50"),
        ("$1-3", "3"),
        ("~$5", "5"),
        ("$28.00 (research and analysis)", "28.00"),
        ("free", "0"),
    ],
)
def test_money_is_decimal_text(text: str, expected: str) -> None:
    assert dollars(text) == expected


@pytest.mark.parametrize(
    "text", ["", "€5", "5 EUR", "-5", "$X.XX", "12,34,5", "1e5", "$2.35 + $8.33 = $10.68", "$99999999999999"]
)
def test_what_is_no_dollar_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        dollars(text)


@pytest.mark.parametrize(("text", "expected"), [("25 %", "25"), (">25%", "25"), ("20-30%", "30"), ("2,5 percent", "2.5")])
def test_percentage_takes_the_upper_end(text: str, expected: str) -> None:
    assert percent(text) == expected
    with pytest.raises(ValueError, match="percentage"):
        percent("25")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (seconds, dollars, percent):
        try:
            assert read(text) is not None
        except ValueError as error:
            assert str(error)


@given(st.integers(0, 10_000), st.integers(0, 59), st.integers(0, 59))
def test_written_durations_read_back(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours} h {minutes} min {rest} s") == hours * 3600 + minutes * 60 + rest
