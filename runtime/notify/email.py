"""The e-mail channel: one plain-text message over SMTP.

Rules:
- STARTTLS with the server's certificate checked, unless the configuration says otherwise; a password never travels in clear.
- Headers are made here from checked addresses and one line of ASCII; text of a plan is in the body alone. No HTML, no attachment.
- Message-ID is made of the event id, so that a copy sent again is the same message.
- A recipient whom the server refuses is named in what is said; it is sent when one took it.

Source: RFC 5321 (4yz is worth another try, 5yz is not), RFC 3834 (Auto-Submitted).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ...schemas.notice import Delivery, Outcome
from .sender import ChannelSettings, EnvName, Message, needed, wrong

if TYPE_CHECKING:
    import ssl
    from email.message import EmailMessage

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_PORTS = {"starttls": 587, "ssl": 465, "plain": 25}


def _is_address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise wrong("expected an e-mail address", "for example ops@example.org, without a name beside it")
    return text


EmailAddress = Annotated[str, AfterValidator(_is_address)]


class EmailSettings(ChannelSettings):
    """A mail server and who is written to."""

    kind: Literal["email"]
    host: str = Field(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")
    port: int = Field(default=0, ge=0, le=65535, description="0: 587 for starttls, 465 for ssl, 25 for plain.")
    security: Literal["starttls", "ssl", "plain"] = "starttls"
    ca_file: str = Field(default="", description="Certificates to trust instead of the system's.")
    sender_address: EmailAddress = Field(alias="from")
    to: tuple[EmailAddress, ...] = ()
    addresses: dict[str, EmailAddress] = Field(default_factory=dict, description="Address by actor: who is concerned is written to as well.")
    user_env: EnvName = ""
    password_env: EnvName = ""

    @model_validator(mode="after")
    def _holds_together(self) -> EmailSettings:
        if not self.to and not self.addresses:
            raise wrong("expected `to` or `addresses`", "name who is written to: `to: [ops@example.org]`")
        if bool(self.user_env) != bool(self.password_env):
            raise wrong("expected `user_env` and `password_env`, or neither", "name the variables with the user and the password")
        if self.user_env and self.security == "plain":
            raise wrong("a password is not sent in clear", "set `security: starttls` or `security: ssl`")
        return self

    def sender(self, environ: Mapping[str, str]) -> Email:
        """Return what sends."""
        return Email(self, environ)


class Email:
    """Sends through one server."""

    def __init__(self, settings: EmailSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ

    def send(self, message: Message) -> Delivery:
        """Send once. Raises: NotConfigured."""
        import smtplib  # here and below, because reading a configuration should not cost a client of SMTP

        settings = self._settings
        login = (needed(self._environ, settings.user_env), needed(self._environ, settings.password_env)) if settings.user_env else None
        to = list(dict.fromkeys([*settings.to, *(settings.addresses[name] for name in message.people if name in settings.addresses)]))
        if not to:
            return Delivery(outcome=Outcome.NEVER, said="nobody whom it concerns has an address in this channel")
        try:
            refused = self._sent(letter(message, settings.sender_address, to), login, to)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            outcome = Outcome.NEVER if all(code >= 500 for code in codes) else Outcome.LATER
            return Delivery(outcome=outcome, said=f"the server refuses every recipient: {_names(error.recipients)}")
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
            return Delivery(outcome=Outcome.NEVER if 500 <= error.smtp_code < 600 else Outcome.LATER, said=f"the server says {error.smtp_code} {said[:200]}")
        except smtplib.SMTPNotSupportedError as error:
            return Delivery(outcome=Outcome.NEVER, said=f"the server cannot do what `security: {settings.security}` asks for: {error}")
        except (smtplib.SMTPException, OSError) as error:
            # TLS errors are OSErrors; a certificate that ran out is mended by somebody, so they are tried again.
            return Delivery(outcome=Outcome.LATER, said=f"{type(error).__name__}: {error}")
        return Delivery(outcome=Outcome.SENT, said=f"refused for {_names(refused)}" if refused else "")

    def _sent(self, mail: EmailMessage, login: tuple[str, str] | None, to: list[str]) -> Mapping[str, tuple[int, bytes]]:
        import smtplib

        settings = self._settings
        port = settings.port or _PORTS[settings.security]
        # Named, because smtplib would otherwise ask DNS for this machine's name, and tell it to the server.
        own = settings.sender_address.rpartition("@")[2]
        if settings.security == "ssl":
            server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, port, local_hostname=own, timeout=settings.time_s, context=self._trust())
        else:
            server = smtplib.SMTP(settings.host, port, local_hostname=own, timeout=settings.time_s)
        try:
            if settings.security == "starttls":
                server.starttls(context=self._trust())
            if login is not None:
                server.login(*login)
            return server.send_message(mail, settings.sender_address, to)
        finally:
            # Whether it was taken is known by now; how the parting goes does not matter.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()

    def _trust(self) -> ssl.SSLContext:
        import ssl

        return ssl.create_default_context(cafile=self._settings.ca_file or None)


def letter(message: Message, sender: str, to: list[str]) -> EmailMessage:
    """Return the message that is sent."""
    from email.message import EmailMessage
    from email.policy import SMTP
    from email.utils import format_datetime

    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = " ".join(message.subject.split())
    mail["Date"] = format_datetime(message.sent_at)
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Assent-Event-Id"] = message.id
    mail.set_content(message.text)
    return mail


def _names(refused: Mapping[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{address} ({code})" for address, (code, _) in refused.items())
