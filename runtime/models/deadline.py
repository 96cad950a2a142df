"""Wait for a call no longer than one is willing to, whatever it does.

A client's own time-out bounds each read, so a server that sends one byte a second holds it for ever. Here the call runs in a thread of its
own; when the time is over, the caller goes on and the thread is left to its own time-outs. It is a daemon, so it keeps no process alive.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

R = TypeVar("R")


def within(seconds: float, call: Callable[[], R], *, name: str = "assent model call") -> R:
    """Return what `call` returns, or raise what it raises.

    Args:
        seconds: at most this long.

    Raises:
        TimeoutError: it is not back yet.
    """
    said: list[Any] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            said.append((context.run(call), None))
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that waits
            said.append((None, error))

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if not said:
        raise TimeoutError(f"no answer within {seconds:g} s")
    value, error = said[0]
    if error is not None:
        raise error
    found: R = value
    return found
