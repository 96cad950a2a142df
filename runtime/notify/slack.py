"""The Slack channel: an incoming webhook, or a bot that posts to one conversation.

Rules:
- The text goes as plain-text blocks with emoji and previews off: nothing in a plan can become a mention, a link with another face, or formatting,
  and nobody fetches a link that stands in it.
- The SDK builds and reads, `post` sends: the SDK's own transport follows redirects with the token and takes proxies from the environment.
- The SDK repeats nothing; when to try again is the outbox's to say.

Needs the extra `notify` (slack-sdk), which is imported when something is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from ...schemas.notice import Delivery, Outcome
from .post import checked, judged, post, retry_after_s
from .sender import ChannelSettings, EnvName, Message, NotConfigured, needed, wrong

if TYPE_CHECKING:
    import logging

    from ...tools.exchange import Answer

API = "https://slack.com/api/"
_SECTION_CHARS = 2900
"""A block holds 3000 characters."""
_MOST_SECTIONS = 10
_NEVER = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission", "missing_scope", "not_allowed_token_type",
     "channel_not_found", "not_in_channel", "is_archived", "restricted_action", "invalid_blocks", "invalid_arguments", "msg_too_long", "no_text",
     "access_denied", "ekm_access_denied", "team_access_not_granted", "org_login_required", "method_deprecated", "deprecated_endpoint"}
)  # fmt: skip
"""Answers that stay the same until somebody mends something. Any other error is worth another try."""


class SlackSettings(ChannelSettings):
    """A conversation in Slack."""

    kind: Literal["slack"]
    webhook_url_env: EnvName = Field(default="", description="Variable with the address of an incoming webhook; the address is a secret.")
    token_env: EnvName = Field(default="", description="Variable with a bot's token.")
    channel: str = Field(default="", max_length=80, description="Where the bot posts, for example C0123456789.")
    base_url: str = API
    allow_private: bool = False

    @model_validator(mode="after")
    def _is_webhook_or_bot(self) -> SlackSettings:
        if bool(self.webhook_url_env) == bool(self.token_env):
            raise wrong("expected one of `webhook_url_env` and `token_env`", "name the variable with the incoming webhook's address, or the one with the bot's token")
        if bool(self.token_env) != bool(self.channel):
            raise wrong("expected `channel` beside `token_env`, and only there", "an incoming webhook posts where Slack says; a bot needs `channel: C…`")
        checked(self.base_url, allow_private=self.allow_private)
        return self

    def sender(self, environ: Mapping[str, str]) -> Slack:
        """Return what sends."""
        return Slack(self, environ)


class Slack:
    """Sends to one conversation."""

    def __init__(self, settings: SlackSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ

    def send(self, message: Message) -> Delivery:
        """Post once. Raises: NotConfigured: a variable or the SDK is missing."""
        if self._settings.token_env:
            return self._as_bot(message, needed(self._environ, self._settings.token_env))
        return self._by_webhook(message, needed(self._environ, self._settings.webhook_url_env))

    def _as_bot(self, message: Message, token: str) -> Delivery:
        sdk = _sdk()
        settings = self._settings

        class Client(sdk.WebClient):  # type: ignore[misc, name-defined]
            def _perform_urllib_http_request_internal(self, url: str, req: Any) -> dict[str, Any]:
                answer = _carried(url, req, settings)
                return {"status": answer.status, "headers": dict(answer.headers), "body": answer.body.decode("utf-8", "replace")}

        client = Client(token=token, base_url=settings.base_url.rstrip("/") + "/", retry_handlers=[], logger=_quiet())
        try:
            client.chat_postMessage(
                channel=settings.channel, text=_escaped(message.subject), blocks=list(blocks(message)), mrkdwn=False, parse="none", link_names=False,
                unfurl_links=False, unfurl_media=False,
            )  # fmt: skip
        except _NoAnswer as none:
            return none.delivery
        except sdk.errors.SlackApiError as refusal:
            return _refused(refusal.response, message)
        return Delivery(outcome=Outcome.SENT)

    def _by_webhook(self, message: Message, url: str) -> Delivery:
        sdk = _sdk()
        settings = self._settings

        class Client(sdk.webhook.WebhookClient):  # type: ignore[misc, name-defined]
            def _perform_http_request_internal(self, url: str, req: Any) -> Any:
                self.answer = _carried(url, req, settings)
                return sdk.webhook.WebhookResponse(url="", status_code=self.answer.status, body=self.answer.body.decode("utf-8", "replace"), headers={})

        client = Client(url, retry_handlers=[], logger=_quiet())
        try:
            client.send(text=_escaped(message.subject), blocks=list(blocks(message)), unfurl_links=False, unfurl_media=False)
        except _NoAnswer as none:
            return none.delivery
        return judged(client.answer, message.sent_at)


def blocks(message: Message) -> Iterator[dict[str, Any]]:
    """Yield the text as plain-text sections, cut between lines; what does not fit is counted."""
    sections: list[str] = []
    for line in message.lines:
        piece = line[:_SECTION_CHARS] or " "
        if sections and len(sections[-1]) + 1 + len(piece) <= _SECTION_CHARS:
            sections[-1] += "\n" + piece
        else:
            sections.append(piece)
    shown = sections[:_MOST_SECTIONS]
    if len(sections) > len(shown):
        left = sum(map(len, sections[_MOST_SECTIONS:]))
        shown.append(f"… {left:,} more characters are not shown here")
    for section in shown:
        yield {"type": "section", "text": {"type": "plain_text", "text": section, "emoji": False}}


class _NoAnswer(Exception):
    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery.said)
        self.delivery = delivery


def _carried(url: str, req: Any, settings: SlackSettings) -> Answer:
    headers = {name: value for name, value in req.header_items() if name.lower() not in ("host", "content-length", "user-agent")}
    answer = post(url, headers, req.data or b"", allow_private=settings.allow_private, time_s=settings.time_s)
    if isinstance(answer, Delivery):
        raise _NoAnswer(answer)
    return answer


def _refused(response: Any, message: Message) -> Delivery:
    from ...tools.exchange import Answer

    status, error = int(response.status_code), str(response.get("error") or "no reason given")
    headers = {str(name).lower(): str(value) for name, value in dict(response.headers).items()}
    if status == 200:
        outcome = Outcome.NEVER if error in _NEVER else Outcome.LATER
        return Delivery(outcome=outcome, said=f"Slack says {error[:100]}", retry_after_s=retry_after_s(headers, message.sent_at))
    return judged(Answer(status, headers, b"" if error.startswith("Received") else error.encode(), False, 0), message.sent_at)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quiet() -> logging.Logger:
    import logging

    # The SDK logs addresses and bodies of requests that fail; an incoming webhook's address is a secret.
    logger = logging.getLogger("assent.notify.slack")
    logger.disabled = True
    logger.setLevel(logging.CRITICAL)
    return logger


def _sdk() -> Any:
    try:
        import slack_sdk
        import slack_sdk.errors
        import slack_sdk.webhook
    except ImportError:
        raise NotConfigured("slack-sdk is not installed; `pip install 'assent[notify]'` installs it") from None
    return slack_sdk


def is_installed() -> bool:
    """Tell whether the extra that Slack needs is there."""
    from importlib.util import find_spec

    return find_spec("slack_sdk") is not None


__all__ = ["API", "Slack", "SlackSettings", "blocks", "is_installed"]
