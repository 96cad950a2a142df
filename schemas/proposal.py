"""Proposal: what a model returns when it is asked for a plan. It permits nothing; it is read, checked and frozen like any other writing.

Rules: closed fields, so that a model cannot slip in an approval, an author or a time; a tool's arguments are an open object here and are
held against the tool afterwards; what services tend to spell differently (a level in lower case, money as a number, arguments as JSON text)
is read as what it means, and nothing else is guessed.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from .canonical import parse
from .noun import Noun
from .plan import Grade
from .problem import Environment, Priority
from .risk import Level


def _level(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _word(value: Any) -> Any:
    """Read a choice in any case; an empty text is no choice."""
    return (value.strip().lower() or None) if isinstance(value, str) else value


def _money(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    if isinstance(value, str):
        return value.strip().removeprefix("$").removesuffix("USD").strip() or None
    return f"{Decimal(repr(value)):f}"


def _args(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse(value)
        except ValueError:
            return value
    return value


def _text(value: Any) -> Any:
    return "" if value is None else value


def _seconds(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value == int(value) else value


Money = Annotated[Annotated[str, Field(pattern=r"^\d{1,12}(\.\d{1,9})?$")] | None, BeforeValidator(_money)]
Seconds = Annotated[Annotated[int, Field(ge=0, le=100 * 365 * 86_400)] | None, BeforeValidator(_seconds)]
Args = Annotated[dict[str, Any], BeforeValidator(_args)]
Text = Annotated[str, BeforeValidator(_text), Field(max_length=20_000)]
MaybeGrade = Annotated[Grade | None, BeforeValidator(_word)]


class ProposedCall(Noun):
    """A tool and its arguments."""

    tool: str = Field(min_length=1, description="One of the tools, by its exact name.")
    args: Args = Field(description="The tool's arguments, as its schema says.")


class ProposedMeasure(ProposedCall):
    """How a criterion is measured, before and after; it may only read."""

    read: str = Field(min_length=1, description="Field of the tool's output: value, rows, exit_code, p95_ms, or a dotted path.")
    unit: Text = ""
    target: Text = Field(default="", description="A comparison such as `< 20`; empty when the criterion itself holds it.")


class ProposedCriterion(Noun):
    """How one will know that it is solved."""

    text: str = Field(min_length=1, max_length=2000, description="With a number and a comparison where there is one.")
    proposed: bool = Field(default=True, description="False only when the request itself says it.")
    measure: ProposedMeasure | None = None


class ProposedProblem(Noun):
    """What is to be solved."""

    title: str = Field(min_length=1, max_length=200)
    description: Text = ""
    environment: Annotated[Environment | None, BeforeValidator(_word)] = None
    affected_systems: tuple[str, ...] = ()
    priority: Annotated[Priority | None, BeforeValidator(_word)] = None
    success_criteria: tuple[ProposedCriterion, ...] = Field(default=(), max_length=20)
    constraints: tuple[str, ...] = Field(default=(), max_length=40)
    out_of_scope: tuple[str, ...] = Field(default=(), max_length=40)


class ProposedStep(ProposedCall):
    """One thing to do."""

    description: str = Field(min_length=1, max_length=2000)
    risk: Annotated[Level | None, BeforeValidator(_level)] = Field(
        default=None, description="LOW, MEDIUM, HIGH or CRITICAL; it can raise what is assessed."
    )
    reversible: bool | None = None
    undo: ProposedCall | None = Field(
        default=None, description="A call that takes the step back, where the tool does not by itself."
    )
    rollback_plan: Text = Field(
        default="", description="In words: how it is taken back, that it cannot be, or that there is nothing to take back."
    )
    estimated_time_s: Seconds = None
    cost_usd: Money = None


class ProposedAlternative(Noun):
    """What was considered and not chosen."""

    text: str = Field(min_length=1, max_length=2000)
    why_not: Text = ""


class ProposedEstimate(Noun):
    """What all of it is expected to take, without a buffer."""

    cost_usd: Money = None
    time_s: Seconds = None
    human_oversight: Text = ""


class ProposedJudgement(Noun):
    """How likely trouble is, how bad it would be, and what limits it."""

    likelihood: MaybeGrade = None
    impact: MaybeGrade = None
    mitigation: Text = ""


class Proposal(Noun):
    """A plan as a model proposes it."""

    problem: ProposedProblem
    intent: str = Field(min_length=1, max_length=2000, description="The solution in a line or two.")
    steps: tuple[ProposedStep, ...] = Field(default=(), max_length=50)
    alternatives: tuple[ProposedAlternative, ...] = Field(default=(), max_length=10)
    estimate: ProposedEstimate = Field(default_factory=ProposedEstimate)
    judgement: ProposedJudgement = Field(default_factory=ProposedJudgement)
    cannot: Text = Field(default="", description="Why these tools cannot do it; then there are no steps. Otherwise empty.")
