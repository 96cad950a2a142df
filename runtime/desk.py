"""The approver's desk: what waits, who looks at it, what was decided, and what is granted in advance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..policies.durations import seconds
from ..schemas.approval import Actor, Question, Request
from ..schemas.decision_record import DecisionRecord
from ..schemas.errors import NotAllowed
from ..schemas.grant import Grant
from ..schemas.risk import Level
from .ledger.asking import CLAIM_S
from .ledger.ledger import Ledger

if TYPE_CHECKING:
    from .run import Run


class Desk:
    """Everything that a person who decides needs besides deciding."""

    ledger: Ledger
    actor: Actor
    decide: Callable[..., Run]
    _where: Callable[[], str]

    def inbox(
        self, *, limit: int = 50, mine: bool = False, risk: str = "", tag: str = "", older_than: str | float = 0, order: str = "oldest",
    ) -> list[Request]:
        """Return the requests that wait for a person, across all runs.

        Args:
            mine: only those that the actor at this door could approve now.
            risk: only of this level.
            tag: only with this tag: an environment or an affected system.
            older_than: only those open for longer: seconds, or text such as `4 hours`.
            order: `oldest` first or by `urgency`.

        Raises:
            NotAllowed: a filter that means nothing.
        """
        if order not in ("oldest", "urgency"):
            raise NotAllowed(f"order {order!r} is unknown", hint="order by `oldest` or by `urgency`")
        if risk and risk.upper() not in Level.__members__:
            raise NotAllowed(f"risk {risk!r} is unknown", hint=f"one of {', '.join(Level)}")
        try:
            older_s = float(seconds(older_than)) if isinstance(older_than, str) and older_than else float(older_than or 0)
        except ValueError as error:
            raise NotAllowed(f"older_than: {error}", hint="for example `4 hours`") from error
        return self.ledger.inbox(
            limit=limit, risk=risk.upper(), tag=tag, older_than_s=older_s, by_urgency=order == "urgency", mine=self.actor if mine else None
        )

    def claim(self, request_id: str, *, release: bool = False, for_s: int = CLAIM_S) -> Request:
        """Tell the other approvers that you look at a request, or no longer do. Keeps nobody from deciding.

        Raises:
            NotFound, StaleDecision: it is not open, or somebody else has claimed it.
        """
        return self.ledger.claim(request_id, self.actor, release=release, lease_s=for_s)

    def approve_many(self, requests: Mapping[str, str] | Iterable[tuple[str, str]], *, reason: str = "") -> list[Run]:
        """Approve several identical LOW or MEDIUM requests at once.

        Args:
            requests: request id and the digest that you saw, for each.

        Raises:
            NotAllowed: they are not identical, not open, above MEDIUM, or a digest is not the one of its request. Nothing is approved.
        """
        pairs = dict(requests)
        found = [(self.ledger.request(request_id), digest) for request_id, digest in pairs.items()]
        self.ledger.look_again()
        shapes = set()
        for request, digest in found:
            if not request.is_open or request.kind is not Question.PLAN:
                raise NotAllowed(f"{request.id} is no open question whether a plan may run", hint="`assent inbox` lists what waits")
            if request.digest != digest:
                raise NotAllowed(f"{request.id} is about {request.digest}, not about {digest}", hint="look at it again; its plan may have been edited")
            plan = self.ledger.plan(request.run_id)
            if plan is None or plan.digest != digest:
                raise NotAllowed(f"the plan of {request.id} is no longer in force", hint="look at it again")
            level = max(request.risk, self.ledger.risk(plan, request.run_id).whole.level, key=lambda one: one.rank)
            if level > Level.MEDIUM:
                raise NotAllowed(f"{request.id} is {level.value}; only LOW and MEDIUM are approved together", hint="decide it by itself")
            # Everything that runs, and when it may.
            calls = [(step.tool, step.args, step.undo) for step in plan.steps], [(m.call, m.repeat) for m in plan.measures]
            shapes.add(repr((*calls, plan.execution_window, plan.problem.context.environment)))
        if len(shapes) > 1:
            raise NotAllowed("these requests do not do the same", hint="only requests with the same steps and arguments are approved together")
        return [self.decide(request.id, "approve", reason=reason) for request, _ in found]

    def grant(self, tool: str, *, valid_for: str | int = "1 hour", **fields: Any) -> Grant:
        """Allow a narrow kind of call in advance.

        Args:
            tool: the tool that it covers.
            valid_for: seconds, or text such as `1 hour`.
            fields: `workspace` (this door's; empty for any), `command`, `path` or `host` (at least one), `uses` (5), `budget_usd`, `highest` (HIGH; never CRITICAL), `requester`, `reason`.

        Raises:
            InvalidDocument, NotAllowed: it is not narrow, or you could not approve it alone.
        """
        try:
            lasts = seconds(valid_for) if isinstance(valid_for, str) else int(valid_for)
        except ValueError as error:
            raise NotAllowed(f"valid_for: {error}", hint="for example `1 hour`") from error
        return self.ledger.give_grant(self.actor, {"uses": 5, "workspace": self._where(), **fields, "tool": tool}, valid_for_s=lasts)

    def grants(self, *, live: bool = True) -> list[Grant]:
        """Return standing grants: those that still cover something, or all."""
        return self.ledger.grants(live=live)

    def revoke(self, grant_id: str) -> Grant:
        """End a standing grant at once. Raises: NotFound, StaleDecision, NotAllowed."""
        return self.ledger.revoke_grant(grant_id, self.actor)

    def decisions(self, search: str = "", *, due_by: datetime | None = None, limit: int = 100) -> list[DecisionRecord]:
        """Return decision records, newest first: those that hold a text, or whose next review is due by a time."""
        return self.ledger.records(search=search, due_by=due_by, limit=limit)
