"""The review panel: what a person sees before they decide.

Rules: what will happen comes first and from the plan's bytes; the author's own words come last and are marked as such; what is shortened says
by how much, and `?` shows all of it; the level of risk stands at the top and again at the bottom, so that a long plan cannot scroll it away.
Source: the review panel of the plan/approve/execute guide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...policies.counted import counted
from ...policies.lint import lint
from ...policies.plan_risk import PlanRisk
from ...schemas.approval import Question, Request
from ...schemas.errors import StaleDecision
from ...schemas.plan import Plan
from .asked import asked, is_about_phase
from .lines import Line, block, level, moment, money, one_line, span, styled
from .overran import TITLE, overran
from .steps import Seen, seen_measures, seen_steps

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..runtime import Runtime

_FACTORS = 12
_HINTS = 6
_DETAIL_LINES = 16
_INDENT = "     "



@dataclass(frozen=True)
class Review:
    """Everything that a person is shown about one request."""

    request: Request
    plan: Plan
    risk: PlanRisk
    steps: tuple[Seen, ...]
    measures: tuple[Seen, ...]
    hints: tuple[str, ...]
    known: tuple[str, ...] = ()
    workspace: str = ""

    @classmethod
    def of(cls, runtime: Runtime, request: Request) -> Review:
        """Gather what is to be shown.

        Raises:
            StaleDecision: the plan in force is not the one that the request is about.
        """
        plan = runtime.ledger.plan(request.run_id)
        if plan is None and not request.digest:
            raise StaleDecision(f"request {request.id} is asked before there is a plan", hint=f"`assent show {request.id}` shows it")
        if plan is None or plan.digest != request.digest:
            raise StaleDecision(f"request {request.id} is about another version of the plan", hint=f"`assent show {request.run_id}` shows the one in force")
        risk = runtime.ledger.risk(plan, request.run_id)
        place = runtime.place(request.run_id)
        return cls(
            request, plan, risk, seen_steps(plan, risk, runtime.tools, place), seen_measures(plan, risk, runtime.tools, place),
            _hints(runtime, request, plan), tuple(runtime.settings.environment.values()), str(place.workspace),
        )  # fmt: skip

    @property
    def is_whole(self) -> bool:
        """Whether the panel shows all that will run."""
        return all(line.is_whole for line in _actions(self))

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "request": self.request.as_json(), "digest": self.plan.digest, "workspace": self.workspace, "risk": self.risk.whole.as_json(),
            "actions": [seen.as_json() for seen in self.steps], "measures": [seen.as_json() for seen in self.measures],
            "hints": list(self.hints), "plan": self.plan.as_json(),
        }  # fmt: skip


def _hints(runtime: Runtime, request: Request, plan: Plan) -> tuple[str, ...]:
    """Return what was vague when the document was read; of an edited plan, what is vague now."""
    if request.version > 1:
        return tuple(map(str, lint(plan.problem, plan)))
    found: list[str] = next((event.data.get("hints", []) for event in runtime.ledger.events(request.run_id) if event.type == "problem.vague"), [])
    return tuple(map(str, found))


def panel(review: Review) -> RenderableType:
    """Return the panel."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    doubt = review.request.kind is Question.IN_DOUBT
    about_phase = is_about_phase(review.request)
    said = [*asked(review.request, known=review.known), styled()] if about_phase else []
    over = review.request.kind is Question.OVERRUN
    said += [*overran(review.request.subject, known=review.known), styled()] if over else []
    body = [*_head(review), styled(), *said, *_why_again(review), *(_doubt(review) if doubt else _actions(review)), styled(), *_factors(review), *_bottom(review)]
    if not doubt:
        body += [styled(), styled(("NOT ALL OF IT IS SHOWN. ? here, or `assent show REQUEST --all`, shows it.", "bold red"))] * (not review.is_whole)
        body += _words(review)
    title = Text(" A STEP IS IN DOUBT " if doubt else " AN ANSWER IS REQUIRED " if about_phase else TITLE if over else " PLAN REVIEW REQUIRED ", "bold")
    return Panel(Group(*body), title=title, title_align="left", padding=(1, 2))


def _head(review: Review) -> Iterator[Line]:
    request, problem = review.request, review.plan.problem
    context = problem.context
    workflow = f"{review.plan.workflow_id}, " if review.plan.workflow_id else ""
    yield _pair(review, "Workflow", f"{workflow}{request.run_id}", 300)
    yield _pair(review, "Request", f"{request.id}  (version {request.version} of the plan)")
    yield styled(("Title     ", "dim"), one_line(problem.title, 160, known=review.known, prose=True))
    if review.plan.asked:
        who = review.plan.author or "a model"
        yield styled(("Asked for ", "dim"), one_line(review.plan.asked, 300, known=review.known, prose=True), (f"  (planned by {one_line(who, 60)})", "dim"))
    where: list[str] = [context.environment or "environment not named"]
    if context.affected_systems:
        where.append(f"affects {', '.join(context.affected_systems)}")
    if context.priority:
        where.append(f"priority {context.priority}")
    yield _pair(review, "Where", ", ".join(where))
    yield _pair(review, "Acts in", review.workspace, 300)
    yield styled(("Risk      ", "dim"), level(review.risk.whole.level.value))


def _pair(review: Review, name: str, value: str, limit: int = 160) -> Line:
    return styled((name.ljust(10), "dim"), one_line(value, limit, known=review.known))


def _actions(review: Review) -> Iterator[Line]:
    yield styled(("PROPOSED ACTIONS", "bold"))
    for seen, step in zip(review.steps, review.plan.steps, strict=True):
        yield styled(f"{step.step:>3}. ", level(seen.level), f" {one_line(seen.headline, 160, known=review.known)}")
        yield from _detail(review, seen.headline, seen.detail)
        estimate = [f"about {span(step.estimated_time_s)}"] if step.estimated_time_s is not None else []
        estimate += [money(step.cost_usd)] if step.cost_usd is not None else []
        undo = one_line(seen.undo, 160, known=review.known)
        yield styled(_INDENT, (undo, "red" if undo.startswith("cannot") else "dim"), (f"  ({', '.join(estimate)})" if estimate else "", "dim"))
        yield from _detail(review, seen.undo, seen.undo_detail)
    yield styled()
    yield styled(("HOW SUCCESS IS MEASURED", "bold"))
    by_criterion = {measure.criterion: n for n, measure in enumerate(review.plan.measures)}
    criteria = list(dict.fromkeys([*review.plan.problem.success_criteria, *by_criterion]))
    for criterion in criteria:
        found = by_criterion.get(criterion)
        said = "not measured; success will not be known"
        if found is not None:
            said = f"{review.measures[found].headline} → {review.plan.measures[found].read}, before and after"
        mark = level(review.measures[found].level) if found is not None else ""
        yield styled("  • ", one_line(criterion, 160, known=review.known, prose=True), "  ", mark, (f" {one_line(said, 160, known=review.known)}", "dim"))
        if found is not None:
            yield from _detail(review, review.measures[found].headline, review.measures[found].detail)
    if not criteria:
        yield styled("  no success criterion was written; success will not be known")


def _detail(review: Review, headline: str, detail: str) -> Iterator[Line]:
    lines = block(detail, most=_DETAIL_LINES, width=160, known=review.known)
    if not detail.strip() or (len(lines) == 1 and headline.endswith(detail.strip())):
        return
    for line in lines:
        style = "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"
        yield styled(_INDENT + "│ ", (line, style))


def _why_again(review: Review) -> Iterator[Line]:
    """Yield why a person is asked who has been asked about this plan before."""
    subject = review.request.subject
    if review.request.kind is Question.PLAN and subject.get("why"):
        yield styled(("asked again: ", "bold"), one_line(subject["why"], 200, known=review.known))
        yield styled()


def _doubt(review: Review) -> Iterator[Line]:
    subject = review.request.subject
    number, direction = int(subject.get("step", 0)), subject.get("direction")
    yield styled(("IT IS NOT KNOWN WHETHER THIS HAPPENED", "bold"))
    if direction in ("do", "undo") and 1 <= number <= len(review.steps):
        seen = review.steps[number - 1]
        if direction == "do":
            yield styled(f"{number:>3}. ", level(seen.level), f" {one_line(seen.headline, 160, known=review.known)}")
            yield from _detail(review, seen.headline, seen.detail)
        else:
            yield styled(f"  the undo of step {number}: ", one_line(seen.headline, 160, known=review.known))
            yield styled(_INDENT, one_line(seen.undo, 160, known=review.known))
            yield from _detail(review, seen.undo, seen.undo_detail)
    else:
        yield styled(f"  measure {number} ({one_line(direction)}) with {one_line(subject.get('tool', 'a tool'))}")
    yield styled(f"  why: {one_line(subject.get('why', ''), 200, known=review.known)}")
    if subject.get("quiet_after"):
        yield styled(f"  it could still arrive until {one_line(subject['quiet_after'])}; only after that can it be said that it did not happen")
    yield styled("  Look at the outside world, then say what you found.")
    if direction == "undo":
        yield styled("  Taking back goes on with the steps before it after your answer.")


def _factors(review: Review) -> Iterator[Line]:
    findings = [finding for finding in review.risk.whole.findings if finding.level.value != "LOW"] or list(review.risk.whole.findings)
    yield styled(("RISK FACTORS", "bold"))
    for finding in findings[:_FACTORS]:
        yield styled("  • ", level(finding.level.value), f" {one_line(finding.text, 160, known=review.known)} ", (f"({one_line(finding.rule)})", "dim"))
    if len(findings) > _FACTORS:
        yield styled((f"  … {len(findings) - _FACTORS:,} more, shown by ?", "bold"))


def _bottom(review: Review) -> Iterator[Line]:
    estimate, need, request = review.plan.estimate, review.request.need, review.request
    yield styled()
    expected = [f"cost {money(estimate.cost_usd)}"] if estimate.cost_usd is not None else []
    expected += [f"time {span(estimate.time_s)}"] if estimate.time_s is not None else []
    yield styled(("Estimated ", "dim"), ", ".join(expected) or "neither cost nor time for the whole")
    people = counted(need.approvals, "approval", "approvals of different people")
    given = f", {len(request.approvals)} given" if request.approvals else ""
    until = f"   until {moment(request.decide_by)}" if request.decide_by else ""
    not_from = f"; not from {', '.join(need.not_from)}" if need.not_from else ""
    roles = " or ".join(need.roles)
    yield styled(("Takes     ", "dim"), one_line(f"{people} by {roles}{given}{not_from}{until}", 240))
    if review.plan.execution_window is not None:
        window = review.plan.execution_window
        yield styled(("Runs only ", "dim"), f"{moment(window.opens_at)} to {moment(window.closes_at)}")
    for approval in review.plan.required_approvals:
        said = f"{approval.type.replace('_', ' ')}: {approval.approver} {approval.reason}"
        yield styled(("Asks for  ", "dim"), one_line(said, 160, known=review.known))
    if review.hints:
        yield styled()
        yield styled(("WARNINGS ABOUT THE DOCUMENT", "bold"))
        for hint in review.hints[:_HINTS]:
            yield styled("  • ", one_line(hint, 200, known=review.known, prose=True))
        if len(review.hints) > _HINTS:
            yield styled(f"  … {len(review.hints) - _HINTS:,} more, shown by ?")


def _words(review: Review) -> Iterator[Line]:
    plan = review.plan
    said = [("solution", plan.intent), ("problem", plan.problem.description), ("mitigation", plan.judgement.mitigation)]
    for step in plan.steps:
        said += [(f"step {step.step}", step.description), (f"step {step.step}, by hand", step.rollback_plan if step.undo is None else "")]
    said = [(name, text) for name, text in said if text.strip()]
    if not said:
        return
    yield styled()
    who = f" {plan.author}" if plan.author else ""
    yield styled((f"IN THE WORDS OF THE AUTHOR{one_line(who, 60)} (not checked against what will run)", "bold dim"))
    for name, text in said[:_FACTORS]:
        yield styled((f"  {name}: {one_line(' '.join(text.split()), 200, known=review.known, prose=True)}", "dim"))
    if len(said) > _FACTORS:
        yield styled((f"  … {len(said) - _FACTORS:,} more, shown by ?", "dim"))


def footer(review: Review) -> Line:
    """Return the line above the question: what is decided, in one line."""
    count = len(review.plan.steps)
    what = counted(count, "action")
    whole = review.risk.whole.level.value
    return styled(level(whole), f" {what} · {review.request.id} · {review.plan.digest[:19]}…")
