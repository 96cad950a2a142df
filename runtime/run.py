"""Run: the handle of one run, for polling, waiting, streaming, resuming and taking back. It holds no state of its own; the ledger does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..schemas.approval import Request
from ..schemas.canonical import parse
from ..schemas.errors import AssentError
from ..schemas.event import Event
from ..schemas.plan import Plan
from ..schemas.progress import Progress
from ..schemas.results import Artifact, Results
from ..schemas.risk import Risk
from ..schemas.run import RunRow, RunStatus

if TYPE_CHECKING:
    from .runtime import Runtime

_POLL_S = 0.05
_LOOKS = 3


class Run:
    """One problem on its way."""

    def __init__(self, run_id: str, runtime: Runtime) -> None:
        self.id = run_id
        self._runtime = runtime

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.status.value}>"

    def _repr_html_(self) -> str:
        from .notebook import show

        return show(self).html

    @property
    def row(self) -> RunRow:
        """Everything about the run at a glance."""
        return self._runtime.ledger.run(self.id)

    @property
    def status(self) -> RunStatus:
        """Where it stands; equals its own name as text."""
        return self.row.status

    @property
    def plan(self) -> Plan | None:
        """The plan in force; `None` while it is being planned."""
        return self._runtime.ledger.plan(self.id)

    @property
    def risk(self) -> Risk | None:
        """The risk of the plan in force under the rules of now; `None` while there is no plan."""
        plan = self.plan
        return None if plan is None else self._runtime.ledger.risk(plan, self.id).whole

    @property
    def requests(self) -> list[Request]:
        """Every question of this run, oldest first; those that wait have `is_open`."""
        return self._runtime.ledger.requests(self.id)

    @property
    def results(self) -> Results | None:
        """The report; `None` until there is one."""
        raw = self._runtime.ledger.results(self.id)
        return None if raw is None else Results.model_validate(parse(raw))

    @property
    def progress(self) -> Progress:
        """Where it stands: phase, steps done, what it does now or waits for, and where it can be taken back to."""
        return self._runtime.progress(self.id)

    @property
    def why(self) -> str:
        """Why it stands where it stands, in a sentence, where its log gives a reason: a model that failed, a budget, a person's words."""
        return why_of(self.events())

    @property
    def error(self) -> AssentError | None:
        """What stopped it where it was started with `wait=False`, in this process; `why` tells the same anywhere."""
        return self._runtime.failure(self.id)

    def events(self, *, after: int = 0) -> list[Event]:
        """Return the entries of the log about this run, in order, from after entry number `after`."""
        return self._runtime.ledger.events(self.id, after=after)

    def artifacts(self) -> list[Artifact]:
        """Return the files that are kept with the run, with their paths."""
        folder = self._runtime.keep.folder / self.id
        return [artifact.model_copy(update={"path": str(folder / artifact.name)}) for artifact in self._runtime.ledger.artifacts(self.id)]

    def resume(self) -> Run:
        """Go on from wherever the ledger says it stands. Nothing that was done is done again.

        Raises:
            RunBusy: another process owns the run.
        """
        return self._runtime.resume(self.id)

    def cancel(self, reason: str = "") -> Run:
        """End it: at once while it waits, at the next step while it runs. Raises: IllegalTransition when it is over."""
        return self._runtime.cancel(self.id, reason)

    def rollback(self, *, to: int = 0) -> Run:
        """Take back what it did, last step first.

        Args:
            to: number of the last step that stays; 0 takes everything back.

        Raises:
            IllegalTransition: it is not over, or nothing was done.
        """
        return self._runtime.rollback(self.id, to=to)

    def stream(self, *, timeout_s: float | None = None) -> Iterator[Event]:
        """Yield the run's events, those that were and those to come, until it is over or waits for a person."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        seen, rest = 0, _Rest(self)
        while True:
            rests = rest.has_come()
            for event in self.events(after=seen):
                seen = event.seq
                yield event
            if rests or (deadline is not None and time.monotonic() >= deadline):
                return
            time.sleep(_POLL_S)

    async def astream(self, *, timeout_s: float | None = None) -> AsyncIterator[Event]:
        """Do what `stream` does, for async callers."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        seen, rest = 0, _Rest(self)
        while True:
            rests = rest.has_come()
            for event in self.events(after=seen):
                seen = event.seq
                yield event
            if rests or (deadline is not None and time.monotonic() >= deadline):
                return
            await asyncio.sleep(_POLL_S)

    def wait(self, timeout_s: float | None = None) -> Run:
        """Return when the run is over or waits for a person, or after `timeout_s` seconds; `status` tells which."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        rest = _Rest(self)
        while not rest.has_come() and (deadline is None or time.monotonic() < deadline):
            time.sleep(_POLL_S)
        return self

    async def await_end(self, timeout_s: float | None = None) -> Run:
        """Do what `wait` does, for async callers."""
        return await asyncio.to_thread(self.wait, timeout_s)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        plan, results, risk = self.plan, self.results, self.risk
        return {
            **self.row.as_json(),
            "risk": None if risk is None else risk.as_json(),
            "plan": None if plan is None else plan.as_json(),
            "requests": [request.as_json() for request in self.requests],
            "results": None if results is None else results.as_json(),
            "progress": self.progress.as_json(),
            "artifacts": [artifact.as_json() for artifact in self.artifacts()],
        }


def why_of(events: Sequence[Event]) -> str:
    """Return the reason that the newest entry about a run's state gives; empty when it gives none."""
    for event in reversed(events):
        if event.type in ("budget.exceeded", "planning.stopped"):
            return str(event.data.get("why", ""))
        if event.type == "run.status":
            return str(event.data.get("why") or event.data.get("reason") or "")
    return ""


class _Rest:
    """Looks, as often as it is asked, whether a run has come to rest."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.idle = 0

    def has_come(self) -> bool:
        """Tell whether the run is over, waits for a person, or has nobody who goes on with it."""
        run, runtime = self.run, self.run._runtime
        status = run.status
        if status.is_over or status.is_waiting:
            # The state is written a moment before the thread that drives the run lets go of it.
            return not runtime.is_driving(run.id)
        # It waits for its window or a larger budget, or its process died. One look is not enough: whoever starts a run in the background lets
        # go of it for a moment.
        self.idle = self.idle + 1 if not runtime.is_driving(run.id) and runtime.locks.is_free(run.id) else 0
        return self.idle >= _LOOKS
