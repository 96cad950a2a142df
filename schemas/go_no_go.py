"""Go / no-go: what is known before a deployment, and the decision that follows from it. Source: E7, the decision matrix of the phases document."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from .noun import Noun
from .risk import Level

GoNoGoDecision = Literal["PROCEED", "CONDITIONAL_PROCEED", "BLOCK"]


class _Known(Noun):
    """Numbers as they are: `true` is no number of warnings, and a negative one would buy others off. None: nobody measured it."""

    model_config = ConfigDict(strict=True)


class TestState(_Known):
    """How the tests stand."""

    __test__ = False

    critical: Literal["pass", "fail", "unknown"] = "unknown"
    warnings: int | None = Field(default=None, ge=0)


class SecurityState(_Known):
    """How many findings of high risk there are."""

    high_risk: int | None = Field(default=None, ge=0)


class RollbackState(_Known):
    """Whether taking it back was tried."""

    tested: bool = False


class PerformanceState(_Known):
    """How many measures became worse."""

    degradations: int | None = Field(default=None, ge=0)


class DocumentationState(_Known):
    """How many documents are incomplete."""

    incomplete: int | None = Field(default=None, ge=0)


class ValidationResults(Noun):
    """What the decision is made from; what is left out is not known, and what is not known does not pass."""

    tests: TestState = Field(default_factory=TestState)
    security: SecurityState = Field(default_factory=SecurityState)
    rollback: RollbackState = Field(default_factory=RollbackState)
    performance: PerformanceState = Field(default_factory=PerformanceState)
    documentation: DocumentationState = Field(default_factory=DocumentationState)


class GoNoGo(Noun):
    """The decision, what led to it, and how far it is from another."""

    decision: GoNoGoDecision
    critical_pass: bool
    warning_count: int | None
    reasons: tuple[str, ...]


class Change(Noun):
    """What is known of a change when its tests are planned; decides between three and five testing agents."""

    files_touched: int = Field(ge=0)
    systems: tuple[str, ...] = ()
    risk: Level = Level.HIGH
    environment: Literal["development", "staging", "production"] | None = None


class Staffing(Noun):
    """How many agents test a change, and the rules that said so."""

    agents: int
    rules: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
