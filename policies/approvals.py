"""Who may answer a question, how many it takes, and what the answers add up to. Pure.

Rules, in the order in which they are asked:
- An agent never decides, whatever role it was given.
- Not the requester, author or editor, at the levels where duties are separated.
- Only a role that the level of risk asks for; roles are those of now, not those of the moment of the vote.
- One person counts once; the last answer of a person is the one that counts.
- One rejection by somebody entitled settles the question: rejected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from ..schemas.approval import Actor, Decision, Need, Verdict
from ..schemas.plan import Plan
from ..schemas.risk import Level
from ..schemas.ruling import Ruling
from .policy import Policy

ALL_ROLES = ("developer", "lead", "admin")


def need(level: Level, plan: Plan, contributors: Iterable[str], policy: Policy) -> Need | None:
    """Return what it takes to approve this plan, or `None` when it may flow without a person.

    Args:
        level: risk of the whole plan.
        contributors: requester, author and every editor, by id.
    """
    rule = policy.approvals[level]
    asked = [approval for approval in plan.required_approvals if approval.type in ("pre_approval", "dual_signoff")]
    if level is Level.LOW and policy.auto_approve == "LOW" and not asked:
        return None
    approvals = rule.approvals
    rules = [f"approvals.{level.value}"]
    if any(approval.type == "dual_signoff" for approval in asked):
        approvals = max(approvals, 2)
        rules.append("plan.dual_signoff")
    elif asked:
        rules.append("plan.pre_approval")
    not_from: tuple[str, ...] = ()
    if level in policy.separation_of_duties:
        not_from = tuple(sorted(set(contributors)))
        rules.append("separation_of_duties")
    return Need(roles=rule.roles, approvals=approvals, not_from=not_from, reason_required=rule.reason_required, rules=tuple(rules))


def roles_of(actor: Actor, policy: Policy) -> tuple[str, ...]:
    """Return the roles an actor holds now: those of the configuration; under `solo` otherwise those with which they came through the door."""
    member = policy.actors.get(actor.id)
    if member is not None:
        return member.roles
    return actor.roles if policy.preset == "solo" else ()


def may_decide(actor: Actor, verdict: Verdict, question: Need, policy: Policy, *, reason: str = "") -> Ruling:
    """Say whether this actor's answer would count."""
    member = policy.actors.get(actor.id)
    if actor.kind != "human" or (member is not None and member.kind != "human"):
        return _deny("actor.agent", f"{actor.id} is not a person; only people decide")
    if verdict is Verdict.APPROVE and actor.id in question.not_from:
        return _deny("separation_of_duties", f"{actor.id} asked for, wrote or edited this plan and may not approve it")
    held = roles_of(actor, policy)
    if not set(held) & set(question.roles):
        return _deny("actor.role", f"{actor.id} holds {_words(held)}; this takes {_words(question.roles, 'or')}")
    if question.reason_required and verdict in (Verdict.APPROVE, Verdict.REJECT) and not reason.strip():
        return _deny("reason.required", "this decision needs a reason")
    return Ruling(answer="allow", rules=question.rules)


def counting(decisions: Sequence[Decision], digest: str) -> tuple[Decision, ...]:
    """Return the decisions that count: about these bytes, the last one of each person."""
    last = {decision.actor.id: decision for decision in decisions if decision.digest == digest}
    return tuple(last.values())


def tally(decisions: Sequence[Decision], digest: str, question: Need, policy: Policy) -> Literal["open", "approved", "rejected"]:
    """Add the answers up, with the roles and rules of now."""
    approvals = 0
    for decision in counting(decisions, digest):
        if not may_decide(decision.actor, decision.verdict, question, policy, reason=decision.reason).is_allowed:
            continue
        if decision.verdict is Verdict.REJECT:
            return "rejected"
        approvals += decision.verdict is Verdict.APPROVE
    return "approved" if approvals >= question.approvals else "open"


def _deny(rule: str, reason: str) -> Ruling:
    return Ruling(answer="deny", rules=(rule,), reasons=(reason,))


def _words(roles: Sequence[str], joiner: str = "and") -> str:
    return f" {joiner} ".join([", ".join(roles[:-1]), roles[-1]] if len(roles) > 1 else roles) if roles else "no role"
