"""Dispatch (the permission to run one call once) and Receipt (what the call did).

A dispatch is recorded before the call and a receipt after it. A dispatch without a receipt, found later, is in doubt.
Source: write-ahead intent; effect classes as in the reliability notes (transactional, keyed, conditional, readable, opaque).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from .noun import At, Noun

Direction = Literal["do", "undo", "before", "after"]
"""`do` a step, `undo` it, or take a measure `before` and `after`."""


class EffectClass(StrEnum):
    """What can be known about an effect whose receipt is missing."""

    TRANSACTIONAL = "transactional"
    """Effect and receipt commit together; never in doubt."""
    KEYED = "keyed"
    """The other side deduplicates on our key; the same call may be sent again."""
    CONDITIONAL = "conditional"
    """Running it twice leaves the same state; it may be run again."""
    READABLE = "readable"
    """Looking tells whether it happened."""
    OPAQUE = "opaque"
    """Only a person can tell."""


class Effects(Noun):
    """What a call may touch."""

    reads: bool = True
    writes: bool = False
    network: bool = False
    irreversible: bool = False


class Receipt(Noun):
    """What a call did. `output` stays small; bulk is an artifact, named by its digest."""

    status: Literal["done", "failed", "not_started", "unknown"]
    """`failed`: it ended and says it did not succeed. `not_started`: provably nothing happened. `unknown`: it may have happened."""
    summary: str = ""
    output: dict[str, Any] = Field(default_factory=dict)
    output_ref: str = Field(default="", description="Digest of the full output in the artifact folder; empty when `output` is all of it.")
    before: dict[str, Any] = Field(default_factory=dict, description="What the tool noted before it began; enough to undo and to probe.")
    verified: bool | None = Field(default=None, description="For an undo: whether the earlier state was seen to be back. None: could not look.")
    duration_ms: int = Field(default=0, ge=0)
    cost_usd: str = "0"

    @property
    def is_done(self) -> bool:
        """Whether the effect is there."""
        return self.status == "done"


class DispatchState(StrEnum):
    """Where a dispatched call stands."""

    DISPATCHED = "dispatched"
    DONE = "done"
    FAILED = "failed"
    NOT_STARTED = "not_started"
    IN_DOUBT = "in_doubt"
    ABANDONED = "abandoned"


class Dispatch(Noun):
    """The permission to run one call once, with what became of it."""

    run_id: str
    digest: str
    step: int
    direction: Direction
    attempt: int = 1
    state: DispatchState = DispatchState.DISPATCHED
    effect_class: EffectClass = EffectClass.OPAQUE
    key: str = Field(description="Idempotency key: the same for every re-send of this attempt.")
    before: dict[str, Any] = Field(default_factory=dict)
    started_at: At
    finished_at: At | None = None
    receipt: Receipt | None = None
