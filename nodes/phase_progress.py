"""How far an agent is, said by itself while it works: `progress(3, 10, "reading src/app.py")`, from inside of any agent of a phase.

Rules: who says it need not know who listens, and outside of a phase nobody does; it is told at most ten times a second and in one short line, so
an agent cannot flood a screen or a log with it; nothing depends on it. Source: E14.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Say = Callable[[float, float, str], None]

MOST_OFTEN_S = 0.1
_LONGEST = 120
_SAY: ContextVar[Say | None] = ContextVar("assent_phase_progress", default=None)


def progress(done: float, total: float, doing: str = "") -> None:
    """Say how far the agent is that runs here.

    Args:
        done: of `total`, in whatever the agent counts.
        total: 0: nobody knows how much there is to do.
        doing: what it does now, in a few words.
    """
    say = _SAY.get()
    if say is not None and done >= 0 and (done <= total or not total):
        say(done, total, " ".join(doing.split())[:_LONGEST])


@contextmanager
def heard_by(say: Say) -> Iterator[None]:
    """Let what agents of this flow say be heard while the block lasts."""
    token = _SAY.set(_seldom(say))
    try:
        yield
    finally:
        _SAY.reset(token)


def _seldom(say: Say) -> Say:
    last = float("-inf")

    def told(done: float, total: float, doing: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= MOST_OFTEN_S:
            last = now
            say(done, total, doing)

    return told
