"""`assent serve`: the page on this machine's own loopback address, without any other server.

Rules: it listens on 127.0.0.1 and nowhere else; a name that somebody else pointed at this machine is not answered. The address that is printed
signs in once.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ...schemas.errors import StoreUnavailable
from ..runtime import Runtime
from .entrance import Entrance
from .frame import ROOT
from .web import build

HOST = "127.0.0.1"
_LEAVE_S = 2


def serve(runtime: Runtime, *, port: int, tell: Callable[[str, Entrance], None]) -> None:
    """Serve the page until the process is asked to end.

    Args:
        port: 0 takes a free one.
        tell: called with the address that signs in once, when the server is about to listen.

    Raises:
        StoreUnavailable: somebody else listens at that port.
    """
    entrance = Entrance(runtime)
    app = alone(entrance)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise StoreUnavailable(f"port {port} cannot be listened at: {error.strerror}", hint="choose another one with --port; 0 takes a free one") from error
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=_LEAVE_S, server_header=False, lifespan="off")
        tell(f"http://{HOST}:{listening.getsockname()[1]}{ROOT}/sign-in?ticket={entrance.keys.ticket()}", entrance)
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            entrance.wait()


def alone(entrance: Entrance) -> TrustedHostMiddleware:
    """Return the page as an application by itself, for requests to this machine's own names."""
    page = build(lambda: entrance)
    # Here the page is all there is; at the Agent Server the root belongs to somebody else.
    page.router.routes.insert(0, Route("/", _to_page, methods=["GET"]))
    return TrustedHostMiddleware(page, allowed_hosts=[HOST, "localhost"])


async def _to_page(_: HttpRequest) -> Response:
    return RedirectResponse(f"{ROOT}/")
