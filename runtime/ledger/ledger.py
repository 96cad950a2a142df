"""The ledger as nodes and the door use it: one method for each thing that can happen, one transaction each.

Rules:
- A change of state and its log entry are one transaction.
- `dispatch` is the only way to an effect. It re-derives authority from the plan's bytes, the recorded decisions, the rules of now and the
  time, inside the transaction that records the intent.
- Nothing is taken from graph state but names of things to look up.

Questions and answers are in `asking.py`, the gates of a delivery in `gates.py`, dispatches in `effects.py`, opinions of models in `opining.py`,
grants, waiting and retention in `standing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from ...policies import approvals, authority
from ...schemas.approval import Actor, RequestStatus
from ...schemas.canonical import canonical, digest
from ...schemas.errors import IllegalTransition, NotAllowed
from ...schemas.event import Anchor, Verification
from ...schemas.plan import Plan
from ...schemas.results import Artifact, Results
from ...schemas.risk import Level
from ...schemas.run import RunRow, RunStatus
from ..keep import is_plain
from . import artifacts, log, plans, requests, runs, verify
from .effects import Effects
from .gates import DELIVERY
from .opining import Opining
from .standing import Standing


class Ledger(Effects, Opining, Standing):
    """The durable truth of one home."""

    # --- runs and plans -------------------------------------------------------------------------------------------------------------

    def admit(self, run_id: str, ask: Mapping[str, Any], *, graph: str, tier: int | None, title: str, requester: str) -> None:
        """Record a new run and what it was asked for. Admitted twice is admitted once.

        Raises:
            NotAllowed: an id that is no plain name, or a tier that is no tier.
        """
        if not is_plain(run_id):
            raise NotAllowed(f"{run_id!r} cannot be the id of a run", hint="a thread's id is made of letters, digits, `.`, `_` and `-`, at most 120")
        if tier is not None and (type(tier) is not int or tier not in self.policy.tiers):
            raise NotAllowed(f"there is no tier {tier!r}", hint=f"the rules know the tiers {', '.join(map(str, sorted(self.policy.tiers)))}")
        raw = canonical(ask)
        with self._write(deferred=True) as c:
            runs.admit(
                c, run_id, graph=graph, tier=tier, title=title, requester=requester, ask=raw, ask_digest=digest(raw), at=log.now(c, self.clock)
            )

    def run(self, run_id: str) -> RunRow:
        """Return a run at a glance. Raises: NotFound."""
        with self.store.read() as c:
            return self._known(c, run_id).run

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
            return self._plan_in_force(c, self._known(c, run_id).run)

    def weigh(self, run_id: str) -> tuple[Literal["low", "needs approval", "denied"], Level, tuple[str, ...]]:
        """Record the risk of the plan in force and say where it leads: (route, level, reasons of a denial)."""
        with self._write(deferred=True, keeping=True) as c:
            known = self._known(c, run_id)
            run = known.run
            plan = self._require(c, run)
            risk = self.risk(plan, run_id).whole
            at = log.now(c, self.clock)
            # A delivery has answered questions before its plan was weighed, so its status does not tell whether this is the first time.
            if run.status is RunStatus.PLANNING or run.status.is_waiting or run.graph == DELIVERY:
                data = {"digest": plan.digest, "level": risk.level.value, "policy": self.policy.digest, "rules": list(risk.rules[:20]), "tables": risk.tables}
                log.append(c, run_id, "risk.assessed", at, "system", data)
            beyond = authority.beyond_tier(run.tier, plan, risk.level, self.policy)
            if not beyond.is_allowed:
                self._move(c, run, RunStatus.DENIED, at, "system", rules=list(beyond.rules))
                return "denied", risk.level, beyond.reasons
            contributors = known.contributors
            needed = approvals.need(risk.level, plan, contributors, self.policy, backup=known.has_backup(plan.digest))
            covered = self.covered(c, run, plan, at) if needed is not None and known.may_have_grants else None
            if needed is None or covered is not None:
                if covered:
                    log.append(c, run_id, "run.granted", at, "system", {"grants": sorted({grant.id for grant in covered.values()})})
                if run.status is RunStatus.PLANNING or run.status is RunStatus.AWAITING_APPROVAL:
                    self._move(c, run, RunStatus.RUNNING, at, "system:auto", risk=risk.level.value)
                return "low", risk.level, ()
            # Who may answer once the backup is called counts: such a question waits, it is not hopeless.
            at_last = approvals.need(risk.level, plan, contributors, self.policy, backup=True) or needed
            nobody = approvals.missing(at_last, self.policy)
            if nobody:
                self._move(c, run, RunStatus.DENIED, at, "system", rules=["approvers.missing"])
                return "denied", risk.level, (f"nobody could approve this: {nobody}",)
            return "needs approval", risk.level, ()

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
                raise IllegalTransition(
                    f"run {run_id} is {run.status.value}; there is nothing left to cancel",
                    hint=f"`assent show {run_id}` tells what it did" + ("" if run.status is RunStatus.ROLLED_BACK else "; `assent rollback` takes it back"),
                )
            for request in requests.of_run(c, run_id):
                if request.is_open:
                    self._close(c, request, RequestStatus.WITHDRAWN, at, actor.id)
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

    def back_to(self, run_id: str) -> int | None:
        """Return the number of the last step that stays, while a person's wish to take a run back is being carried out; otherwise `None`."""
        with self.store.read() as c:
            return runs.back_to(c, run_id)

    def finish(self, run_id: str, status: RunStatus, results: Results) -> None:
        """Record the report and the final state of a run."""
        raw = canonical(results.as_json())
        with self._write(keeping=True) as c:
            at = log.now(c, self.clock)
            run = self._known(c, run_id).run
            if status is RunStatus.COMPLETED and self._release(c, run) not in ("", "released"):
                raise IllegalTransition(f"run {run_id} is not released", hint=f"`assent validate {run_id} --final` tells what is missing")
            runs.keep_results(c, run_id, raw, digest(raw), at, results.success)
            # Keeping the report changed the run, also where that has ended already and does not move.
            after = self._move(c, run.model_copy(update={"updated_at": at}), status, at, "system")
            if after.status.is_over:
                plan = self._plan_in_force(c, run)
                self._tell_people(c, f"run.{status.value}", after, at, risk=None if plan is None else self.risk(plan, run_id).whole.level)

    def results(self, run_id: str) -> bytes | None:
        """Return the report of a run as JSON bytes, or `None`."""
        with self.store.read() as c:
            return runs.results(c, run_id)

    def keep(self, run_id: str, *kept: Artifact) -> None:
        """Record that files are kept with a run."""
        with self._write(deferred=True, keeping=True) as c:
            at = log.now(c, self.clock)
            for artifact in kept:
                artifacts.index(c, run_id, artifact, at)

    def artifacts(self, run_id: str) -> list[Artifact]:
        """Return the files that are kept with a run."""
        with self.store.read() as c:
            return artifacts.of_run(c, run_id)

    # --- the log --------------------------------------------------------------------------------------------------------------------

    def note(self, run_id: str, kind: str, *, actor: str = "system", deferred: bool = True, **data: Any) -> None:
        """Write an entry that changes nothing else."""
        with self._write(deferred=deferred, keeping=True) as c:
            log.append(c, run_id, kind, log.now(c, self.clock), actor, data)

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
