"""The part of a report that says what models took, what was taken of the budget, and what each step took against its estimate."""

from __future__ import annotations

from collections.abc import Mapping

from ..schemas.results import Costs


def taken(costs: Costs) -> list[str]:
    """Return lines of markdown; none where there is nothing to say."""
    lines = []
    if costs.time_variance:
        lines.append(f"- Time against its estimate: {costs.time_variance}")
    if costs.models_tokens:
        price = "a price that is not known" if costs.models_usd is None else f"${costs.models_usd}"
        lines.append(f"- Models: {costs.models_tokens} tokens, {price}, {costs.models_time_s:g} s")
    lines += [f"- Budget, {name}: {said}" for name, said in costs.budget.items()]
    if costs.by_step:
        lines += ["", "| step | estimated | cost |", "|---|---|---|"]
        lines += [f"| {step} | {_usd(row, 'estimated_usd')} | {_usd(row, 'actual_usd')} |" for step, row in costs.by_step.items()]
    return lines


def _usd(row: Mapping[str, str], name: str) -> str:
    return f"${row[name]}" if name in row else "–"
