"""Risk: how bad an action may be, and every reason that was found for saying so.

- LOW      proved to read only, inside the workspace or on listed hosts; flows by itself.
- MEDIUM   changes something inside the workspace that can be taken back.
- HIGH     touches shared or external state, cannot be taken back, or is not understood.
- CRITICAL destroys, escalates privileges, moves secrets or money, or weakens the controls.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from .noun import Noun

_RANK = {"LOW": 0, "MEDIUM": 1, "HIGH": 2, "CRITICAL": 3}


class Level(StrEnum):
    """A level of risk. Compares by severity, not by spelling, and equals its own name as text."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """Return 0 for LOW to 3 for CRITICAL."""
        return _RANK[self._value_]

    def __lt__(self, other: str) -> bool:
        return _RANK[self._value_] < _RANK[str(other)]

    def __le__(self, other: str) -> bool:
        return _RANK[self._value_] <= _RANK[str(other)]

    def __gt__(self, other: str) -> bool:
        return _RANK[self._value_] > _RANK[str(other)]

    def __ge__(self, other: str) -> bool:
        return _RANK[self._value_] >= _RANK[str(other)]


class Reason(Noun):
    """One finding: the rule that spoke, the level it asks for, and a sentence for the person who decides."""

    rule: str
    level: Level
    text: str
    lower: str = ""
    """What would make it lower, where the rule knows (`use an absolute path inside the workspace`); empty otherwise."""


class Risk(Noun):
    """A level with the findings behind it, worst first."""

    level: Level
    findings: tuple[Reason, ...] = ()
    tables: str = ""
    """Digest of the rule tables that were consulted; recorded with each assessment."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """The findings as sentences, worst first."""
        return tuple(finding.text for finding in self.findings)

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that spoke, worst first, each once."""
        return tuple(dict.fromkeys(finding.rule for finding in self.findings))

    @classmethod
    def of(cls, findings: Iterable[Reason], *, tables: str = "") -> Risk:
        """Combine findings: the level is that of the worst one. No finding at all is HIGH: nothing was proved."""
        ordered = tuple(sorted(findings, key=lambda finding: -finding.level.rank))
        if not ordered:
            ordered = (Reason(rule="risk.unproved", level=Level.HIGH, text="nothing was found that proves this harmless"),)
        return cls(level=ordered[0].level, findings=ordered, tables=tables)
