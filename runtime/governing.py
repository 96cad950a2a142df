"""What intent and constitution say of a plan, derived from its bytes, its assessed risk and the recorded answers of models.

    a step outside the intent, by a rule                      at least MEDIUM: a person is asked, whatever a model says
    a step that the rules cannot place, from plain language   the same, unless a model said `within`, certainly enough
    a violated principle, by a rule or by a model             CRITICAL: it blocks, until people entitled to that override it with a reason
    a principle that nobody judged, or not certainly          named to the person who is asked anyway
    a text that tried to steer whoever wrote the plan         the same

Rules:
- Nothing here lowers a risk: findings are added to those of the assessor, and only a doubt that was raised here can be settled here.
- Pure for one plan, one policy and one set of recorded answers; so dispatch derives the same anew. Without recorded answers every doubt stands.
- Where several models answered the same question, all of them have to settle it.

Source: features D3, D4; seed 3. Asking is `second_opinion.py`'s, keeping the answers the ledger's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..policies.constitution import deeds, hold
from ..policies.intent import Intent, judge
from ..policies.plan_risk import PlanRisk
from ..policies.policy import Policy
from ..schemas.opinion import KeptOpinion
from ..schemas.plan import Plan
from ..schemas.risk import Level, Reason, Risk

if TYPE_CHECKING:
    from .second_opinion import OpenQuestion

Opinions = Callable[[str], Sequence[KeptOpinion]]
"""Digest of a question in, the recorded answers out."""


def governed(plan: Plan, risk: PlanRisk, policy: Policy, opinions: Opinions | None) -> PlanRisk:
    """Add what intent and constitution say of a plan to its risk.

    Args:
        opinions: looks recorded answers up; `None`: there are none at all.
    """
    found = [*_intents(plan, risk, policy, opinions), *_principles(plan, risk, policy, opinions)]
    if found or risk.whole.level > Level.LOW:
        # For the person who is asked. It raises nothing, or a README could make every run wait.
        found += [Reason(rule="outside.steers", level=Level.MEDIUM, text=warning) for warning in plan.warnings or ()]
    if not found:
        return risk
    whole = Risk.of([*risk.whole.findings, *found], tables=risk.whole.tables)
    return PlanRisk(whole=whole, steps=risk.steps, undos=risk.undos, measures=risk.measures)


def _intents(plan: Plan, risk: PlanRisk, policy: Policy, opinions: Opinions | None) -> Iterator[Reason]:
    for intent, question in _placed(plan, [one.level for one in risk.steps]):
        if intent.answer == "within" or (intent.answer == "unsure" and not plan.asked):
            continue
        given = opinions(question.prompt.key) if question is not None and opinions is not None else ()
        if given and all(one.is_within(policy.second_opinion.threshold_pct) for one in given):
            continue
        yield Reason(rule=(intent.rules or ("intent.unsure",))[0], level=Level.MEDIUM, text=f"step {intent.step}: {_doubt(intent, question, given)}")


def _placed(plan: Plan, levels: Sequence[Level]) -> Iterable[tuple[Intent, OpenQuestion | None]]:
    if not plan.asked:
        return ((intent, None) for intent in judge(plan, levels))
    from .second_opinion import open_intents

    return open_intents(plan, levels)


def _doubt(intent: Intent, question: OpenQuestion | None, given: Sequence[KeptOpinion]) -> str:
    text = "; ".join(intent.reasons) or "nothing tells whether it was asked for"
    if question is None:
        return text
    return f"{text}; {'; '.join(map(_said, given)) or 'no model judged it'}"


def _principles(plan: Plan, risk: PlanRisk, policy: Policy, opinions: Opinions | None) -> Iterator[Reason]:
    rules: Mapping[str, Any] = {f"step {n}": one.rules for n, one in enumerate(risk.steps, 1)}
    for violation in hold(deeds(plan, rules), policy.principles).violations:
        yield Reason(rule=f"constitution.{violation.principle}", level=Level.CRITICAL, text=str(violation))
    if opinions is None and not plan.asked:
        return
    from .second_opinion import open_principles

    for question in open_principles(plan, risk.whole.level, policy.principles):
        yield from _judged(question, opinions(question.prompt.key) if opinions is not None else (), plan, policy)


def _judged(question: OpenQuestion, given: Sequence[KeptOpinion], plan: Plan, policy: Policy) -> Iterator[Reason]:
    principle = question.about
    assert not isinstance(principle, int)
    least = policy.second_opinion.threshold_pct
    # A plan that does more than read is asked about in any case, so MEDIUM names the doubt and changes nothing else.
    if any(one.answer == "outside" and one.confidence_pct >= least for one in given):
        yield Reason(rule=f"constitution.{principle.id}", level=Level.CRITICAL, text=f"violates {principle.id}: {_all(given)}; {principle.text}")
    elif given and not all(one.is_within(least) for one in given):
        yield Reason(rule=f"principle.{principle.id}", level=Level.MEDIUM, text=f"perhaps violates {principle.id}: {_all(given)}")
    elif not given and plan.asked:
        yield Reason(rule=f"principle.{principle.id}", level=Level.MEDIUM, text=f"nobody judged whether it keeps {principle.id}")


def _all(given: Sequence[KeptOpinion]) -> str:
    return "; ".join(map(_said, given))


def _said(opinion: KeptOpinion) -> str:
    reason = f": {opinion.reason}" if opinion.reason else ""
    return f"{opinion.model} says {opinion.answer} ({opinion.confidence_pct} %){reason}"
