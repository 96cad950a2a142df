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
Job = Callable[[], None]
Inbox = SimpleQueue[Job]


class Threads:
    """Threads by need."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        # An inbox for each: with one queue for all of them, a thread that loses a job to another one can wait for ever (SimpleQueue's time-out).
        self._free: list[Inbox] = []
        self._lock = threading.Lock()

    def start(self, job: Job, name: str) -> None:
        """Run a job that never raises, at once, in a thread of its own."""
        with self._lock:
            inbox = self._free.pop() if self._free else None
        if inbox is not None:
            inbox.put(job)
        else:
            threading.Thread(target=self._work, args=(job, SimpleQueue()), name=name, daemon=True).start()

    def _work(self, job: Job | None, inbox: Inbox) -> None:
        while job is not None:
            job()
            del job  # a waiting thread holds nothing of what it did
            job = self._next(inbox)

    def _next(self, inbox: Inbox) -> Job | None:
        with self._lock:
            self._free.append(inbox)
        try:
            return inbox.get(timeout=self._idle_s)
        except Empty:
            with self._lock:
                if inbox in self._free:
                    self._free.remove(inbox)
                    return None
            return inbox.get()  # claimed in the same moment: the job is on its way
