"""Whose turn it is to ask: of several calls that an agent makes at once, one interrupts the host at a time.

A host with two pending interrupts cannot be resumed without naming one, and the common clients do not. So a call that has to ask waits until
every call before it, in the order of the model's message, is known to ask or not to ask in this attempt; if one asks, the others hold, and
LangGraph runs them again with the next resume.

It is manners, not authority: what happens when its memory is wrong (a restart, two resumes at once) is one more or one less interrupt, and the
ledger still says what may run.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_MOST_BATCHES = 1000
_ENTRY_S = 1.0
"""How long a call waits for one before it that was not begun: it ended in an earlier attempt of another process, or never came so far."""


@dataclass
class _Turn:
    attempt: int = 0
    state: str = "outside"


class Turns:
    """The turns of one middleware."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._batches: OrderedDict[str, dict[int, _Turn]] = OrderedDict()

    @contextmanager
    def inside(self, batch: str, call: int) -> Iterator[None]:
        """Be on one's way with a call; leaving without having asked or held is to be done with it."""
        turn = self._turn(batch, call)
        with self._changed:
            turn.attempt += 1
            turn.state = "inside"
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                if turn.state == "inside":
                    turn.state = "done"
                self._changed.notify_all()

    def may_ask(self, batch: str, call: int, *, is_over: Callable[[int], bool]) -> bool:
        """Wait until it is clear whether a call before this one asks, and tell whether this one may. Blocks.

        Args:
            call: its place among the calls that were made at once.
            is_over: whether the run of the call at a place has ended.
        """
        turn = self._turn(batch, call)
        with self._changed:
            turn.state = "inside"
        asks = not any(self._asks(self._turn(batch, other), turn.attempt, lambda other=other: is_over(other)) for other in range(call))  # type: ignore[misc]
        with self._changed:
            turn.state = "asks" if asks else "holds"
            self._changed.notify_all()
        return asks

    def _asks(self, other: _Turn, attempt: int, is_over: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + _ENTRY_S
        while True:
            with self._changed:
                if other.state == "done":
                    return False
                if other.attempt >= attempt and other.state != "inside":
                    return other.state == "asks"
                if other.attempt >= attempt:
                    self._changed.wait(_ENTRY_S)
                    continue
            if is_over() or time.monotonic() >= deadline:
                return False
            with self._changed:
                self._changed.wait(0.05)

    def _turn(self, batch: str, call: int) -> _Turn:
        with self._changed:
            turns = self._batches.setdefault(batch, {})
            self._batches.move_to_end(batch)
            while len(self._batches) > _MOST_BATCHES:
                self._batches.popitem(last=False)
            return turns.setdefault(call, _Turn())
