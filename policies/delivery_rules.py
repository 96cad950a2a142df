"""The rules of a delivery, as settings: what becomes of work that is blocked, who has to agree to a release, and what the agents start.

Rules: a conditional release always takes a person; commands come from here, the operator's file, and never from a plan or from graph state.
Source: E5, E7, E12, seed 4 (final checkpoint); what becomes of blocked work is ours.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from ..schemas.go_no_go import GoNoGoDecision
from ..schemas.noun import Noun

Command = tuple[str, ...]


class DeliveryRules(Noun):
    """The section `delivery:` of the configuration."""

    on_block: Literal["roll_back", "keep"] = Field(default="roll_back", description="What becomes of the work when it is not released.")
    ask: tuple[GoNoGoDecision, ...] = Field(default=("CONDITIONAL_PROCEED",), description="Decisions that take a stakeholder's approval.")
    ask_in_production: tuple[GoNoGoDecision, ...] = Field(default=("PROCEED", "CONDITIONAL_PROCEED"), description="The same for production.")
    rehearse: Literal["tools", "everything"] = Field(
        default="tools", description="Which undos are tried in a copy of the workspace: those of files and databases, or written commands too."
    )
    baseline: bool = Field(default=True, description="Time the benchmark before the work; without it, only measures of the plan tell of its performance.")
    in_place: bool = Field(default=False, description="Run the tests in the workspace itself instead of a copy.")
    python: str = Field(default="", description="Interpreter that runs the project; this one where it is empty.")
    test_command: Command = Field(default=(), description="Program and arguments; pytest where it is empty.")
    benchmark: Command = Field(default=(), description="What is timed before and after; the tests where it is empty.")
    workflows: tuple[Command, ...] = Field(default=(), description="What a user does, from end to end; each has to succeed.")

    @field_validator("ask", "ask_in_production")
    @classmethod
    def _conditions_are_agreed_to(cls, value: tuple[GoNoGoDecision, ...]) -> tuple[GoNoGoDecision, ...]:
        if "CONDITIONAL_PROCEED" not in value:
            raise ValueError("CONDITIONAL_PROCEED always takes a person; name it here")
        if "BLOCK" in value:
            raise ValueError("nobody can agree to BLOCK; change what blocks, and deliver again")
        return value

    def asks(self, decision: GoNoGoDecision, environment: str | None) -> bool:
        """Tell whether a release on this decision takes a stakeholder's approval. An environment that nobody named is not production."""
        return decision in (self.ask_in_production if environment == "production" else self.ask)
