"""Planner: a request in plain language becomes a problem and a plan, through a model.

Rules:
- What the model sees is the request, the tools, file names and the beginning of the README; redacted, and fenced as data. It sees no secret
  and no other content.
- What the model returns permits nothing. It is checked as if a stranger had written it: every tool, every argument, how each step is taken
  back. Its view of the risk can only raise what is assessed.
- A criterion that the request did not state says so in its own text, ` (proposed)`, where whoever approves the plan reads it.
- What is wrong with a proposal is told to the model once. Then it is an error with every complaint.
- An answer is kept before it is read, so a crash does not pay for it twice; see `models/exchange.py`.

Source: features B1, A12. Deliberately absent: starting the run, and assessing it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from ..policies.budget import Budget, beyond
from ..policies.lint import lint
from ..policies.outside import steering
from ..policies.prices import cost_usd
from ..policies.redact import redact
from ..prompts.load import fill, load
from ..schemas.canonical import canonical, digest
from ..schemas.document import Hint
from ..schemas.errors import InvalidPlan, ModelFailed
from ..schemas.plan import Plan
from ..schemas.prompt import Prompt, Usage
from ..schemas.proposal import Proposal
from ..schemas.results import Artifact
from ..tools.toolbox import Toolbox
from .facts import WorkspaceFacts
from .intake import check
from .keep import Keep
from .models.exchange import Exchange, Journal, keep_exchange
from .models.port import Model
from .models.talk import Unfit, talk
from .proposed import PROPOSED, plan_of
from .tokens import count

LONGEST = 20_000


@dataclass(frozen=True)
class Planned:
    """A plan with the record of how it came about.

    Args:
        plan: frozen; its author is the model.
        hints: what would make the request better, and which criteria are only proposed.
        artifacts: the exchanges, kept with the run.
        exchanges: the same, as values; `note()` is what the log holds of each.
        usage: tokens of all answers.
        cost_usd: decimal text; `None` when a model without a price answered.
        proposed_criteria: those that the request did not state, as they stand in the plan.
        warnings: text in the request or the workspace that tries to steer its reader.
    """

    plan: Plan
    hints: tuple[Hint, ...]
    artifacts: tuple[Artifact, ...]
    exchanges: tuple[Exchange, ...]
    usage: Usage
    cost_usd: str | None
    proposed_criteria: tuple[str, ...]
    warnings: tuple[str, ...]


class Planner:
    """Asks a model for plans."""

    def __init__(
        self,
        model: Model,
        tools: Toolbox,
        *,
        keep: Keep,
        facts: Callable[[str], WorkspaceFacts],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        prices: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Make one.

        Args:
            model: that is asked.
            tools: that steps may name.
            keep: the artifact folder.
            facts: looks at the workspace of a run.
            clock: returns the wall time, aware.
            prices: of the user; see `policies/prices.py`.
            budget: for the questions of one plan.
        """
        self.model = model
        self.tools = tools
        self.keep = keep
        self.facts = facts
        self.clock = clock
        self.prices = prices
        self.budget = budget or Budget()

    def plan(self, words: str, run_id: str, *, analysis: str = "") -> Planned:
        """Plan what a person asks for.

        Args:
            words: the request, at most `LONGEST` characters.
            run_id: the run that the record is kept with; the same run is not asked the same question twice.
            analysis: what was found in the workspace beforehand; empty where nobody looked.

        Raises:
            ModelFailed: no answer, or none that makes a plan; `complaints` and `exchanges` say more.
            InvalidConfiguration: the model needs something that is not there, such as a key.

        Side effects: one or two questions to the model; files in the run's artifact folder.
        """
        if len(words) > LONGEST:
            raise InvalidPlan(
                f"the request has {len(words)} characters",
                hint=f"say it in at most {LONGEST}, or write the plan: `assent new plan.yaml`",
            )
        facts = self.facts(run_id)
        exchanges: list[Exchange] = []
        kept: list[Artifact] = []

        def record(exchange: Exchange) -> None:
            exchanges.append(exchange)
            kept.append(keep_exchange(exchange, self.keep, run_id, self.clock()))

        try:
            said = talk(
                self.model,
                self._prompt(words, facts, analysis),
                Proposal,
                lambda proposal: self._plan(proposal, words),
                name="plan",
                journal=Journal(self.keep, run_id),
                record=record,
                price=self._price,
                allow=lambda prompt, spent: self._allow(prompt, spent, sum(exchange.ms for exchange in exchanges) / 1000),
                key=digest(canonical(["plan", words])),
            )
        except ModelFailed as error:
            error.fields["exchanges"] = [artifact.as_json() for artifact in kept]
            error.fields["asked"] = [exchange.note() for exchange in exchanges]
            raise
        proposal, plan = said.result
        plan = Plan.model_validate({**plan.as_json(), "author": f"model:{said.model}"})
        proposed = tuple(criterion for criterion in plan.problem.success_criteria if criterion.endswith(PROPOSED))
        costs = [exchange.cost_usd for exchange in exchanges]
        return Planned(
            plan=plan,
            hints=(*_hints(proposed, plan), *lint(plan.problem, plan)),
            artifacts=tuple(kept),
            exchanges=tuple(exchanges),
            usage=said.usage,
            cost_usd=None if None in costs else f"{sum(Decimal(cost) for cost in costs if cost):f}",
            proposed_criteria=proposed,
            warnings=tuple(_warnings(words, facts, proposal, analysis)),
        )

    def settled(self, run_id: str) -> None:
        """Forget the raw answers of a run whose plan is frozen; the exchanges stay with it."""
        Journal(self.keep, run_id).forget("plan-")

    def _prompt(self, words: str, facts: WorkspaceFacts, analysis: str = "") -> Prompt:
        given = {
            "request": redact(words),
            "files": redact(facts.listing),
            "readme": facts.readme or "(none)",
            "analysis": redact(analysis) or "(none)",
            "tools": described(self.tools),
        }
        return fill(load("plan"), given)

    def _price(self, model: str, usage: Usage) -> str | None:
        return cost_usd(model, usage, self.prices)

    def _allow(self, prompt: Prompt, spent: Usage, spent_s: float) -> None:
        allow(self.budget, self.model.name, prompt, spent, self._price, spent_s=spent_s)

    def _plan(self, proposal: Proposal, words: str) -> tuple[Proposal, Plan]:
        """Make the plan of a proposal. Raises: Unfit."""
        if not proposal.steps:
            raise Unfit(
                (f"there are no steps; the tools cannot do it: {proposal.cannot}" if proposal.cannot else "there are no steps",)
            )
        complaints = tuple(self._complaints(proposal))
        if complaints:
            raise Unfit(complaints)
        try:
            plan = plan_of(proposal, words)
            canonical(plan.as_json())
            check(plan, self.tools)
        except InvalidPlan as error:
            raise Unfit((error.message,)) from error
        except (ValidationError, ValueError) as error:
            raise Unfit((" ".join(str(error).split())[:500],)) from error
        return proposal, plan

    def _complaints(self, proposal: Proposal) -> Iterator[str]:
        """Say everything that is wrong with the calls at once; `check` has the last word."""
        for number, step in enumerate(proposal.steps, 1):
            try:
                args = self.tools.parse(step.tool, step.args)
            except InvalidPlan as error:
                yield f"step {number}: {error.message}; {error.hint}"
                continue
            if not (self.tools[step.tool].can_undo(args) or step.undo or step.rollback_plan.strip() or step.reversible is False):
                yield f"step {number}: nothing says how it is taken back; give `undo`, or `rollback_plan` in words, or `reversible: false`"
        calls = [(f"undo of step {n}", step.undo) for n, step in enumerate(proposal.steps, 1) if step.undo]
        calls += [(f"measure of {one.text!r}", one.measure) for one in proposal.problem.success_criteria if one.measure]
        for where, call in calls:
            try:
                self.tools.parse(call.tool, call.args)
            except InvalidPlan as error:
                yield f"{where}: {error.message}; {error.hint}"


def allow(
    budget: Budget, model: str, prompt: Prompt, spent: Usage, price: Callable[[str, Usage], str | None], *, spent_usd: str | None = "", spent_s: float = 0
) -> None:
    """Let a question go out where it still fits the budget.

    Args:
        spent: so far.
        price: model and usage in, decimal USD out, or `None`.
        spent_usd: so far; empty: what the tokens of `spent` cost.
        spent_s: what answers took so far, in seconds.

    Raises:
        ModelFailed: it does not fit; its `kind` is `budget`.
    """
    if not budget.limits_anything:
        return
    tokens = count(prompt.text, model).tokens
    usd = price(model, spent) if spent_usd == "" else spent_usd
    reasons = beyond(budget, spent, usd, tokens, price(model, Usage(input_tokens=tokens)), spent_s=spent_s)
    if reasons:
        raise ModelFailed(f"the question would take {'; '.join(reasons)}", hint="raise the budget, or ask more briefly", kind="budget", model=model)


def described(tools: Toolbox) -> str:
    """Return the tools as a model reads them: name, what it does, and the schema of its arguments."""
    lines = []
    for name, tool in tools.items():
        schema = tool.Arguments.model_json_schema()
        schema.pop("title", None)
        about = next(iter((type(tool).__doc__ or "").strip().splitlines()), "")
        lines.append(f"- {name}: {about}\n  {json.dumps(schema, ensure_ascii=False, separators=(',', ':'))}")
    return "\n".join(lines)


def _hints(proposed: tuple[str, ...], plan: Plan) -> Iterator[Hint]:
    for criterion in proposed:
        place = plan.problem.success_criteria.index(criterion) + 1
        yield Hint(
            field=f"problem.success_criteria[{place}]",
            missing="the request does not say it; the model proposes it",
            write_instead=f'"{criterion.removesuffix(PROPOSED)}" in the request, or another one',
        )


def _warnings(words: str, facts: WorkspaceFacts, proposal: Proposal, analysis: str = "") -> Iterator[str]:
    for where, text in (("the request", words), ("the names of files", "\n".join(facts.files)), ("the README", facts.readme), ("the analysis", analysis)):
        for one in steering(text):
            yield f"{where} {one}"
    said = "\n".join([proposal.intent, *(step.description for step in proposal.steps)])
    for one in steering(said):
        yield f"the proposal {one}"
