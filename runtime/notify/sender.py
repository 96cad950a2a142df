"""What every kind of channel shares: the fields of its configuration, what it is asked to send, and where its secrets come from.

Rules: a secret is named in the configuration (`token_env: SLACK_TOKEN`) and read from the environment when something is sent; a value that is not
there yet is worth another try, since another process may have it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from ...policies.durations import seconds
from ...schemas.notice import Delivery
from ...schemas.noun import Noun

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class NotConfigured(Exception):
    """Something that the configuration names is not there in this process; nothing was sent."""


@dataclass(frozen=True)
class Message:
    """A notice as text: without secrets, every character visible.

    Args:
        id: the event id.
        subject: one line of ASCII.
        lines: the text; the author's words last.
        data: the same facts for programs.
        at: when it happened.
        sent_at: when this try is made.
        people: ids of the actors whom it concerns.
    """

    id: str
    subject: str
    lines: tuple[str, ...]
    data: Mapping[str, Any]
    at: datetime
    sent_at: datetime
    people: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines) + "\n"


class Sender(Protocol):
    """One channel, ready to send."""

    def send(self, message: Message) -> Delivery:
        """Try once and say what came of it. Raises: NotConfigured. Side effects: the network, or a stream."""
        ...


def wrong(said: str, hint: str) -> PydanticCustomError:
    """Return the error of a wrong setting, for a validator to raise; neither text may repeat a value that could be a secret."""
    return PydanticCustomError("notify", "{said}", {"said": said, "hint": hint})


def _is_name(text: str) -> str:
    if text and not _NAME.fullmatch(text):
        raise wrong("expected the name of an environment variable", "put the secret into the environment and its variable's name here: `token_env: SLACK_TOKEN`")
    return text


EnvName = Annotated[str, AfterValidator(_is_name)]
"""The name of an environment variable; empty: none."""


class ChannelSettings(Noun):
    """What is configured for every kind of channel."""

    model_config = ConfigDict(hide_input_in_errors=True)

    time_s: float = Field(default=10.0, ge=0.1, le=60, alias="time", description="How long one try may take.")

    _span = field_validator("time_s", mode="before")(lambda value: seconds(value) if isinstance(value, str) else value)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables that it reads."""
        return tuple(name for key in type(self).model_fields if key.endswith("_env") and (name := getattr(self, key)))


def needed(environ: Mapping[str, str], name: str) -> str:
    """Return the value of a variable. Raises: NotConfigured: it is not set or empty."""
    value = environ.get(name, "").strip()
    if not value:
        raise NotConfigured(f"the environment variable {name} is not set")
    return value
