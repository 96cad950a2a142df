"""The live part: server-sent events that say when what a page shows has changed. They carry no content; the page is fetched again.

Rules: the ledger is asked, so what another process does is seen as well; a stream ends after ten minutes, and browsers come back by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from ...schemas.errors import NotFound
from .acts import board_mark, request_mark
from .entrance import Entrance
from .visit import COOKIE, HEADERS, Endpoint

_POLL_S = 0.25
_PING_S = 15.0
_LONGEST_S = 600.0
Look = Callable[[], tuple[str, bool]]
"""Returns what changes with what is shown, and whether nothing can change any more."""


def board(entrance: Entrance, _: str) -> Look:
    """Follow everything."""
    return lambda: (board_mark(entrance.runtime), False)


def request(entrance: Entrance, request_id: str) -> Look:
    """Follow one request."""

    def look() -> tuple[str, bool]:
        asked = entrance.runtime.ledger.request(request_id)
        return request_mark(asked), not asked.is_open

    return look


def run(entrance: Entrance, run_id: str) -> Look:
    """Follow one run."""
    seen = 0

    def look() -> tuple[str, bool]:
        nonlocal seen
        events = entrance.runtime.ledger.events(run_id, after=seen)
        seen = events[-1].seq if events else seen
        return str(seen), entrance.runtime.ledger.run(run_id).status.is_over and not entrance.is_driving(run_id)

    return look


def stream(follow: Callable[[Entrance, str], Look], open_entrance: Callable[[], Entrance]) -> Endpoint:
    """Return the endpoint of one kind of stream."""

    async def endpoint(http: HttpRequest) -> Response:
        entrance = await run_in_threadpool(open_entrance)
        if await run_in_threadpool(entrance.keys.session, http.cookies.get(COOKIE, "")) is None:
            return Response(status_code=401, headers=HEADERS)
        look = follow(entrance, next(iter(http.path_params.values()), ""))
        try:
            await run_in_threadpool(look)
        except NotFound:
            return Response(status_code=404, headers=HEADERS)
        headers = {**HEADERS, "X-Accel-Buffering": "no"}
        return StreamingResponse(_told(look, http.query_params.get("since", "")), headers=headers, media_type="text/event-stream")

    return endpoint


async def _told(look: Look, mark: str) -> AsyncIterator[str]:
    quiet_s = passed_s = 0.0
    yield "retry: 1000\n\n"
    while passed_s < _LONGEST_S:
        now, is_over = await run_in_threadpool(look)
        if now != mark:
            mark, quiet_s = now, 0.0
            yield f"event: changed\ndata: {now}\n\n"
        if is_over:
            yield "event: over\ndata: over\n\n"
            return
        if quiet_s >= _PING_S:
            quiet_s = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(_POLL_S)
        quiet_s, passed_s = quiet_s + _POLL_S, passed_s + _POLL_S
