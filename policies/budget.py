"""Budget: what a run may take in tokens, money and time, and what it means when it takes more.

    the next question to a model would go beyond    it is not asked; the run waits in planning, and goes on when the budget is raised
    the next step would go beyond                   the run pauses, and a person says whether it goes on
    half as much again was taken                    the question is escalated

Rules:
- Tokens are those of models; money is that of models, calls and compute; time is that of answers and calls. Waiting for people takes none.
- A question is not asked when its prompt alone, on top of what was spent, goes beyond the budget; what an answer will take is not known before
  it is there. A step goes beyond by what its author estimates for it.
- Money is only compared where the model has a price; a budget in money for a model without one is exceeded, because nobody could tell.

Source: feature A12.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, field_validator

from ..schemas.noun import Noun
from ..schemas.prompt import Usage
from .durations import seconds
from .estimate import ESCALATE, variance


class Budget(Noun):
    """Limits on one run; those that are absent do not limit."""

    tokens: int | None = Field(default=None, ge=0, description="Input and output together.")
    usd: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?$", description="Decimal text.")
    time_s: int | None = Field(default=None, ge=1, alias="time", description="Seconds, or a span such as `10 minutes`.")

    @field_validator("usd", mode="before")
    @classmethod
    def _money(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return value
        return value.strip().removeprefix("$") if isinstance(value, str) else f"{Decimal(repr(value)):f}"

    @field_validator("time_s", mode="before")
    @classmethod
    def _span(cls, value: Any) -> Any:
        return seconds(value) if isinstance(value, str) else value

    @property
    def limits_anything(self) -> bool:
        """Whether there is any limit."""
        return self != Budget()


@dataclass(frozen=True)
class Spent:
    """What a run took until now; `usd` is `None` when a model without a price answered."""

    tokens: int = 0
    usd: Decimal | None = Decimal(0)
    time_s: Decimal = Decimal(0)


@dataclass(frozen=True)
class Excess:
    """One limit that is, or would be, exceeded."""

    what: Literal["tokens", "usd", "time"]
    kind: Literal["pause", "escalate"]
    budget: str
    actual: str
    variance: str

    def __str__(self) -> str:
        return f"{self.actual} would be taken, and the budget is {self.budget}"


def beyond(budget: Budget, spent: Usage, spent_usd: str | None, asks_tokens: int, asks_usd: str | None, *, spent_s: float = 0) -> tuple[str, ...]:
    """Say in what way the next question to a model goes beyond a budget; nothing when it fits.

    Args:
        spent: so far.
        spent_usd: decimal text; `None`: a model without a price answered.
        asks_tokens: of the next prompt.
        asks_usd: what that prompt costs; `None`: the model has no price.
        spent_s: what answers took so far, in seconds.
    """
    found = []
    tokens = spent.input_tokens + spent.output_tokens + asks_tokens
    if budget.tokens is not None and tokens > budget.tokens:
        found.append(f"{tokens} tokens, and {budget.tokens} are allowed")
    if budget.usd is not None and (spent_usd is None or asks_usd is None):
        found.append(f"an unknown amount, because the model has no price, and ${budget.usd} is allowed")
    elif budget.usd is not None and Decimal(spent_usd or 0) + Decimal(asks_usd or 0) > Decimal(budget.usd):
        found.append(f"${Decimal(spent_usd or 0) + Decimal(asks_usd or 0):f}, and ${budget.usd} is allowed")
    if budget.time_s is not None and spent_s >= budget.time_s:
        found.append(f"more than the {spent_s:.1f} s that answers took already, and {budget.time_s} s are allowed")
    return tuple(found)


def excesses(budget: Budget, spent: Spent, *, next_usd: Decimal = Decimal(0), next_s: int = 0) -> tuple[Excess, ...]:
    """Return every limit that a run goes beyond with its next step, the worst first.

    Args:
        spent: so far.
        next_usd: what the author estimates for the next step.
        next_s: the same, in seconds.
    """
    return tuple(sorted(_excesses(budget, spent, next_usd, next_s), key=lambda one: one.kind))


def _excesses(budget: Budget, spent: Spent, next_usd: Decimal, next_s: int) -> Iterator[Excess]:
    if budget.tokens is not None and spent.tokens > budget.tokens:
        yield _excess("tokens", Decimal(budget.tokens), Decimal(spent.tokens), Decimal(spent.tokens), "{:f} tokens")
    if budget.usd is not None and spent.usd is None:
        yield Excess("usd", "pause", f"${budget.usd}", "an unknown amount, because a model has no price,", "")
    elif budget.usd is not None and spent.usd is not None and spent.usd + next_usd > Decimal(budget.usd):
        yield _excess("usd", Decimal(budget.usd), spent.usd, spent.usd + next_usd, "${:f}")
    if budget.time_s is not None and (spent.time_s + next_s > budget.time_s or spent.time_s >= budget.time_s):
        yield _excess("time", Decimal(budget.time_s), spent.time_s, spent.time_s + next_s, "{:f} s")


def _excess(what: Literal["tokens", "usd", "time"], limit: Decimal, so_far: Decimal, would: Decimal, form: str) -> Excess:
    # What is already gone decides about escalation; what is only estimated pauses.
    kind: Literal["pause", "escalate"] = "escalate" if so_far > limit * (1 + ESCALATE) else "pause"
    return Excess(what, kind, form.format(limit), form.format(would.normalize() + 0), variance(limit, would))
