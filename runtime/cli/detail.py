"""All of a request, nothing shortened: every preview, every finding, every warning, the digest. What `?` shows."""

from __future__ import annotations

from collections.abc import Iterator

from ...schemas.plan import Step
from .lines import Line, block, level, one_line, span, styled
from .panel import Review
from .steps import Seen

_ALL = 1_000_000_000


def details(review: Review) -> Iterator[Line]:
    """Yield every line."""
    plan, known = review.plan, review.known
    yield styled(("Plan      ", "dim"), f"{plan.digest}  (version {review.request.version})")
    yield styled(("Risk      ", "dim"), level(review.risk.whole.level.value))
    for seen, step in zip(review.steps, plan.steps, strict=True):
        yield styled()
        yield from _call(review, seen, f"{step.step}. ")
        yield styled("   ", one_line(seen.undo, _ALL, known=known))
        if step.undo is not None:
            args = "\n".join(f"{name}: {value}" for name, value in step.undo.args.items())
            yield from _text(review, f"undo with {step.undo.tool}", args)
        yield from _words(review, step)
    for seen, measure in zip(review.measures, plan.measures, strict=True):
        yield styled()
        yield from _call(review, seen, f"{seen.name}: ")
        yield styled("   ", one_line(f"measures: {measure.criterion} → {measure.read} {measure.unit}", _ALL, known=known))
    yield styled()
    yield styled(("All findings", "bold"))
    for finding in review.risk.whole.findings:
        yield styled("  ", level(finding.level.value), f" {one_line(finding.text, _ALL, known=known)} ", (f"({one_line(finding.rule)})", "dim"))
        if finding.lower:
            yield styled((f"      lower: {one_line(finding.lower, _ALL, known=known)}", "dim"))
    if review.hints:
        yield styled()
        yield styled(("Warnings about the document", "bold"))
        for hint in review.hints:
            yield styled("  ", one_line(hint, _ALL, known=known, prose=True))
    yield styled()
    yield styled(("In the words of the author (not checked against what will run)", "bold dim"))
    for name, text in (("solution", plan.intent), ("problem", plan.problem.description), ("mitigation", plan.judgement.mitigation)):
        yield from _text(review, name, text)
    for name, texts in (("constraints", plan.problem.constraints), ("out of scope", plan.problem.out_of_scope), ("alternatives", plan.alternatives)):
        yield from _text(review, name, "\n".join(texts))


def _call(review: Review, seen: Seen, name: str) -> Iterator[Line]:
    yield styled((name, "bold"), level(seen.level), f" {one_line(seen.headline, _ALL, known=review.known)}")
    for line in block(seen.detail, most=0, known=review.known):
        yield styled("   │ ", line)
    for finding in seen.findings:
        yield styled("   ", (f"{finding.level.value}: {one_line(finding.text, _ALL, known=review.known)} ({one_line(finding.rule)})", "dim"))


def _words(review: Review, step: Step) -> Iterator[Line]:
    if step.estimated_time_s is not None or step.cost_usd is not None:
        time = span(step.estimated_time_s) if step.estimated_time_s is not None else "no time"
        yield styled("   ", f"estimated: {time}, {'$' + step.cost_usd if step.cost_usd is not None else 'no cost'}")
    yield from _text(review, "the author writes", step.description)
    yield from _text(review, "the author on taking it back", step.rollback_plan)


def _text(review: Review, name: str, text: str) -> Iterator[Line]:
    if text.strip():
        yield styled((f"   {name}:", "dim"))
        for line in block(text, most=0, known=review.known, prose=True):
            yield styled((f"     {line}", "dim"))
