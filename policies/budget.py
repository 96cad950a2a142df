"""Budget: what a run may spend on models, and whether the next question still fits.

Rules: a question is not asked when its prompt alone, on top of what was spent, goes beyond the budget; what an answer will take is not known
before it is there. Money is only compared where the model has a price; a budget in money for a model without one is exceeded, because nobody
could tell. Source: issue 5, feature A12.
"""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from ..schemas.noun import Noun
from ..schemas.prompt import Usage


class Budget(Noun):
    """Limits; those that are absent do not limit."""

    tokens: int | None = Field(default=None, ge=0, description="Input and output together.")
    usd: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?$")


def beyond(budget: Budget, spent: Usage, spent_usd: str | None, asks_tokens: int, asks_usd: str | None) -> tuple[str, ...]:
    """Say in what way the next question goes beyond a budget; nothing when it fits.

    Args:
        spent: so far.
        spent_usd: decimal text; `None`: a model without a price answered.
        asks_tokens: of the next prompt.
        asks_usd: what that prompt costs; `None`: the model has no price.
    """
    found = []
    tokens = spent.input_tokens + spent.output_tokens + asks_tokens
    if budget.tokens is not None and tokens > budget.tokens:
        found.append(f"{tokens} tokens, and {budget.tokens} are allowed")
    if budget.usd is not None and (spent_usd is None or asks_usd is None):
        found.append(f"an unknown amount, because the model has no price, and ${budget.usd} is allowed")
    elif budget.usd is not None and Decimal(spent_usd or 0) + Decimal(asks_usd or 0) > Decimal(budget.usd):
        found.append(f"${Decimal(spent_usd or 0) + Decimal(asks_usd or 0):f}, and ${budget.usd} is allowed")
    return tuple(found)
