"""Decision record: what was decided, out of which options, by whom and why, and when to look at it again."""

from __future__ import annotations

from pydantic import Field

from .noun import At, Noun


class DecisionRecord(Noun):
    """One settled question, for people who come later."""

    id: str
    run_id: str = ""
    question: str
    options: tuple[str, ...] = ()
    decision: str
    decided_by: tuple[str, ...] = ()
    rationale: str = ""
    confidence: str = Field(default="", description="`unanimous`, `split` or a number from whoever decided; empty where nobody said.")
    dissent: tuple[str, ...] = ()
    risk: str = ""
    decided_at: At
    next_review_at: At | None = None

    def markdown(self) -> str:
        """Return the record for a person to read."""
        lines = [f"# {self.question}", "", f"- Decision: **{self.decision}**", f"- Decided by: {', '.join(self.decided_by) or 'nobody'}, {self.decided_at:%Y-%m-%d %H:%M} UTC"]
        if self.options:
            lines.append(f"- Options: {', '.join(self.options)}")
        if self.risk:
            lines.append(f"- Risk: {self.risk}")
        if self.confidence:
            lines.append(f"- Confidence: {self.confidence}")
        if self.next_review_at:
            lines.append(f"- Next review: {self.next_review_at:%Y-%m-%d}")
        if self.run_id:
            lines.append(f"- Run: `{self.run_id}`")
        lines += ["", "## Why", "", self.rationale or "No reason was given."]
        if self.dissent:
            lines += ["", "## Dissent", "", *[f"- {one}" for one in self.dissent]]
        return "\n".join(lines) + "\n"
