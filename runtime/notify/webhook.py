"""The webhook channel: a signed POST of JSON, and what a receiver needs to check it.

    X-Assent-Timestamp: seconds since 1970, of this try
    X-Assent-Event-Id:  the event; the same for every try
    X-Assent-Signature: v1=HMAC-SHA256(secret, timestamp "." body), in hexadecimal

Rules: the signature covers the bytes as they are sent; a receiver compares in constant time, refuses what is older than five minutes, and takes an
event id once. What it receives says what waits; there is nothing in it with which anybody could answer.
Source: threats T32 and T33.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import model_validator

from ...schemas.canonical import canonical
from ...schemas.notice import Delivery
from .post import checked, judged, post
from .sender import ChannelSettings, EnvName, Message, needed, wrong

TOLERANCE_S = 300


class WebhookSettings(ChannelSettings):
    """A receiver of signed JSON."""

    kind: Literal["webhook"]
    url: str = ""
    url_env: EnvName = ""
    secret_env: EnvName = ""
    allow_private: bool = False

    @model_validator(mode="after")
    def _has_one_address_and_a_secret(self) -> WebhookSettings:
        if bool(self.url) == bool(self.url_env):
            raise wrong("expected one of `url` and `url_env`", "give the address, or the environment variable that holds it")
        if not self.secret_env:
            raise wrong("expected `secret_env`: a webhook is signed", "name the environment variable that holds the secret which the receiver knows too")
        if self.url:
            checked(self.url, allow_private=self.allow_private)
        return self

    def sender(self, environ: Mapping[str, str]) -> Webhook:
        """Return what sends."""
        return Webhook(self, environ)


class Webhook:
    """Sends to one receiver."""

    def __init__(self, settings: WebhookSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ

    def send(self, message: Message) -> Delivery:
        """Post once. Raises: NotConfigured."""
        settings = self._settings
        secret = needed(self._environ, settings.secret_env)
        url = settings.url or needed(self._environ, settings.url_env)
        body = canonical(dict(message.data))
        timestamp = str(int(message.sent_at.timestamp()))
        headers = {
            "Content-Type": "application/json", "X-Assent-Timestamp": timestamp, "X-Assent-Event-Id": message.id,
            "X-Assent-Signature": signature(secret, timestamp, body),
        }  # fmt: skip
        answer = post(url, headers, body, allow_private=settings.allow_private, time_s=settings.time_s)
        return answer if isinstance(answer, Delivery) else judged(answer, message.sent_at)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of the signature header."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def verify_signature(secret: str, timestamp: str, body: bytes, signature: str, now: datetime, *, tolerance_s: int = TOLERANCE_S) -> bool:
    """Tell whether a delivery is from whoever knows the secret, and fresh; for receivers.

    Args:
        timestamp, signature: the headers `X-Assent-Timestamp` and `X-Assent-Signature`, as they came.
        body: the bytes as they came; JSON that was parsed and written again has other bytes.
        now: the receiver's time, aware.
        tolerance_s: how far the timestamp may be from it, either way, in seconds.

    Returns: false for anything odd. An event id that was seen before is the receiver's to refuse.
    """
    if not secret or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    expected = "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    is_ours = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass"))
    return is_ours and abs(now.timestamp() - int(timestamp)) <= tolerance_s
