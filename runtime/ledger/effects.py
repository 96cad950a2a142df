"""Effects, in the ledger: the permission to run one call once, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from ...policies import authority, windows
from ...policies import grants as granting
from ...schemas.dispatch import Direction, Dispatch, DispatchState, EffectClass, Receipt
from ...schemas.grant import Grant
from ...schemas.plan import Plan
from ...schemas.ruling import Ruling
from ...schemas.run import RunRow
from . import dispatches, grants, log, runs
from .gates import Gates
from .known import Known


class Effects(Gates):
    """Dispatches and receipts."""

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
        self.renew_rules()
        with self._write(keeping=True) as c:
            at = log.now(c, self.clock)
            known = self._known(c, run_id)
            if finishing is not None:
                known.keep(dispatches.close(c, *finishing, at))
            run = known.run
            plan = self._require(c, run)
            before_it = known.of_step(plan.digest, step, measures=direction in ("before", "after"))
            given, unproved = known.proved
            facts = authority.Facts(
                run=run, plan=plan, risk=self.risk(plan, run_id).whole, decisions=given, contributors=known.contributors, dispatches=before_it,
                now=at, unproved=unproved, went_wrong=direction == "undo" and dispatches.went_wrong(c, run_id, plan.digest),
                back_to=runs.back_to(c, run_id) if direction == "undo" else None, backup=known.has_backup(run.digest),
                grants=self.covered(c, run, plan, at) if direction in ("do", "before") and known.may_have_grants else None,
                checkpoint=self._holds(c, known) if direction in ("do", "before") else None,
                blocked=direction == "undo" and self.is_blocked(c, run),
            )
            known.assent = known.assent or authority.assent_of(facts, self.policy)
            ruling = authority.may_run(direction, step, facts, self.policy, assent=known.assent)
            if not ruling.is_allowed:
                log.append(c, run_id, "step.refused", at, "system", {"direction": direction, "rules": list(ruling.rules), "step": step})
                return ruling
            attempt = 1 + sum(d.direction == direction for d in before_it)
            found = dispatches.insert(
                c, deployment=self.deployment, run_id=run_id, digest=plan.digest, step=step, direction=direction, attempt=attempt,
                effect_class=effect_class, before=before, rules=ruling.rules, at=at,
            )
            known.keep(found)
            grant = (facts.grants or {}).get(step) if direction == "do" and "grant" in ruling.rules else None
            if grant is not None:
                grants.use(c, grant, key=found.key, run_id=run_id, step=step, cost_usd=Decimal(plan.steps[step - 1].cost_usd or "0"), at=at)
            return found

    def _holds(self, c: Any, known: Known) -> bool | None:
        """Return whether checkpoint 1 holds; read once for as long as nobody wrote anything but calls."""
        if known.checkpoint is None:
            known.checkpoint = self.checkpoint(c, known.run)
        return known.checkpoint

    def covered(self, c: Any, run: RunRow, plan: Plan, at: datetime) -> dict[int, Grant] | None:
        """Return the standing grant that covers each step of a plan that is not LOW and not done yet; `None` when they do not cover it."""
        live = grants.live(c, at)
        if not live and not grants.used_by(c, run.id):
            return None
        known = self._known(c, run.id)
        # What is known not to have happened may run again, and then takes a grant that holds now.
        begun = {d.step for d in known.dispatches if d.digest == plan.digest and d.direction == "do" and d.state is not DispatchState.NOT_STARTED}
        found = granting.flows(
            plan, self.risk(plan, run.id), live, requester=run.requester, contributors=known.contributors, policy=self.policy, now=at, begun=begun,
            workspace=self.workspace(run.id),
        )
        # Nothing left to cover is only an answer for a run that came this far by grants.
        return found if found or grants.used_by(c, run.id) else None

    def opens_at(self, run_id: str) -> datetime | None:
        """Return when steps of a run may run, now or later; `None` when its windows never open again. Told to the log when it is later."""
        with self._write() as c:
            run = runs.get(c, run_id)
            plan = self._require(c, run)
            at = log.now(c, self.clock)
            opens = windows.next_opening(self.policy.windows, plan.execution_window, at)
            if opens is not None and opens > at:
                log.append(c, run_id, "run.waits", at, "system", {"until": opens.isoformat()})
            return opens

    def waits_until(self, run_id: str) -> datetime | None:
        """Return until when a run waits for its window; `None` when it does not."""
        with self.store.read() as c:
            newest = c.execute("SELECT bytes FROM event WHERE run_id = ? AND run_id <> '' ORDER BY seq DESC", (run_id,))
            # Notices are delivered while the run waits; what they leave in the log is not news of the run.
            event = next((found for found in (log.read(row[0]) for row in newest) if not found.type.startswith("notice.")), None)
        return datetime.fromisoformat(event.data["until"]) if event is not None and event.type == "run.waits" else None

    def receive(self, dispatch: Dispatch, receipt: Receipt, *, deferred: bool = False) -> Dispatch:
        """Record what came of a dispatched call. `deferred` only where losing the record is harmless because the effect can be looked up."""
        with self._write(deferred=deferred, keeping=True) as c:
            known = self._known(c, dispatch.run_id)
            closed = dispatches.close(c, dispatch, receipt, log.now(c, self.clock))
            known.keep(closed)
            return closed

    def doubt(self, dispatch: Dispatch, why: str) -> Dispatch:
        """Mark a dispatched call whose receipt is missing as in doubt."""
        return self.receive(dispatch, Receipt(status="unknown", summary=why, before=dispatch.before))

    def dispatches(self, run_id: str) -> list[Dispatch]:
        """Return every dispatched call of a run in the order in which they began."""
        with self.store.read() as c:
            return self._known(c, run_id).dispatches

