"""assent in a notebook: plans, questions, runs and results as rich HTML, graphs drawn here, and controls to answer with.

    show(thing)            a Plan, Request, Run, Results, Risk, Verification, what a phase gave, or a list of requests, runs or events
    controls(request)      approve, reject and edit, as buttons where ipywidgets is installed, otherwise as calls to make
    draw("par")            a graph, as SVG: `par`, `phase` or any compiled one
    follow(run)            a run's progress until it is over or waits

Rules: every text of a plan, person, model or tool is redacted, made visible and escaped before it becomes HTML (`html.py`); nothing is fetched
from anywhere; a button answers as the actor of the runtime, through `Runtime.decide` like everybody else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answering import controls as controls
    from .drawing import draw as draw
    from .following import follow as follow
    from .view import Shown as Shown
    from .view import show as show

__all__ = ["Shown", "controls", "draw", "follow", "show"]

_HOMES = {"show": ".view", "Shown": ".view", "controls": ".answering", "draw": ".drawing", "follow": ".following"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
