"""Notice: one thing that people are told, where it goes, and what came of telling them.

Rules: a notice holds facts and names, never a secret, never text of the plan or of its author (that is read from the plan's bytes when it is
sent), and nothing in it carries authority. Its id is that of the event, the same however often and wherever it is sent.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from .approval import Question, RequestStatus
from .noun import At, Noun
from .risk import Level
from .run import OVER

WAITS = ("request.opened", "request.reminded", "request.backup_called", "request.escalated")
"""Events that ask somebody to answer."""

EVENTS: tuple[str, ...] = (
    *WAITS,
    "request.approvals_void",
    *(f"request.{status.value}" for status in RequestStatus if status is not RequestStatus.OPEN),
    *sorted(f"run.{status.value}" for status in OVER),
)
"""Everything that people can be told. A request or a run that reached a status is told as `request.<status>` or `run.<status>`."""

TEST = "notify.test"
"""What `assent notify test` sends; no route names it."""


class Route(Noun):
    """Which notices go to which channels. What a field does not name it does not ask for."""

    events: tuple[str, ...] = Field(min_length=1, description="Names of events; `request.*`, `run.*` and `*` stand for many.")
    risk: tuple[Level, ...] = Field(default=(), description="Only at these levels; empty: at any, and where none is known.")
    roles: tuple[str, ...] = Field(default=(), description="Only what one of these roles may decide or is called for; empty: anything.")
    channels: tuple[str, ...] = Field(min_length=1)


class Notice(Noun):
    """One thing to tell."""

    id: str = Field(pattern=r"^ntc_[0-9a-f]{24}$", description="The event id: receivers take what has the same one once.")
    event: str
    channels: tuple[str, ...] = ()
    run_id: str = ""
    request_id: str = ""
    kind: Question | None = None
    digest: str = ""
    version: int = 0
    risk: Level | None = None
    roles: tuple[str, ...] = Field(default=(), description="Who may decide, or is called for.")
    approvals: int = Field(default=0, ge=0, description="How many different people it takes.")
    not_from: tuple[str, ...] = ()
    people: tuple[str, ...] = Field(default=(), description="Ids of the actors whom it concerns: the requester, those whose approval is void …")
    decide_by: At | None = None
    why: str = Field(default="", description="Why it is told now; a sentence of our own.")


class Outcome(StrEnum):
    """What came of one try."""

    SENT = "sent"
    LATER = "later"
    NEVER = "never"


class Delivery(Noun):
    """What came of one try, in words; `later` is worth another try, `never` is not before somebody mends something."""

    outcome: Outcome
    said: str = ""
    retry_after_s: float = Field(default=0, ge=0, description="The least that the receiver asks to wait.")


class Posted(Noun):
    """A notice on its way to one channel, as the outbox keeps it."""

    notice: Notice
    channel: str
    state: Literal["waiting", "sent", "given_up"] = "waiting"
    attempts: int = 0
    at: At = Field(description="When it happened.")
    next_at: At = Field(description="When it is due, or due again if a sender that took it is never heard of.")
    said: str = Field(default="", description="What came of the last try.")
