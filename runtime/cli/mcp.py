"""`assent mcp`: serve this home to agents that speak the Model Context Protocol, over standard input and output."""

from __future__ import annotations

from typing import Annotated

import typer

from .command import SUCCEEDED, Door


def mcp(door: Door, tier: Annotated[int | None, typer.Option(min=1, max=4, help="Authority of the agents, 1 to 4.", show_default=False)] = None) -> int:
    """Serve agents over MCP (propose, status, results; no decisions)."""
    from ..embed import server

    # Standard output is the protocol's; whatever has to be said goes to standard error.
    server(door.runtime(), tier=tier).run()
    return SUCCEEDED
