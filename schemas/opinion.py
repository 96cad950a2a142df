"""Opinion: what a model answered to a question that the rules left open, as the ledger keeps it; and what became of such answers, added up.

Rules: an opinion is about exactly one question, named by the digest of the template and of every text that was filled in; it permits nothing, it
can only leave a doubt standing or settle it. Source: features D3, D4; seed 3 (monthly review).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .noun import At, Noun


class KeptOpinion(Noun):
    """One recorded answer of a model."""

    key: str = Field(description="Digest of the question.")
    model: str
    run_id: str = Field(description="The run in which it was asked.")
    answer: Literal["within", "outside", "unsure"]
    confidence_pct: int = Field(ge=0, le=100)
    reason: str = Field(default="", description="In the model's words, redacted; gone when the details of the run are.")
    ms: int = Field(default=0, ge=0, description="How long the answer took.")
    at: At

    def is_within(self, threshold_pct: int) -> bool:
        """Tell whether it says `within`, certainly enough."""
        return self.answer == "within" and self.confidence_pct >= threshold_pct


class OpinionReview(Noun):
    """How the rules and the model judged, over a time: what the monthly review looks at."""

    since: At | None = None
    plans: int = Field(default=0, description="Plans from plain language that were judged; an edited plan counts again.")
    steps: int = Field(default=0, description="Their steps.")
    within_by_rules: int = 0
    outside_by_rules: int = 0
    asked: int = Field(default=0, description="Steps that the rules left open.")
    allowed: int = Field(default=0, description="Of those, settled by an answer that was certain enough.")
    escalated: int = Field(default=0, description="Of those, left to a person.")
    kept: int = Field(default=0, description="Of those, answered by an earlier answer to the same question.")
    failed: int = Field(default=0, description="Of those left to a person, because no usable answer came.")
    escalation_pct: float | None = Field(default=None, description="Steps left to a person, of all steps, by rules or by the model.")
    overridden: int = Field(default=0, description="Plans with such a step that people approved as they stood.")
    upheld: int = Field(default=0, description="Plans with such a step that people rejected or edited.")
    average_ms: int | None = Field(default=None, description="Of the answers that the model was asked for.")
    p95_ms: int | None = None
    principles_asked: int = Field(default=0, description="Principles that only a model can judge, put to it.")
    violations: int = Field(default=0, description="Plans that were found to violate a principle, by a rule or by the model.")
    violations_overridden: int = Field(default=0, description="Of those, approved all the same by people entitled to it.")
    violations_upheld: int = 0


class ModelSpending(Noun):
    """What a run took of its models until now."""

    questions: int = 0
    tokens: int = Field(default=0, description="Input and output.")
    usd: str | None = Field(default="0", description="Decimal text; `None` when a model without a price answered.")
    ms: int = Field(default=0, description="Time that the answers took.")
    estimated: bool = Field(default=False, description="A service did not count, so the tokens are an upper estimate.")
