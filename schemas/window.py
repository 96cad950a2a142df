"""A recurring span of time in which steps may run."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from .noun import Noun

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Recurring(Noun):
    """Every week on these days from one time of day to another, in a zone; the end is outside."""

    days: tuple[Day, ...] = Field(default=DAYS, min_length=1)
    opens: str = Field(alias="from", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    closes: str = Field(alias="to", pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no time zone; for example Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Recurring:
        if self.closes <= self.opens:
            raise ValueError(f"a window ends after it begins on the same day, found {self.opens} to {self.closes}; use two windows over midnight")
        return self
