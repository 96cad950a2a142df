"""Event: one entry of the append-only log, as a person and a program read it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .noun import At, Noun


class Event(Noun):
    """What happened, when, by whom. `data` holds digests and small public fields, never secrets."""

    seq: int
    run_id: str = ""
    type: str = Field(description="Dotted, past tense: run.started, plan.frozen, request.opened, decision.recorded, step.dispatched …")
    at: At
    actor: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


class Finding(Noun):
    """One thing that `verify` found wrong."""

    seq: int | None = None
    what: str


class Verification(Noun):
    """What recomputing the whole log found."""

    ok: bool
    entries: int
    head: str
    problems: tuple[str, ...] = ()
    erased: int = Field(default=0, description="Runs whose details retention removed; their digests stay.")


class Anchor(Noun):
    """The head of a log at a moment; kept elsewhere, it shows truncation and roll-back later."""

    form: str = "assent.anchor/1"
    deployment: str
    entries: int
    head: str
    at: At
