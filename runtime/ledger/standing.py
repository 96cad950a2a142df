"""What stands beside single runs, in the ledger: grants given in advance, questions that wait too long, details that are due to go."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from ...policies import approvals, escalation
from ...policies.decision_record import record_of
from ...policies.routing import notices_due
from ...schemas.approval import Actor, RequestStatus
from ...schemas.decision_record import DecisionRecord
from ...schemas.errors import Complaint, InvalidDocument, NotAllowed
from ...schemas.escalation import Due
from ...schemas.grant import Grant
from . import grants, log, outbox, requests, retention, waiting
from .base import Base


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
            held = set(approvals.roles_of(actor, self.policy))
            if actor.kind != "human" or not held & {role for stage in rule.stages for role in stage.roles} or sum(s.approvals for s in rule.stages) > 1:
                raise NotAllowed(
                    f"{actor.id} cannot grant {grant.highest.value} in advance", hint=f"one {' or '.join(rule.roles)} has to be able to approve it alone"
                )
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

    def waiting_due(self, now: datetime | None = None, *, limit: int = 10_000) -> list[Due]:
        """Do what is due for questions that wait: reminders, backup, escalation. Returns what this call did; each thing is done once."""
        with self.store.read() as c:
            at = self._time(c, now)
            asked = requests.waiting(c, limit=limit)
        found = [(due, request) for request in asked for due in escalation.due(request, at, self.policy)]
        if not found:
            return []
        done = []
        with self._write() as c:
            for due, request in found:
                current = requests.get(c, request.id)
                if current.is_open and waiting.do(c, due, current, at):
                    outbox.enqueue(c, notices_due(due, current, self.routes), at)
                    done.append(due)
        return done

    def retention_due(self, now: datetime | None = None) -> list[str]:
        """Return the ids of runs whose details are due to go."""
        kept = self.policy.retention
        with self.store.read() as c:
            return retention.due(c, self._time(c, now), completed_s=kept.completed_s, rejected_s=kept.rejected_s)

    def erase(self, run_id: str, now: datetime | None = None) -> None:
        """Remove the details of one run; the log keeps its entries."""
        with self._write() as c:
            retention.erase(c, run_id, self._time(c, now))
            self._plans.clear()

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
        with self.store.read() as c:
            settled = requests.settled(c)
        found = []
        for request in settled:
            if request.settled_at is None or request.status in (RequestStatus.WITHDRAWN,):
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
