"""Gates of a delivery, in the ledger: what the checkpoints said, what people made of it, and whether the work is released.

Rules:
- Before a step of a delivery runs, checkpoint 1 has passed or a person entitled to that approved the exception; `dispatch` derives that from here.
- What a checkpoint said is an entry of the log, read back with its place in the chain; the newest of a phase counts. Answers are added up anew, with
  the roles and rules of now, each held against the log.
- An exception is about one synthesis. When the phase says something else later, it is void.
- A resolution counts while everybody whose approval counts says the same.

Source: E3, E7. Deliberately has no table: the log is the record, and `verify` covers it.
"""

from __future__ import annotations

from typing import Any

from ...policies import approvals
from ...schemas.approval import Question, Request, RequestStatus, Verdict
from ...schemas.consolidated import Resolution
from ...schemas.delivery import ANALYSIS, TESTING, Decided, PhaseCheck, ReleaseState
from ...schemas.run import RunRow
from . import log, requests, runs
from .asking import Asking, asked_at
from .resolving import RESOLVED, resolutions

DELIVERY = "delivery"
_CHECKED, _DECIDED = "phase.checked", "release.decided"


class Gates(Asking):
    """Checkpoints, exceptions, resolutions and releases."""

    def check_phase(self, run_id: str, check: PhaseCheck) -> PhaseCheck:
        """Record what a checkpoint said. The same as the newest of the phase again is nothing."""
        with self._write() as c:
            known = newest(c, run_id, check.phase)
            if known is not None and known.model_copy(update={"at": None, "agents": check.agents}) == check:
                return known
            at = log.now(c, self.clock)
            log.append(c, run_id, _CHECKED, at, "system", check.model_dump(mode="json", exclude={"at"}))
            return check.model_copy(update={"at": at})

    def check_of(self, run_id: str, phase: str) -> PhaseCheck | None:
        """Return what the checkpoint of a phase said last; `None`: nothing yet."""
        with self.store.read() as c:
            return newest(c, run_id, phase)

    def has_passed(self, run_id: str) -> bool:
        """Tell whether checkpoint 1 of a delivery holds: passed, or a person entitled to that made an exception."""
        with self.store.read() as c:
            return self._passed(c, runs.get(c, run_id))

    def checkpoint(self, c: Any, run: RunRow) -> bool | None:
        """Return whether checkpoint 1 holds, for a dispatch; `None` for a run whose graph has none."""
        return self._passed(c, run) if run.graph == DELIVERY else None

    def _passed(self, c: Any, run: RunRow) -> bool:
        check = newest(c, run.id, ANALYSIS)
        if check is None or check.passed:
            return check is not None
        return any(self._is_agreed(c, run, one) for one in _about(c, run.id, Question.GATE, ANALYSIS, check.consolidated))

    def is_agreed(self, request_id: str) -> bool:
        """Tell whether people said yes to a question, with their answers held against the log. Raises: NotFound."""
        with self.store.read() as c:
            request = requests.get(c, request_id)
            return self._is_agreed(c, runs.get(c, request.run_id), request)

    def resolutions(self, run_id: str, phase: str) -> tuple[Resolution, ...]:
        """Return what people said about the conflicts of a phase, as far as those whose approval counts agree."""
        with self.store.read() as c:
            run = runs.get(c, run_id)
            settled = [one for one in _about(c, run_id, Question.CONFLICT, phase) if self._is_agreed(c, run, one)]
            return resolutions(settled, reversed(list(log.of_kind(c, run_id, RESOLVED)))) if settled else ()

    def decide_release(self, run_id: str, decided: Decided) -> Decided:
        """Record a go / no-go decision. The same again is nothing."""
        with self._write() as c:
            known = decision_of(c, run_id)
            if known is not None and known.id == decided.id:
                return known
            at = log.now(c, self.clock)
            log.append(c, run_id, _DECIDED, at, "system", decided.model_dump(mode="json", exclude={"at"}))
            return decided.model_copy(update={"at": at})

    def decided(self, run_id: str) -> Decided | None:
        """Return the newest go / no-go decision."""
        with self.store.read() as c:
            return decision_of(c, run_id)

    def release(self, run_id: str) -> ReleaseState:
        """Return where the release of a run stands; empty for a run of another graph."""
        with self.store.read() as c:
            return self._release(c, self._known(c, run_id).run)

    def is_blocked(self, c: Any, run: RunRow) -> bool:
        """Tell whether the work of a delivery is to be taken back, because it was not released and the rules say so."""
        return run.graph == DELIVERY and self.policy.delivery.on_block == "roll_back" and self._release(c, run) in ("blocked", "refused")

    def _release(self, c: Any, run: RunRow) -> ReleaseState:
        if run.graph != DELIVERY:
            return ""
        decided, tested = decision_of(c, run.id), newest(c, run.id, TESTING)
        # A decision is about one plan and one synthesis of its tests.
        if decided is None or tested is None or (decided.plan, decided.consolidated) != (run.digest, tested.consolidated):
            return "open"
        if decided.decision == "BLOCK":
            return "blocked"
        plan = self._plan_in_force(c, run)
        environment = plan.problem.context.environment if plan is not None else None
        if not self.policy.delivery.asks(decided.decision, environment):
            return "released"
        asked = [one for one in requests.of_run(c, run.id) if one.kind is Question.REVIEW and one.subject.get("decided") == decided.id]
        if any(self._is_agreed(c, run, one) for one in asked):
            return "released"
        return "refused" if any(_is_refused(c, one) for one in asked) else "waits"

    def _is_agreed(self, c: Any, run: RunRow, request: Request) -> bool:
        if request.status is not RequestStatus.APPROVED:
            return False
        # As risky as when it was asked: the work itself changes the world in which its plan would be assessed now.
        needed = self._need(c, run, self._plan_in_force(c, run), asked_at(request.kind, request.subject, request.risk))
        return approvals.tally(requests.logged(c, request.id), request.digest, needed, self.policy) == "approved"


def newest(c: Any, run_id: str, phase: str) -> PhaseCheck | None:
    """Return what the checkpoint of a phase said last."""
    found = next((entry for entry in log.of_kind(c, run_id, _CHECKED) if entry["data"]["phase"] == phase), None)
    return None if found is None else PhaseCheck.model_validate({**found["data"], "at": found["at"]})


def decision_of(c: Any, run_id: str) -> Decided | None:
    """Return the newest go / no-go decision."""
    found = next(log.of_kind(c, run_id, _DECIDED), None)
    return None if found is None else Decided.model_validate({**found["data"], "at": found["at"]})


def _is_refused(c: Any, request: Request) -> bool:
    return request.status is RequestStatus.REJECTED and any(one.verdict is Verdict.REJECT for one in requests.logged(c, request.id))


def _about(c: Any, run_id: str, kind: Question, phase: str, consolidated: str = "") -> list[Request]:
    return [
        one for one in requests.of_run(c, run_id)
        if one.kind is kind and one.subject.get("phase") == phase and consolidated in ("", one.subject.get("consolidated"))
    ]
