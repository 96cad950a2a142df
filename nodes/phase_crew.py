"""The crew: agents at work, each on its own, and waiting for them no longer than their limit. Shared by the stations of a phase.

Rules:
- LangGraph's thread pool (as few as five) does not limit how many agents work at once: a blocking agent has a daemonic thread of its own, a
  coroutine of an async caller a task on the caller's loop. With more agents than a phase has, only the first stations wait; the others leave it
  to the collecting one, so that LangGraph's work for each of them is done while the agents work.
- Starting the same work twice is starting it once, so stations may be run again.
- An agent has answered or was given up, whichever came first, under one lock: a late answer is never kept.
- Answers are settled one after the other by one thread: a hundred that arrive at once would otherwise fight over the interpreter.
- A thread cannot be killed. It is abandoned, and it ends with the process; what has to be stopped for certain runs in a process of its own
  (`runtime/phases/agent_process.py`).
- Agents don't inherit LangGraph's context: a compiled graph that is an agent is nobody's subgraph.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import partial
from typing import Any

from .phase_threads import Threads

Key = tuple[str, ...]
AT_ONCE = 5
"""How many stations may wait at once: as many as a phase has agents, and as the smallest pool that LangGraph makes has threads."""
_LET_GO_S = 0.05


class Late(Exception):
    """An agent was stopped at its time limit."""


class Exhausted(Exception):
    """An agent was stopped at another limit: memory, processor, output."""


class AsksPerson(Exception):
    """An agent cannot go on without a person; the text is its question."""


@dataclass(frozen=True)
class Work:
    """One agent's work: what to call, how to settle its answer or its error (with the seconds that it took), and how long to wait for it."""

    call: Callable[[], Any]
    settle: Callable[[Any, BaseException | None, float], Any]
    time_s: float
    acall: Callable[[], Any] | None = None


class Slot:
    """The place of one agent at work."""

    def __init__(self, work: Work, settler: Executor) -> None:
        self.settler = settler
        self.began = time.monotonic()
        self.deadline = self.began + work.time_s
        self.work = work
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()  # so that a cancelled waiter cannot cancel what it waits for
        self.task: asyncio.Task[None] | None = None
        self.is_at_work = False
        self.has_ended = False
        self.is_told = False
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether the same work has to begin anew, because what it did could not be kept and somebody was told."""
        return self.is_told and self.future.done() and self.future.exception() is not None

    def result(self, timeout_s: float | None = None) -> Any:
        """Return what was settled. Raises: FutureTimeout: nothing yet. Whatever else settling it raised."""
        try:
            return self.future.result(timeout_s)
        except BaseException:
            self.is_told = self.future.done()
            raise

    def finish(self, answer: Any, error: BaseException | None) -> None:
        """Hand an answer or an error over to be settled, unless somebody gave up before."""
        took_s = time.monotonic() - self.began
        with self._lock:
            if self.has_ended:
                return
            self.has_ended = True
        self.settler.submit(self._settle, answer, error, took_s)

    def give_up(self) -> None:
        """End the work as late, unless it was answered before."""
        took_s = time.monotonic() - self.began
        self.finish(None, Late(f"it did not answer within {self.work.time_s:g} s, and was given up after {took_s:.1f} s"))
        if self.task is not None:
            self.task.cancel()

    def _settle(self, answer: Any, error: BaseException | None, took_s: float) -> None:
        try:
            self.future.set_result(self.work.settle(answer, error, took_s))
        except BaseException as defect:  # noqa: BLE001 - a full disk or a defect is raised where the result is awaited
            self.future.set_exception(defect)


class Crew:
    """Agents at work, by key."""

    def __init__(self) -> None:
        self._slots: dict[Key, Slot] = {}
        self._settler = ThreadPoolExecutor(max_workers=1, thread_name_prefix="assent settles")
        self._threads = Threads()
        self._lock = threading.Lock()
        self._waiting = threading.BoundedSemaphore(AT_ONCE)

    def begin(self, key: Key, make: Callable[[], Work]) -> Slot:
        """Start work in a thread of its own, unless it was started; return its slot.

        Args:
            make: called once, when the work has to begin.
        """
        slot, is_new = self._slot(key, make)
        if is_new:
            self._threads.start(partial(_in_thread, slot), f"assent agent {key[-1]}")
        return slot

    async def abegin(self, key: Key, make: Callable[[], Work]) -> Slot:
        """Start work as `begin` does; a coroutine runs on the caller's loop, where its clients live."""
        slot, is_new = self._slot(key, make)
        if is_new and slot.work.acall is not None:
            slot.task = asyncio.get_running_loop().create_task(_on_loop(slot, slot.work.acall), context=contextvars.Context())
        elif is_new:
            self._threads.start(partial(_in_thread, slot), f"assent agent {key[-1]}")
        return slot

    def let_go(self, slots: Sequence[Slot]) -> None:
        """Give the interpreter away until these threads are at work. Whoever computes keeps each of them waiting for it by turns otherwise."""
        until = time.monotonic() + _LET_GO_S
        while not all(slot.is_at_work or slot.has_ended or slot.task is not None for slot in slots) and time.monotonic() < until:
            time.sleep(0)

    def running(self, key: Key) -> Slot | None:
        """Return the slot of work that was started and need not begin anew."""
        slot = self._slots.get(key)
        return None if slot is None or slot.is_over else slot

    def wait(self, slot: Slot, *, patiently: bool = True) -> Any:
        """Wait until work is settled, at most until its limit.

        Args:
            patiently: false: return None at once where too many already wait, so that a small thread pool does not become a queue.
        """
        if slot.future.done():
            return slot.result()
        if not patiently and not self._waiting.acquire(blocking=False):
            return None
        try:
            return slot.result(max(0.0, slot.deadline - time.monotonic()))
        except FutureTimeout:
            if slot.future.done():
                raise  # the work itself failed with it
            slot.give_up()
            return slot.result()
        finally:
            if not patiently:
                self._waiting.release()

    async def await_(self, slot: Slot, *, patiently: bool = True) -> Any:
        """Wait as `wait` does without blocking the loop. Whoever is cancelled while waiting releases the work."""
        if slot.future.done():
            return slot.result()
        if not patiently and not self._waiting.acquire(blocking=False):
            return None
        try:
            waiter = asyncio.wrap_future(slot.future)
            try:
                await asyncio.wait({waiter}, timeout=max(0.0, slot.deadline - time.monotonic()))
            finally:
                if not waiter.cancel() and not waiter.cancelled():
                    waiter.exception()  # looked at, so that asyncio does not report what is raised below
            slot.give_up()
            return slot.result()
        finally:
            if not patiently:
                self._waiting.release()

    def wait_all(self, slots: Sequence[Slot]) -> None:
        """Wait until all of this work is settled, each at most until its limit. One waking for all of them, not one for each."""
        done = _all_done(slots)
        while not done.done():
            with contextlib.suppress(FutureTimeout):
                done.result(_patience(slots))
            _give_up_late(slots)

    async def await_all(self, slots: Sequence[Slot]) -> None:
        """Wait as `wait_all` does without blocking the loop."""
        done = _all_done(slots)
        waiter = asyncio.wrap_future(done)
        try:
            while not done.done():
                await asyncio.wait({waiter}, timeout=_patience(slots))
                _give_up_late(slots)
        finally:
            waiter.cancel()

    def release(self, key: Key) -> None:
        """Forget the work whose keys begin like this, and give up what of it is not done; coroutines are cancelled."""
        with self._lock:
            for known in [one for one in self._slots if one[: len(key)] == key]:
                self._slots.pop(known).give_up()

    def _slot(self, key: Key, make: Callable[[], Work]) -> tuple[Slot, bool]:
        with self._lock:
            slot = self._slots.get(key)
            if slot is not None and not slot.is_over:
                return slot, False
            slot = self._slots[key] = Slot(make(), self._settler)
            return slot, True


def _all_done(slots: Sequence[Slot]) -> Future[None]:
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()
    left = set(range(len(slots)))
    lock = threading.Lock()

    def one(number: int) -> None:
        with lock:
            left.discard(number)
            is_last = not left and not done.done()
            if is_last:
                done.set_result(None)

    if not slots:
        done.set_result(None)
    for number, slot in enumerate(slots):
        slot.future.add_done_callback(lambda _, number=number: one(number))  # type: ignore[misc]
    return done


def _patience(slots: Sequence[Slot]) -> float | None:
    """Return the seconds until the next limit passes; None: every slot has ended, and is only being settled."""
    limits = [slot.deadline for slot in slots if not slot.has_ended]
    return max(0.0, min(limits) - time.monotonic()) if limits else None


def _give_up_late(slots: Sequence[Slot]) -> None:
    now = time.monotonic()
    for slot in slots:
        if slot.deadline <= now and not slot.has_ended:
            slot.give_up()


def _in_thread(slot: Slot) -> None:
    slot.is_at_work = True
    try:
        answer = slot.work.call()
    except BaseException as error:  # noqa: BLE001 - whatever ends an agent, also `sys.exit`, ends this thread only and is said about it
        slot.finish(None, error)
    else:
        slot.finish(answer, None)


async def _on_loop(slot: Slot, acall: Callable[[], Any]) -> None:
    try:
        answer = await acall()
    except asyncio.CancelledError:
        slot.finish(None, Late("it was cancelled"))
    except BaseException as error:  # noqa: BLE001 - as in a thread; a task's error would otherwise only be logged
        slot.finish(None, error)
    else:
        slot.finish(answer, None)
