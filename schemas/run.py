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
        return not TRANSITIONS[self] or self in _REVERSIBLE

    @property
    def is_waiting(self) -> bool:
        """Whether a person has to speak first."""
        return self in (RunStatus.AWAITING_APPROVAL, RunStatus.IN_DOUBT)


_S = RunStatus
TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    _S.PLANNING: frozenset({_S.RUNNING, _S.AWAITING_APPROVAL, _S.DENIED, _S.FAILED, _S.CANCELLED}),
    _S.AWAITING_APPROVAL: frozenset({_S.RUNNING, _S.AWAITING_APPROVAL, _S.REJECTED, _S.EXPIRED, _S.DENIED, _S.CANCELLED, _S.FAILED, _S.ROLLED_BACK, _S.IN_DOUBT}),
    _S.RUNNING: frozenset({_S.AWAITING_APPROVAL, _S.IN_DOUBT, _S.COMPLETED, _S.FAILED, _S.CANCELLED, _S.ROLLED_BACK, _S.EXPIRED, _S.DENIED, _S.REJECTED}),
    _S.IN_DOUBT: frozenset({_S.RUNNING, _S.FAILED, _S.CANCELLED, _S.ROLLED_BACK, _S.IN_DOUBT}),
    # A run that ended with effects in the world can still be taken back by a person.
    _S.COMPLETED: frozenset({_S.RUNNING, _S.ROLLED_BACK}),
    _S.FAILED: frozenset({_S.RUNNING, _S.ROLLED_BACK}),
    _S.CANCELLED: frozenset({_S.RUNNING, _S.ROLLED_BACK}),
    _S.REJECTED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.DENIED: frozenset(),
    _S.ROLLED_BACK: frozenset(),
}
_REVERSIBLE = frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELLED})


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
