"""assent: a governed agent runtime on LangGraph.

Problem in, plan assessed step by step, low risk flows, people are asked about the rest, effects happen once and only with live assent to
exactly those bytes, and results are measured. `assent.open()` is the door.

Importing this package loads none of its submodules (PEP 562); each name below is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import graphs as graphs
    from .runtime.assess import assess as assess
    from .runtime.assess import redact as redact
    from .runtime.embed.guarding import guard as guard
    from .runtime.runtime import open as open

__version__ = "0.1.0"
__all__ = ["__version__", "assess", "graphs", "guard", "open", "redact"]

_HOMES = {
    "open": (".runtime.runtime", "open"),
    "assess": (".runtime.assess", "assess"),
    "redact": (".runtime.assess", "redact"),
    "graphs": (".graphs", None),
    "guard": (".runtime.embed.guarding", "guard"),
}


def __getattr__(name: str) -> Any:
    try:
        module, attribute = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    found = import_module(module, __name__)
    return found if attribute is None else getattr(found, attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
