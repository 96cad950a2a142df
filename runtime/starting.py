"""Starting runs: admitted, planned where the plan is written, and driven here or in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..schemas.approval import Actor
from ..schemas.canonical import canonical
from ..schemas.errors import AssentError, NotAllowed, NotFound, RunBusy
from .intake import Reading, take_in
from .ledger.ledger import Ledger
from .locks import Locks
from .run import Run

if TYPE_CHECKING:
    from .planner import Planner

GRAPHS = ("par", "delivery")
"""The graphs that a run may follow."""
_PATIENCE_S = 10.0


class Starting:
    """What begins runs."""

    ledger: Ledger
    locks: Locks
    actor: Actor
    planner: Planner | None
    resume: Callable[[str], Run]
    run: Callable[[str], Run]
    asking: Callable[..., dict[str, Any]]
    _read: Callable[[Any], Reading]
    _drive: Callable[[str], None]
    check_model: Callable[[], None]
    _threads: dict[str, threading.Thread]
    _failures: dict[str, AssentError]

    def start(self, request: Any, *, graph: str = "par", tier: int | None = None, wait: bool = True, run_id: str | None = None, beside: str = "") -> Run:
        """Start a run.

        Args:
            request: plain text (with a model), path of a YAML document, a mapping, a Problem or a Plan.
            tier: authority of the asking agent, 1 to 4; `None` takes the document's own, or no limit.
            wait: return when the run is over or waits for a person; otherwise at once, and the run goes on in a thread of this process.
            run_id: name of the run, for a caller who may call twice: a run of that name that was started for the same is found again.
            beside: id of another run; this one acts in that one's workspace, whichever folder this door was opened for.

        Raises:
            InvalidDocument, InvalidPlan, ModelNeeded, NotFound: nothing was started.
            NotAllowed: `run_id` is no plain name, or names a run that was started for something else.
            RunBusy: the run of that name is on its way in another flow.
        """
        if graph not in GRAPHS:
            raise NotAllowed(f"there is no graph {graph!r}", hint=f"the graphs are: {', '.join(GRAPHS)}")
        ask = take_in(request)
        self.ledger.renew_rules()
        if run_id is not None and self._is_admitted(run_id, self.asking(ask, beside), graph):
            return self.resume(run_id) if wait else self.run(run_id)
        run_id = run_id or "run_" + uuid.uuid4().hex[:16]
        if "words" in ask and self.planner is not None:
            return self._start_with_words(run_id, ask, graph, tier, wait=wait, beside=beside)
        reading = self._read(ask)
        plan, own_tier = reading.plan, tier if tier is not None else reading.tier
        with self.locks.own(run_id), self.ledger.together():
            self.ledger.admit(run_id, self.asking(ask, beside), graph=graph, tier=own_tier, title=plan.problem.title, requester=self.actor.id)
            self.ledger.freeze(run_id, plan, editor=plan.author or self.actor.id)
            if reading.hints:
                self.ledger.note(run_id, "problem.vague", hints=[str(hint) for hint in reading.hints])
            if wait:
                self._drive(run_id)
        if not wait:
            self._in_background(run_id)
        return self.run(run_id)

    def _is_admitted(self, run_id: str, asking: Mapping[str, Any], graph: str) -> bool:
        try:
            known = self.ledger.ask(run_id)
        except NotFound:
            return False
        if known != canonical(asking) or self.ledger.run(run_id).graph != graph:
            raise NotAllowed(f"run {run_id} was started for something else", hint="give another run_id, or none")
        return True

    def _start_with_words(self, run_id: str, ask: Mapping[str, Any], graph: str, tier: int | None, *, wait: bool, beside: str) -> Run:
        self.check_model()
        # Admitted before the model is asked: a reply costs money, and a run that is admitted can go on after a crash.
        with self.locks.own(run_id):
            self.ledger.admit(run_id, self.asking(ask, beside), graph=graph, tier=tier, title=str(ask["words"])[:80], requester=self.actor.id)
            if wait:
                self._drive(run_id)
        if not wait:
            self._in_background(run_id)
        return self.run(run_id)

    async def astart(self, request: Any, *, graph: str = "par", tier: int | None = None) -> Run:
        """Do what `start` does without blocking the event loop."""
        return await asyncio.to_thread(self.start, request, graph=graph, tier=tier)

    def _in_background(self, run_id: str) -> None:
        def go() -> None:
            try:
                self._resume_patiently(run_id)
            except AssentError as error:
                # Nobody here waits for it: who asks for the run finds it, and the ledger says how the run stands.
                self._failures[run_id] = error
            finally:
                self._threads.pop(run_id, None)

        self._failures.pop(run_id, None)
        # Not a daemon: a process that ends normally lets its runs come to rest.
        thread = self._threads[run_id] = threading.Thread(target=go, name=f"assent {run_id}")
        thread.start()

    def _resume_patiently(self, run_id: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self.resume(run_id)
                return
            except RunBusy:
                if time.monotonic() >= deadline:
                    return  # whoever owns it goes on with it
                time.sleep(0.02)

    def failure(self, run_id: str) -> AssentError | None:
        """Return what stopped the thread of this runtime that drove the run, if anything did."""
        return self._failures.get(run_id)

    def is_driving(self, run_id: str) -> bool:
        """Tell whether a thread of this runtime is driving the run."""
        return run_id in self._threads
