"""Document: what a person wrote, as it was written, before anything is decided about it.

Rules:
- tolerant about what is missing, strict about what is there: fields are closed, so a misspelt one was already refused by the reader;
- durations, money and dates stay the text that was written; freezing gives them a meaning;
- a field that still holds its template's list of choices is None, and `unchosen` names it;
- nothing here is authority: an approval, a status or a time that stands in a document permits nothing.

Source: templates and examples of the problem/action/results guide.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .noun import Noun
from .plan import Call, Grade
from .problem import Context
from .risk import Level


class Hint(Noun):
    """One thing that would make a document better: where, what is missing, and what to write instead."""

    field: str
    missing: str
    write_instead: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.field}: {self.missing} → {self.write_instead}"


class Unchosen(Noun):
    """A field that still holds the list of its choices."""

    field: str
    choices: tuple[str, ...]
    line: int | None = None


class Metadata(Noun):
    """Who wrote it, when, for which tier. Claims of the author; identity comes from the door."""

    workflow_id: str = ""
    workflow_type: str = ""
    agent_tier: int | None = Field(default=None, ge=1, le=4)
    created_at: str = ""
    created_by: str = ""
    version: str = ""


class WrittenProblem(Noun):
    """A problem that may still lack its title."""

    title: str = ""
    description: str = ""
    context: Context = Field(default_factory=Context)
    success_criteria: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    out_of_scope: tuple[str, ...] = ()


class WrittenStep(Noun):
    """A step in one of its forms: a tool with arguments, commands for the shell, or only a description."""

    step: int | None = None
    description: str = ""
    tool: str = ""
    args: dict[str, Any] | None = None
    commands: tuple[str, ...] = ()
    risk: Level | None = None
    reversible: bool | None = None
    rollback_plan: str = ""
    undo: Call | None = None
    estimated_time: str = ""
    estimated_cost: str = ""


class WrittenApproval(Noun):
    """An approval that the document asks for."""

    type: str | None = None
    approver: str = ""
    reason: str = ""


class WrittenJudgement(Noun):
    """The author's likelihood, impact and mitigation."""

    likelihood: Grade | None = None
    impact: Grade | None = None
    mitigation: str = ""


class WrittenResources(Noun):
    """What the author expects it to take."""

    cost_estimate: str = ""
    time_estimate: str = ""
    human_oversight: str = ""


class WrittenAction(Noun):
    """How the problem is to be solved."""

    proposed_solution: str = ""
    alternatives: tuple[str, ...] = ()
    steps: tuple[WrittenStep, ...] = ()
    required_approvals: tuple[WrittenApproval, ...] = ()
    risk_assessment: WrittenJudgement = Field(default_factory=WrittenJudgement)
    resources_required: WrittenResources = Field(default_factory=WrittenResources)
    execution_window: str = ""


class WrittenMeasure(Noun):
    """How a success criterion is measured."""

    criterion: str = ""
    tool: str = ""
    args: dict[str, Any] | None = None
    read: str = ""
    unit: str = ""
    target: str = ""
    repeat: int | None = None


class WrittenLink(Noun):
    """A role in the approval chain. A decision written here is a note and permits nothing."""

    role: str = ""
    name: str = ""
    decision: str | None = None
    timestamp: str = ""


class WrittenContact(Noun):
    """An approver by role and name, and when to turn to somebody else."""

    role: str = ""
    name: str = ""
    contact: str = ""
    escalation_after: str = ""


class WrittenProposal(Noun):
    """What the approval request is about."""

    problem_id: str = ""
    proposed_actions: tuple[str, ...] = ()
    risk_level: Level | None = None
    estimated_cost: str = ""
    estimated_time: str = ""


class WrittenRequest(Noun):
    """Whom to ask, how urgently, and when the work may run."""

    agent_tier: int | None = Field(default=None, ge=1, le=4)
    workflow: str = ""
    request: WrittenProposal = Field(default_factory=WrittenProposal)
    approval_chain: tuple[WrittenLink, ...] = ()
    status: str | None = None
    execution_window: str = ""
    urgency: str | None = None
    required_by: str = ""
    primary_approver: WrittenContact | None = None
    backup_approver: WrittenContact | None = None
    context: dict[str, Any] = Field(default_factory=dict)


class WrittenOutcome(Noun):
    """One metric, before and after, as written."""

    metric: str = ""
    before: str = ""
    after: str = ""
    value: str = ""
    target: str = ""
    actual: str = ""
    improvement: str = ""
    meets_criteria: bool | None = None


class WrittenFollowUp(Noun):
    """Something left to do."""

    action: str = ""
    problem: str = ""
    workflow_id: str = ""
    assignee: str = ""
    due_date: str = ""
    priority: str | None = None


class WrittenArtifact(Noun):
    """Where something is kept."""

    type: str = ""
    location: str = ""


class WrittenCause(Noun):
    """Why a criterion was not met."""

    finding: str = ""
    evidence: tuple[str, ...] = ()


class WrittenResults(Noun):
    """Results that a person wrote down. Results of a run are measured, never read from here."""

    success: bool | None = None
    summary: tuple[str, ...] = ()
    outcomes: tuple[WrittenOutcome, ...] = ()
    actual_costs: dict[str, Any] = Field(default_factory=dict)
    roi_analysis: dict[str, Any] = Field(default_factory=dict)
    lessons_learned: tuple[str, ...] = ()
    follow_up_actions: tuple[WrittenFollowUp, ...] = ()
    artifacts: tuple[WrittenArtifact, ...] = ()
    root_cause_analysis: WrittenCause | None = None
    decision: str = ""
    budget_allocated: str = ""
    timeline: str = ""
    success_metrics: tuple[str, ...] = ()


class WrittenEntry(Noun):
    """A line of an execution log."""

    timestamp: str = ""
    step: int | None = None
    action: str = ""
    status: str = ""
    message: str = ""
    metrics: dict[str, Any] = Field(default_factory=dict)


class WrittenExecution(Noun):
    """An execution that a person wrote down."""

    start_time: str = ""
    end_time: str = ""
    total_duration: str = ""
    real_time_log: tuple[WrittenEntry, ...] = ()
    monitoring: dict[str, Any] = Field(default_factory=dict)


class Document(Noun):
    """Everything that stands in one written text."""

    file: str = ""
    metadata: Metadata = Field(default_factory=Metadata)
    problem: WrittenProblem | None = None
    action: WrittenAction | None = None
    measures: tuple[WrittenMeasure, ...] = ()
    approval_request: WrittenRequest | None = None
    execution: WrittenExecution | None = None
    results: WrittenResults | None = None
    sections: dict[str, Any] = Field(
        default_factory=dict, description="plan, review, observe, test, output …, as they were written."
    )
    phases: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = Field(default=(), description="Names of workflows that come first.")
    can_run_parallel_with: tuple[str, ...] = ()
    linked: dict[str, Document] = Field(default_factory=dict, description="Further workflows of the same text, by name.")
    unchosen: tuple[Unchosen, ...] = ()
    lines: dict[str, int] = Field(default_factory=dict, repr=False, description="Line of each field that was read; from 1.")
