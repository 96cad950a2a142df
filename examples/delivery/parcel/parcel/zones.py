"""Zones and their prices."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Zone:
    """The base price, and the price of each unit."""

    base: Decimal
    unit: Decimal


_ZONES = {
    "domestic": Zone(Decimal("3.20"), Decimal("0.60")),
    "europe": Zone(Decimal("7.90"), Decimal("1.45")),
    "world": Zone(Decimal("14.50"), Decimal("3.10")),
}


def zone_of(name: str) -> Zone:
    """Return the prices of a zone. Raises: KeyError: there is no such zone."""
    if name not in _ZONES:
        raise KeyError(f"there is no zone {name!r}; the zones are {', '.join(_ZONES)}")
    return _ZONES[name]
