"""Plan: the frozen answer to a problem, named by the digest of its canonical bytes.

Rules: an edited plan is another plan with another digest; steps are numbered 1…n in the order in which they run; whatever runs takes its
arguments from the plan's bytes (`Plan.read`), never from graph state.
Source: design card; action template of the problem/action/results guide.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from .canonical import canonical, digest, parse
from .noun import At, FrozenDict, JsonObject, Noun
from .problem import Problem
from .risk import Level

Bytes = bytes  # `Plan.bytes` would shadow the type inside its class
Grade = Literal["low", "medium", "high"]


class Call(Noun):
    """A tool and its arguments."""

    tool: str = Field(min_length=1)
    args: JsonObject = Field(default_factory=FrozenDict)


class Step(Noun):
    """One thing to do."""

    step: int = Field(ge=1, description="Position, from 1.")
    description: str = ""
    tool: str = Field(min_length=1)
    args: JsonObject = Field(default_factory=FrozenDict)
    risk: Level | None = Field(default=None, description="Declared by the author; can raise the assessed risk, never lower it.")
    reversible: bool | None = Field(default=None, description="What the author says; what the tool can undo is shown beside it.")
    undo: Call | None = Field(default=None, description="What takes this step back, where the tool does not know by itself.")
    rollback_plan: str = Field(default="", description="What a person does to take it back; prose.")
    estimated_time_s: int | None = Field(default=None, ge=0)
    cost_usd: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?$", description="Decimal text: money is never a float.")

    @cached_property
    def call(self) -> Call:
        """The tool call of the step."""
        return Call(tool=self.tool, args=self.args)


class Measure(Noun):
    """How a success criterion is measured, before and after."""

    criterion: str = Field(min_length=1)
    tool: str = Field(min_length=1)
    args: JsonObject = Field(default_factory=FrozenDict)
    read: str = Field(min_length=1, description="The field of the tool's output: p50_ms, p95_ms, value, rows, exit_code, or a dotted path.")
    unit: str = ""
    target: str = Field(default="", description="A comparison such as `< 20`; read from the criterion where it is empty.")
    repeat: int | None = Field(default=None, ge=1, le=1000, description="How often it is run; 20 for timings, otherwise once.")

    @cached_property
    def call(self) -> Call:
        """The tool call of the measure."""
        return Call(tool=self.tool, args=self.args)


class RequiredApproval(Noun):
    """An approval that the document asks for, beyond what the policy asks for."""

    type: Literal["pre_approval", "post_review", "dual_signoff"] = "pre_approval"
    approver: str = ""
    reason: str = ""


class Estimate(Noun):
    """What the plan is expected to take."""

    cost_usd: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?$")
    time_s: int | None = Field(default=None, ge=0)
    human_oversight: str = ""


class Judgement(Noun):
    """The author's own assessment: how likely trouble is, how bad it would be, and what limits it."""

    likelihood: Grade | None = None
    impact: Grade | None = None
    mitigation: str = ""


class WantedFollowUp(Noun):
    """Something that the author wants done afterwards, by whom and until when."""

    action: str = Field(min_length=1)
    assignee: str = ""
    due_date: str = ""
    priority: str = ""


class Expectation(Noun):
    """What the author expects the solution to save, which the return on investment is held against, and what is to be done afterwards."""

    saves_usd_per_week: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?$")
    saves_time_s_per_week: int | None = Field(default=None, ge=0)
    follow_ups: tuple[WantedFollowUp, ...] = ()


class Window(Noun):
    """A span of time in which steps may run; outside it nothing does."""

    opens_at: At
    closes_at: At

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Window:
        if self.closes_at <= self.opens_at:
            raise ValueError("an execution window has to end after it begins")
        return self

    def holds(self, now: datetime) -> bool:
        """Tell whether `now` is inside; the end is outside."""
        return self.opens_at <= now < self.closes_at


class Plan(Noun):
    """A frozen plan. Its digest names it; nothing that runs is outside its bytes."""

    form: Literal["assent.plan/1"] = "assent.plan/1"
    workflow_id: str = Field(default="", description="The author's own name for the piece of work.")
    intent: str = Field(default="", description="The proposed solution in a line or two.")
    problem: Problem
    steps: tuple[Step, ...] = Field(min_length=1)
    measures: tuple[Measure, ...] = ()
    required_approvals: tuple[RequiredApproval, ...] = ()
    judgement: Judgement = Field(default_factory=Judgement)
    estimate: Estimate = Field(default_factory=Estimate)
    execution_window: Window | None = None
    urgency: Literal["", "low", "normal", "high", "critical"] = Field(default="", description="How soon an answer is needed; the priority where it is empty.")
    required_by: At | None = Field(default=None, description="When the author needs the answer.")
    author: str = Field(default="", description="Who wrote it: a person's id or the model's name.")
    asked: str = Field(default="", description="The words from which a model wrote it; empty for a written document.")
    alternatives: tuple[str, ...] = Field(default=(), description="What was considered and not chosen.")
    warnings: tuple[str, ...] | None = Field(default=None, description="What its author, a model, was shown and tried to steer it; absent: nothing.")
    expectation: Expectation | None = Field(default=None, description="Absent where the author expects nothing that could be held against the cost.")

    @model_validator(mode="after")
    def _numbered(self) -> Plan:
        numbers = [step.step for step in self.steps]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"steps are numbered 1 to {len(numbers)} in the order in which they run, found {numbers[:12]}")
        return self

    @cached_property
    def bytes(self) -> Bytes:
        """The canonical bytes."""
        return canonical(self.as_json())

    @cached_property
    def digest(self) -> str:
        """`sha256:` and the hash of the canonical bytes."""
        return digest(self.bytes)

    @classmethod
    def read(cls, data: Bytes) -> Plan:
        """Decode a plan from its canonical bytes.

        Raises:
            ValueError: the bytes are not canonical, or not a plan.
        """
        try:
            plan = cls.model_validate_json(data)
        except ValidationError:
            # Strict reading says better what is wrong, and goes deeper; whatever read it, the bytes are compared.
            plan = cls.model_validate(parse(data))
        if plan.bytes != data:
            raise ValueError("these bytes are not the canonical form of a plan")
        return plan
