"""From a request to a plan, whoever writes it: a written document is read, plain language is put to the model.

What a model was asked and what it said are kept with the run before anything is made of them, so that a reply that arrived is neither lost
nor paid for twice; a reply that cannot become a plan ends the run with what was wrong. A question that the budget does not allow leaves the run in
planning: with a larger budget it goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..policies.policy import Policy
from ..policies.prices import cost_usd
from ..policies.redact import redact
from ..policies.risk.surroundings import Surroundings
from ..schemas.errors import InvalidConfiguration, ModelFailed
from ..schemas.plan import Plan
from ..schemas.results import Artifact
from ..schemas.run import RunStatus
from ..tools.toolbox import Toolbox
from .intake import Reading, take_in
from .keep import Keep
from .ledger.ledger import Ledger
from .settings import Settings

if TYPE_CHECKING:
    from .planner import Planner


class Authoring:
    """Planning, for the runtime."""

    model: Any
    tools: Toolbox
    keep: Keep
    ledger: Ledger
    clock: Callable[[], Any]
    workspace_of: Callable[[str], Path]
    policy: Policy
    settings: Settings
    _read: Callable[[Any], Reading]
    _around: Callable[[str], Surroundings]
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
        return Planner(
            model, self.tools, keep=self.keep, clock=self.clock,
            facts=lambda run_id: look(self.workspace_of(run_id), self._around(run_id), self.policy.model_sees), prices=self.settings.prices, budget=self.policy.budget,
        )  # fmt: skip

    def check_model(self) -> None:
        """See, without asking anything, whether the model has what it needs. Raises: InvalidConfiguration."""
        check = getattr(self.planner.model, "check", None) if self.planner is not None else None
        if check is not None:
            check()

    def author(self, ask: Any, run_id: str) -> Plan:
        """Return the plan of a request. The run is admitted already where a model is asked.

        Raises:
            InvalidDocument, InvalidPlan, ModelNeeded: the request cannot become a plan.
            ModelFailed: the model's answer cannot; the run has ended, and the exchange is kept with it. Where the budget is the reason, the run
                waits in planning.
            InvalidConfiguration: the model lacks something, such as a key; the run waits in planning.
        """
        taken = take_in(ask)
        if "words" not in taken or self.planner is None:
            return self._read(ask).plan
        try:
            planned = self.planner.plan(taken["words"], run_id, analysis=self.found_before(run_id))
        except ModelFailed as failure:
            self._gave_up(run_id, failure)
            raise
        except InvalidConfiguration as missing:
            self.ledger.note(run_id, "planning.stopped", why=missing.message[:500])
            missing.hint = f"{missing.hint}; then `assent resume {run_id}` goes on from here"
            raise
        with self.ledger.together():
            for exchange in planned.exchanges:
                self.ledger.note(run_id, "model.asked", actor=f"model:{exchange.model}", **exchange.note())
            for artifact in planned.artifacts:
                self.ledger.keep(run_id, artifact)
            if planned.hints:
                self.ledger.note(run_id, "problem.vague", hints=[str(hint) for hint in planned.hints])
            if planned.warnings:
                self.ledger.note(run_id, "outside.steers", warnings=list(planned.warnings))
        return planned.plan.model_copy(update={"asked": taken["words"], "warnings": planned.warnings or None})

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

    def cost_of(self, model: str, usage: Any) -> str | None:
        """Return what an answer costs in USD, by the user's prices and the shipped ones; `None` when the model has no price."""
        return cost_usd(model, usage, self.settings.prices)

    def _gave_up(self, run_id: str, failure: ModelFailed) -> None:
        failure.fields["run"] = run_id
        with self.ledger.together():
            for note in failure.fields.pop("asked", ()):
                self.ledger.note(run_id, "model.asked", actor=f"model:{note['model']}", **note)
            for kept in failure.fields.get("exchanges", ()):
                self.ledger.keep(run_id, Artifact.model_validate(kept))
            if failure.fields.get("kind") == "budget":
                self.ledger.note(run_id, "budget.exceeded", why=failure.message[:500])
                failure.hint = f"raise `budget:` in config.yaml (where the model has no price: name one under `prices:`, or leave out `usd`), then `assent resume {run_id}` goes on from here; `assent cancel {run_id}` ends it"
            else:
                self.ledger.move(run_id, RunStatus.FAILED, why=redact(failure.message)[:500])
        if failure.fields.get("kind") != "budget":
            self.settled(run_id)
