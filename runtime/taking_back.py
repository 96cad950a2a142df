"""Taking back what a run did after it ended: a person asks, and it goes on until every step beyond the rollback point was tried.

Rules: the wish is recorded before anything is undone and ends with the report; while nobody knows whether a call happened, a question waits and
the steps before it stay; whoever resumes or answers lets it go on. The run keeps the state in which it ended until it is wholly taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..policies.approvals import roles_of
from ..policies.policy import Policy
from ..schemas.approval import Actor, Question
from ..schemas.errors import IllegalTransition, NotAllowed
from ..schemas.run import RunStatus
from .ledger.ledger import Ledger
from .locks import Locks
from .run import Run


class TakingBack:
    """What a person may still do about a run that is over."""

    actor: Actor
    ledger: Ledger
    locks: Locks
    policy: Policy
    ports: Any
    run: Callable[[str], Run]
    _hold_workspace: Callable[[str], None]

    def rollback(self, run_id: str, *, to: int = 0) -> Run:
        """Take back what a run did, last step first. See `Run.rollback`."""
        row = self.ledger.run(run_id)
        plan = self.ledger.plan(run_id)
        rows = [d for d in self.ledger.dispatches(run_id) if d.digest == row.digest]
        if not row.status.is_over or row.status is RunStatus.ROLLED_BACK or plan is None or not any(d.direction == "do" for d in rows):
            raise IllegalTransition(f"run {run_id} is {row.status.value}; there is nothing to take back", hint=f"`assent show {run_id}` tells what it did")
        if not 0 <= to < len(plan.steps):
            raise IllegalTransition(f"there is no step after step {to}; the plan has {len(plan.steps)}", hint="`to` is the number of the last step that stays")
        self._may_take_back(row.requester)
        self._hold_workspace(run_id)
        with self.locks.own(run_id):
            self.ledger.ask_back(run_id, self.actor, to)
            self._take_back(run_id, again=True)
        return self.run(run_id)

    def _take_back(self, run_id: str, *, again: bool = False) -> None:
        """Go on with a wish to take back, if there is one. The caller owns the run."""
        from ..nodes.endings import left_behind
        from ..nodes.results import publish
        from ..nodes.rollback import take_back

        to, row, plan = self.ledger.back_to(run_id), self.ledger.run(run_id), self.ledger.plan(run_id)
        if to is None or plan is None:
            return
        question = take_back(run_id, self.ports, to=to, again=again)
        if question is not None:
            asked = question["question"]
            self.ledger.open_request(asked["id"], run_id, Question(asked["kind"]), asked["subject"])
            self.ledger.flush()
            return
        rows = [d for d in self.ledger.dispatches(run_id) if d.digest == row.digest]
        whole = to == 0 and not left_behind(plan, rows, self.ports)
        status = RunStatus.ROLLED_BACK if whole else row.status
        asker = next((event.actor for event in reversed(self.ledger.events(run_id)) if event.type == "rollback.requested"), "somebody")
        publish(row, status, self.ports, why=f"{asker} asked to take it back after it was {row.status.value.replace('_', ' ')}", back_to=to)

    def _may_take_back(self, requester: str) -> None:
        if self.actor.kind != "human" or not (roles_of(self.actor, self.policy) or self.actor.id == requester):
            raise NotAllowed(f"{self.actor.id} may not take this back", hint="the requester may, and anybody who holds a role")
