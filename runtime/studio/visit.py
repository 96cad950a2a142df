"""One request of a browser: who sent it, what it carries, and how it is answered.

Rules:
- Without a session there is only the page that asks for the token.
- A form counts only with the mark of its session, and only from a page of this very site: another site can know neither.
- Every answer forbids scripts and styles from elsewhere, frames, guessing of types, and keeping a copy.
- A form is read up to a megabyte.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response

from ...schemas.errors import (
    AssentError,
    IllegalTransition,
    InvalidDocument,
    InvalidPlan,
    NotAllowed,
    NotFound,
    RunBusy,
    StaleDecision,
)
from .entrance import Entrance
from .frame import ROOT, Frame, error_page, sign_in_page
from .keys import Visitor, same
from .markup import Html

COOKIE = "assent_session"
LARGEST_FORM_BYTES = 1024 * 1024
_STATUS: tuple[tuple[type[AssentError], int], ...] = (
    (NotFound, 404), (NotAllowed, 403), (StaleDecision, 409), (IllegalTransition, 409), (RunBusy, 409), (InvalidDocument, 422), (InvalidPlan, 422),
)  # fmt: skip
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # `no-referrer` would make browsers send forms with the origin `null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Visit:
    """What a page is made from."""

    entrance: Entrance
    visitor: Visitor
    cookie: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)

    def frame(self, here: str = "") -> Frame:
        """Return the frame of a page for this person."""
        waiting = len(self.entrance.runtime.inbox(limit=100))
        return Frame(name=self.visitor.actor.name or self.visitor.actor.id, csrf=self.entrance.keys.csrf(self.cookie), waiting=waiting, here=here)


Handler = Callable[[Visit], Response]
Endpoint = Callable[[HttpRequest], Awaitable[Response]]


def page(html: Html, status: int = 200) -> Response:
    """Return a page as an answer."""
    return Response(str(html), status, headers=HEADERS, media_type="text/html")


def to(path: str) -> Response:
    """Send the browser on."""
    return RedirectResponse(path, 303, headers=HEADERS)


def status_of(error: AssentError) -> int:
    """Return the status of an error in terms of HTTP."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def shown(handler: Handler, open_entrance: Callable[[], Entrance]) -> Endpoint:
    """Return the endpoint that shows what a handler makes to whoever is signed in."""

    async def endpoint(request: HttpRequest) -> Response:
        return await run_in_threadpool(_answer, handler, open_entrance, request, None)

    return endpoint


def done(handler: Handler, open_entrance: Callable[[], Entrance]) -> Endpoint:
    """Return the endpoint that does what a form asks for."""

    async def endpoint(request: HttpRequest) -> Response:
        form = await read_form(request)
        if form is None:
            return page(error_page(Frame(), 413, "That is more than a form may hold.", "A plan has at most a megabyte here."), 413)
        return await run_in_threadpool(_answer, handler, open_entrance, request, form)

    return endpoint


async def read_form(request: HttpRequest) -> dict[str, str] | None:
    """Return the fields of a form; `None`: it is too large."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM_BYTES:
            return None
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50))


def is_same_site(request: HttpRequest) -> bool:
    """Tell whether a form comes from a page of this very address, as far as the browser says where it comes from."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


def _answer(handler: Handler, open_entrance: Callable[[], Entrance], request: HttpRequest, form: dict[str, str] | None) -> Response:
    entrance = open_entrance()
    cookie = request.cookies.get(COOKIE, "")
    visitor = entrance.keys.session(cookie)
    if visitor is None:
        return page(sign_in_page(request.url.path if form is None else f"{ROOT}/"), 401)
    visit = Visit(entrance, visitor, cookie, request.path_params, dict(request.query_params), form or {})
    if form is not None and not (is_same_site(request) and same(form.get("csrf", ""), entrance.keys.csrf(cookie))):
        return page(error_page(visit.frame(), 403, "This form does not come from your session.", "Load the page again and answer there."), 403)
    try:
        return handler(visit)
    except AssentError as error:
        status = status_of(error)
        return page(error_page(visit.frame(), status, error.message, error.hint), status)
