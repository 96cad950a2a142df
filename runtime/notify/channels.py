"""The `notify:` of a configuration, checked, and the channels that it makes.

    notify:
      link: https://assent.example.org/requests/{request}
      channels:
        ops:   {kind: slack, token_env: SLACK_TOKEN, channel: C0123456789}
        mail:  {kind: email, host: smtp.example.org, from: assent@example.org, to: [leads@example.org], user_env: SMTP_USER, password_env: SMTP_PASSWORD}
        siem:  {kind: webhook, url: https://hooks.example.org/assent, secret_env: ASSENT_HOOK_SECRET}
        here:  {kind: terminal}
      routes:
        - {events: [request.opened, request.expired], risk: [HIGH, CRITICAL], roles: [lead, admin], channels: [ops, mail]}
        - {events: [run.*], channels: [siem]}

Rules: a wrong setting is refused when it is read, with its key and what to do; no message repeats a value, since it might be a secret. What only
the surroundings can tell (a variable that is not set, a package that is missing) is a warning of `assent doctor` and a failure of the delivery.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from ...policies.backoff import Backoff
from ...policies.routing import is_event
from ...schemas.errors import InvalidConfiguration
from ...schemas.notice import EVENTS, Route
from ...schemas.noun import Noun
from .email import EmailSettings
from .post import complaint
from .sender import Sender
from .slack import SlackSettings, is_installed
from .terminal import TerminalSettings
from .webhook import WebhookSettings

AnyChannel = Annotated[SlackSettings | EmailSettings | WebhookSettings | TerminalSettings, Field(discriminator="kind")]
_KINDS = ("slack", "email", "webhook", "terminal")
_SECRET = re.compile(r"(token|password|secret|webhook_url|user)$")


class NotifySettings(Noun):
    """Who is told what, and how."""

    link: str = Field(default="", description="Where a person can look: an address with {request} or {run} in it. It only leads there.")
    channels: dict[str, AnyChannel] = Field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    tries: int = Field(default=Backoff().tries, ge=1, le=100, description="After this many a notice is given up, and stays listed.")

    @model_validator(mode="after")
    def _fits_together(self) -> NotifySettings:
        for number, route in enumerate(self.routes):
            for name in route.channels:
                if name not in self.channels:
                    raise _refused(f"notify.routes.{number}.channels", f"no channel {name!r}", _near(name, self.channels, "channels"))
            for event in route.events:
                if not is_event(event):
                    raise _refused(f"notify.routes.{number}.events", f"no event {event!r}", _near(event, EVENTS, "events"))
        if self.link:
            filled = re.sub(r"\{(request|run)\}", "x", self.link)
            found = complaint(filled, allow_private=True) or ("it holds braces besides {request} and {run}" if re.search(r"[{}]", filled) else "")
            if found:
                raise _refused("notify.link", found, "for example https://assent.example.org/requests/{request}")
        return self

    @property
    def backoff(self) -> Backoff:
        """When to try again."""
        return Backoff(tries=self.tries)


class Channels:
    """The channels of a configuration, ready to send.

    Args:
        environ: where secrets are read from, at each try.
    """

    def __init__(self, settings: NotifySettings, environ: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.environ = os.environ if environ is None else environ

    def __contains__(self, name: object) -> bool:
        return name in self.settings.channels

    def __iter__(self) -> Iterator[str]:
        return iter(self.settings.channels)

    def sender(self, name: str) -> Sender | None:
        """Return what sends to a channel; `None` when none of that name is configured."""
        found = self.settings.channels.get(name)
        return None if found is None else found.sender(self.environ)

    def time_s(self, name: str) -> float:
        """Return how long one try may take."""
        return self.settings.channels[name].time_s

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that the channels read from the environment: no notice may hold one."""
        values = (self.environ.get(variable, "").strip() for one in self.settings.channels.values() for variable in one.variables)
        return tuple(dict.fromkeys(value for value in values if value))


def read_notify(value: Any) -> NotifySettings:
    """Read what stands under `notify:`.

    Raises:
        InvalidConfiguration: names the key and the remedy; never repeats a value of a channel.
    """
    if isinstance(value, NotifySettings):
        return value
    try:
        return NotifySettings.model_validate({} if value is None else value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
    # Outside of the handler: the error's own text may hold what was written, so it is not chained.
    places = [str(part) for part in first["loc"]]
    if len(places) > 2 and places[0] == "channels" and places[2] in _KINDS:
        del places[2]
    key = ".".join(["notify", *places])
    hint = first.get("ctx", {}).get("hint", "")
    if not hint and first["type"] == "extra_forbidden" and _SECRET.search(places[-1]):
        hint = f"a secret does not stand in the file: put it into the environment and write `{places[-1]}_env: NAME` here"
    raise _refused(key, "no such setting" if first["type"] == "extra_forbidden" else first["msg"], hint or f"mend `{key}`; `assent notify --help` explains the channels")


def check_roles(settings: NotifySettings, known: Iterable[str]) -> None:
    """Refuse a route for a role that nobody could hold.

    Args:
        known: every role that the rules name.

    Raises:
        InvalidConfiguration: names the key and the remedy.
    """
    roles = sorted(set(known))
    for number, route in enumerate(settings.routes):
        for role in route.roles:
            if role not in roles:
                raise _refused(f"notify.routes.{number}.roles", f"no role {role!r}", _near(role, roles, "roles"))


def warnings(channels: Channels) -> list[tuple[str, str]]:
    """Return what would keep a channel from sending from here, as (what, remedy): variables that are not set, a package that is missing."""
    found: list[tuple[str, str]] = []
    for name, settings in channels.settings.channels.items():
        found += [
            (f"notify.channels.{name}: the environment variable {variable} is not set", f"set {variable} where `assent` runs, also for cron")
            for variable in settings.variables
            if not channels.environ.get(variable, "").strip()
        ]
        if isinstance(settings, SlackSettings) and not is_installed():
            found.append((f"notify.channels.{name}: slack-sdk is not installed", "`pip install 'assent[notify]'`"))
    used = {channel for route in channels.settings.routes for channel in route.channels}
    found += [(f"notify.channels.{name}: no route leads to it", "name it in `notify.routes`, or remove it") for name in channels.settings.channels if name not in used]
    return found


def _refused(key: str, said: str, hint: str) -> InvalidConfiguration:
    return InvalidConfiguration(f"{key}: {said}", hint=hint, key=key)


def _near(word: str, known: Iterable[str], what: str) -> str:
    names = list(known)
    near = difflib.get_close_matches(word, names, 1)
    return f"did you mean `{near[0]}`?" if near else f"the {what} are: {', '.join(names) or 'none'}"
