"""Does a standing grant cover a call? Pure.

Rules: never anything CRITICAL; the grantor must still hold a role that may approve the call's level; where duties are separated, not for runs
of which the grantor is a contributor; a command is compared byte for byte, a path by its parts after it was collapsed. A plan flows by
grants only when every call in it that would not flow by itself is covered, and never when the plan itself asks for people.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from ..schemas.approval import Actor
from ..schemas.grant import Grant
from ..schemas.plan import Plan
from ..schemas.risk import Level
from .approvals import is_person, roles_of
from .plan_risk import PlanRisk
from .policy import Policy

_TEXT = ("command", "statement", "code")


def covers(
    grant: Grant, tool: str, args: Mapping[str, Any], level: Level, *, requester: str, contributors: Iterable[str], cost_usd: Decimal, policy: Policy,
    now: datetime, workspace: str = "",
) -> bool:
    """Tell whether this grant permits this call now."""
    if level is Level.CRITICAL or level > grant.highest or grant.tool != tool:
        return False
    if grant.revoked_at is not None or not grant.given_at <= now < grant.expires_at or grant.uses_left < 1:
        return False
    if grant.requester and grant.requester != requester:
        return False
    # The same words mean something else in another folder.
    if grant.workspace and grant.workspace != workspace:
        return False
    if grant.left_usd is not None and cost_usd > grant.left_usd:
        return False
    if not could_alone(grant.by, level, policy):
        return False
    if level in policy.separation_of_duties and grant.by.id in set(contributors):
        return False
    return _matches(grant, args)


def could_alone(actor: Actor, level: Level, policy: Policy) -> bool:
    """Tell whether this person could approve this level without anybody else, under the roles and rules of now."""
    stages = policy.approvals[level].stages
    return is_person(actor, policy) and len(stages) == 1 and stages[0].approvals == 1 and bool(set(roles_of(actor, policy)) & set(stages[0].roles))


def flows(
    plan: Plan, risk: PlanRisk, grants: Sequence[Grant], *, requester: str, contributors: Iterable[str], policy: Policy, now: datetime,
    begun: Collection[int] = (), workspace: str = "",
) -> dict[int, Grant] | None:
    """Return the grant that covers each step that would not flow by itself; `None` when some call of the plan is covered by none.

    Args:
        workspace: of the run, as it was recorded.
        begun: numbers of steps that were dispatched before; their use was taken then.

    Uses are counted: a grant with two uses left covers two steps of a plan, not three.
    """
    if risk.whole.level is Level.CRITICAL or any(one.level is not Level.LOW for one in risk.measures):
        return None
    # Whoever wrote that people have to approve this very plan meant people.
    if any(approval.type in ("pre_approval", "dual_signoff") for approval in plan.required_approvals):
        return None
    # What the plan as a whole adds (steps that together are worse, production) needs a person.
    worst = max((one.level.rank for one in (*risk.steps, *(u for u in risk.undos if u))), default=0)
    if risk.whole.level.rank > worst:
        return None
    left = {grant.id: grant for grant in grants}
    found: dict[int, Grant] = {}
    people = tuple(contributors)
    for step, own, undo in zip(plan.steps, risk.steps, risk.undos, strict=True):
        if step.step in begun:
            continue
        level = max((one.level for one in (own, undo) if one is not None), key=lambda one: one.rank)
        if level is Level.LOW and policy.auto_approve == "LOW":
            continue
        cost = Decimal(step.cost_usd or "0")
        grant = next(
            (
                g
                for g in left.values()
                if covers(g, step.tool, step.args, level, requester=requester, contributors=people, cost_usd=cost, policy=policy, now=now, workspace=workspace)
            ),
            None,
        )
        if grant is None:
            return None
        found[step.step] = grant
        left[grant.id] = grant.model_copy(update={"used": grant.used + 1, "spent_usd": str(Decimal(grant.spent_usd) + cost)})
    return found


def _matches(grant: Grant, args: Mapping[str, Any]) -> bool:
    if grant.command and grant.command not in (args.get(name) for name in _TEXT):
        return False
    if grant.path and not all(_below(str(path), grant.path) for path in _paths(args)):
        return False
    if grant.host:
        try:
            host = urlsplit(str(args.get("url", ""))).hostname or ""
        except ValueError:
            return False
        if host.lower() != grant.host.lower():
            return False
    return True


def _paths(args: Mapping[str, Any]) -> list[Any]:
    found = [args[name] for name in ("path", "to", "database") if args.get(name) is not None]
    # A grant that names a path covers only calls that say which path they touch.
    return found or ["/"]


def _below(path: str, root: str) -> bool:
    clean, base = posixpath.normpath(path), posixpath.normpath(root)
    if clean.startswith(("/", "..")) or "\x00" in clean:
        return False
    return base == "." or clean == base or clean.startswith(base + "/")
