"""Agent turn: what a model answers when it is an agent of a phase. Either calls that it wants to see the answers of, or its report.

Rules: exactly one of both; a call is a wish, and whoever makes it decides whether it happens. Source: E8.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from .agent_message import AgentReport
from .noun import Noun

MOST_CALLS = 8


class WantedCall(Noun):
    """A call that a model asks for."""

    tool: str = Field(min_length=1, max_length=100)
    args: dict[str, Any] = Field(default_factory=dict, description="Complete, literal arguments of the tool.")


class AgentTurn(Noun):
    """One answer of a model."""

    why: str = Field(default="", max_length=2000, description="One sentence: what this is for.")
    calls: tuple[WantedCall, ...] = Field(default=(), max_length=MOST_CALLS, description="Calls whose answers you need; empty with a report.")
    report: AgentReport | None = Field(default=None, description="The finished report; null with calls.")

    @model_validator(mode="after")
    def _one_of_both(self) -> AgentTurn:
        if bool(self.calls) == (self.report is not None):
            raise ValueError("either calls or a report, and not both")
        return self
