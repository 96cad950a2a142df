"""May this call run now? Asked inside the transaction that would record it, answered from facts alone. Pure.

Nothing here reads graph state: the facts are the plan's bytes, its risk under the rules of now, the recorded decisions, the time, and what
was dispatched before. Each refusal has a rule id; `CURABLE` are those that a fresh answer of a person could lift.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from ..schemas.approval import Decision, Need, Verdict
from ..schemas.dispatch import Direction, Dispatch, DispatchState
from ..schemas.grant import Grant
from ..schemas.plan import Plan
from ..schemas.risk import Level, Risk
from ..schemas.ruling import Ruling
from ..schemas.run import RunRow, RunStatus
from .approvals import counting, may_decide, need, tally
from .policy import Policy
from .windows import is_open

CURABLE = frozenset({"approval.missing", "approval.expired"})
_SPENT = frozenset({DispatchState.DISPATCHED, DispatchState.DONE, DispatchState.IN_DOUBT, DispatchState.ABANDONED})
"""What was given up may have happened, so it counts as done here."""
_NO_TIER = Ruling(answer="allow")


class Facts(NamedTuple):
    """Everything a dispatch is decided on.

    Args:
        plan: decoded from the bytes whose digest the run holds in force.
        risk: of the whole plan, under the rules of now.
        decisions: every decision recorded for this run on questions whether the plan may run; answers to other questions permit nothing.
        contributors: requester, author and editors.
        dispatches: of the step in question, both directions.
        now: the later of the wall clock and the newest entry of the log, so that a clock set back revives nothing.
        unproved: numbers of decisions that the table holds and the log does not.
        went_wrong: a step of this plan ended without being done, or taking back has begun.
        back_to: number of the last step that stays, where a person asked to take back a run that is over; `None` when nobody did.
        backup: the backup roles may answer as well by now.
        grants: the standing grant for each step that is not LOW, where such grants cover all that is left of the plan.
        checkpoint: whether checkpoint 1 of a delivery holds; `None` for a run whose graph has none.
        blocked: the work of a delivery was not released, and the rules say that it is taken back.
    """

    run: RunRow
    plan: Plan
    risk: Risk
    decisions: Sequence[Decision]
    contributors: Sequence[str]
    dispatches: Sequence[Dispatch]
    now: datetime
    unproved: Sequence[int] = ()
    went_wrong: bool = False
    back_to: int | None = None
    backup: bool = False
    grants: Mapping[int, Grant] | None = None
    checkpoint: bool | None = None
    blocked: bool = False


@dataclass(frozen=True)
class Assent:
    """What people say to a plan, whatever the time is: what it takes (`None`: nobody), and when the answers that give it were given."""

    needs: Need | None
    granted_at: datetime | None = None


def assent_of(facts: Facts, policy: Policy) -> Assent:
    """Weigh the recorded answers. The same for every step and time under the same facts, so a caller may keep it for as long as they stay."""
    needs = need(facts.risk.level, facts.plan, facts.contributors, policy, backup=facts.backup)
    return Assent(needs, None if needs is None or facts.unproved else max(_granted(facts, needs, policy), default=None))


def may_run(direction: Direction, step: int, facts: Facts, policy: Policy, *, assent: Assent | None = None) -> Ruling:
    """Rule on one call.

    Args:
        direction: `do` or `undo` a step, or measure `before` or `after`.
        step: number of the step, or of the measure, from 1.
        assent: what `assent_of` said of these facts; weighed here where it is absent.
    """
    run, plan = facts.run, facts.plan
    if run.digest != plan.digest:
        return _deny("plan.other", "the plan in force has other bytes")
    wanted = plan.measures if direction in ("before", "after") else plan.steps
    if not 1 <= step <= len(wanted):
        return _deny("plan.step", f"the plan has no {'measure' if direction in ('before', 'after') else 'step'} {step}")
    if any(d.direction == direction and d.state in _SPENT for d in facts.dispatches):
        return _deny("dispatch.again", "this call was dispatched before")
    if direction == "undo":
        return _may_undo(step, facts)
    if run.status is not RunStatus.RUNNING:
        return _deny("approval.missing" if run.status.is_waiting or run.status is RunStatus.PLANNING else "run.over", f"the run is {run.status.value}")
    if run.stop_requested and direction == "do":
        return _deny("run.stopped", "somebody asked this run to stop")
    if facts.checkpoint is False:
        return _deny("checkpoint.missing", "the checkpoint before the work was not passed, and nobody who may has approved an exception")
    tier = beyond_tier(run.tier, plan, facts.risk.level, policy)
    if not tier.is_allowed:
        return tier
    if direction != "after" and not is_open(policy.windows, plan.execution_window, facts.now):
        return _deny("window.closed", "outside the execution window")
    return _is_approved(facts, assent or assent_of(facts, policy), policy, measuring=direction == "after")


def beyond_tier(tier: int | None, plan: Plan, level: Level, policy: Policy) -> Ruling:
    """Refuse what the agent's tier has no authority for, whoever would approve it."""
    if tier is None:
        return _NO_TIER
    rule = policy.tiers.get(tier)
    if rule is None:
        return _deny("tier.unknown", f"there is no tier {tier}; the rules know {', '.join(map(str, sorted(policy.tiers)))}")
    if level > rule.highest:
        return _deny("tier.authority", f"tier {tier} ({rule.name}) may act up to {rule.highest.value}; this plan is {level.value}")
    environment = plan.problem.context.environment
    if environment is not None and environment not in rule.environments:
        return _deny("tier.environment", f"tier {tier} ({rule.name}) has no authority in {environment}")
    return Ruling(answer="allow", rules=("tier.authority",))


def _is_approved(facts: Facts, assent: Assent, policy: Policy, *, measuring: bool) -> Ruling:
    question, granted = assent.needs, assent.granted_at
    if question is None:
        return Ruling(answer="allow", rules=("auto.low",))
    if facts.unproved:
        return _deny("decision.unproved", f"the log does not hold decision {facts.unproved[0]}; `assent verify` tells what else was changed")
    if granted is None and facts.grants is not None:
        return Ruling(answer="allow", rules=("grant", *sorted({grant.id for grant in facts.grants.values()})))
    if granted is None:
        return _deny("approval.missing", f"{facts.risk.level.value} takes {question.approvals} approval(s) of these bytes by {' or '.join(question.roles)}")
    # Measuring afterwards only looks, and a result is owed even when the last step ended late.
    if not measuring and facts.now >= granted + timedelta(seconds=policy.execute_within_s):
        return _deny("approval.expired", "the approval ran out before this step could start")
    return Ruling(answer="allow", rules=question.rules)


def _granted(facts: Facts, question: Need, policy: Policy) -> Iterator[datetime]:
    """Yield, for each time the question was put and its own answers add up, when the answers that count were given."""
    digest = facts.plan.digest
    for request in dict.fromkeys(decision.request_id for decision in facts.decisions):
        # Answers to an earlier asking never fill up a later one: what ran out has to be given again by everybody.
        own = [decision for decision in facts.decisions if decision.request_id == request]
        if tally(own, digest, question, policy) != "approved":
            continue
        given = [decision for decision in counting(own, digest) if decision.verdict is Verdict.APPROVE]
        # An answer that does not count, because the person's role is gone, renews nothing.
        yield from sorted(d.at for d in given if may_decide(d.actor, d.verdict, question, policy, reason=d.reason, decisions=own).is_allowed)


def _may_undo(step: int, facts: Facts) -> Ruling:
    if not any(d.direction == "do" and d.state is DispatchState.DONE for d in facts.dispatches):
        return _deny("undo.nothing", "the step was not done, so there is nothing to undo")
    # The undo was approved with the plan, for the case that a step goes wrong; without that case it takes a person who asks for it.
    if facts.run.status is RunStatus.RUNNING and facts.went_wrong:
        return Ruling(answer="allow", rules=("plan.rollback",))
    if facts.blocked and facts.run.status in (RunStatus.RUNNING, RunStatus.REJECTED):
        return Ruling(answer="allow", rules=("release.blocked",))
    if facts.run.status.is_over and facts.back_to is not None and step > facts.back_to:
        return Ruling(answer="allow", rules=("rollback.requested",))
    return _deny("undo.unasked", "no step went wrong, and nobody asked to take this step back")


def _deny(rule: str, reason: str) -> Ruling:
    return Ruling(answer="deny", rules=(rule,), reasons=(reason,))
