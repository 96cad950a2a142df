"""What a run takes while it runs, held against its estimate and its budget before each step.

    more than the estimate by    more than 25 %    a person says whether it goes on
                                 more than 50 %    the same, escalated
    more than the budget         at all            a person says whether it goes on
                                 more than 50 %    the same, escalated

Rules:
- Asked is before the step that would make it more, so nothing is cut off in the middle and nothing that was done is lost.
- Each question is asked once; who says yes says it up to the next threshold.
- The estimate is about the plan's own calls; the budget is about the whole run, what models took included. Time is that of calls and answers:
  waiting for people takes none.

Source: feature A12. What the numbers mean is decided in `policies/estimate.py` and `policies/budget.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any

from ..policies.budget import Excess, Spent, excesses
from ..policies.estimate import overrun, variance
from ..schemas.approval import Question
from ..schemas.dispatch import Dispatch, Receipt
from ..schemas.opinion import ModelSpending
from ..schemas.plan import Plan
from .endings import actual_usd
from .ports import Ports

_MOST_REASONS = 5


class Meter:
    """Counts what the calls of one run take."""

    def __init__(self, run_id: str, plan: Plan, ports: Ports, rows: Iterable[Dispatch]) -> None:
        """Begin with what was taken already."""
        self.run_id = run_id
        self.plan = plan
        self.ports = ports
        self.is_needed = plan.estimate.cost_usd is not None or ports.budget.limits_anything
        self.usd = Decimal(0)
        self.ms = 0
        self.by_step: dict[int, Decimal] = {}
        for row in rows:
            if row.receipt is not None:
                self.add(row.step if row.direction == "do" else 0, row.receipt)

    def add(self, step: int, receipt: Receipt) -> None:
        """Count a call. `step` is 0 for what is no step."""
        if not self.is_needed:
            return
        usd = actual_usd([receipt], self.ports.rates or {})
        self.usd += usd
        self.ms += receipt.duration_ms
        if step:
            self.by_step[step] = self.by_step.get(step, Decimal(0)) + usd

    def question(self, step: int) -> dict[str, Any] | None:
        """Return what has to be asked before a step runs: id, kind and subject of the question; `None` when nothing has to."""
        if not self.is_needed:
            return None
        for subject in self._subjects(step):
            ledger = self.ports.ledger
            request_id = ledger.question(self.run_id, Question.OVERRUN, subject)
            if not any(request.id == request_id for request in ledger.requests(self.run_id)):
                return {"id": request_id, "kind": Question.OVERRUN.value, "subject": subject}
            if not ledger.is_agreed(request_id):
                # A yes that does not carry any more, because a role is gone, is followed by the next question.
                return {"id": ledger.question(self.run_id, Question.OVERRUN, subject, again=True), "kind": Question.OVERRUN.value, "subject": subject}
        return None

    def _subjects(self, step: int) -> Iterator[dict[str, Any]]:
        kind = overrun(self.plan.estimate.cost_usd, self.usd)
        if kind != "none":
            yield self._beyond_estimate(kind, step)
        budget = self.ports.budget
        if not budget.limits_anything:
            return
        models = self.models
        spent = Spent(
            tokens=models.tokens,
            usd=None if models.usd is None else self.usd + Decimal(models.usd),
            time_s=Decimal(self.ms + models.ms) / 1000,
        )
        following = self.plan.steps[step - 1]
        for excess in excesses(budget, spent, next_usd=Decimal(following.cost_usd or "0"), next_s=following.estimated_time_s or 0):
            yield self._beyond_budget(excess, step)

    @cached_property
    def models(self) -> ModelSpending:
        """What models took; nothing is asked of them while steps run."""
        return self.ports.ledger.spending(self.run_id)

    def _beyond_estimate(self, kind: str, step: int) -> dict[str, Any]:
        estimated = self.plan.estimate.cost_usd or "0"
        by = variance(estimated, self.usd)
        reasons = list(self._reasons())
        said = f"it cost ${_money(self.usd)} before step {step}, and ${estimated} were estimated for all of it{f' ({by})' if by else ''}"
        return {
            "key": f"overrun.{kind}", "kind": kind, "about": "estimate", "estimated_usd": estimated, "actual_usd": _money(self.usd), "variance": by,
            "before_step": step, "by_step": by_step(self.plan, self.by_step), "reasons": reasons, "why": "; ".join([said, *reasons]),
        }  # fmt: skip

    def _beyond_budget(self, excess: Excess, step: int) -> dict[str, Any]:
        reasons = list(self._reasons())
        said = f"with step {step} {excess}{f' ({excess.variance})' if excess.variance else ''}"
        return {
            "key": f"budget.{excess.what}.{excess.kind}", "kind": excess.kind, "about": excess.what, "budget": excess.budget, "actual": excess.actual,
            "variance": excess.variance, "before_step": step, "by_step": by_step(self.plan, self.by_step), "models_usd": self.models.usd or "",
            "models_tokens": self.models.tokens, "reasons": reasons, "why": "; ".join([said, *reasons]),
        }  # fmt: skip

    def _reasons(self) -> Iterator[str]:
        """Yield which steps took more than their author said, the worst first."""
        over = []
        for step in self.plan.steps:
            actual, estimated = self.by_step.get(step.step), step.cost_usd
            if actual is not None and estimated is not None and actual > Decimal(estimated):
                over.append((actual - Decimal(estimated), f"step {step.step} took ${_money(actual)}, estimated ${estimated}"))
        yield from (said for _, said in sorted(over, reverse=True)[:_MOST_REASONS])
        unsaid = sum(usd for number, usd in self.by_step.items() if self.plan.steps[number - 1].cost_usd is None)
        if unsaid:
            yield f"steps without an estimate took ${_money(Decimal(unsaid))}"


def by_step(plan: Plan, spent: Mapping[int, Decimal]) -> dict[str, dict[str, str]]:
    """Return estimated and actual money of every step that has either."""
    found = {}
    for step in plan.steps:
        actual = spent.get(step.step)
        row = {"estimated_usd": step.cost_usd, "actual_usd": None if actual is None else _money(actual)}
        if any(row.values()):
            found[str(step.step)] = {name: value for name, value in row.items() if value is not None}
    return found


def _money(amount: Decimal) -> str:
    return f"{amount.normalize() + 0:f}"
