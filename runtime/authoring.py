"""From a request to a plan, whoever writes it: a written document is read, plain language is put to the model.

What a model was asked and what it said are kept with the run before anything is made of them, so that a reply that arrived is neither lost
nor paid for twice; a reply that cannot become a plan ends the run with what was wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..policies.constitution import deeds, hold
from ..policies.intent import judge
from ..policies.plan_risk import PlanRisk
from ..policies.risk.surroundings import Surroundings
from ..schemas.errors import ModelFailed
from ..schemas.plan import Plan
from ..schemas.results import Artifact
from ..schemas.risk import Level, Reason, Risk
from ..schemas.run import RunStatus
from ..tools.toolbox import Toolbox
from .intake import Reading, take_in
from .keep import Keep
from .ledger.ledger import Ledger

if TYPE_CHECKING:
    from .planner import Planner


class Authoring:
    """Planning, for the runtime."""

    model: Any
    tools: Toolbox
    keep: Keep
    ledger: Ledger
    clock: Callable[[], Any]
    workspace: Path
    _read: Callable[[Any], Reading]
    _around: Callable[[], Surroundings]
    found_before: Callable[[str], str]


    @cached_property
    def planner(self) -> Planner | None:
        """What asks the model for plans; `None` without a model."""
        if self.model is None:
            return None
        from .facts import look
        from .models.build import build
        from .planner import Planner

        model = build(self.model)
        if model is None:
            return None
        return Planner(model, self.tools, keep=self.keep, facts=lambda: look(self.workspace, self._around()), clock=self.clock)

    def author(self, ask: Any, run_id: str) -> Plan:
        """Return the plan of a request. The run is admitted already where a model is asked.

        Raises:
            InvalidDocument, InvalidPlan, ModelNeeded: the request cannot become a plan.
            ModelFailed: the model's answer cannot; the run has ended, and the exchange is kept with it.
        """
        taken = take_in(ask)
        if "words" not in taken or self.planner is None:
            return self._read(ask).plan
        try:
            planned = self.planner.plan(taken["words"], run_id, analysis=self.found_before(run_id))
        except ModelFailed as failure:
            for exchange in failure.fields.get("exchanges", ()):
                self.ledger.keep(run_id, Artifact.model_validate(exchange))
            self.ledger.move(run_id, RunStatus.FAILED, why=failure.message[:500])
            raise
        with self.ledger.together():
            for exchange in planned.exchanges:
                self.ledger.note(run_id, "model.asked", actor=planned.plan.author, **exchange.note())
            for artifact in planned.artifacts:
                self.ledger.keep(run_id, artifact)
            if planned.hints:
                self.ledger.note(run_id, "problem.vague", hints=[str(hint) for hint in planned.hints])
            if planned.warnings:
                self.ledger.note(run_id, "outside.steers", warnings=list(planned.warnings))
        return planned.plan.model_copy(update={"asked": taken["words"]})

    def claims(self, ask: Any) -> tuple[int | None, tuple[str, ...]]:
        """Return what a written request says besides its plan: the tier of its agent, and what would make its problem better. Raises: as `author`."""
        if "words" in take_in(ask):
            return None, ()
        reading = self._read(ask)
        return reading.tier, tuple(str(hint) for hint in reading.hints)

    def settled(self, run_id: str) -> None:
        """Forget raw replies of a run whose plan is frozen."""
        if self.planner is not None:
            self.planner.settled(run_id)


def governed(plan: Plan, risk: PlanRisk) -> PlanRisk:
    """Add what intent and constitution say of a plan to its risk. Both can only raise it.

    - A step that the rules find outside the intent, or cannot place where a model wrote the plan, asks a person.
    - A violated principle is CRITICAL: it blocks until people entitled to that override it with a reason, which is a recorded decision.
    """
    found: list[Reason] = []
    for intent in judge(plan, [one.level for one in risk.steps], words=plan.asked):
        if intent.answer == "outside" or (intent.answer == "unsure" and plan.asked):
            text = "; ".join(intent.reasons) or "nothing tells whether it was asked for"
            found.append(Reason(rule=(intent.rules or ("intent.unsure",))[0], level=Level.MEDIUM, text=f"step {intent.step}: {text}"))
    rules: Mapping[str, Any] = {f"step {n}": one.rules for n, one in enumerate(risk.steps, 1)}
    found += [
        Reason(rule=f"constitution.{one.principle}", level=Level.CRITICAL, text=str(one)) for one in hold(deeds(plan, rules)).violations
    ]
    if not found:
        return risk
    return PlanRisk(
        whole=Risk.of([*risk.whole.findings, *found], tables=risk.whole.tables), steps=risk.steps, undos=risk.undos, measures=risk.measures
    )
