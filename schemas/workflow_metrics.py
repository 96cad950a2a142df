"""Workflow metrics: the key performance indicators of a run with phases, with the names of the source.

Rules: seconds and shares from 0 to 1; what nobody measured is absent, not zero. Source: E14, the monitoring section of the phases document.
"""

from __future__ import annotations

from pydantic import Field

from .noun import Noun

_SHARE = Field(default=None, ge=0, le=1)


class PhaseDurations(Noun):
    """Seconds of each phase, from its beginning to its checkpoint; waiting for people is not in them."""

    analysis: float | None = None
    consolidation_1: float | None = Field(default=None, description="From the last report to the checkpoint.")
    implementation: float | None = None
    testing: float | None = None
    final_consolidation: float | None = None


class AgentPerformance(Noun):
    """How the agents of all phases did."""

    success_rate: float | None = _SHARE
    average_execution_time: float | None = Field(default=None, ge=0, description="Seconds, of those that ran and were not reused.")
    resource_efficiency: float | None = Field(default=None, ge=0, le=1, description="Of the time that the slowest agent of its phase took, the share that an agent worked.")


class QualityMetrics(Noun):
    """What the tests and checks said."""

    test_coverage: float | None = _SHARE
    documentation_completeness: float | None = Field(default=None, ge=0, le=1, description="Share of documentation checks that hold.")
    error_rate: float | None = Field(default=None, ge=0, le=1, description="Share of agents and steps that did not succeed.")


class WorkflowMetrics(Noun):
    """The indicators of one run."""

    phase_durations: PhaseDurations = Field(default_factory=PhaseDurations)
    agent_performance: AgentPerformance = Field(default_factory=AgentPerformance)
    quality_metrics: QualityMetrics = Field(default_factory=QualityMetrics)
