"""Progress: where a run stands while it is on its way, with the names of the source's implementation tracker. Source: E4, E14."""

from __future__ import annotations

from pydantic import Field

from .noun import At, Noun


class CurrentStep(Noun):
    """What is being done now, or waited for."""

    name: str
    started: At | None = None
    estimated_completion: At | None = Field(default=None, description="Absent: nothing tells.")
    blockers: tuple[str, ...] = ()


class RollbackPoint(Noun):
    """A place to which `assent rollback RUN --to N` leads back: after the first `to` steps."""

    to: int = Field(ge=0)
    name: str
    at: At | None = None
    steps_back: int = Field(ge=0, description="How many steps would be taken back.")


class Progress(Noun):
    """The tracker."""

    run_id: str
    status: str
    phase: str = Field(description="analysis, planning, approval, implementation, testing, final consolidation, or done.")
    percent: int = Field(ge=0, le=100)
    total_steps: int = 0
    completed: int = 0
    current_step: CurrentStep | None = None
    estimated_completion: At | None = Field(default=None, description="Of the whole run.")
    active_agents: tuple[str, ...] = ()
    blockers: tuple[str, ...] = ()
    rollback_points: tuple[RollbackPoint, ...] = ()
