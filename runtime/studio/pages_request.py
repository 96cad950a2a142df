"""One request, as a person sees it before they decide: what will happen first, the author's words last and marked as such. Pure.

Rules as at the terminal (`runtime/cli/panel.py`): the level of risk stands at the top and again beside the buttons; what is shortened says so,
and then nothing is approved without saying that it was not all seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ...policies.counted import counted
from ...schemas.approval import Question, Request, Verdict
from ...schemas.risk import Reason
from ..cli.asked import answers, asked, is_about_phase
from ..cli.lines import ago, block, moment, money, span
from ..cli.panel import Review
from ..cli.steps import Seen
from .frame import ROOT, Frame
from .markup import Child, Html, badge, exact, here, paragraphs, state, tag, words

_LINES = 60
_WIDTH = 400
_ALL = 1_000_000_000
_CUT = " not shown\\]"
_ANSWERS = {
    Verdict.APPROVE: ("Approve", "primary"), Verdict.REJECT: ("Reject", "danger"), Verdict.HAPPENED: ("It happened", "primary"),
    Verdict.DID_NOT_HAPPEN: ("It did not happen", "danger"), Verdict.ABANDON: ("Give it up", "quiet"),
}  # fmt: skip


def request_page(frame: Frame, review: Review, now: datetime, *, barred: str, already: bool, mark: str, everything: bool = False) -> Html:
    """Return the page of an open request.

    Args:
        barred: why nothing that this person answers would count; empty when something would.
        already: whether this person has approved it.
        everything: shorten nothing.
    """
    request = review.request
    doubt = request.kind is Question.IN_DOUBT
    will = [_doubt(review)] if doubt else [_actions(review, everything), _measures(review, everything)]
    # Whether all of it is there is read off what is there.
    whole = not any(_CUT in part for part in will)
    title = words(review.plan.problem.title, known=review.known, limit=200)
    return frame.page(
        title[:60] or request.id,
        tag("p", tag("a", "Inbox", href=f"{ROOT}/"), " / ", tag("a", request.run_id, href=f"{ROOT}/runs/{request.run_id}"), here("decide", "To the decision", "skip"), class_="crumbs"),
        tag("div", badge(review.risk.whole.level.value), tag("h1", "A step is in doubt: " if doubt else None, title), class_="title"),
        tag("p", _where(review), class_="dim"),
        tag("div", tag("div", _asked(request, review.known), will, _facts(review, doubt), here("decide", "Decide", "button primary jump"), class_="what"),
            _decision(frame, review, now, barred=barred, already=already, whole=whole), class_="ask-page"),
        tag("div", id="watch", data_live=f"{ROOT}/requests/{request.id}/events?since={mark}", data_says="Somebody answered this meanwhile.", role="status"),
    )  # fmt: skip


def _asked(request: Request, known: tuple[str, ...]) -> Html | None:
    """Return what a question about a phase or a release asks, before the plan that it holds up."""
    if not is_about_phase(request):
        return None
    first, *lines = [*asked(request, known=known), *(list(answers(request)) if request.kind is Question.CONFLICT else [])]
    return tag("section", tag("h2", first.text.strip()), tag("ul", [tag("li", line.text.strip()) for line in lines]))


def settled_page(frame: Frame, request: Request, known: tuple[str, ...] = ()) -> Html:
    """Return the page of a request that waits no longer."""
    answers = [
        tag("li", tag("strong", exact(one.actor.id, limit=60)), f" {one.verdict.value.replace('_', ' ')} · {moment(one.at)}", tag("p", words(one.reason, known=known), class_="dim") if one.reason else None)
        for one in request.decisions
    ]  # fmt: skip
    return frame.page(
        "Settled", tag("div", state(request.status.value), tag("h1", words(request.title or request.id, known=known, limit=200)), class_="title"),
        tag("p", f"This question is {request.status.value.replace('_', ' ')}; there is nothing left to decide."), tag("ul", answers) if answers else None,
        tag("p", tag("a", "See the run", href=f"{ROOT}/runs/{request.run_id}", class_="button")),
    )  # fmt: skip


def _where(review: Review) -> str:
    context = review.plan.problem.context
    known = review.known
    found = [f"asked by {exact(review.request.requester, limit=60)}", exact(context.environment or "environment not named", known=known, limit=80)]
    if context.affected_systems:
        found.append(f"affects {exact(', '.join(context.affected_systems), known=known, limit=160)}")
    if context.priority:
        found.append(f"priority {context.priority}")
    found.append(f"version {review.request.version} of the plan")
    return " · ".join(found)


def _actions(review: Review, everything: bool) -> Html:
    steps = [_step(review, seen, number, everything) for number, seen in enumerate(review.steps)]
    return tag("section", tag("h2", "What will happen"), tag("ol", steps, class_="steps"))


def _step(review: Review, seen: Seen, number: int, everything: bool) -> Html:
    step, known = review.plan.steps[number], review.known
    estimate = [f"about {span(step.estimated_time_s)}"] if step.estimated_time_s is not None else []
    estimate += [money(step.cost_usd)] if step.cost_usd is not None else []
    width = _ALL if everything else _WIDTH
    undo = exact(seen.undo, known=known, limit=width)
    return tag(
        "li", tag("div", badge(seen.level), " ", tag("span", exact(seen.headline, known=known, limit=width), class_="does"), class_="headline"),
        _detail(seen.headline, seen.detail, known, everything),
        tag("p", undo, f" ({', '.join(estimate)})" if estimate else None, class_="undo bad" if undo.startswith("cannot") else "undo"),
        _detail(seen.undo, seen.undo_detail, known, everything), _findings(seen.findings, known),
        class_=f"edge-{seen.level.lower()}",
    )  # fmt: skip


def _detail(headline: str, detail: str, known: tuple[str, ...], everything: bool) -> Html | None:
    if not detail.strip() or ("\n" not in detail.strip() and headline.endswith(detail.strip())):
        return None
    lines = block(detail, most=0 if everything else _LINES, width=_WIDTH, known=known)
    return diff(lines)


def diff(lines: list[str]) -> Html:
    """Return lines as a block, those that begin with + and - in their colours."""
    found: list[Child] = []
    for number, line in enumerate(lines):
        is_head = number < 2 and line.startswith(("--- ", "+++ "))
        kind = "span" if is_head else "ins" if line.startswith("+") else "del" if line.startswith("-") else "span"
        found += [tag(kind, line), "\n"]
    return tag("pre", found, class_="detail", tabindex="0")


def _findings(findings: tuple[Reason, ...], known: tuple[str, ...]) -> Html | None:
    said = [tag("li", badge(one.level.value), tag("div", words(one.text, known=known), " ", tag("span", exact(one.rule), class_="rule"))) for one in findings]
    return tag("details", tag("summary", f"Why {findings[0].level.value}"), tag("ul", said, class_="findings")) if said else None


def _measures(review: Review, everything: bool) -> Html:
    by_criterion = {measure.criterion: number for number, measure in enumerate(review.plan.measures)}
    found = []
    for criterion in dict.fromkeys([*review.plan.problem.success_criteria, *by_criterion]):
        number = by_criterion.get(criterion)
        said: list[Child] = [tag("strong", words(criterion, known=review.known))]
        if number is None:
            said.append(tag("p", "not measured; success will not be known", class_="dim"))
        else:
            seen, measure = review.measures[number], review.plan.measures[number]
            line = exact(f"{seen.headline} → {measure.read}, before and after", known=review.known, limit=_ALL if everything else _WIDTH)
            said += [tag("p", badge(seen.level), " ", line, class_="dim"), _detail(seen.headline, seen.detail, review.known, everything)]
        found.append(tag("li", said))
    told = tag("div", tag("ul", found, class_="plain"), class_="panel") if found else tag("p", "No success criterion was written; success will not be known.", class_="dim")
    return tag("section", tag("h2", "How success is measured"), told)


def _doubt(review: Review) -> Html:
    subject, known = review.request.subject, review.known
    number = int(subject.get("step", 0))
    seen = review.steps[number - 1] if subject.get("direction") == "do" and 1 <= number <= len(review.steps) else None
    what = exact(f"{subject.get('direction', '')} {number} with {subject.get('tool', 'a tool')}", known=known)
    quiet = subject.get("quiet_after")
    return tag(
        "section", tag("h2", "It is not known whether this happened"),
        tag("p", badge(seen.level), " ", tag("strong", f"{number}. {exact(seen.headline, known=known)}"), class_="headline") if seen else tag("p", what),
        _detail(seen.headline, seen.detail, known, False) if seen else None, tag("p", f"Why: {words(subject.get('why', ''), known=known)}"),
        tag("p", f"It could still arrive until {exact(quiet)}; only after that can it be said that it did not happen.") if quiet else None,
        tag("p", "Look at the outside world, then say what you found."),
    )  # fmt: skip


def _facts(review: Review, doubt: bool) -> Iterator[Html]:
    known = review.known
    findings = [one for one in review.risk.whole.findings if one.level.value != "LOW"] or list(review.risk.whole.findings)
    said = [
        tag("li", badge(one.level.value), tag("div", words(one.text, known=known), " ", tag("span", exact(one.rule), class_="rule"),
            tag("p", f"lower: {words(one.lower, known=known)}", class_="dim") if one.lower else None))
        for one in findings
    ]  # fmt: skip
    yield tag("section", tag("h2", "Risk factors"), tag("div", tag("ul", said, class_="findings"), class_="panel"))
    if review.hints:
        hints = tag("ul", [tag("li", words(hint, known=known)) for hint in review.hints])
        yield tag("section", tag("h2", "Warnings about the document"), tag("div", hints, class_="panel dim"))
    if doubt:
        return
    told = [tag("div", tag("dt", name), tag("dd", paragraphs(text, known=known))) for name, text in _said(review) if text.strip()]
    if told:
        who = f" ({exact(review.plan.author, known=known, limit=60)})" if review.plan.author else ""
        yield tag("section", tag("h2", f"In the words of the author{who}"), tag("p", "Not checked against what will run.", class_="dim"), tag("dl", told), class_="author")


def _said(review: Review) -> Iterator[tuple[str, str]]:
    plan = review.plan
    yield from (("Solution", plan.intent), ("Problem", plan.problem.description), ("Mitigation", plan.judgement.mitigation))
    for step in plan.steps:
        yield f"Step {step.step}", step.description
        yield f"Step {step.step}, taking it back by hand", step.rollback_plan if step.undo is None else ""
    yield "Alternatives", "\n".join(plan.alternatives)


def _takes(request: Request, now: datetime) -> str:
    need = request.need
    people = counted(need.approvals, "approval", "approvals of different people")
    given = f", {len(request.approvals)} given" if request.approvals else ""
    not_from = f", not from {exact(', '.join(need.not_from), limit=200)}" if need.not_from else ""
    until = f", until {moment(request.decide_by)}" if request.decide_by else ""
    return f"Takes {people} by {exact(' or '.join(need.roles))}{given}{not_from}{until}. Opened {ago(request.opened_at, now)}."


def _decision(frame: Frame, review: Review, now: datetime, *, barred: str, already: bool, whole: bool) -> Html:
    request = review.request
    count = len(review.plan.steps)
    line = tag("p", badge(review.risk.whole.level.value), f" {counted(count, 'action')} ", tag("code", f"{request.digest[:19]}…"), class_="sum")
    estimate = review.plan.estimate
    expected = [f"cost {money(estimate.cost_usd)}"] if estimate.cost_usd is not None else []
    expected += [f"time {span(estimate.time_s)}"] if estimate.time_s is not None else []
    given = [tag("li", exact(one.actor.id, limit=60), " approved") for one in request.approvals]
    facts: list[Child] = [
        tag("h2", "Your decision"), line, tag("p", _takes(request, now), f" Estimated {', '.join(expected)}." if expected else None, class_="dim"),
        tag("ul", given, class_="given") if given else None,
    ]
    if barred or already:
        told = "You have approved this; it waits for somebody else." if already else f"You cannot answer this: {words(barred)}"
        return tag("section", facts, tag("p", told, class_="box"), class_="decide", id="decide", aria_label="Decision")
    seen: list[Child] = []
    if not whole and request.kind is not Question.IN_DOUBT:
        box = tag("label", tag("input", type="checkbox", name="unseen", value="yes"), " I approve although not all of it was shown")
        seen = [tag("p", "Not all of it is shown. ", tag("a", "Show all of it", href=f"{ROOT}/requests/{request.id}?all=1"), class_="box bad"), box]
    required = request.need.reason_required
    buttons = [
        tag("button", _ANSWERS[option][0], name="answer", value=option.value, class_=_ANSWERS[option][1]) for option in request.options if option in _ANSWERS
    ]
    if Verdict.EDIT in request.options:
        buttons.insert(1, tag("a", "Edit", href=f"{ROOT}/requests/{request.id}/edit", class_="button"))
    form = frame.form(
        f"{ROOT}/requests/{request.id}/answer", tag("input", type="hidden", name="digest", value=request.digest), *seen,
        tag("input", type="hidden", name="whole", value="yes") if whole else None,
        tag("label", "Reason (has to be given)" if required else "Reason (may be empty; kept with your answer)", for_="reason"),
        tag("textarea", "", id="reason", name="reason", rows="2", maxlength="10000", required=required), tag("div", buttons, class_="buttons"), class_="stack",
    )  # fmt: skip
    return tag("section", facts, form, class_="decide", id="decide", aria_label="Decision")
