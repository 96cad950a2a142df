"""The base of every noun: frozen, closed, and written back exactly as it was read.

Rules: unknown fields are refused (a misspelt field must never be silently ignored); instances do not change; JSON in, JSON out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs a zone, for example 2026-01-31T12:00:00Z")
    return value if value.tzinfo is UTC else value.astimezone(UTC)


def stamp(value: datetime) -> str:
    """Write an aware time as UTC with microseconds and `Z`; the text sorts as the time does."""
    return _stamped(value if value.tzinfo is UTC else value.astimezone(UTC))


@lru_cache(maxsize=16)  # one time of the ledger is written into several rows and entries
def _stamped(value: datetime) -> str:
    return value.isoformat(timespec="microseconds")[:-6] + "Z"


At = Annotated[datetime, AfterValidator(_aware), PlainSerializer(stamp, return_type=str, when_used="json")]
"""An aware UTC time."""


class FrozenDict(dict[str, Any]):
    """A JSON object that does not change. What was approved is what runs, also when somebody else holds the same plan in their hands."""

    __slots__ = ()

    def _refuse(self, *given: Any, **more: Any) -> Any:
        raise TypeError("this does not change; make a changed copy, for example {**args, 'key': value}")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenDict:
        """Return itself; what does not change needs no copy."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild it whole."""
        return FrozenDict, (dict(self),)


class FrozenList(list[Any]):
    """A JSON array that does not change."""

    __slots__ = ()

    def _refuse(self, *given: Any, **more: Any) -> Any:
        raise TypeError("this does not change; make a changed copy, for example [*values, value]")

    __setitem__ = __delitem__ = __iadd__ = __imul__ = append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenList:
        """Return itself; what does not change needs no copy."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild it whole."""
        return FrozenList, (list(self),)


def frozen(value: Any) -> Any:
    """Return a JSON value in a form that does not change, all the way down."""
    if isinstance(value, dict):
        return FrozenDict({key: frozen(inner) for key, inner in value.items()})
    return FrozenList(map(frozen, value)) if isinstance(value, list | tuple) else value


JsonObject = Annotated[dict[str, Any], AfterValidator(frozen)]
"""A JSON object that does not change once it was read."""


class Noun(BaseModel):
    """A frozen value with closed fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False, validate_default=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields changed, unchecked. What was derived from the fields (a digest) is not copied with them."""
        if deep:
            return super().model_copy(update=update, deep=True)
        fields, values = type(self).__pydantic_fields__.keys(), self.__dict__
        if not values.keys() <= fields:
            values = {name: value for name, value in values.items() if name in fields}
        copied = type(self).__new__(type(self))
        object.__setattr__(copied, "__dict__", {**values, **(update or {})})
        object.__setattr__(copied, "__pydantic_fields_set__", {*self.__pydantic_fields_set__, *(update or ())})
        object.__setattr__(copied, "__pydantic_extra__", None)
        object.__setattr__(copied, "__pydantic_private__", None)
        return copied

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, without fields that hold nothing."""
        return self.model_dump(mode="json", exclude_none=True)
