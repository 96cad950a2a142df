"""Final consolidation: everything known of a delivery when it is decided whether it goes out, with the names of the source.

Rules: the four sections of the source are there word for word; what nobody measured is said to be unknown; nothing here permits anything, the
decision in force is the ledger's. Source: E6, E7, seed 4 (`final_consolidation`, validation checkpoint final).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .go_no_go import GoNoGoDecision, ValidationResults
from .noun import At, Noun


class ProjectSummary(Noun):
    """What was done and how it was tested."""

    changes_implemented: tuple[str, ...] = ()
    tests_passed: int | None = None
    tests_failed: int | None = None
    documentation_updated: tuple[str, ...] = ()
    performance_impact: dict[str, Any] = Field(default_factory=dict)


class DeploymentReadiness(Noun):
    """Whether it can go out, and when."""

    status: Literal["ready", "blocked", "conditional"]
    blockers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    deployment_window: str = ""


class MonitoringSetup(Noun):
    """What is watched afterwards."""

    metrics_configured: tuple[str, ...] = ()
    alerts_defined: tuple[str, ...] = ()
    dashboards_created: tuple[str, ...] = ()


class RollbackPlan(Noun):
    """When to take it back, how, and how to see that it worked."""

    triggers: tuple[str, ...]
    procedures: tuple[str, ...]
    validation_steps: tuple[str, ...]


class FinalCriterion(Noun):
    """One criterion of the final checkpoint. `None`: nobody knows."""

    id: str
    text: str
    met: bool | None
    reason: str
    decides: bool = Field(default=False, description="Whether the decision matrix counts it; the others are for people to weigh.")


class FinalConsolidation(Noun):
    """The document."""

    run_id: str
    plan: str
    title: str = ""
    timestamp: At
    decision: GoNoGoDecision
    headline: str
    reasons: tuple[str, ...] = ()
    executive_summary: tuple[str, ...] = ()
    project_summary: ProjectSummary
    deployment_readiness: DeploymentReadiness
    deployment_instructions: tuple[str, ...] = ()
    monitoring_setup: MonitoringSetup
    known_issues: tuple[str, ...] = ()
    rollback_plan: RollbackPlan
    criteria: tuple[FinalCriterion, ...]
    validation: ValidationResults
    stakeholder_approval: str = ""
    technical_details: dict[str, Any] = Field(default_factory=dict)
