"""The nouns of a delivery: what a checkpoint said, whether the way back was tried, and what was decided about the release.

Rules: these are what the ledger's log keeps of a phase, small and without free text of agents; the synthesis itself is named by its digest.
Source: E3, E7, E11, seed 4.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .consolidated import CheckpointAction
from .go_no_go import GoNoGoDecision
from .noun import At, Noun

ANALYSIS, TESTING = "analysis", "testing"
"""The names of the phases before and after the work."""


class AgentTime(Noun):
    """How one agent of a phase did."""

    id: str
    outcome: str
    took_ms: int = Field(ge=0)
    reused: bool = False


class PhaseCheck(Noun):
    """What a checkpoint said about a synthesis; the newest of a phase counts."""

    phase: str
    consolidated: str = Field(description="Digest of the synthesis that was judged.")
    plan: str = Field(default="", description="Digest of the plan whose work was tested; empty before there is work.")
    passed: bool
    action: CheckpointAction
    failed: tuple[str, ...] = Field(default=(), description="Ids of the criteria that do not hold.")
    agents: tuple[AgentTime, ...] = ()
    at: At | None = None


class Rehearsal(Noun):
    """Whether taking the work back was tried, in a copy of the workspace."""

    tested: bool
    steps: tuple[int, ...] = Field(default=(), description="Steps that were taken back in the copy, in the order in which that was done.")
    verified: tuple[int, ...] = Field(default=(), description="Those of which the tool saw that the earlier state was back.")
    untested: tuple[str, ...] = Field(default=(), description="Steps that could not be tried, or that could not be taken back, in words.")


class Decided(Noun):
    """A go / no-go decision, as the log keeps it. `id` is a digest of what it rests on."""

    id: str
    decision: GoNoGoDecision
    plan: str
    consolidated: str
    critical_pass: bool
    warnings: int | None = None
    asks: bool = Field(default=False, description="Whether the release takes a stakeholder's approval.")
    at: At | None = None


ReleaseState = Literal["", "open", "waits", "released", "blocked", "refused"]
"""Where a delivery stands: empty for a run of another graph, `open` before the decision, `waits` for a stakeholder, `refused` by one."""
