"""Threads for agents that block: one for each at once, kept a while for the next ones.

Rules:
- No bound: an agent never waits for another's thread, as it would in a pool of a fixed size.
- Daemonic: an agent that hangs keeps its thread and never the process.
- A thread that is free waits `IDLE_S` for the next agent and then ends; starting one costs as much as everything else that begins an agent, and
  a hundred at once would notice. Source: E13 (agents pooled).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

IDLE_S = 10.0


class Threads:
    """Threads by need."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._free = threading.Semaphore(0)

    def start(self, job: Callable[[], None], name: str) -> None:
        """Run a job that never raises, at once, in a thread of its own."""
        # Whoever takes one of the free has claimed one thread; which of them takes the job makes no difference.
        if self._free.acquire(blocking=False):
            self._jobs.put(job)
        else:
            threading.Thread(target=self._work, args=(job,), name=name, daemon=True).start()

    def _work(self, job: Callable[[], None] | None) -> None:
        while job is not None:
            job()
            del job  # a waiting thread holds nothing of what it did
            job = self._next()

    def _next(self) -> Callable[[], None] | None:
        self._free.release()
        while True:
            try:
                return self._jobs.get(timeout=self._idle_s)
            except Empty:
                # Somebody may have claimed a thread in the same moment: then a job is on its way, here or to another one that is free.
                if self._free.acquire(blocking=False):
                    return None
