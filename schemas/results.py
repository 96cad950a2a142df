"""Results: what came of it, measured (the R of Problem, Action, Results)."""

from __future__ import annotations

from pydantic import Field

from .noun import At, Noun
from .workflow_metrics import WorkflowMetrics


class Outcome(Noun):
    """One success criterion, before and after."""

    criterion: str
    before: float | str | None = None
    after: float | str | None = None
    unit: str = ""
    improvement: str = Field(default="", description="Relative change towards the target, in percent; empty where it has no meaning.")
    target: str = ""
    met: bool | None = Field(default=None, description="None: not measured.")
    note: str = ""


class StepResult(Noun):
    """What became of one step."""

    step: int
    description: str
    status: str
    summary: str = ""
    duration_ms: int = 0
    undone: bool = False
    undo: str = Field(default="", description="What became of taking it back, in words; empty where nobody tried.")


class Costs(Noun):
    """Actual against estimated."""

    estimated_usd: str | None = None
    actual_usd: str = "0"
    estimated_time_s: int | None = None
    actual_time_s: float = 0
    variance: str = Field(default="", description="Actual against estimate, in percent, where there is an estimate.")
    breakdown: dict[str, str] = Field(default_factory=dict)
    time_variance: str = Field(default="", description="Actual time against its estimate, in percent.")
    by_step: dict[str, dict[str, str]] = Field(default_factory=dict, description="Estimated and actual money of each step that has either.")
    models_usd: str | None = Field(default=None, description="What models took besides, planning included; absent: nothing, or not known.")
    models_tokens: int = Field(default=0, description="Input and output of all their answers.")
    models_time_s: float = 0
    budget: dict[str, str] = Field(default_factory=dict, description="What was taken of each limit, in words.")
    human_time_s: int | None = Field(default=None, description="People's time as the document estimates it; nobody measures it. None: not estimated.")
    human_usd: str | None = Field(default=None, description="That time at the configured rate; not part of `actual_usd`. None: not known.")


class Roi(Noun):
    """What the solution saves a week, as the author declares it, against what the run cost."""

    time_saved_per_week: str = ""
    cost_saved_per_week: str = Field(default="", description="In USD, with its sign.")
    total_cost: str = Field(default="", description="Calls, computing and people, in USD, with its sign.")
    roi_ratio: str = Field(default="", description="One week's saving to the cost, such as `23.4:1`. Empty where it is not known; `note` says why.")
    payback_period: str = ""
    note: str = ""


class FollowUp(Noun):
    """Something left to do."""

    action: str
    assignee: str = ""
    due_date: str = Field(default="", description="ISO date.")
    priority: str = ""
    problem: str = Field(default="", description="What the follow-up workflow is to solve, where there is one.")
    workflow_id: str = Field(default="", description="Name of the follow-up workflow.")
    document: str = Field(default="", description="Artifact of this run that holds the follow-up workflow, ready to be completed and run.")


class RootCause(Noun):
    """Why a criterion was not met or a step failed, with the evidence."""

    finding: str
    evidence: tuple[str, ...] = ()


class Artifact(Noun):
    """A file that is kept with the run."""

    name: str
    digest: str
    size_bytes: int
    media_type: str = "application/octet-stream"
    created_at: At
    path: str = Field(default="", description="Where it lies in this home.")


class Results(Noun):
    """The report of a run."""

    run_id: str
    digest: str = ""
    status: str
    success: bool | None = Field(default=None, description="None: nobody can say; no criterion was written, or one was not measured and none failed.")
    title: str = ""
    outcomes: tuple[Outcome, ...] = ()
    steps: tuple[StepResult, ...] = ()
    costs: Costs = Field(default_factory=Costs)
    roi: str = Field(default="", description="The return in words: a ratio such as `23.4:1`, or why it is not known.")
    roi_analysis: Roi | None = None
    root_cause: RootCause | None = None
    not_undone: tuple[str, ...] = Field(default=(), description="Effects that could not be taken back, in words.")
    restored: tuple[str, ...] = Field(default=(), description="What was seen of each step after the run was taken back.")
    lessons_learned: tuple[str, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    approved_by: tuple[str, ...] = ()
    decision: str = Field(default="", description="Of a delivery: PROCEED, CONDITIONAL_PROCEED or BLOCK.")
    metrics: WorkflowMetrics | None = Field(default=None, description="What the phases of a delivery took and gave.")
    started_at: At | None = None
    finished_at: At | None = None
