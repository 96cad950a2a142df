"""The page as an application: inbox, requests, runs; served by `assent serve`, and by the Agent Server beside its own addresses.

Rules: everything lies under `/assent/`; reading needs a session, answering needs a form of that session; nothing here decides anything, the
ledger does. Works without scripts; with them, live parts follow the ledger. Source: the approvals inbox of the doors' card.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import AsyncIterator, Callable
from functools import cache
from importlib import resources

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from . import acts, live
from .entrance import Entrance, entrance, leave
from .frame import ROOT, Frame, error_page, sign_in_page
from .keys import SESSION_S
from .visit import COOKIE, HEADERS, Endpoint, Visit, done, is_same_site, page, read_form, shown, to

_NEXT = re.compile(rf"{ROOT}/[A-Za-z0-9_./-]*")
_FILES = {"page.css": "text/css", "page.js": "text/javascript"}
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1a56b0"/>'
    '<path d="M8 17l5.5 5.5L24.5 10" fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round" stroke-linejoin="round"/></svg>'
)


def build(open_entrance: Callable[[], Entrance], *, lifespan: Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]] | None = None) -> Starlette:
    """Return the application.

    Args:
        open_entrance: returns the entrance that it stands at; called at every request.
        lifespan: what happens at its start and end.
    """
    pages = [
        ("/", acts.inbox), ("/runs", acts.runs), ("/runs/{run_id}", acts.run), ("/requests/{request_id}", acts.request), ("/requests/{request_id}/edit", acts.edit),
    ]  # fmt: skip
    forms = [
        ("/requests/{request_id}/answer", acts.answer), ("/requests/{request_id}/edit", acts.change), ("/runs/{run_id}/resume", acts.resume),
        ("/runs/{run_id}/cancel", acts.cancel),
    ]  # fmt: skip
    streams = [("/board/events", live.board), ("/runs/{run_id}/events", live.run), ("/requests/{request_id}/events", live.request)]
    routes = [
        *(Route(f"{ROOT}/{name}", _file(name), methods=["GET"]) for name in _FILES),
        Route(f"{ROOT}/page.svg", _icon, methods=["GET"]),
        Route(f"{ROOT}/sign-in", _ask_token(open_entrance), methods=["GET"]),
        Route(f"{ROOT}/sign-in", _sign_in(open_entrance), methods=["POST"]),
        Route(f"{ROOT}/sign-out", done(_sign_out, open_entrance), methods=["POST"]),
        Route(ROOT, _to_inbox, methods=["GET"]),
        *(Route(ROOT + path, live.stream(follow, open_entrance), methods=["GET"]) for path, follow in streams),
        *(Route(ROOT + path, shown(handler, open_entrance), methods=["GET"]) for path, handler in pages),
        *(Route(ROOT + path, done(handler, open_entrance), methods=["POST"]) for path, handler in forms),
        Route(ROOT + "/{path:path}", _nowhere),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


@contextlib.asynccontextmanager
async def _with_server(_: Starlette) -> AsyncIterator[None]:
    """Open the home with the Agent Server, say where the page is, and close it with the server."""
    found = await run_in_threadpool(entrance)
    sys.stderr.write(f"assent: the page is at {ROOT}/sign-in?ticket={found.keys.ticket()} of this server; the token for its API is in {found.keys.token_file}\n")
    try:
        yield
    finally:
        await run_in_threadpool(leave)


def _ask_token(open_entrance: Callable[[], Entrance]) -> Endpoint:
    async def endpoint(request: HttpRequest) -> Response:
        ticket = request.query_params.get("ticket")
        path = _next(request.query_params.get("next", ""))
        if not ticket:
            return page(sign_in_page(path))
        keys = (await run_in_threadpool(open_entrance)).keys
        session = await run_in_threadpool(keys.redeem, ticket)
        if session is None:
            return page(sign_in_page(path, failed="This address was used already, or is too old."), 401)
        return _signed_in(request, session, path)

    return endpoint


def _sign_in(open_entrance: Callable[[], Entrance]) -> Endpoint:
    async def endpoint(request: HttpRequest) -> Response:
        form = await read_form(request)
        if form is None or not is_same_site(request):
            return page(error_page(Frame(), 403, "This form does not come from here."), 403)
        keys = (await run_in_threadpool(open_entrance)).keys
        session = await run_in_threadpool(keys.sign_in, form.get("token", "").strip())
        if session is None:
            return page(sign_in_page(_next(form.get("next", "")), failed="Nobody holds this token."), 401)
        return _signed_in(request, session, _next(form.get("next", "")))

    return endpoint


def _signed_in(request: HttpRequest, session: str, path: str) -> Response:
    found = to(path)
    found.set_cookie(COOKIE, session, max_age=SESSION_S, path=ROOT, httponly=True, samesite="lax", secure=request.url.scheme == "https")
    return found


def _sign_out(visit: Visit) -> Response:
    visit.entrance.keys.sign_out(visit.cookie)
    found = to(f"{ROOT}/sign-in")
    found.delete_cookie(COOKIE, path=ROOT, httponly=True, samesite="lax")
    return found


def _next(path: str) -> str:
    return path if _NEXT.fullmatch(path) and "//" not in path else f"{ROOT}/"


async def _to_inbox(_: HttpRequest) -> Response:
    return to(f"{ROOT}/")


async def _icon(_: HttpRequest) -> Response:
    return Response(_ICON, headers={**HEADERS, "Cache-Control": "no-cache"}, media_type="image/svg+xml")


async def _nowhere(_: HttpRequest) -> Response:
    return page(error_page(Frame(), 404, "There is nothing at this address."), 404)


@cache
def _text(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def _file(name: str) -> Endpoint:
    async def endpoint(_: HttpRequest) -> Response:
        text = await run_in_threadpool(_text, name)
        return Response(text, headers={**HEADERS, "Cache-Control": "no-cache"}, media_type=_FILES[name])

    return endpoint


app = build(entrance, lifespan=_with_server)
"""What `langgraph.json` names."""
