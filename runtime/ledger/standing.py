"""What stands beside single runs, in the ledger: grants given in advance, questions that wait too long, details that are due to go."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from ...policies import approvals, escalation
from ...policies import grants as granting
from ...policies.decision_record import record_of
from ...policies.routing import notices_due
from ...schemas.approval import Actor, RequestStatus
from ...schemas.decision_record import DecisionRecord
from ...schemas.errors import Complaint, InvalidDocument, NotAllowed
from ...schemas.escalation import Due
from ...schemas.grant import Grant
from . import grants, log, outbox, requests, retention, waiting
from .base import Base

_AT_ONCE = 500
"""Questions looked at in one transaction of a sweep, so that nobody waits long for it."""


class Standing(Base):
    """Grants, waiting, retention, records."""

    def give_grant(self, actor: Actor, fields: Mapping[str, Any], *, valid_for_s: int) -> Grant:
        """Record a standing grant.

        Args:
            fields: of `Grant`: tool, and command, path or host; uses, highest, budget_usd, requester, reason.

        Raises:
            InvalidDocument: the grant is not narrow, or a field is wrong.
            NotAllowed: the actor could not approve by themselves what they would grant.
        """
        with self._write() as c:
            at = log.now(c, self.clock)
            try:
                grant = Grant.model_validate(
                    {**fields, "id": "grt_" + uuid.uuid4().hex[:16], "by": actor, "given_at": at, "expires_at": at + timedelta(seconds=valid_for_s)}
                )
            except ValidationError as error:
                complaints = [Complaint(where=".".join(map(str, e["loc"])) or "grant", expected=e["msg"].removeprefix("Value error, ")) for e in error.errors()]
                raise InvalidDocument(complaints, hint="for example tool=shell command='make docs' uses=5") from error
            rule = self.policy.approvals[grant.highest]
            if not granting.could_alone(actor, grant.highest, self.policy):
                roles = " or ".join(dict.fromkeys(role for stage in rule.stages for role in stage.roles))
                raise NotAllowed(f"{actor.id} cannot grant {grant.highest.value} in advance", hint=f"one {roles} has to be able to approve it alone")
            grants.give(c, grant, at)
            return grant

    def grants(self, *, live: bool = True, limit: int = 100) -> list[Grant]:
        """Return grants that still cover something, or all."""
        with self.store.read() as c:
            return grants.live(c, log.now(c, self.clock)) if live else grants.every(c, limit=limit)

    def revoke_grant(self, grant_id: str, actor: Actor) -> Grant:
        """End a grant at once. Raises: NotFound, StaleDecision, NotAllowed."""
        with self._write() as c:
            grant = grants.get(c, grant_id)
            if actor.kind != "human" or (actor.id != grant.by.id and not approvals.roles_of(actor, self.policy)):
                raise NotAllowed(f"{actor.id} may not revoke this", hint="whoever gave it may, and anybody who holds a role")
            return grants.revoke(c, grant_id, actor=actor.id, at=log.now(c, self.clock))

    def waiting_due(self, now: datetime | None = None) -> list[Due]:
        """Do what is due for questions that wait: reminders, backup, escalation. Returns what this call did; each thing is done once."""
        done = []
        with self.store.read() as c:
            at = self._time(c, now)
            known = waiting.done(c)
            asked = requests.open_ids(c)
        for start in range(0, len(asked), _AT_ONCE):
            with self.store.read() as c:
                page = [requests.get(c, request_id) for request_id in asked[start : start + _AT_ONCE]]
            found = [due for request in page for due in escalation.due(request, at, self.policy) if (due.request_id, due.kind, due.number) not in known]
            if not found:
                continue
            with self._write() as c:
                for due in found:
                    current = requests.get(c, due.request_id)
                    if current.is_open and waiting.do(c, due, current, at):
                        if due.kind == "backup":
                            requests.list_for_backup(c, current)
                        outbox.enqueue(c, notices_due(due, current, self.routes), at)
                        done.append(due)
        return done

    def retention_due(self, now: datetime | None = None) -> list[str]:
        """Return the ids of runs whose details are due to go."""
        kept = self.policy.retention
        with self.store.read() as c:
            return retention.due(c, self._time(c, now), completed_s=kept.completed_s, rejected_s=kept.rejected_s)

    def erase(self, run_id: str, now: datetime | None = None) -> bool:
        """Remove the details of one run; the log keeps its entries. False when they were gone already."""
        with self._write() as c:
            is_new = retention.erase(c, run_id, self._time(c, now))
            self._plans.clear()
        return is_new

    def prune_notices(self, now: datetime | None = None) -> int:
        """Remove notices that were sent longer ago than details of runs are kept. Returns how many."""
        with self._write() as c:
            return outbox.prune(c, self._time(c, now) - timedelta(seconds=self.policy.retention.completed_s))

    def records(self, *, due_by: datetime | None = None, search: str = "", limit: int = 100) -> list[DecisionRecord]:
        """Return decision records of settled questions, newest first.

        Args:
            due_by: only those whose next review is due by then.
            search: only those that hold this text, in any case.
        """
        found = []
        with self.store.read() as c:
            for request in requests.settled(c):
                if request.settled_at is None or request.status is RequestStatus.WITHDRAWN:
                    continue
                record = record_of(request, settled_at=request.settled_at, review_after_s=self.policy.review_after_s)
                if due_by is not None and (record.next_review_at is None or record.next_review_at > due_by):
                    continue
                if search.lower() not in record.markdown().lower():
                    continue
                found.append(record)
                if len(found) >= limit:
                    break
        return found
