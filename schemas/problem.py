"""Problem: what needs to be solved, in measurable terms (the P of Problem, Action, Results)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .noun import Noun

Environment = Literal["development", "staging", "production"]
Priority = Literal["low", "medium", "high", "critical"]


class Context(Noun):
    """Where the problem lives and how urgent it is."""

    environment: Environment | None = Field(default=None, title="Environment", description="Where the affected systems run.")
    affected_systems: tuple[str, ...] = Field(default=(), title="Affected systems", examples=[["orders-db"]])
    priority: Priority | None = Field(default=None, title="Priority")


class Problem(Noun):
    """A problem with its context, what success means, and what stays out."""

    title: str = Field(min_length=1, title="Title", examples=["Orders query is slow"])
    description: str = Field(default="", title="Description", description="What is wrong, why it matters, current and desired state.")
    context: Context = Field(default_factory=Context, title="Context")
    success_criteria: tuple[str, ...] = Field(default=(), title="Success criteria", examples=[["orders query p95 < 20 ms"]])
    constraints: tuple[str, ...] = Field(default=(), title="Constraints", examples=[["Budget: $5"]])
    out_of_scope: tuple[str, ...] = Field(default=(), title="Out of scope")
