"""Who may answer a question, how many it takes, in which order, and what the answers add up to. Pure.

Rules, in the order in which they are asked:
- An agent never decides, whatever role it was given.
- Not the requester, author or editor, at the levels where duties are separated.
- Only a role that the present stage asks for; roles are those of now, not those of the moment of the vote.
- One person counts once, over all stages; the last answer of a person is the one that counts.
- So many rejections by people entitled at any stage, one unless the rule says otherwise, settle the question: rejected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from ..schemas.approval import PERMITS, Actor, Decision, Need, Stage, Verdict
from ..schemas.plan import Plan
from ..schemas.risk import Level
from ..schemas.ruling import Ruling
from .policy import Policy

ALL_ROLES = ("developer", "lead", "admin")


def need(level: Level, plan: Plan | None, contributors: Iterable[str], policy: Policy, *, backup: bool = False) -> Need | None:
    """Return what it takes to approve this plan, or `None` when it may flow without a person.

    Args:
        level: risk of the whole plan.
        plan: `None` while a question is asked before there is one.
        contributors: requester, author and every editor, by id.
        backup: the question waited so long that the backup roles may answer as well.
    """
    rule = policy.approvals[level]
    asked = [approval for approval in (plan.required_approvals if plan is not None else ()) if approval.type in ("pre_approval", "dual_signoff")]
    if level is Level.LOW and policy.auto_approve == "LOW" and not asked:
        return None
    rules = [f"approvals.{level.value}"]
    stages = list(rule.stages)
    for approval in reversed(asked):
        role = role_named(approval.approver, policy)
        if role is not None and not any(set(stage.roles) == {role} for stage in stages):
            stages.insert(0, Stage(roles=(role,)))
    if any(approval.type == "dual_signoff" for approval in asked) and sum(stage.approvals for stage in stages) < 2:
        stages[-1] = stages[-1].model_copy(update={"approvals": 2})
        rules.append("plan.dual_signoff")
    elif asked:
        rules.append("plan.pre_approval")
    if backup and policy.waiting.backup_roles:
        stages = [stage.model_copy(update={"roles": tuple(dict.fromkeys((*stage.roles, *policy.waiting.backup_roles)))}) for stage in stages]
        rules.append("waiting.backup")
    not_from: tuple[str, ...] = ()
    if level in policy.separation_of_duties:
        not_from = tuple(sorted(set(contributors)))
        rules.append("separation_of_duties")
    return Need(
        roles=tuple(dict.fromkeys(role for stage in stages for role in stage.roles)), approvals=sum(stage.approvals for stage in stages),
        stages=tuple(stages) if len(stages) > 1 else (), denials=rule.denials, not_from=not_from, reason_required=rule.reason_required, rules=tuple(rules),
    )


def role_named(written: str, policy: Policy) -> str | None:
    """Return the configured role that a document means by `Tech Lead`, or `None` when there is none of that name."""
    plain = written.strip().lower().replace("-", " ").replace("_", " ")
    return next((role for role in policy.roles if role.lower().replace("-", " ").replace("_", " ") == plain), None)


def roles_of(actor: Actor, policy: Policy) -> tuple[str, ...]:
    """Return the roles an actor holds now: those of the configuration; under `solo` otherwise those with which they came through the door."""
    member = policy.actors.get(actor.id)
    if member is not None:
        return member.roles
    return actor.roles if policy.preset == "solo" else ()


def is_person(actor: Actor, policy: Policy) -> bool:
    """Tell whether this is a person, both by what came through the door and by the configuration."""
    member = policy.actors.get(actor.id)
    return actor.kind == "human" and (member is None or member.kind == "human")


def with_backup(question: Need, policy: Policy) -> Need:
    """Return a question that the backup roles may answer as well, at every stage."""
    extra = policy.waiting.backup_roles
    stages = tuple(stage.model_copy(update={"roles": tuple(dict.fromkeys((*stage.roles, *extra)))}) for stage in question.stages)
    return question.model_copy(update={"roles": tuple(dict.fromkeys((*question.roles, *extra))), "stages": stages})


def may_decide(actor: Actor, verdict: Verdict, question: Need, policy: Policy, *, reason: str = "", decisions: Sequence[Decision] = ()) -> Ruling:
    """Say whether this actor's answer would count.

    Args:
        decisions: what was answered before about the same bytes; they tell which stage of a chain is the present one.
    """
    if not is_person(actor, policy):
        return _deny("actor.agent", f"{actor.id} is not a person; only people decide")
    if verdict in PERMITS and actor.id in question.not_from:
        return _deny("separation_of_duties", f"{actor.id} asked for, wrote or edited this plan and may not approve it")
    held = set(roles_of(actor, policy))
    wanted: Sequence[str] = question.roles
    if verdict in PERMITS:
        others = [decision for decision in decisions if decision.actor.id != actor.id]
        wanted = _present(others, question, policy).roles
    if not held & set(wanted):
        first = "; the chain asks them first" if held & set(question.roles) else ""
        return _deny("actor.role", f"{actor.id} holds {_words(sorted(held))}; this takes {_words(wanted, 'or')}{first}")
    if question.reason_required and verdict in (*PERMITS, Verdict.REJECT) and not reason.strip():
        return _deny("reason.required", "this decision needs a reason")
    return Ruling(answer="allow", rules=question.rules)


def counting(decisions: Sequence[Decision], digest: str) -> tuple[Decision, ...]:
    """Return the decisions that count: about these bytes, the last one of each person, in the order in which each took their stand.

    Args:
        decisions: in the order in which they were given; their times cannot tell, because the clock of the log can stand still.
    """
    last: dict[str, Decision] = {}
    for decision in decisions:
        if decision.digest != digest:
            continue
        held = last.get(decision.actor.id)
        if held is not None and held.verdict is not decision.verdict:
            # A changed mind goes to the end of the row; the same answer again keeps its place, so that it costs nobody after it theirs.
            del last[decision.actor.id]
        last[decision.actor.id] = decision
    return tuple(last.values())


def tally(decisions: Sequence[Decision], digest: str, question: Need, policy: Policy) -> Literal["open", "approved", "rejected"]:
    """Add the answers up, with the roles and rules of now."""
    given = counting(decisions, digest)
    rejected = [d for d in given if d.verdict is Verdict.REJECT and may_decide(d.actor, d.verdict, question, policy, reason=d.reason).is_allowed]
    if len(rejected) >= question.denials:
        return "rejected"
    return "approved" if _filled(given, question, policy) == len(question.chain) else "open"


def _present(decisions: Sequence[Decision], question: Need, policy: Policy) -> Stage:
    """Return the stage that waits; the last one when all are filled."""
    given = counting(decisions, decisions[0].digest) if decisions else ()
    return question.chain[min(_filled(given, question, policy), len(question.chain) - 1)]


def _filled(given: Sequence[Decision], question: Need, policy: Policy) -> int:
    """Return how many stages the approvals fill, in order; an approval counts for the stage that waited when it was given."""
    stage, have = 0, 0
    for decision in given:
        if stage == len(question.chain) or decision.verdict not in PERMITS:
            continue
        alone = question.model_copy(update={"roles": question.chain[stage].roles, "stages": ()})
        if not may_decide(decision.actor, decision.verdict, alone, policy, reason=decision.reason).is_allowed:
            continue
        have += 1
        if have >= question.chain[stage].approvals:
            stage, have = stage + 1, 0
    return stage


def missing(question: Need, policy: Policy) -> str:
    """Say who is missing for a question that nobody could ever settle; empty when the configured people are enough.

    Only a closed list of people can be counted: under `solo` whoever stands at the door may be somebody new.
    """
    if policy.preset == "solo":
        return ""
    people = {name: set(member.roles) for name, member in policy.actors.items() if member.kind == "human" and name not in question.not_from}
    places: dict[tuple[int, int], str] = {}
    for number, stage in enumerate(question.chain, 1):
        for place in range(stage.approvals):
            if _seat((number, place), question, people, places, set()):
                continue
            eligible = [name for name, roles in people.items() if roles & set(stage.roles)]
            where = f"stage {number} of the chain" if len(question.chain) > 1 else "it"
            barred = f" ({', '.join(question.not_from)} may not: they asked for, wrote or edited it)" if question.not_from else ""
            twice = ", beside those whom the stages before it need" if len(eligible) >= stage.approvals else ""
            return (
                f"{where} takes {stage.approvals} of {_words(stage.roles, 'or')}{twice}, and only {len(eligible)} could: "
                f"{', '.join(eligible) or 'nobody'}{barred}"
            )
    return ""


def _seat(
    place: tuple[int, int], question: Need, people: Mapping[str, set[str]], places: dict[tuple[int, int], str], asked: set[str]
) -> bool:
    """Give a place of a chain to somebody, moving others where that helps: a chain that can be filled is never refused."""
    for name, roles in people.items():
        if name in asked or not roles & set(question.chain[place[0] - 1].roles):
            continue
        asked.add(name)
        taken = next((other for other, who in places.items() if who == name), None)
        if taken is None or _seat(taken, question, people, places, asked):
            places[place] = name
            return True
    return False


def _deny(rule: str, reason: str) -> Ruling:
    return Ruling(answer="deny", rules=(rule,), reasons=(reason,))


def _words(roles: Sequence[str], joiner: str = "and") -> str:
    return f" {joiner} ".join([", ".join(roles[:-1]), roles[-1]] if len(roles) > 1 else roles) if roles else "no role"
