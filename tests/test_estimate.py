"""Estimates carry a buffer; 25.0 % over is not over, 25.1 % pauses, 50.1 % escalates. Money is exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.policies.estimate import buffered, buffered_s, overrun, variance
from assent.policies.prices import as_of, cost_usd, price_of
from assent.schemas.errors import InvalidConfiguration
from assent.schemas.prompt import Usage


@pytest.mark.parametrize(
    ("actual", "said"),
    [
        ("0", "none"), ("100", "none"), ("124.9", "none"), ("125", "none"), ("125.0000001", "pause"), ("125.1", "pause"), ("149.9", "pause"),
        ("150", "pause"), ("150.0000001", "escalate"), ("150.1", "escalate"), ("1000", "escalate"),
    ],
)  # fmt: skip
def test_overrun_is_exact_at_its_edges(actual: str, said: str) -> None:
    assert overrun("100", actual) == said


def test_overrun_is_exact_for_amounts_that_binary_numbers_cannot_hold() -> None:
    assert overrun("0.1", "0.125") == "none"  # as floats, 0.1 * 1.25 is above 0.125 or below it, depending on the day
    assert overrun("0.1", "0.12501") == "pause"
    assert overrun("0.2", "0.3") == "pause"
    assert overrun("0.2", "0.30001") == "escalate"


def test_what_nobody_estimated_cannot_be_overrun() -> None:
    assert overrun(None, "1000000") == "none"


def test_an_estimate_of_nothing_is_exceeded_by_anything() -> None:
    assert overrun("0", "0") == "none"
    assert overrun("0", "0.01") == "escalate"


def test_estimate_carries_the_buffer_of_the_source() -> None:
    assert buffered("100") == "125"
    assert buffered("0.05") == "0.0625"
    assert buffered("10", Decimal("0.20")) == "12"
    assert buffered_s(1) == 2  # rounded up: a second cannot be split for a person
    assert buffered_s(0) == 0


@pytest.mark.parametrize("buffer", ["0.19", "0.31", "0", "-0.25"])
def test_buffer_outside_twenty_to_thirty_percent_is_refused(buffer: str) -> None:
    with pytest.raises(ValueError, match="buffer"):
        buffered("1", Decimal(buffer))


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity"])
def test_amount_that_is_none_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        buffered(amount)
    with pytest.raises(ValueError, match="amount"):
        overrun("1", amount)


def test_variance_is_signed_percent() -> None:
    assert variance("10", "17") == "+70.0 %"  # the example of the source
    assert variance("10", "8") == "-20.0 %"
    assert variance("0", "8") == ""


@given(st.decimals(min_value="0.01", max_value="1e9", places=2), st.decimals(min_value="0", max_value="1e9", places=2))
def test_overrun_never_gets_better_by_spending_more(estimate: Decimal, actual: Decimal) -> None:
    order = ["none", "pause", "escalate"]
    assert order.index(overrun(estimate, actual)) <= order.index(overrun(estimate, actual + 1))
    assert overrun(estimate, Decimal(buffered(estimate))) == "none"


def test_cost_is_exact_decimal_text() -> None:
    usage = Usage(input_tokens=1000, cached_tokens=400, output_tokens=250)
    # 600 × 0.25 + 400 × 0.025 + 250 × 2.00, for a million
    assert cost_usd("openai:gpt-5-mini", usage) == "0.00066"
    assert cost_usd("openai:gpt-5-mini", Usage()) == "0"


def test_reasoning_is_not_paid_twice() -> None:
    assert cost_usd("openai:gpt-5", Usage(output_tokens=10, reasoning_tokens=8)) == cost_usd(
        "openai:gpt-5", Usage(output_tokens=10)
    )


@pytest.mark.parametrize("model", ["openai:gpt-5-mini-2026-01-31", "openai:gpt-5-mini-20260131"])
def test_release_of_a_model_costs_what_the_model_costs(model: str) -> None:
    assert price_of(model) == price_of("openai:gpt-5-mini")


@pytest.mark.parametrize("model", ["openai:gpt-5-mini-turbo", "openai:gpt-99", "anthropic:claude", "gpt-5-mini", "openai:", ""])
def test_unknown_model_has_no_price_and_none_is_made_up(model: str) -> None:
    assert cost_usd(model, Usage(input_tokens=1)) is None


def test_own_price_goes_first() -> None:
    own: dict[str, Any] = {"openai": {"gpt-5-mini": {"input": "1", "output": "2"}}, "local": {"llama": {"input": 0, "output": 0}}}
    assert (
        cost_usd("openai:gpt-5-mini", Usage(input_tokens=1_000_000, cached_tokens=1_000_000, output_tokens=1_000_000), own) == "3"
    )
    assert cost_usd("local:llama", Usage(input_tokens=5), own) == "0"


@pytest.mark.parametrize(
    "row",
    [{"input": "1"}, {"input": "a", "output": "1"}, {"input": "-1", "output": "1"}, {"input": "1", "output": "1", "x": "1"}, 3],
)
def test_own_price_that_cannot_be_read_names_the_model(row: Any) -> None:
    with pytest.raises(InvalidConfiguration, match="openai:mine"):
        cost_usd("openai:mine", Usage(), {"openai": {"mine": row}})


def test_prices_say_when_they_were_looked_up() -> None:
    assert as_of() == "2026-06-30"
