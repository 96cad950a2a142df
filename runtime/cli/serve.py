"""`assent serve`: the approvals inbox and the board of runs as a page on this machine."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .command import INTERRUPTED, Door

if TYPE_CHECKING:
    from ..studio.entrance import Entrance

_PORT = 8321


def serve(
    door: Door,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = _PORT,
    invite: Annotated[str | None, typer.Option(metavar="NAME", help="Make a token for somebody of the configuration, print it, and end.", show_default=False)] = None,
    uninvite: Annotated[str | None, typer.Option(metavar="NAME", help="End somebody's token and their sessions, and end.", show_default=False)] = None,
) -> int:
    """Serve the inbox, the runs and their progress as a page on this machine."""
    _needs_page()
    runtime = door.runtime()
    if invite or uninvite:
        from ..studio.keys import Keys

        keys = Keys(runtime.home.root, owner=runtime.actor, policy=runtime.policy)
        if uninvite:
            keys.take_away(uninvite)
        if invite:
            token = keys.give(invite)
            if door.as_json:
                _print({"name": invite, "token": token})
            else:
                sys.stdout.write(f"{token}\n")
                sys.stderr.write(f"note: this is the token of {invite}; it is shown only now\n")
        return 0
    from ..studio.serve import serve as listen

    def tell(address: str, entrance: Entrance) -> None:
        if door.as_json:
            _print({"url": address, "token_file": str(entrance.keys.token_file)})
        else:
            sys.stdout.write(f"The page: {address}\n")
            sys.stdout.write(f"The address signs in once, within 15 minutes. Later: the token in {entrance.keys.token_file}\nCtrl-C ends it; what waits goes on waiting.\n")
        sys.stdout.flush()

    try:
        listen(runtime, port=port, tell=tell)
    except KeyboardInterrupt:
        return INTERRUPTED  # how a server ends; there is nothing to tell
    return 0


def _print(found: dict[str, str]) -> None:
    # Not `print_json`, which hides secrets: this one is what was asked for.
    sys.stdout.write(json.dumps(found) + "\n")


def _needs_page() -> None:
    from importlib.util import find_spec

    from ...schemas.errors import InvalidConfiguration

    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise InvalidConfiguration(f"the page needs {' and '.join(missing)}", hint="pip install 'assent[page]'")
