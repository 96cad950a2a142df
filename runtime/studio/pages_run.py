"""One run: where it stands, what its steps did, its log and its results. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...schemas.approval import Request
from ...schemas.dispatch import Dispatch
from ...schemas.errors import AssentError
from ...schemas.event import Event
from ...schemas.plan import Plan
from ...schemas.results import Artifact, Outcome, Results
from ...schemas.risk import Risk
from ...schemas.run import RunRow, RunStatus
from ..cli.lines import SIGNS, ago, moment, money, span
from ..cli.story import said
from .frame import ROOT, Frame, trouble
from .markup import Child, Html, badge, exact, state, tag, words

_SAID = {"dispatched": "runs now"}
_MET = {True: ("met", "good"), False: ("not met", "bad"), None: ("not known", "dim")}


@dataclass(frozen=True)
class Shown:
    """Everything that the page of a run shows."""

    row: RunRow
    plan: Plan | None
    risk: Risk | None
    requests: Sequence[Request]
    dispatches: Sequence[Dispatch]
    events: Sequence[Event]
    results: Results | None
    artifacts: Sequence[Artifact]
    headlines: Mapping[int, str]
    """What the tool of each step says that it does, by the step's number."""
    rests: bool
    """Nobody drives it, though it is not over and does not wait for a person."""
    trouble: AssentError | None = None
    known: tuple[str, ...] = ()


def run_page(frame: Frame, shown: Shown, now: datetime, *, mark: str, may_steer: bool) -> Html:
    """Return the page of a run; its live part follows the ledger."""
    row = shown.row
    live = tag(
        "div", tag("div", state(row.status.value), tag("h1", words(row.title or row.id, known=shown.known, limit=200)), class_="title"),
        tag("p", f"{row.id} · asked by {exact(row.requester, limit=60)} {ago(row.created_at, now)} · changed {ago(row.updated_at, now)}", class_="dim"),
        [trouble(shown.trouble)] if shown.trouble else None, _waits(shown), _steps(shown), _results(shown), _log(shown),
        id="live", data_live=None if row.status.is_over else f"{ROOT}/runs/{row.id}/events?since={mark}",
    )  # fmt: skip
    crumbs = tag("p", tag("a", "Runs", href=f"{ROOT}/runs"), class_="crumbs")
    return frame.page(words(row.title, limit=60) or row.id, crumbs, live, _steer(frame, shown) if may_steer else None, refresh_s=0 if row.status.is_over else 3)


def _waits(shown: Shown) -> Html | None:
    waiting = [request for request in shown.requests if request.is_open]
    if waiting:
        links = [tag("a", "Look and answer", href=f"{ROOT}/requests/{request.id}", class_="button primary") for request in waiting]
        return tag("div", tag("p", badge(waiting[0].risk.value), " It waits for a person. "), tag("p", links), class_="box ask", role="status")
    if shown.rests and shown.row.status is RunStatus.RUNNING:
        return tag("p", "Nobody is at it now: it waits for its window, or its process ended.", class_="box", role="status")
    return None


def _steps(shown: Shown) -> Html | None:
    if shown.plan is None:
        return tag("p", "It is being planned.", class_="empty")
    done = {(one.direction, one.step): one for one in shown.dispatches if one.digest == shown.row.digest}
    found = []
    for step in shown.plan.steps:
        call = done.get(("undo", step.step)) or done.get(("do", step.step))
        value = call.state.value if call is not None else "waits"
        sign = "↶" if call is not None and call.direction == "undo" and value == "done" else SIGNS.get(value, (str(step.step), ""))[0]
        told = "" if call is None else f"{'taken back, ' if call.direction == 'undo' else ''}{_SAID.get(value, value.replace('_', ' '))}"
        receipt = call.receipt if call is not None else None
        took = f" in {span(receipt.duration_ms / 1000)}" if receipt is not None and receipt.duration_ms else ""
        summary = receipt.summary if receipt is not None and value != "done" else ""
        found.append(
            tag(
                "li", tag("span", sign, class_="sign", aria_hidden="true"),
                tag("div", tag("span", exact(shown.headlines.get(step.step, step.tool), known=shown.known, limit=300), class_="does"),
                    tag("p", told + took, class_="dim") if told else None, tag("p", words(summary, known=shown.known)) if summary else None),
                class_=f"step is-{value.replace('_', '-')}",
            )
        )  # fmt: skip
    count = sum(1 for step in shown.plan.steps if (one := done.get(("do", step.step))) is not None and one.state.value == "done")
    total = len(shown.plan.steps)
    bar = tag("progress", value=count, max=total, aria_label=f"{count} of {total} steps done")
    risk = [" ", badge(shown.risk.level.value)] if shown.risk is not None else None
    return tag("section", tag("h2", f"Steps: {count} of {total} done", risk), bar, tag("ol", found, class_="steps run"))


def _results(shown: Shown) -> Html | None:
    results, known = shown.results, shown.known
    if results is None:
        return None
    verdict = {True: ("Success", "good"), False: ("Not successful", "bad"), None: ("Success not known: not everything was measured", "dim")}[results.success]
    costs = results.costs
    spent = f"took {span(costs.actual_time_s)}, cost {money(costs.actual_usd)}"
    spent += f", estimated {span(costs.estimated_time_s)}" if costs.estimated_time_s is not None else ""
    spent += f", estimated {money(costs.estimated_usd)}" if costs.estimated_usd is not None else ""
    parts: list[Child] = [tag("p", verdict[0], class_=f"verdict {verdict[1]}")]
    if results.outcomes:
        head = tag("tr", [tag("th", name, scope="col") for name in ("Criterion", "Before", "After", "Improvement", "")])
        rows = [_outcome(outcome, known) for outcome in results.outcomes]
        parts.append(tag("div", tag("table", tag("thead", head), tag("tbody", rows)), class_="scroll", tabindex="0"))
    parts += [tag("p", f"Not taken back: {words(left, known=known)}", class_="box bad") for left in results.not_undone]
    if results.root_cause is not None:
        evidence = [tag("li", words(one, known=known)) for one in results.root_cause.evidence]
        parts += [tag("p", tag("strong", "Why: "), words(results.root_cause.finding, known=known)), tag("ul", evidence)]
    if results.follow_ups:
        parts += [tag("h3", "To do"), tag("ul", [tag("li", words(follow.action, known=known)) for follow in results.follow_ups])]
    if results.lessons_learned:
        parts += [tag("h3", "Learned"), tag("ul", [tag("li", words(lesson, known=known)) for lesson in results.lessons_learned])]
    if shown.artifacts:
        kept = [tag("li", exact(one.name, limit=120), tag("span", f" {one.size_bytes:,} bytes", class_="dim")) for one in shown.artifacts]
        parts += [tag("h3", "Kept with the run"), tag("ul", kept)]
    return tag("section", tag("h2", "Results"), tag("div", parts, tag("p", spent, class_="dim"), class_="panel"))


def _outcome(outcome: Outcome, known: tuple[str, ...]) -> Html:
    met, kind = _MET[outcome.met]
    note = tag("p", words(outcome.note, known=known), class_="dim") if outcome.note else None
    cells = {"Before": _value(outcome.before, outcome.unit, known), "After": _value(outcome.after, outcome.unit, known), "Improvement": exact(outcome.improvement) or "–"}
    measured = [tag("td", cell, class_="number", data_label=label) for label, cell in cells.items()]
    return tag("tr", tag("td", tag("strong", words(outcome.criterion, known=known)), note), measured, tag("td", met, class_=kind, data_label="Criterion"))


def _value(value: float | str | None, unit: str, known: tuple[str, ...]) -> str:
    if value is None:
        return "–"
    return words(f"{value:g} {unit}".strip() if isinstance(value, float) else f"{value} {unit}".strip(), known=known, limit=40)


def _log(shown: Shown) -> Html:
    found: list[Html] = []
    day = ""
    for event in shown.events:
        date, _, time = moment(event.at).partition(" ")
        if date != day:
            day = date
            found.append(tag("li", f"{date} (UTC)", class_="day"))
        told = tag("div", tag("strong", _who(event)), words(said(event), known=shown.known, limit=240))
        found.append(tag("li", tag("time", time.rstrip("Z"), datetime=event.at.isoformat()), told))
    return tag("section", tag("h2", "Log"), tag("div", tag("ol", found, class_="log"), class_="panel"))


def _who(event: Event) -> str:
    return "" if event.actor in ("", "system") else f"{exact(event.actor, limit=60)}: "


def _steer(frame: Frame, shown: Shown) -> Html | None:
    row = shown.row
    if row.status.is_over:
        return None
    forms: list[Html] = []
    if shown.rests:
        forms.append(frame.form(f"{ROOT}/runs/{row.id}/resume", tag("button", "Resume")))
    forms.append(
        frame.form(
            f"{ROOT}/runs/{row.id}/cancel", tag("label", "Reason", for_="why", class_="hidden"),
            tag("input", id="why", name="reason", placeholder="Reason (may be empty)", maxlength="10000"), tag("button", "Cancel the run", class_="danger"),
            class_="line",
        )
    )  # fmt: skip
    return tag("section", _spaced(forms), class_="steer", aria_label="Steer the run")


def _spaced(forms: Iterable[Html]) -> list[Child]:
    found: list[Child] = []
    for form in forms:
        found += [form, " "]
    return found
