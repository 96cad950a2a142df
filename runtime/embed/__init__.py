"""assent inside other people's programs: as a tool of an agent, around an agent's tools, beside an agent, and for agents outside Python.

    tool.py        the agent proposes plans and gets results (`runtime.as_tool()`)
    middleware.py  every call of an agent's own tools goes through the ledger (`Governed`); needs the extra `agents`
    langchain_tool.py  what a tool of one's own may touch (`declared`, `Declaration`, `Effects`); without that it is HIGH
    guarding.py    an agent that exists stays as it is, and is governed where that is asked for
    mcp.py         the same for agents that speak the Model Context Protocol; needs the extra `mcp`

Rules: nothing here can record a decision, whatever an agent says, calls or returns; a resume of the host's graph is a doorbell; a run's calls
happen once, however often LangGraph runs the body around them. Submodules load when a name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...schemas.errors import InvalidConfiguration

if TYPE_CHECKING:
    from ...schemas.dispatch import Effects as Effects
    from .guarding import guard as guard
    from .langchain_tool import Declaration as Declaration
    from .langchain_tool import declared as declared
    from .mcp import server as server
    from .middleware import Governed as Governed
    from .tool import as_tool as as_tool

__all__ = ["Declaration", "Effects", "Governed", "as_tool", "declared", "guard", "server"]

_HOMES = {
    "as_tool": ".tool", "Governed": ".middleware", "Declaration": ".langchain_tool", "declared": ".langchain_tool", "Effects": ".langchain_tool", "guard": ".guarding", "server": ".mcp",
}  # fmt: skip
_EXTRAS = {".middleware": ("langchain", "agents"), ".mcp": ("mcp", "mcp")}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    try:
        found = import_module(home, __name__)
    except ModuleNotFoundError as error:
        package, extra = _EXTRAS.get(home, ("", ""))
        if not package or (error.name or "").partition(".")[0] != package:
            raise
        raise InvalidConfiguration(f"{name} needs the package {package}, which is not installed", hint=f"pip install 'assent[{extra}]'", extra=extra) from error
    return getattr(found, name)
