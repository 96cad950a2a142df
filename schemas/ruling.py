"""Ruling: what a policy answers."""

from __future__ import annotations

from typing import Literal

from .noun import Noun


class Ruling(Noun):
    """Allow, send to review, or deny; with the rules that spoke and why."""

    answer: Literal["allow", "review", "deny"]
    rules: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """Whether nothing more is needed."""
        return self.answer == "allow"
