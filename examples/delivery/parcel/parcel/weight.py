"""How much a parcel weighs for the price: its weight or its volume, whichever is more, in units of 500 g."""

from __future__ import annotations

from dataclasses import dataclass

UNIT_G = 500
_CM3_PER_KG = 5000


@dataclass(frozen=True)
class Parcel:
    """One parcel: grams and centimetres."""

    weight_g: int
    length_cm: int
    width_cm: int
    height_cm: int

    def __post_init__(self) -> None:
        if min(self.weight_g, self.length_cm, self.width_cm, self.height_cm) <= 0:
            raise ValueError("weight and sides are more than zero")

    @property
    def volume_cm3(self) -> int:
        """Its volume."""
        return self.length_cm * self.width_cm * self.height_cm


def billable_weight_g(parcel: Parcel) -> int:
    """Return the weight that is billed: the larger of weight and volume."""
    return max(parcel.weight_g, parcel.volume_cm3 * 1000 // _CM3_PER_KG)


def billed_units(parcel: Parcel) -> int:
    """Return how many units of 500 g are billed."""
    return billable_weight_g(parcel) // UNIT_G
