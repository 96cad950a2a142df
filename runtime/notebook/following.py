"""A run's progress in a notebook cell, until it is over or waits for a person."""

from __future__ import annotations

from typing import Any

from ..run import Run
from .view import show


def follow(run: Run, *, timeout_s: float | None = None) -> Run:
    """Show a run, anew with every entry of its log, until it rests; outside of a notebook, only wait.

    Args:
        timeout_s: longest wait in seconds.
    """
    try:
        from IPython.display import display
    except ModuleNotFoundError:
        return run.wait(timeout_s)
    shown: Any = display(show(run), display_id=True)
    for _ in run.stream(timeout_s=timeout_s):
        if shown is not None:
            shown.update(show(run))
    if shown is not None:
        shown.update(show(run))
    return run
