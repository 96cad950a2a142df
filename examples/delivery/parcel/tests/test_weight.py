"""What is weighed."""

from __future__ import annotations

import pytest
from parcel import Parcel, billable_weight_g


def test_the_larger_of_weight_and_volume_counts() -> None:
    assert billable_weight_g(Parcel(900, 10, 10, 10)) == 900
    assert billable_weight_g(Parcel(100, 50, 20, 10)) == 2000


@pytest.mark.parametrize("sides", [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 1, -1)])
def test_nothing_weighs_nothing(sides: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="more than zero"):
        Parcel(*sides)
