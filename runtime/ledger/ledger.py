"""The ledger as nodes and the door use it: one method for each thing that can happen, one transaction each.

Rules:
- A change of state and its log entry are one transaction.
- `dispatch` is the only way to an effect. It re-derives authority from the plan's bytes, the recorded decisions, the rules of now and the
  time, inside the transaction that records the intent.
- Nothing is taken from graph state but names of things to look up.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from ...policies import approvals, authority
from ...policies.plan_risk import PlanRisk
from ...policies.policy import Policy
from ...schemas.approval import Actor, Need, Question, Request, RequestStatus, Verdict
from ...schemas.canonical import canonical, digest
from ...schemas.dispatch import Direction, Dispatch, DispatchState, EffectClass, Receipt
from ...schemas.errors import IllegalTransition, NotAllowed, StaleDecision
from ...schemas.event import Anchor, Event, Verification
from ...schemas.plan import Plan
from ...schemas.results import Artifact, Results
from ...schemas.risk import Level
from ...schemas.ruling import Ruling
from ...schemas.run import RunRow, RunStatus
from . import artifacts, dispatches, log, plans, requests, runs, verify
from .store import Store

_PLAN_OPTIONS = (Verdict.APPROVE, Verdict.REJECT, Verdict.EDIT)
_DOUBT_OPTIONS = (Verdict.HAPPENED, Verdict.DID_NOT_HAPPEN, Verdict.ABANDON)


class Ledger:
    """The durable truth of one home."""

    def __init__(self, path: Path, *, policy: Policy, assess: Callable[[Plan], PlanRisk], clock: Callable[[], datetime]) -> None:
        """Open the ledger.

        Args:
            assess: the risk of a plan under the rules of now; pure for one plan and policy, so its answers are kept by digest.
            clock: returns the wall time, aware.

        Raises:
            StoreError: see `Store`.
        """
        self.store = Store(path, clock=clock)
        self.policy = policy
        self.clock = clock
        self._assess = assess
        self._risks: dict[str, PlanRisk] = {}
        self._plans: dict[str, Plan] = {}
        self.listeners: list[Callable[[Event], None]] = []
        self._told = 0
        with self.store.read() as c:
            self.deployment = str(c.execute("SELECT value FROM meta WHERE key = 'deployment'").fetchone()[0])

    # --- runs and plans -------------------------------------------------------------------------------------------------------------

    def admit(self, run_id: str, ask: Mapping[str, Any], *, graph: str, tier: int | None, title: str, requester: str) -> None:
        """Record a new run and what it was asked for. Admitted twice is admitted once."""
        raw = canonical(ask)
        with self._write(deferred=True) as c:
            runs.admit(
                c, run_id, graph=graph, tier=tier, title=title, requester=requester, ask=raw, ask_digest=digest(raw), at=log.now(c, self.clock)
            )

    def run(self, run_id: str) -> RunRow:
        """Return a run at a glance. Raises: NotFound."""
        with self.store.read() as c:
            return runs.get(c, run_id)

    def runs(self, *, status: str | None = None, limit: int = 50) -> list[RunRow]:
        """Return runs, newest first."""
        with self.store.read() as c:
            return runs.find(c, status=status, limit=limit)

    def ask(self, run_id: str) -> bytes:
        """Return what a run was asked for, as canonical bytes. Raises: NotFound."""
        with self.store.read() as c:
            return runs.ask(c, run_id)

    def freeze(self, run_id: str, plan: Plan, *, editor: str) -> None:
        """Keep a plan as the next version of a run and put it in force."""
        with self._write(deferred=True) as c:
            plans.freeze(c, run_id, plan, editor=editor, at=log.now(c, self.clock))
        self._plans[plan.digest] = plan

    def plan(self, run_id: str) -> Plan | None:
        """Return the plan in force, decoded from its bytes; `None` while there is none."""
        with self.store.read() as c:
            return self._plan_in_force(c, runs.get(c, run_id))

    def risk(self, plan: Plan) -> PlanRisk:
        """Return the risk of a plan under the rules of now."""
        found = self._risks.get(plan.digest)
        if found is None:
            found = self._risks[plan.digest] = self._assess(plan)
        return found

    def _plan_in_force(self, c: Any, run: RunRow) -> Plan | None:
        if not run.version:
            return None
        found = self._plans.get(run.digest)
        if found is None:
            found = plans.get(c, run.id, run.version)
            if found is not None:
                # Keyed by the digest computed from the bytes, so a row changed behind our back cannot change what this process runs.
                self._plans[found.digest] = found
        return found

    def weigh(self, run_id: str) -> tuple[Literal["low", "needs approval", "denied"], Level, tuple[str, ...]]:
        """Record the risk of the plan in force and say where it leads: (route, level, reasons of a denial)."""
        with self._write(deferred=True) as c:
            run = runs.get(c, run_id)
            plan = self._require(c, run)
            risk = self.risk(plan).whole
            at = log.now(c, self.clock)
            if run.status is RunStatus.PLANNING or run.status.is_waiting:
                data = {"digest": plan.digest, "level": risk.level.value, "policy": self.policy.digest, "rules": list(risk.rules[:20]), "tables": risk.tables}
                log.append(c, run_id, "risk.assessed", at, "system", data)
            beyond = authority.beyond_tier(run.tier, plan, risk.level, self.policy)
            if not beyond.is_allowed:
                runs.move(c, run, RunStatus.DENIED, at, "system", rules=list(beyond.rules))
                return "denied", risk.level, beyond.reasons
            if approvals.need(risk.level, plan, plans.contributors(c, run_id), self.policy) is None:
                if run.status is RunStatus.PLANNING or run.status is RunStatus.AWAITING_APPROVAL:
                    runs.move(c, run, RunStatus.RUNNING, at, "system:auto", risk=risk.level.value)
                return "low", risk.level, ()
            return "needs approval", risk.level, ()

    # --- questions ------------------------------------------------------------------------------------------------------------------

    def question(self, run_id: str, kind: Question, subject: Mapping[str, Any], *, again: bool = False) -> str:
        """Return the id of the question of that kind about the plan in force: the standing one, or the next one.

        Args:
            again: the last answer no longer carries, so a settled question is followed by another.
        """
        with self.store.read() as c:
            standing, following = self._asked(c, runs.get(c, run_id), kind, subject)
        return following if standing is None or (again and not standing.is_open) else standing.id

    def _asked(self, c: Any, run: RunRow, kind: Question, subject: Mapping[str, Any]) -> tuple[Request | None, str]:
        """Return the newest question of that kind about the plan in force, and the id of the one that would follow."""
        key = subject.get("key", "")
        asked = [r for r in requests.of_run(c, run.id) if r.kind is kind and r.digest == run.digest and r.subject.get("key", "") == key]
        following = "req_" + hashlib.sha256(canonical([run.id, run.digest, kind.value, key, len(asked) + 1])).hexdigest()[:16]
        return (asked[-1] if asked else None), following

    def open_request(self, request_id: str, run_id: str, kind: Question, subject: Mapping[str, Any]) -> Request:
        """Open a question, once, and let the run wait for it; a question that is there is returned as it stands."""
        with self._write(deferred=True) as c:
            run = runs.get(c, run_id)
            standing, following = self._asked(c, run, kind, subject)
            if not c.execute("SELECT 1 FROM request WHERE id = ? AND run_id = ?", (request_id, run_id)).fetchone():
                # The question of another run must not be shown beside this run's steps, and an open one is not asked again beside itself.
                request_id = standing.id if standing is not None and (standing.is_open or request_id != following) else following
            if (standing is not None and request_id == standing.id) or c.execute("SELECT 1 FROM request WHERE id = ?", (request_id,)).fetchone():
                return requests.get(c, request_id)
            plan = self._require(c, run)
            risk = self.risk(plan).whole
            at = log.now(c, self.clock)
            rule = self.policy.approvals[risk.level]
            request = Request(
                id=request_id, run_id=run_id, kind=kind, digest=plan.digest, version=run.version, risk=risk.level, title=run.title,
                subject=dict(subject), options=self._options(c, run_id, kind), need=self._need(c, run, plan, risk.level),
                requester=run.requester, opened_at=at, decide_by=None if kind is Question.IN_DOUBT else at + timedelta(seconds=rule.decide_within_s),
            )
            requests.open_once(c, request, at)
            runs.move(c, run, RunStatus.IN_DOUBT if kind is Question.IN_DOUBT else RunStatus.AWAITING_APPROVAL, at, "system", request=request_id)
            return request

    def _options(self, c: Any, run_id: str, kind: Question) -> tuple[Verdict, ...]:
        if kind is Question.IN_DOUBT:
            return _DOUBT_OPTIONS
        # An edited plan begins at its first step again, so it may be edited only while nothing was done.
        begun = any(d.direction == "do" for d in dispatches.of_run(c, run_id))
        return (Verdict.APPROVE, Verdict.REJECT) if begun else _PLAN_OPTIONS

    def _need(self, c: Any, run: RunRow, plan: Plan, level: Level) -> Need:
        needed = approvals.need(level, plan, plans.contributors(c, run.id), self.policy)
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
            return requests.of_run(c, run_id)

    def inbox(self, *, limit: int = 50) -> list[Request]:
        """Return open requests of all runs, oldest first."""
        with self.store.read() as c:
            return requests.waiting(c, limit=limit)

    def decide(self, request_id: str, verdict: Verdict, actor: Actor, *, reason: str = "", edit: Plan | None = None, deferred: bool = False) -> Request:
        """Record a person's answer and settle the question when the answers add up.

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
            run = runs.get(c, request.run_id)
            if run.digest != request.digest:
                raise StaleDecision(f"request {request_id} is about another version of the plan", hint=f"`assent show {run.id}` shows the one in force")
            if verdict not in request.options:
                options = ", ".join(option.value for option in request.options)
                raise NotAllowed(f"this question is answered with {options}, not with {verdict.value}", hint=f"`assent show {request_id}` explains it")
            at = log.now(c, self.clock)
            plan = self._require(c, run)
            question = self._need(c, run, plan, self.risk(plan).whole.level)
            ruling = approvals.may_decide(actor, verdict, question, self.policy, reason=reason)
            if not ruling.is_allowed:
                refused = ruling
                log.append(c, run.id, "decision.refused", at, actor.id, {"request": request_id, "rules": list(ruling.rules), "verdict": verdict.value})
            else:
                requests.record(c, request, actor, verdict, reason, at)
                request = self._settled(c, run, request, question, verdict, at, actor, edit)
        if refused is not None:
            raise NotAllowed("; ".join(refused.reasons), hint="`assent show` tells who may decide", rules=list(refused.rules), request=request_id)
        return request

    def _settled(
        self, c: Any, run: RunRow, request: Request, question: Need, verdict: Verdict, at: datetime, actor: Actor, edit: Plan | None
    ) -> Request:
        given = requests.decisions(c, "request_id", request.id)
        request = request.model_copy(update={"decisions": given})
        if verdict is Verdict.EDIT:
            if edit is None or edit.digest == run.digest:
                raise StaleDecision("the edit changes nothing", hint="give the changed plan, or approve or reject this one")
            plans.freeze(c, run.id, edit, editor=actor.id, at=at)
            self._plans[edit.digest] = edit
            return requests.settle(c, request, RequestStatus.EDITED, at, actor.id)
        if request.kind is Question.IN_DOUBT:
            self._adjudicate(c, run, request, verdict, at, actor)
            return requests.settle(c, request, RequestStatus.SETTLED, at, actor.id)
        outcome = approvals.tally(given, request.digest, question, self.policy)
        if outcome == "rejected":
            runs.move(c, run, RunStatus.REJECTED, at, actor.id, request=request.id)
            return requests.settle(c, request, RequestStatus.REJECTED, at, actor.id)
        if outcome == "approved":
            runs.move(c, run, RunStatus.RUNNING, at, actor.id, request=request.id)
            return requests.settle(c, request, RequestStatus.APPROVED, at, actor.id)
        return request

    def _adjudicate(self, c: Any, run: RunRow, request: Request, verdict: Verdict, at: datetime, actor: Actor) -> None:
        quiet = request.subject.get("quiet_after")
        if verdict is Verdict.DID_NOT_HAPPEN and isinstance(quiet, str) and at < datetime.fromisoformat(quiet):
            raise NotAllowed(f"the call could still arrive until {quiet}", hint="answer after that time; until then nobody can know that it did not happen")
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
            return requests.settle(c, request, RequestStatus.EXPIRED, at, "system")

    def due(self, now: datetime | None = None) -> list[str]:
        """Return the ids of open requests whose time to decide has passed."""
        with self.store.read() as c:
            return requests.due(c, self._time(c, now))

    def _time(self, c: Any, now: datetime | None) -> datetime:
        return log.now(c, self.clock if now is None else lambda: now)

    # --- effects --------------------------------------------------------------------------------------------------------------------

    def dispatch(
        self, run_id: str, direction: Direction, step: int, *, effect_class: EffectClass, before: Mapping[str, Any],
        finishing: tuple[Dispatch, Receipt] | None = None,
    ) -> Dispatch | Ruling:
        """Give the permission to run one call once, or say why not.

        Args:
            step: number of the step (`do`, `undo`) or of the measure (`before`, `after`).
            before: what the tool noted; kept with the intent.
            finishing: a call that just ended and its receipt; recorded in the same transaction, whatever the ruling is.

        Returns:
            The dispatch; or the `Ruling` that refused it, whose rules say whether a person can cure it (`authority.CURABLE`).
        """
        with self._write() as c:
            at = log.now(c, self.clock)
            if finishing is not None:
                dispatches.close(c, *finishing, at)
            run = runs.get(c, run_id)
            plan = self._require(c, run)
            known = dispatches.of_step(c, run_id, plan.digest, step, measures=direction in ("before", "after"))
            given, unproved = requests.proved(c, run_id)
            facts = authority.Facts(
                run=run, plan=plan, risk=self.risk(plan).whole, decisions=given, contributors=plans.contributors(c, run_id), dispatches=known,
                now=at, unproved=unproved, went_wrong=direction == "undo" and dispatches.went_wrong(c, run_id, plan.digest),
                back_to=runs.back_to(c, run_id) if direction == "undo" else None,
            )
            ruling = authority.may_run(direction, step, facts, self.policy)
            if not ruling.is_allowed:
                log.append(c, run_id, "step.refused", at, "system", {"direction": direction, "rules": list(ruling.rules), "step": step})
                return ruling
            attempt = 1 + sum(d.direction == direction for d in known)
            return dispatches.insert(
                c, deployment=self.deployment, run_id=run_id, digest=plan.digest, step=step, direction=direction, attempt=attempt,
                effect_class=effect_class, before=before, rules=ruling.rules, at=at,
            )

    def receive(self, dispatch: Dispatch, receipt: Receipt, *, deferred: bool = False) -> Dispatch:
        """Record what came of a dispatched call. `deferred` only where losing the record is harmless because the effect can be looked up."""
        with self._write(deferred=deferred) as c:
            return dispatches.close(c, dispatch, receipt, log.now(c, self.clock))

    def doubt(self, dispatch: Dispatch, why: str) -> Dispatch:
        """Mark a dispatched call whose receipt is missing as in doubt."""
        return self.receive(dispatch, Receipt(status="unknown", summary=why, before=dispatch.before))

    def dispatches(self, run_id: str) -> list[Dispatch]:
        """Return every dispatched call of a run in the order in which they began."""
        with self.store.read() as c:
            return dispatches.of_run(c, run_id)

    # --- ends -----------------------------------------------------------------------------------------------------------------------

    def move(self, run_id: str, status: RunStatus, *, actor: str = "system", deferred: bool = False, **data: Any) -> RunRow:
        """Change the state of a run. Raises: IllegalTransition."""
        with self._write(deferred=deferred) as c:
            return runs.move(c, runs.get(c, run_id), status, log.now(c, self.clock), actor, **data)

    def cancel(self, run_id: str, actor: Actor, reason: str) -> RunRow:
        """End a run that waits; ask one that runs to stop at the next step. Open questions are withdrawn.

        Raises:
            IllegalTransition: the run is over.
        """
        with self._write() as c:
            run = runs.get(c, run_id)
            at = log.now(c, self.clock)
            if run.status.is_over:
                raise IllegalTransition(f"run {run_id} is {run.status.value}; there is nothing left to cancel", hint="`assent rollback` takes back what it did")
            for request in requests.of_run(c, run_id):
                if request.is_open:
                    requests.settle(c, request, RequestStatus.WITHDRAWN, at, actor.id)
            if run.status is RunStatus.RUNNING:
                runs.ask_stop(c, run_id, at, actor.id, reason)
                return runs.get(c, run_id)
            return runs.move(c, run, RunStatus.CANCELLED, at, actor.id, reason=reason)

    def ask_back(self, run_id: str, actor: Actor, to: int) -> None:
        """Record that a person wants what a run did to be taken back, down to and without step `to`. Raises: IllegalTransition."""
        with self._write() as c:
            run = runs.get(c, run_id)
            if not run.status.is_over:
                raise IllegalTransition(f"run {run_id} is {run.status.value}; what it does is taken back when it is over", hint="cancel it first")
            runs.ask_back(c, run_id, log.now(c, self.clock), actor.id, to)

    def finish(self, run_id: str, status: RunStatus, results: Results) -> None:
        """Record the report and the final state of a run."""
        raw = canonical(results.as_json())
        with self._write() as c:
            at = log.now(c, self.clock)
            run = runs.get(c, run_id)
            runs.keep_results(c, run_id, raw, digest(raw), at, results.success)
            runs.move(c, run, status, at, "system")

    def results(self, run_id: str) -> bytes | None:
        """Return the report of a run as JSON bytes, or `None`."""
        with self.store.read() as c:
            return runs.results(c, run_id)

    def keep(self, run_id: str, artifact: Artifact) -> None:
        """Record that a file is kept with a run."""
        with self._write(deferred=True) as c:
            artifacts.index(c, run_id, artifact, log.now(c, self.clock))

    def artifacts(self, run_id: str) -> list[Artifact]:
        """Return the files that are kept with a run."""
        with self.store.read() as c:
            return artifacts.of_run(c, run_id)

    # --- the log --------------------------------------------------------------------------------------------------------------------

    def note(self, run_id: str, kind: str, *, actor: str = "system", deferred: bool = True, **data: Any) -> None:
        """Write an entry that changes nothing else."""
        with self._write(deferred=deferred) as c:
            log.append(c, run_id, kind, log.now(c, self.clock), actor, data)

    def events(self, run_id: str = "", *, after: int = 0, limit: int = -1) -> list[Event]:
        """Return log entries in order."""
        with self.store.read() as c:
            return log.events(c, run_id, after=after, limit=limit)

    def verify(self, anchor: Anchor | None = None) -> Verification:
        """Recompute the whole log and compare every table with it."""
        with self.store.read() as c:
            self.store.flush()  # what another thread of this process has in hand is part of neither answer
            return verify.verify(c, anchor=anchor)

    def anchor(self) -> Anchor:
        """Return the head of the log, to be kept somewhere else."""
        with self.store.read() as c:
            seq, chain, at = log.head(c)
        return Anchor(deployment=self.deployment, entries=seq, head=chain.hex(), at=at or datetime.now(UTC))

    # --- inside ---------------------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _write(self, *, deferred: bool = False) -> Iterator[Any]:
        with self.store.write(deferred=deferred) as c:
            yield c
        if self.listeners and not self.store.connection.in_transaction:
            self._tell()

    def _tell(self) -> None:
        fresh = self.events(after=self._told) if self._told else []
        with self.store.read() as c:
            self._told = log.head(c)[0]
        for event in fresh:
            for listener in list(self.listeners):
                listener(event)

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` for every entry that this process commits from now on; returns what ends it."""
        if not self._told:
            with self.store.read() as c:
                self._told = max(1, log.head(c)[0])
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def _require(self, c: Any, run: RunRow) -> Plan:
        plan = self._plan_in_force(c, run)
        if plan is None:
            raise IllegalTransition(f"run {run.id} has no plan yet", hint="resume it; planning comes first")
        return plan

    def together(self) -> contextlib.AbstractContextManager[None]:
        """Let deferred writes wait for the next full write or the end of the block."""
        return self.store.together()

    def close(self) -> None:
        """Close the store."""
        self.store.close()