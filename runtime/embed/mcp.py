"""assent for agents that speak the Model Context Protocol: propose, status, results.

Rules: there is no tool that decides, claims, grants, cancels or takes back, and none that reads other people's runs; a proposal is a document
or a goal, never a path; standard output belongs to the protocol. Needs the extra `mcp`. Source: the official SDK.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from ...schemas.errors import AssentError, Complaint, InvalidDocument
from .host import run_id_of
from .propose import answer, asked, begin, look, own

if TYPE_CHECKING:
    from ..runtime import Runtime

_ABOUT = (
    "Plans are assessed, low risk runs at once, people are asked about the rest, and results are measured. You can propose and look; only people "
    "decide, at doors that are not here."
)


def server(runtime: Runtime, *, tier: int | None = None) -> MCPServer[Any]:
    """Return the server of a home, for any transport; `.run()` serves standard input and output.

    Args:
        tier: authority of the agents that speak to it, 1 to 4.
    """
    from ... import __version__

    made: MCPServer[Any] = MCPServer(name="assent", version=__version__, instructions=_ABOUT, log_level="WARNING")

    @made.tool(title="Propose a plan")
    def propose(plan: dict[str, Any] | str | None = None, goal: str | None = None, key: str | None = None) -> dict[str, Any]:
        """Propose a plan (a document with `problem` and `action`, as an object or YAML text) or a goal in plain words. Low risk runs at once; for
        the rest a person is asked, and the answer names the run to come back to. With a `key` of yours, proposing the same again finds the same run.
        """

        def act() -> dict[str, Any]:
            ask = asked(plan, goal)
            try:
                run_id = run_id_of(f"mcp:{runtime.actor.id}", key or "", ask)
            except ValueError as error:
                raise InvalidDocument([Complaint(where="plan", expected="plain JSON", found=str(error))]) from error
            return answer(runtime, begin(runtime, ask, run_id=run_id, tier=tier))

        return _told(act)

    @made.tool(title="Status of a run")
    def status(run_id: str) -> dict[str, Any]:
        """Tell how a proposal of yours stands: what it waits for, or how it ended."""

        def act() -> dict[str, Any]:
            found = answer(runtime, runtime.run(own(runtime, run_id)))
            return {name: found[name] for name in ("run_id", "status", "success", "waits_for", "opens_at", "why", "next") if name in found}

        return _told(act)

    @made.tool(title="Results of a run")
    def results(run_id: str) -> dict[str, Any]:
        """Give the results of a proposal of yours: every step with its output, every criterion as it was measured. Goes on with a run that can."""
        return _told(lambda: answer(runtime, look(runtime, own(runtime, run_id))))

    return made


def _told(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return act()
    except AssentError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise ToolError(f"{error.message}{hint}") from error
