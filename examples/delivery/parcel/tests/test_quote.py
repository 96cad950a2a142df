"""What is charged."""

from __future__ import annotations

from decimal import Decimal

import pytest
from parcel import Parcel, quote


@pytest.mark.parametrize(("zone", "total"), [("domestic", "4.40"), ("europe", "10.80"), ("world", "20.70")])
def test_a_kilogram_costs_two_units(zone: str, total: str) -> None:
    assert quote(Parcel(1000, 20, 10, 10), zone).total == Decimal(total)


def test_a_large_light_parcel_is_billed_by_its_volume() -> None:
    assert quote(Parcel(300, 50, 40, 30), "domestic").units == 24


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(KeyError, match="moon"):
        quote(Parcel(500, 10, 10, 10), "moon")
