"""The base of every noun: frozen, closed, and written back exactly as it was read.

Rules: unknown fields are refused (a misspelt field must never be silently ignored); instances do not change; JSON in, JSON out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs a zone, for example 2026-01-31T12:00:00Z")
    return value.astimezone(UTC)


def stamp(value: datetime) -> str:
    """Write an aware time as UTC with microseconds and `Z`; the text sorts as the time does."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(timespec="microseconds")[:-6] + "Z"


At = Annotated[datetime, AfterValidator(_aware), PlainSerializer(stamp, return_type=str, when_used="json")]
"""An aware UTC time."""


class Noun(BaseModel):
    """A frozen value with closed fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False, validate_default=False)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, without fields that hold nothing."""
        return self.model_dump(mode="json", exclude_none=True)
