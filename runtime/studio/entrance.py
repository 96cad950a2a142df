"""The home of this process as a web door sees it: one Runtime, the keys to it, and runs that go on behind an answer.

Rules: opened when it is first needed, not when it is imported; one for the process, because the page, the authentication and the graph of
one server stand at the same ledger. A run goes on in a thread, so that nobody's browser waits for its steps.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping

from ...schemas.errors import AssentError, RunBusy
from ...schemas.plan import Plan
from ..cli.steps import headline
from ..runtime import Runtime
from .gate import Gate
from .keys import Keys

_PATIENCE_S = 10.0
_HEADLINES = 64
_OPENING = threading.Lock()
_opened: Entrance | None = None


class Entrance:
    """A runtime and its keys."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.keys = Keys(runtime.home.root, owner=runtime.actor, policy=runtime.policy, clock=runtime.clock)
        self.gate = Gate(runtime)
        self.troubles: dict[str, AssentError] = {}
        """Why a run could not go on, by run."""
        self._headlines: dict[str, Mapping[int, str]] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()

    def go_on(self, run_id: str) -> None:
        """Let a run go on from wherever it stands, in a thread of this process. Nothing happens where one is at it already."""
        with self._lock:
            if run_id in self._threads:
                return
            # Not a daemon: a server that ends normally lets its runs come to rest.
            thread = self._threads[run_id] = threading.Thread(target=self._drive, args=(run_id,), name=f"assent {run_id}")
        thread.start()

    def is_driving(self, run_id: str) -> bool:
        """Tell whether a thread of this entrance drives a run."""
        return run_id in self._threads

    def headlines(self, plan: Plan) -> Mapping[int, str]:
        """Return what the tools say that the steps of a plan do, as it was when somebody first looked: afterwards it would describe the result."""
        found = self._headlines.get(plan.digest)
        if found is None:
            place = self.runtime.place("")
            found = {step.step: headline(step.call, self.runtime.tools, place) for step in plan.steps}
            if len(self._headlines) >= _HEADLINES:
                self._headlines.pop(next(iter(self._headlines)), None)
            self._headlines[plan.digest] = found
        return found

    def wait(self) -> None:
        """Wait for the runs that go on."""
        for thread in list(self._threads.values()):
            thread.join()

    def close(self) -> None:
        """Wait for the runs that go on, then close the runtime."""
        self.wait()
        self.runtime.close()

    def _drive(self, run_id: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        try:
            while True:
                try:
                    self.runtime.resume(run_id)
                    self.troubles.pop(run_id, None)
                    return
                except RunBusy:
                    if time.monotonic() >= deadline:
                        return  # whoever owns it goes on with it
                    time.sleep(0.05)
        except AssentError as error:
            self.troubles[run_id] = error
        finally:
            with self._lock:
                del self._threads[run_id]


def entrance(opening: Callable[[], Runtime] | None = None) -> Entrance:
    """Return this process's entrance, opened from ASSENT_HOME, ASSENT_WORKSPACE and ASSENT_CONFIG at the first call.

    Args:
        opening: opens the runtime instead, where none is open yet.

    Raises:
        AssentError: the home cannot be opened.
    """
    global _opened
    with _OPENING:
        if _opened is None:
            _opened = Entrance(opening() if opening is not None else _from_environment())
        return _opened


def leave() -> None:
    """Close this process's entrance; the next call of `entrance` opens it again."""
    global _opened
    with _OPENING:
        found, _opened = _opened, None
    if found is not None:
        found.close()


def _from_environment() -> Runtime:
    from ..runtime import open as open_runtime

    given = os.environ.get
    return open_runtime(given("ASSENT_HOME") or ".assent", workspace=given("ASSENT_WORKSPACE") or ".", config=given("ASSENT_CONFIG") or None)
