"""Run: one problem on its way, and the states it can be in.

The table below is the whole life of a run; a missing key is the illegal transition. Its id is LangGraph's thread id.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from .noun import At, Noun


class RunStatus(StrEnum):
    """Where a run stands."""

    PLANNING = "planning"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    IN_DOUBT = "in_doubt"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DENIED = "denied"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled_back"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in OVER

    @property
    def is_waiting(self) -> bool:
        """Whether a person has to speak first."""
        return self in (RunStatus.AWAITING_APPROVAL, RunStatus.IN_DOUBT)


_S = RunStatus
OVER = frozenset({_S.COMPLETED, _S.FAILED, _S.REJECTED, _S.EXPIRED, _S.DENIED, _S.CANCELLED, _S.ROLLED_BACK})
# What a run did can still be taken back by a person after it ended; nothing else leaves an end.
_TAKEN_BACK = frozenset({_S.ROLLED_BACK})
TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    _S.PLANNING: frozenset({_S.RUNNING, _S.AWAITING_APPROVAL, _S.DENIED, _S.FAILED, _S.CANCELLED}),
    _S.AWAITING_APPROVAL: frozenset({_S.RUNNING, _S.REJECTED, _S.EXPIRED, _S.DENIED, _S.CANCELLED}),
    _S.RUNNING: OVER | {_S.AWAITING_APPROVAL, _S.IN_DOUBT},
    _S.IN_DOUBT: frozenset({_S.RUNNING, _S.CANCELLED}),
    _S.COMPLETED: _TAKEN_BACK,
    _S.FAILED: _TAKEN_BACK,
    _S.REJECTED: _TAKEN_BACK,
    _S.EXPIRED: _TAKEN_BACK,
    _S.DENIED: frozenset(),
    _S.CANCELLED: _TAKEN_BACK,
    _S.ROLLED_BACK: frozenset(),
}


class RunRow(Noun):
    """What the ledger knows of a run at a glance."""

    id: str
    status: RunStatus
    graph: str = "par"
    tier: int | None = None
    title: str = ""
    requester: str = ""
    digest: str = Field(default="", description="Digest of the plan in force; empty while planning.")
    version: int = 0
    stop_requested: bool = False
    created_at: At
    updated_at: At
