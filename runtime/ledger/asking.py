"""Asking people, in the ledger: questions opened once, answers by people who may, settled when they add up, expired when they do not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal

from ...policies import approvals
from ...schemas.approval import Actor, Need, Question, Request, RequestStatus, Urgency, Verdict
from ...schemas.canonical import canonical
from ...schemas.dispatch import DispatchState, Receipt
from ...schemas.errors import NotAllowed, StaleDecision
from ...schemas.plan import Plan
from ...schemas.risk import Level
from ...schemas.ruling import Ruling
from ...schemas.run import RunRow, RunStatus
from . import dispatches, log, plans, requests, runs, waiting
from .base import Base
from .known import Known
from .resolving import resolve

_PLAN_OPTIONS = (Verdict.APPROVE, Verdict.REJECT, Verdict.EDIT)
_BEFORE_PLANS = (Question.GATE, Question.CONFLICT)
"""What may be asked before there is a plan."""
_DOUBT_OPTIONS = (Verdict.HAPPENED, Verdict.DID_NOT_HAPPEN, Verdict.ABANDON)
CLAIM_S = 900
"""How long a claim lasts, in seconds."""


class Asking(Base):
    """Requests and decisions."""

    def question(self, run_id: str, kind: Question, subject: Mapping[str, Any], *, again: bool = False) -> str:
        """Return the id of the question of that kind about the plan in force: the standing one, or the next one.

        Args:
            again: the last answer no longer carries, so a settled question is followed by another.
        """
        with self.store.read() as c:
            standing, following = self._asked(self._known(c, run_id), kind, subject)
        if standing is None or (again and not standing.is_open):
            return following
        # An edit settled it, and a later edit put these bytes in force again: everybody is asked again.
        return following if standing.status is RequestStatus.EDITED else standing.id

    def _asked(self, known: Known, kind: Question, subject: Mapping[str, Any]) -> tuple[Request | None, str]:
        """Return the newest question of that kind about the plan in force, and the id of the one that would follow."""
        run, key = known.run, subject.get("key", "")
        asked = [r for r in known.requests if r.kind is kind and r.digest == run.digest and r.subject.get("key", "") == key]
        ids = ["req_" + hashlib.sha256(canonical([run.id, run.digest, kind.value, key, n])).hexdigest()[:16] for n in (len(asked), len(asked) + 1)]
        # By its number, because two questions may have been opened at the same time: the clock of the log can stand still.
        return next((r for r in asked if r.id == ids[0]), None), ids[1]

    def open_request(self, request_id: str, run_id: str, kind: Question, subject: Mapping[str, Any]) -> Request:
        """Open a question, once, and let the run wait for it; a question that is there is returned as it stands."""
        with self._write(deferred=True, keeping=True) as c:
            known = self._known(c, run_id)
            run = known.run
            standing, following = self._asked(known, kind, subject)
            if not any(request.id == request_id for request in known.requests):
                # The question of another run must not be shown beside this run's steps, and an open one is not asked again beside itself.
                request_id = standing.id if standing is not None and (standing.is_open or request_id != following) else following
            found = next((request for request in known.requests if request.id == request_id), None)
            if found is not None:
                if found.is_open and run.status is RunStatus.RUNNING:
                    # Somebody led the run past an open question; it waits for that again.
                    self._move(c, run, RunStatus.IN_DOUBT if found.kind is Question.IN_DOUBT else RunStatus.AWAITING_APPROVAL, log.now(c, self.clock), "system", request=request_id)
                return found
            plan = self._plan_in_force(c, run) if kind in _BEFORE_PLANS else self._require(c, run)
            # What an unwritten plan may do is not known, so it counts as HIGH.
            level = Level.HIGH if plan is None else self.risk(plan, run_id).whole.level
            at = log.now(c, self.clock)
            request = Request(
                id=request_id, run_id=run_id, kind=kind, digest=run.digest if plan is None else plan.digest, version=run.version, risk=level,
                title=run.title, subject=dict(subject), options=self._options(c, run, kind), need=self._need(c, run, plan, asked_at(kind, subject, level)),
                requester=run.requester, urgency=_urgency(plan), required_by=None if plan is None else plan.required_by, tags=_tags(plan), opened_at=at,
                decide_by=None if kind is Question.IN_DOUBT else at + timedelta(seconds=self._decide_within_s(run, level)),
            )
            requests.open_new(c, request, at, with_backup=known.has_backup(request.digest))
            known.asked()
            self._tell_people(c, "request.opened", request, at)
            if not (kind is Question.IN_DOUBT and run.status.is_over):
                # A run that is over keeps its end while a person takes back what it did.
                self._move(c, run, RunStatus.IN_DOUBT if kind is Question.IN_DOUBT else RunStatus.AWAITING_APPROVAL, at, "system", request=request_id)
            return request

    def _options(self, c: Any, run: RunRow, kind: Question) -> tuple[Verdict, ...]:
        if kind is Question.IN_DOUBT:
            return _DOUBT_OPTIONS
        # An edited plan begins at its first step again, so it may be edited only while nothing was done.
        begun = not run.version or any(d.direction == "do" for d in self._known(c, run.id).dispatches)
        return (Verdict.APPROVE, Verdict.REJECT) if begun else _PLAN_OPTIONS

    def _need(self, c: Any, run: RunRow, plan: Plan | None, level: Level) -> Need:
        known = self._known(c, run.id)
        backup = known.has_backup(run.digest if plan is None else plan.digest)
        needed = approvals.need(level, plan, known.contributors, self.policy, backup=backup)
        if needed is None:
            # A question about a plan that could flow (a step in doubt) still takes a person.
            rule = self.policy.approvals[level]
            needed = Need(roles=rule.roles, approvals=1, rules=("question",))
        return needed

    def request(self, request_id: str) -> Request:
        """Return one request; one whose time has passed is settled as expired first. Raises: NotFound."""
        with self.store.read() as c:
            request = requests.get(c, request_id)
            late = request.is_open and request.decide_by is not None and log.now(c, self.clock) >= request.decide_by
        return self.expire(request_id) if late else request

    def requests(self, run_id: str) -> list[Request]:
        """Return every request of a run, oldest first."""
        with self.store.read() as c:
            return list(self._known(c, run_id).requests)

    def inbox(
        self, *, limit: int = 50, risk: str = "", tag: str = "", older_than_s: float = 0, by_urgency: bool = False, mine: Actor | None = None
    ) -> list[Request]:
        """Return open requests of all runs, oldest first or most urgent first.

        Args:
            risk: only of this level.
            tag: only with this tag: an environment or an affected system.
            older_than_s: only those open for longer.
            mine: only those that this actor could approve now.
        """
        roles = None if mine is None or not approvals.is_person(mine, self.policy) else approvals.roles_of(mine, self.policy)
        if mine is not None and not roles:
            return []
        backup = roles is not None and bool(set(roles) & set(self.policy.waiting.backup_roles))
        with self.store.read() as c:
            before = log.now(c, self.clock) - timedelta(seconds=older_than_s) if older_than_s else None
            page = requests.waiting(c, risk=risk, tag=tag, roles=roles, with_backup=backup, before=before, by_urgency=by_urgency)
            return list(islice((r for r in page if mine is None or self._is_for(c, mine, r)), max(0, limit)))

    def _is_for(self, c: Any, actor: Actor, request: Request) -> bool:
        question = request.need
        if self.policy.waiting.backup_roles and waiting.backup_since(c, request.run_id, request.digest):
            question = approvals.with_backup(question, self.policy)
        ruling = approvals.may_decide(actor, Verdict.APPROVE, question, self.policy, reason="yes", decisions=request.decisions)
        return ruling.is_allowed and not any(d.counted and d.actor.id == actor.id for d in request.decisions)

    def claim(self, request_id: str, actor: Actor, *, release: bool = False, lease_s: int = CLAIM_S) -> Request:
        """Tell others that somebody looks at a question, or no longer does. A claim keeps nobody from deciding.

        Raises:
            StaleDecision: it is settled, or claimed by somebody else.
        """
        with self._write() as c:
            request = requests.get(c, request_id)
            if not request.is_open:
                raise StaleDecision(f"request {request_id} is {request.status.value}", hint="`assent inbox` lists what waits")
            at = log.now(c, self.clock)
            if release:
                waiting.release(c, request, actor.id, at)
            else:
                waiting.claim(c, request, actor.id, lease_s=lease_s, at=at)
            return requests.get(c, request_id)

    def decide(
        self, request_id: str, verdict: Verdict, actor: Actor, *, reason: str = "", edit: Plan | None = None, holds: Mapping[str, str] | None = None,
        deferred: bool = False,
    ) -> Request:
        """Record a person's answer and settle the question when the answers add up.

        Args:
            holds: with the approval of a contradiction between agents: conflict → the agent whose side holds, or empty for neither.

        Raises:
            StaleDecision: the question is settled or its time has passed.
            NotAllowed: the answer would not count; nothing is recorded but the attempt.
        """
        self.request(request_id)  # settles what has expired, in a transaction of its own
        refused: Ruling | None = None
        with self._write(deferred=deferred) as c:
            request = requests.get(c, request_id)
            if not request.is_open:
                raise StaleDecision(f"request {request_id} is {request.status.value}; there is nothing left to decide", hint="`assent inbox` lists what waits")
            run = self._known(c, request.run_id).run
            if run.digest != request.digest:
                raise StaleDecision(f"request {request_id} is about another version of the plan", hint=f"`assent show {run.id}` shows the one in force")
            if verdict not in request.options:
                options = ", ".join(option.value for option in request.options)
                raise NotAllowed(f"this question is answered with {options}, not with {verdict.value}", hint=f"`assent show {request_id}` explains it")
            at = log.now(c, self.clock)
            quiet = request.subject.get("quiet_after")
            if verdict is Verdict.DID_NOT_HAPPEN and isinstance(quiet, str) and at < datetime.fromisoformat(quiet):
                raise NotAllowed(f"the call could still arrive until {quiet}", hint="answer after that time; until then nobody can know that it did not happen")
            plan = self._plan_in_force(c, run) if request.kind in _BEFORE_PLANS else self._require(c, run)
            question = self._need(c, run, plan, asked_at(request.kind, request.subject, Level.HIGH if plan is None else self.risk(plan, run.id).whole.level))
            ruling = approvals.may_decide(actor, verdict, question, self.policy, reason=reason, decisions=request.decisions)
            if not ruling.is_allowed:
                refused = ruling
                log.append(c, run.id, "decision.refused", at, actor.id, {"request": request_id, "rules": list(ruling.rules), "verdict": verdict.value})
            else:
                if verdict is Verdict.APPROVE:
                    resolve(c, request, holds, actor.id, at)
                request = requests.record(c, request, actor, verdict, reason, at)
                request = self._settled(c, run, request, question, verdict, at, actor, edit)
        if refused is not None:
            raise NotAllowed("; ".join(refused.reasons), hint=f"`assent show {request_id}` tells who may decide", rules=list(refused.rules), request=request_id)
        return request

    def _settled(
        self, c: Any, run: RunRow, request: Request, question: Need, verdict: Verdict, at: datetime, actor: Actor, edit: Plan | None
    ) -> Request:
        given = request.decisions
        if verdict is Verdict.EDIT:
            if edit is None or edit.digest == run.digest:
                raise StaleDecision("the edit changes nothing", hint="give the changed plan, or approve or reject this one")
            plans.freeze(c, run.id, edit, editor=actor.id, at=at)
            self._plans[edit.digest] = edit
            void = sorted({d.actor.id for d in given if d.verdict is Verdict.APPROVE})
            if void:
                log.append(c, run.id, "request.approvals_void", at, actor.id, {"people": void, "request": request.id})
                self._tell_people(c, "request.approvals_void", request, at, people=void)
            return self._close(c, request, RequestStatus.EDITED, at, actor.id)
        if request.kind is Question.IN_DOUBT:
            # That it did not happen lets it run again, so it takes everybody whom running it takes; the other answers permit nothing.
            if verdict is Verdict.DID_NOT_HAPPEN and approvals.tally(given, request.digest, question, self.policy) != "approved":
                return request
            self._adjudicate(c, run, request, verdict, at, actor)
            return self._close(c, request, RequestStatus.SETTLED, at, actor.id)
        outcome = approvals.tally(given, request.digest, question, self.policy)
        if outcome == "rejected":
            runs.move(c, run, RunStatus.REJECTED, at, actor.id, request=request.id)
            return self._close(c, request, RequestStatus.REJECTED, at, actor.id)
        if outcome == "approved":
            runs.move(c, run, RunStatus.RUNNING, at, actor.id, request=request.id)
            return self._close(c, request, RequestStatus.APPROVED, at, actor.id)
        return request

    def _close(self, c: Any, request: Request, status: RequestStatus, at: datetime, actor: str) -> Request:
        settled = requests.settle(c, request, status, at, actor)
        self._tell_people(c, f"request.{status.value}", settled, at)
        return settled

    def _decide_within_s(self, run: RunRow, level: Level) -> int:
        tier = self.policy.tiers.get(run.tier) if run.tier is not None else None
        own = tier.decide_within_s if tier is not None else None
        return own if own is not None else self.policy.approvals[level].decide_within_s

    def _adjudicate(self, c: Any, run: RunRow, request: Request, verdict: Verdict, at: datetime, actor: Actor) -> None:
        key = request.subject.get("key")
        doubted = next((d for d in dispatches.of_run(c, run.id) if d.key == key and d.state is DispatchState.IN_DOUBT), None)
        if doubted is None:
            raise StaleDecision("the step is no longer in doubt", hint=f"`assent show {run.id}` tells where the run stands")
        said = f"{actor.id} says: {verdict.value.replace('_', ' ')}"
        status: Literal["done", "not_started", "unknown"] = (
            "done" if verdict is Verdict.HAPPENED else "not_started" if verdict is Verdict.DID_NOT_HAPPEN else "unknown"
        )
        state = DispatchState.ABANDONED if verdict is Verdict.ABANDON else None
        before = doubted.receipt.before if doubted.receipt and doubted.receipt.before else doubted.before
        dispatches.close(c, doubted, Receipt(status=status, summary=said, before=before, output={"again": True} if status == "not_started" else {}), at, actor=actor.id, state=state)
        if not run.status.is_over:
            runs.move(c, run, RunStatus.RUNNING, at, actor.id, request=request.id)

    def expire(self, request_id: str, now: datetime | None = None) -> Request:
        """Settle a question whose time to decide has passed; before that time, nothing happens."""
        with self._write() as c:
            request = requests.get(c, request_id)
            at = self._time(c, now)
            if not request.is_open or request.decide_by is None or at < request.decide_by:
                return request
            run = runs.get(c, request.run_id)
            if run.digest == request.digest and run.status is RunStatus.AWAITING_APPROVAL:
                runs.move(c, run, RunStatus.EXPIRED, at, "system", request=request_id)
            return self._close(c, request, RequestStatus.EXPIRED, at, "system")

    def due(self, now: datetime | None = None) -> list[str]:
        """Return the ids of open requests whose time to decide has passed."""
        with self.store.read() as c:
            return requests.due(c, self._time(c, now))


def asked_at(kind: Question, subject: Mapping[str, Any], level: Level) -> Level:
    """Return the level whose people are asked: an overrun does not flow whatever the plan is, and an escalated one goes to those who may approve HIGH.

    Its key names the question, so forging that asks another one.
    """
    if kind is not Question.OVERRUN:
        return level
    least = Level.HIGH if str(subject.get("key", "")).endswith(".escalate") else Level.MEDIUM
    return max(level, least, key=lambda one: one.rank)


def _urgency(plan: Plan | None) -> Urgency:
    if plan is None:
        return "normal"
    priority = plan.problem.context.priority
    return plan.urgency or ("normal" if priority is None or priority == "medium" else priority)


def _tags(plan: Plan | None) -> tuple[str, ...]:
    if plan is None:
        return ()
    context = plan.problem.context
    return tuple(dict.fromkeys(tag for tag in (context.environment, *context.affected_systems) if tag))
