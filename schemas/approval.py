"""The nouns of asking people: Actor, Request (a question), Decision (an answer), and what a question needs to be settled.

Rules: a decision is about a digest, not about a run; an actor's identity comes from the door and never from the answer's content.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from .noun import At, Noun
from .risk import Level


class Assurance(StrEnum):
    """How an identity was established, weakest first."""

    ASSERTED = "asserted"
    OPERATING_SYSTEM = "operating_system"
    AUTHENTICATED = "authenticated"


Urgency = Literal["low", "normal", "high", "critical"]


class Actor(Noun):
    """Who stands at a door."""

    id: str = Field(min_length=1, max_length=200)
    kind: Literal["human", "agent", "system"] = "human"
    roles: tuple[str, ...] = ()
    assurance: Assurance = Assurance.ASSERTED
    name: str = ""


AUTO = Actor(id="system:auto", kind="system", name="auto-approval", assurance=Assurance.OPERATING_SYSTEM)
"""The approver of what needs no person."""


class Verdict(StrEnum):
    """What a person answers. The last three settle a step of which it is not known whether it happened."""

    APPROVE = "approve"
    REJECT = "reject"
    EDIT = "edit"
    HAPPENED = "happened"
    DID_NOT_HAPPEN = "did_not_happen"
    ABANDON = "abandon"


PERMITS = frozenset({Verdict.APPROVE, Verdict.DID_NOT_HAPPEN})
"""The answers after which something runs: a plan, or again a call of which people found that it did not happen."""


class Question(StrEnum):
    """What a request asks about."""

    PLAN = "plan"
    IN_DOUBT = "in_doubt"
    OVERRUN = "overrun"
    GATE = "gate"
    CONFLICT = "conflict"
    REVIEW = "review"


class RequestStatus(StrEnum):
    """Where a request stands. Everything but `open` is final."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EDITED = "edited"
    SETTLED = "settled"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Stage(Noun):
    """One step of a chain of approvals: any of these roles, so many different people."""

    roles: tuple[str, ...] = Field(min_length=1)
    approvals: int = Field(default=1, ge=1, le=20)


class Need(Noun):
    """What it takes to approve: one stage, or several in order."""

    roles: tuple[str, ...] = Field(description="Any of these roles may approve.")
    approvals: int = Field(default=1, ge=1, description="How many different people, over all stages.")
    stages: tuple[Stage, ...] = Field(default=(), description="In this order; empty: `roles` and `approvals` are the only stage.")
    denials: int = Field(default=1, ge=1, description="How many rejections settle it.")
    not_from: tuple[str, ...] = Field(default=(), description="Contributors who may not approve.")
    reason_required: bool = False
    rules: tuple[str, ...] = Field(default=(), description="Ids of the rules that ask for this.")

    @cached_property
    def chain(self) -> tuple[Stage, ...]:
        """The stages in order."""
        return self.stages or (Stage(roles=self.roles, approvals=self.approvals),)


class Decision(Noun):
    """One person's answer to one request."""

    request_id: str
    actor: Actor
    verdict: Verdict
    digest: str
    reason: str = ""
    at: At
    counted: bool = Field(default=True, description="False when a later answer of the same person replaced it.")


class Request(Noun):
    """A question to people, about exactly these bytes."""

    id: str
    run_id: str
    kind: Question
    digest: str = Field(description="Digest of the plan the question is about.")
    version: int = 1
    risk: Level
    title: str = ""
    subject: dict[str, Any] = Field(default_factory=dict, description="What kind-specific screens need: the step in doubt, the overrun …")
    options: tuple[Verdict, ...] = (Verdict.APPROVE, Verdict.REJECT, Verdict.EDIT)
    need: Need
    requester: str
    urgency: Urgency = "normal"
    required_by: At | None = Field(default=None, description="When the author needs the answer; `decide_by` is when it is too late.")
    tags: tuple[str, ...] = Field(default=(), description="Environment and affected systems, for filters.")
    opened_at: At
    decide_by: At | None = None
    claimed_by: str = Field(default="", description="Who looks at it now, so that two people don't do the same work. Permits nothing.")
    claimed_until: At | None = None
    status: RequestStatus = RequestStatus.OPEN
    settled_at: At | None = None
    decisions: tuple[Decision, ...] = ()

    @property
    def request_id(self) -> str:
        """The same as `id`; the name that interrupt payloads use."""
        return self.id

    @property
    def is_open(self) -> bool:
        """Whether it still waits for somebody."""
        return self.status is RequestStatus.OPEN

    @property
    def approvals(self) -> tuple[Decision, ...]:
        """The approvals that count; of a call in doubt, the answers that it did not happen, which let it run again."""
        return tuple(d for d in self.decisions if d.counted and d.verdict in PERMITS)
