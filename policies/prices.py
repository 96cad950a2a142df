"""What an answer costs: the price table beside this module, and exact arithmetic.

Rules: money is decimal text; a model without a row has no price (`None`), and a similar name is no row: only a release date may follow
(`gpt-5-mini-2026-01-31`). Reasoning is output and is already counted there. Source: `prices.yaml`, which says when it was looked up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from ..schemas.errors import InvalidConfiguration
from ..schemas.prompt import Usage

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RELEASE = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})\Z")
_COLUMNS = frozenset({"input", "cached", "output"})


@dataclass(frozen=True)
class Price:
    """Decimal US dollars for one token."""

    input: Decimal
    cached: Decimal
    output: Decimal


def cost_usd(model: str, usage: Usage, own: Mapping[str, Mapping[str, Any]] | None = None) -> str | None:
    """Return what an answer costs, as decimal text; `None` when the model has no price.

    Args:
        model: `openai:gpt-…`.
        usage: of the answer.
        own: prices of the user, as in the table: vendor, model, `{input, cached, output}` for a million tokens; they go first.

    Raises:
        InvalidConfiguration: a price of the user's that cannot be read.
    """
    price = price_of(model, own)
    if price is None:
        return None
    fresh = max(0, usage.input_tokens - usage.cached_tokens)
    total = price.input * fresh + price.cached * usage.cached_tokens + price.output * usage.output_tokens
    text = f"{total:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price_of(model: str, own: Mapping[str, Mapping[str, Any]] | None = None) -> Price | None:
    """Return the price of a model, or `None`."""
    vendor, colon, name = model.partition(":")
    if not colon:
        return None
    for table in (own or {}, _table()):
        rows = table.get(vendor)
        if isinstance(rows, Mapping):
            row = rows.get(name) or rows.get(_RELEASE.sub("", name))
            if row is not None:
                return _price(model, row)
    return None


def as_of() -> str:
    """Return the day on which the shipped prices were looked up."""
    return str(_table()["as_of"])


def _price(model: str, row: Any) -> Price:
    try:
        if set(row) - _COLUMNS:
            raise ValueError
        per_million = {name: Decimal(str(row[name])) for name in row}
        if not all(amount.is_finite() and amount >= 0 for amount in per_million.values()):
            raise ValueError
        given = per_million["input"]
        return Price(given / 1_000_000, per_million.get("cached", given) / 1_000_000, per_million["output"] / 1_000_000)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise InvalidConfiguration(
            f"prices: {model}: expected input, output and perhaps cached, in US dollars for a million tokens",
            hint='for example {input: "0.25", cached: "0.025", output: "2.00"}',
            key=f"prices.{model}",
        ) from error


@cache
def _table() -> Mapping[str, Any]:
    text = files(__package__ or "assent.policies").joinpath("prices.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506 - the safe loader, in C where there is one
    return found
