"""One POST to an address of the web: checked, pinned, bounded, and never redirected.

Rules:
- The host is looked up once for the connection, all its addresses have to be public, and the connection goes to one of those; `allow_private` lifts
  that for the configured host alone. http is for private hosts only.
- A redirect is not followed: it would carry the text and its credentials to somebody else.
- No proxies, no cookies, a deadline over everything, at most a few kilobytes of the answer.

Source: threat T32; the exchange is the one that http steps use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...policies.risk.addresses import leads_inside
from ...schemas.notice import Delivery, Outcome
from .sender import wrong

if TYPE_CHECKING:
    from ...tools.exchange import Answer

_ANSWER_BYTES = 4096
_LATER = frozenset({408, 421, 423, 425, 429})


def complaint(url: str, *, allow_private: bool) -> str:
    """Return what is wrong with an address that we are to post to, without repeating it; empty when nothing is."""
    if any(not "!" <= char <= "~" or char == "\\" for char in url):
        return "it holds blanks, control characters, backslashes or letters beyond ASCII"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not a web address"
    if parts.scheme.lower() not in ("http", "https") or not host:
        return "it does not begin with https:// and a host"
    if parts.username is not None or parts.password is not None:
        return "it holds a user or a password"
    if not allow_private and leads_inside(host):
        return "it leads into the private network"
    if parts.scheme.lower() == "http" and not allow_private:
        return "it is not https"
    return ""


def checked(url: str, *, allow_private: bool) -> None:
    """Refuse a wrong address in a configuration. Raises: PydanticCustomError, with the remedy."""
    found = complaint(url, allow_private=allow_private)
    if found:
        inside = found.startswith(("it leads", "it is not https"))
        raise wrong(f"expected a public https address: {found}", "set `allow_private: true` if this is meant" if inside else "for example https://hooks.example.org/assent")


def post(url: str, headers: Mapping[str, str], body: bytes, *, allow_private: bool, time_s: float) -> Answer | Delivery:
    """Send once; return the answer, or what to say of there being none.

    Side effects: the network.
    """
    # Here, because reading a configuration should not cost a client of HTTP.
    from ...tools.address import NotPublic
    from ...tools.exchange import Failed, Request, exchange

    found = complaint(url, allow_private=allow_private)
    if found:
        return Delivery(outcome=Outcome.NEVER, said=f"the address is refused: {found}")
    host = (urlsplit(url).hostname or "").lower().rstrip(".")
    allowed = frozenset({host}) if allow_private else frozenset[str]()
    try:
        return exchange(
            Request("POST", url, {"User-Agent": "assent", "Accept-Encoding": "identity", **headers}, body),
            allowed=allowed, time_s=time_s, most_bytes=_ANSWER_BYTES, most_redirects=0, sleep=lambda _: None,
        )  # fmt: skip
    except NotPublic as refusal:
        return Delivery(outcome=Outcome.NEVER, said=f"the address is refused: {refusal}")
    except Failed as failed:
        return Delivery(outcome=Outcome.LATER, said=str(failed))


def judged(answer: Answer, now: datetime) -> Delivery:
    """Say what an answer means: 2xx is sent, 429 and 5xx are worth another try, the rest is not."""
    status = answer.status
    if 200 <= status < 300:
        return Delivery(outcome=Outcome.SENT)
    if 300 <= status < 400:
        return Delivery(outcome=Outcome.NEVER, said=f"HTTP {status}: a redirect, which is not followed")
    later = status >= 500 or status in _LATER
    said = answer.body[:200].decode("utf-8", "replace").strip()
    return Delivery(
        outcome=Outcome.LATER if later else Outcome.NEVER, said=f"HTTP {status}{': ' + said if said else ''}", retry_after_s=retry_after_s(answer.headers, now)
    )


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float:
    """Return how long an answer asks to wait, in seconds; 0 when it does not say or says nonsense."""
    from email.utils import parsedate_to_datetime

    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), 10**8))
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        until = parsedate_to_datetime(text)
        return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
    return 0.0
