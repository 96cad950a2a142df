"""One HTTP exchange: requests and the redirects that may be followed, within bounds, with word of what was certainly not sent.

Rules:
- A connection is tried again, with exponential back-off, only while no byte of a request has left. Nothing else is repeated.
- GET and HEAD follow redirects, to another host without the caller's headers; other methods follow only 307 and 308, on the same origin.
- Never from https to http. Each hop resolves and checks its host again.
- A body beyond the limit is cut and said to be; a body is never decompressed, and none is asked for.

Source: RFC 9110 on methods and redirects; DESIGN §6. Deliberately no cookies, no proxies, no connection kept for later.
"""

from __future__ import annotations

import base64
import functools
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import httpcore
import httpx

from .address import Network, NotPublic

TRIES = 4
FIRST_WAIT_S = 0.2
_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_KEPT_ELSEWHERE = frozenset({"accept", "accept-encoding", "accept-language", "user-agent"})
_READS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Request:
    """What is sent. `headers` are complete but for Host and Content-Length."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What came back. `not_followed` is the target of a redirect that was not followed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    was_cut: bool
    redirects: int
    not_followed: str = ""


class Failed(Exception):
    """There was no whole answer. `stage`: `not_sent` when provably no byte of any request left."""

    def __init__(self, reason: str, stage: Literal["not_sent", "sent"]) -> None:
        super().__init__(reason)
        self.stage = stage


def exchange(
    request: Request,
    *,
    allowed: frozenset[str],
    time_s: float,
    most_bytes: int,
    most_redirects: int,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Send a request and read the answer.

    Args:
        allowed: hosts that may have private addresses, lower case.
        sleep: waits between tries to connect.

    Raises:
        Failed: no connection, or it broke; `stage` tells whether anything was sent.
        NotPublic: the first host may not be reached; nothing was sent.

    Side effects: network.
    """
    network = Network(allowed, time.monotonic() + time_s)
    request = _with_credentials(request)
    hops = 0
    while True:
        answer = _try(request, network, most_bytes, sleep, first=hops == 0)
        target = _target(request, answer)
        if target is None:
            return Answer(answer.status, answer.headers, answer.body, answer.was_cut, hops)
        if hops >= most_redirects or not _may_follow(request, answer.status, target):
            return Answer(answer.status, answer.headers, answer.body, answer.was_cut, hops, str(target))
        hops += 1
        request = _onward(request, target)


def _with_credentials(request: Request) -> Request:
    try:
        url = httpx.URL(request.url)
    except httpx.InvalidURL as error:
        raise Failed(str(error), "not_sent") from error
    if not url.userinfo or any(name.lower() == "authorization" for name in request.headers):
        return request
    basic = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    return Request(request.method, request.url, {**request.headers, "Authorization": f"Basic {basic}"}, request.body)


def _try(request: Request, network: Network, most_bytes: int, sleep: Callable[[float], None], *, first: bool) -> Answer:
    for attempt in range(TRIES):
        try:
            return _once(request, network, most_bytes)
        except NotPublic as error:
            if first:
                raise
            raise Failed(f"redirected to where requests may not go: {error}", "sent") from error
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout) as error:
            is_final = (
                attempt == TRIES - 1 or isinstance(error.__cause__, ssl.SSLError) or isinstance(error.__context__, ssl.SSLError)
            )
            if network.sent:
                raise Failed(f"no connection to go on with: {error}", "sent") from error
            if is_final:
                raise Failed(f"no connection after {attempt + 1} tries: {error}", "not_sent") from error
            sleep(FIRST_WAIT_S * 2**attempt)
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            httpcore.UnsupportedProtocol,
            OSError,
        ) as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            raise Failed(reason, "sent" if network.sent else "not_sent") from error
    raise AssertionError("the last try returns or raises")


def _once(request: Request, network: Network, most_bytes: int) -> Answer:
    url = httpx.URL(request.url)
    headers = [
        (b"Host", url.netloc),
        *((name.encode("ascii"), value.encode("latin-1")) for name, value in request.headers.items()),
    ]
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        headers.append((b"Content-Length", str(len(request.body)).encode()))
    context = _trust() if url.scheme == "https" else None
    with httpcore.ConnectionPool(ssl_context=context, http2=False, network_backend=network) as pool:
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        with pool.stream(request.method, target, headers=headers, content=request.body) as response:
            body = bytearray()
            was_cut = False
            for chunk in response.iter_stream():
                body += chunk
                if len(body) > most_bytes:
                    was_cut = True
                    break
            found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return Answer(response.status, found, bytes(body[:most_bytes]), was_cut, 0)


def _target(request: Request, answer: Answer) -> httpx.URL | None:
    location = answer.headers.get("location")
    if answer.status not in _FOLLOWED or not location:
        return None
    try:
        return httpx.URL(request.url).join(location)
    except httpx.InvalidURL:
        return None


def _may_follow(request: Request, status: int, target: httpx.URL) -> bool:
    here = httpx.URL(request.url)
    if (
        target.scheme not in ("http", "https")
        or (here.scheme == "https" and target.scheme == "http")
        or not target.host
        or target.userinfo
    ):
        return False
    if request.method in _READS:
        return True
    return status in (307, 308) and _origin(here) == _origin(target)


def _onward(request: Request, target: httpx.URL) -> Request:
    if _origin(httpx.URL(request.url)) == _origin(target):
        return Request(request.method, str(target), request.headers, request.body)
    kept = {name: value for name, value in request.headers.items() if name.lower() in _KEPT_ELSEWHERE}
    return Request(request.method, str(target), kept, request.body)


def _origin(url: httpx.URL) -> tuple[str, bytes, int]:
    return url.scheme, url.raw_host, url.port or (443 if url.scheme == "https" else 80)


@functools.cache
def _trust() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
