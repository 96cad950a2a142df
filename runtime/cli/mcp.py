"""`assent mcp`: serve this home to agents that speak the Model Context Protocol, over standard input and output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from .command import SUCCEEDED, Door


def mcp(door: Door, tier: Annotated[int | None, typer.Option(min=1, max=4, help="Authority of the agents, 1 to 4.", show_default=False)] = None) -> int:
    """Serve agents over MCP (propose, status, results; no decisions)."""
    from ..embed import server

    made = server(door.runtime(), tier=tier)
    if sys.stdin.isatty():
        # Standard output is the protocol's; whatever has to be said goes to standard error.
        sys.stderr.write(f"An agent starts this by itself. In the configuration of its MCP servers:\n{_entry(door, tier)}\n(waiting on standard input; Ctrl-D ends it)\n")
    made.run()
    return SUCCEEDED


def _entry(door: Door, tier: int | None) -> str:
    paths = ["--home", str(Path(door.home).expanduser().absolute()), "--workspace", str(Path(door.workspace or ".").resolve())]
    more = [] if tier is None else ["--tier", str(tier)]
    return json.dumps({"mcpServers": {"assent": {"command": "assent", "args": ["mcp", *paths, *more]}}}, indent=2)
