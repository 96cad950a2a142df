"""Second opinions, for the runtime: what the rules leave open about a plan is put to the model, and its answers are recorded, before it is weighed.

Rules:
- Only a plan about which nobody was asked yet, and of which nothing ran: what waits for a person is not settled by a model behind their back.
- No write transaction is held while a model is asked.
- What came of it is one entry of the log for the plan: how many steps the rules decided, how many the model settled, how many went to a person, how
  long it took; `opinion_review` adds them up. A model that does not answer leaves the doubt standing, so a person is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..policies.plan_risk import PlanRisk
from ..policies.redact import redact
from ..schemas.errors import ModelFailed
from ..schemas.opinion import KeptOpinion, OpinionReview
from ..schemas.prompt import Usage
from .authoring import Authoring

if TYPE_CHECKING:
    from .models.port import Model
    from .second_opinion import OpenQuestion, Said

_LONGEST_REASON = 300


class Considering(Authoring):
    """Second opinions, for the runtime; whoever plans asks for them."""

    _weighed: Callable[..., PlanRisk]

    def consider(self, run_id: str) -> None:
        """Ask the model what the rules leave open about the plan in force of a run, and record the answers. Does nothing the second time."""
        plan, rules = self.ledger.plan(run_id), self.policy.second_opinion
        model = self.planner.model if self.planner is not None and rules.ask else None
        if plan is None or (model is None and not plan.asked):
            return
        known = [*(one.digest for one in self.ledger.requests(run_id)), *(one.digest for one in self.ledger.dispatches(run_id))]
        if plan.digest in known:
            return
        # Only who asks a model pays for what it takes to ask one.
        from .models.exchange import Journal, keep_exchange
        from .second_opinion import open_intents, open_principles

        risk = self._weighed(plan, self.ledger.workspace(run_id))
        intents = open_intents(plan, [one.level for one in risk.steps]) if plan.asked else ()
        steps = [question for _, question in intents if question is not None]
        principles = list(open_principles(plan, risk.whole.level, self.policy.principles))
        wanted = [*steps, *principles]
        if not wanted and not plan.asked:
            return
        before = {question.prompt.key: self.ledger.opinions(question.prompt.key) for question in wanted}
        fresh = [one for one in wanted if model is not None and not any(said.model == model.name for said in before[one.prompt.key])]
        # What waits in this process' hands is committed first: a model may take its time, and others want to write.
        self.ledger.flush()
        said = self._asked(model, fresh, run_id) if model is not None and fresh else ()
        given = {key: list(opinions) for key, opinions in before.items()}
        for one in said:
            if one.opinion is not None and model is not None:
                fields = {**_fields(one, model.name), "run_id": run_id, "at": self.clock()}
                given[one.question.prompt.key].append(KeptOpinion.model_validate(fields))
        asked = {one.question.prompt.key: one for one in said}
        notes = [("model.asked", one.exchange.note()) for one in said if one.exchange is not None]
        if plan.asked:
            counts = {answer: sum(intent.answer == answer for intent, _ in intents) for answer in ("within", "outside")}
            # A step that is too long to be put to a model goes to a person like one that no model answered.
            unplaced = len(intents) - sum(counts.values())
            notes.append(("intent.judged", {"digest": plan.digest, "steps": len(intents), **counts, **self._summed(steps, given, asked, unplaced)}))
        if principles:
            notes.append(("constitution.judged", {"digest": plan.digest, **self._summed(principles, given, asked, len(principles))}))
        with self.ledger.together():
            for one in said:
                if one.exchange is not None:
                    self.ledger.keep(run_id, keep_exchange(one.exchange, self.keep, run_id, self.clock()))
            self.ledger.keep_opinions(run_id, [_fields(one, model.name) for one in said if one.opinion is not None and model is not None], notes)
        if said:
            Journal(self.keep, run_id).forget("intent-", "principle-")

    def opinion_review(self, since: datetime | None = None) -> OpinionReview:
        """Add up how intent and principles were judged, how long it took, and what people made of it; for the monthly review.

        Args:
            since: only what was judged from then on; aware.
        """
        return self.ledger.opinion_review(since)

    def _asked(self, model: Model, wanted: Sequence[OpenQuestion], run_id: str) -> tuple[Said, ...]:
        """Ask what still fits the budget."""
        from .models.exchange import Journal
        from .planner import allow
        from .second_opinion import Said, ask
        from .tokens import count

        spent, budget = self.ledger.spending(run_id), self.policy.budget
        tokens, usd = spent.tokens, spent.usd
        fitting, refused = [], []
        for question in wanted:
            try:
                allow(budget, model.name, question.prompt, Usage(input_tokens=tokens), self.cost_of, spent_usd=usd, spent_s=spent.ms / 1000)
            except ModelFailed as error:
                refused.append(Said(question, None, error.message))
                continue
            fitting.append(question)
            if budget.limits_anything:
                takes = count(question.prompt.text, model.name).tokens
                cost = self.cost_of(model.name, Usage(input_tokens=takes))
                tokens, usd = tokens + takes, None if usd is None or cost is None else f"{Decimal(usd) + Decimal(cost):f}"
        said = ask(model, fitting, Journal(self.keep, run_id), time_s=self.policy.second_opinion.time_s, price=self.cost_of)
        return (*said, *refused)

    def _summed(
        self, questions: Sequence[OpenQuestion], given: Mapping[str, Sequence[KeptOpinion]], asked: Mapping[str, Said], total: int
    ) -> dict[str, Any]:
        least = self.policy.second_opinion.threshold_pct
        keys = [question.prompt.key for question in questions]
        allowed = sum(bool(given[key]) and all(one.is_within(least) for one in given[key]) for key in keys)
        return {
            "asked": total, "allowed": allowed, "escalated": total - allowed, "kept": sum(key not in asked and bool(given[key]) for key in keys),
            "failed": sum(not given[key] for key in keys), "ms": list(_times(keys, asked)),
            "why": [redact(asked[key].why)[:200] for key in keys if key in asked and asked[key].opinion is None][:5],
        }  # fmt: skip


def _times(keys: Sequence[str], asked: Mapping[str, Said]) -> Iterator[int]:
    for key in keys:
        ms = asked[key].ms if key in asked else None
        if ms is not None:
            yield ms


def _fields(said: Said, model: str) -> dict[str, Any]:
    assert said.opinion is not None
    return {
        "key": said.question.prompt.key, "model": model, "answer": said.opinion.answer, "confidence_pct": said.opinion.confidence_pct,
        "reason": " ".join(redact(said.opinion.reason).split())[:_LONGEST_REASON], "ms": said.ms or 0,
    }  # fmt: skip
