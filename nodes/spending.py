"""What a run took besides its calls, and of its budget: the rest of the variance analysis of the report.

Rules: the variance is that of the plan's own calls, because those were estimated; what models took stands beside it, and in the budget both count.
Source: feature A12.
"""

from __future__ import annotations

from decimal import Decimal

from ..policies.budget import Budget
from ..policies.estimate import variance
from ..schemas.dispatch import Dispatch
from ..schemas.opinion import ModelSpending
from ..schemas.plan import Plan
from ..schemas.results import Costs
from .endings import actual_usd
from .meter import by_step
from .ports import Ports


def with_spending(costs: Costs, run_id: str, plan: Plan | None, rows: list[Dispatch], ports: Ports) -> Costs:
    """Return the costs of a run's calls with what models took, each step against its estimate, and what was taken of the budget."""
    models, rates = ports.ledger.spending(run_id), ports.rates or {}
    spent: dict[int, Decimal] = {}
    for row in rows:
        if row.receipt is not None and row.direction == "do":
            spent[row.step] = spent.get(row.step, Decimal(0)) + actual_usd([row.receipt], rates)
    all_usd = actual_usd([row.receipt for row in rows if row.receipt is not None], rates)
    expected_s = costs.estimated_time_s
    return costs.model_copy(
        update={
            "time_variance": variance(expected_s, str(costs.actual_time_s)) if expected_s is not None and rows else "",
            "by_step": by_step(plan, {step: usd for step, usd in spent.items() if usd}) if plan is not None else {},
            "models_usd": models.usd if models.questions else None,
            "models_tokens": models.tokens,
            "models_time_s": models.ms / 1000,
            "budget": _of_budget(ports.budget, models, all_usd, costs.actual_time_s),
        }
    )


def _of_budget(budget: Budget, models: ModelSpending, calls_usd: Decimal, calls_s: float) -> dict[str, str]:
    found = {}
    if budget.tokens is not None:
        found["tokens"] = f"{models.tokens} of {budget.tokens}"
    if budget.usd is not None:
        found["usd"] = f"{'an unknown amount' if models.usd is None else f'{(calls_usd + Decimal(models.usd)).normalize() + 0:f}'} of {budget.usd}"
    if budget.time_s is not None:
        found["time"] = f"{calls_s + models.ms / 1000:.1f} s of {budget.time_s} s"
    return found
