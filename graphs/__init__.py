"""Wiring: nodes, edges and routers; each module has its drawing at the top. Submodules load when they are first named."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = frozenset({"delivery", "par", "phase", "phase_agent"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
