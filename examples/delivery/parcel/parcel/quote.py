"""The price of a parcel, by zone."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .weight import Parcel, billed_units
from .zones import zone_of


@dataclass(frozen=True)
class Quote:
    """A price and what it is made of."""

    zone: str
    units: int
    total: Decimal


def quote(parcel: Parcel, zone: str) -> Quote:
    """Return what sending a parcel costs.

    Raises:
        KeyError: there is no such zone.
    """
    prices = zone_of(zone)
    units = billed_units(parcel)
    return Quote(zone=zone, units=units, total=prices.base + units * prices.unit)
