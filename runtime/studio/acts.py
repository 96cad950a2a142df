"""What the pages show and what their forms do, each as a function of one visit.

Rules: an answer is recorded under the name of whoever is signed in, about the bytes that the form was made from; the run goes on behind it.
"""

from __future__ import annotations

from starlette.responses import Response

from ...policies.approvals import may_decide, roles_of
from ...schemas.approval import Actor, Question, Request, Verdict
from ...schemas.errors import AssentError, NotAllowed, StaleDecision
from ...schemas.run import RunRow, RunStatus
from ..cli.panel import Review
from ..intake import said
from ..runtime import Runtime
from .frame import ROOT
from .pages_edit import Document, difference_page, edit_page
from .pages_inbox import inbox_page, runs_page
from .pages_request import request_page, settled_page
from .pages_run import Shown, run_page
from .visit import Visit, page, to

_EVENTS = 400
_RUNS = 100


def inbox(visit: Visit) -> Response:
    """Show what waits."""
    runtime = visit.entrance.runtime
    mark = board_mark(runtime)  # before anything is read, so that what changes meanwhile is told
    rows = runtime.ledger.runs(limit=12)
    return page(inbox_page(visit.frame("inbox"), runtime.inbox(limit=100), rows, runtime.clock(), mark=mark, known=runtime.known_secrets))


def runs(visit: Visit) -> Response:
    """Show the newest runs."""
    runtime = visit.entrance.runtime
    mark = board_mark(runtime)
    rows = runtime.ledger.runs(limit=_RUNS)
    return page(runs_page(visit.frame("runs"), rows, runtime.clock(), mark=mark, known=runtime.known_secrets))


def request(visit: Visit) -> Response:
    """Show one request."""
    runtime, actor = visit.entrance.runtime, visit.visitor.actor
    runtime.ledger.look_again()
    asked = runtime.ledger.request(visit.path["request_id"])
    if not asked.is_open or runtime.ledger.run(asked.run_id).digest != asked.digest:
        return page(settled_page(visit.frame(), asked, runtime.known_secrets))
    already = any(decision.actor.id == actor.id for decision in asked.approvals)
    return page(
        request_page(
            visit.frame(), Review.of(runtime, asked), runtime.clock(), barred=barred(runtime, asked, actor), already=already, mark=request_mark(asked),
            everything=visit.query.get("all") == "1",
        )
    )  # fmt: skip


def answer(visit: Visit) -> Response:
    """Record an answer."""
    runtime, form = visit.entrance.runtime, visit.form
    asked = _seen(runtime, visit)
    verdict = form.get("answer", "")
    if verdict == Verdict.EDIT.value:
        raise NotAllowed("an edit is made on its own page", hint="follow `Edit`")
    if verdict == Verdict.APPROVE.value and asked.kind is not Question.IN_DOUBT and not (form.get("whole") or form.get("unseen")):
        raise NotAllowed("not all of this plan was shown", hint="go back and follow `Show all of it`, or tick the box that says that you approve all the same")
    runtime.decide(asked.id, verdict, reason=form.get("reason", ""), actor=visit.visitor.actor, resume=False)
    visit.entrance.go_on(asked.run_id)
    return to(f"{ROOT}/runs/{asked.run_id}")


def edit(visit: Visit) -> Response:
    """Show the plan as a document to be edited."""
    runtime = visit.entrance.runtime
    asked = runtime.ledger.request(visit.path["request_id"])
    review = _editable(runtime, asked)
    return page(edit_page(visit.frame(), asked, Document.of(review.plan, runtime.tools, asked, runtime.known_secrets).text))


def change(visit: Visit) -> Response:
    """Show what an edited document changes; record the edit when that was seen."""
    runtime, form = visit.entrance.runtime, visit.form
    asked = _seen(runtime, visit)
    review = _editable(runtime, asked)
    document = Document.of(review.plan, runtime.tools, asked, runtime.known_secrets)
    text = form.get("text", "").replace("\r\n", "\n").removeprefix("\n")
    if form.get("go") == "again":
        return page(edit_page(visit.frame(), asked, text))
    try:
        changed = document.read(text, review.plan, runtime.tools)
        risks = runtime.ledger.risk(review.plan, asked.run_id).whole, runtime.ledger.risk(changed, asked.run_id).whole
    except AssentError as error:
        return page(edit_page(visit.frame(), asked, text, error=error), 422)
    if form.get("go") != "save":
        return page(difference_page(visit.frame(), asked, text, review.plan, changed, risks, runtime.known_secrets))
    runtime.decide(asked.id, Verdict.EDIT.value, edit=changed, reason=form.get("reason", ""), actor=visit.visitor.actor, resume=False)
    visit.entrance.go_on(asked.run_id)
    return to(f"{ROOT}/runs/{asked.run_id}")


def run(visit: Visit) -> Response:
    """Show one run."""
    entrance, runtime = visit.entrance, visit.entrance.runtime
    handle = runtime.run(visit.path["run_id"])
    events = handle.events()  # before the rest, as above: its last entry is the mark
    row = handle.row
    plan = handle.plan
    rests = row.status in (RunStatus.RUNNING, RunStatus.PLANNING) and not entrance.is_driving(row.id) and runtime.locks.is_free(row.id)
    shown = Shown(
        row=row, plan=plan, risk=handle.risk, requests=handle.requests, dispatches=runtime.ledger.dispatches(row.id), events=events[-_EVENTS:],
        results=handle.results, artifacts=handle.artifacts(), headlines={} if plan is None else entrance.headlines(plan), rests=rests,
        trouble=entrance.troubles.get(row.id), known=runtime.known_secrets,
    )  # fmt: skip
    mark = str(events[-1].seq if events else 0)
    return page(run_page(visit.frame("runs"), shown, runtime.clock(), mark=mark, may_steer=may_steer(runtime, row, visit.visitor.actor)))


def resume(visit: Visit) -> Response:
    """Let a run go on."""
    row = _steered(visit)
    visit.entrance.go_on(row.id)
    return to(f"{ROOT}/runs/{row.id}")


def cancel(visit: Visit) -> Response:
    """End a run: at once while it waits, at the next step while it runs."""
    row = _steered(visit)
    visit.entrance.runtime.ledger.cancel(row.id, visit.visitor.actor, said(visit.form.get("reason", "")))
    visit.entrance.go_on(row.id)
    return to(f"{ROOT}/runs/{row.id}")


def barred(runtime: Runtime, asked: Request, actor: Actor) -> str:
    """Say why nothing that this person answers would count; empty when something would."""
    rulings = [may_decide(actor, verdict, asked.need, runtime.policy, reason="given", decisions=asked.decisions) for verdict in asked.options]
    return "" if any(ruling.is_allowed for ruling in rulings) else "; ".join(dict.fromkeys(reason for ruling in rulings for reason in ruling.reasons))


def may_steer(runtime: Runtime, row: RunRow, actor: Actor) -> bool:
    """Tell whether a person may resume and cancel a run: whoever asked for it, and whoever holds a role."""
    return actor.kind == "human" and (actor.id == row.requester or bool(roles_of(actor, runtime.policy)))


def board_mark(runtime: Runtime) -> str:
    """Return what changes whenever anything was recorded."""
    return str(runtime.anchor().entries)


def request_mark(asked: Request) -> str:
    """Return what changes whenever a request was answered."""
    return f"{asked.status.value}-{len(asked.decisions)}"


def _seen(runtime: Runtime, visit: Visit) -> Request:
    asked = runtime.ledger.request(visit.path["request_id"])
    if visit.form.get("digest") != asked.digest:
        raise StaleDecision("this form is about another version of the plan", hint="load the request again and answer there")
    return asked


def _editable(runtime: Runtime, asked: Request) -> Review:
    if not asked.is_open:
        raise StaleDecision(f"request {asked.id} is {asked.status.value}; there is nothing left to decide", hint="the inbox lists what waits")
    if Verdict.EDIT not in asked.options:
        raise NotAllowed("this question cannot be answered by an edit", hint="the plan can be edited only before its first step ran")
    return Review.of(runtime, asked)


def _steered(visit: Visit) -> RunRow:
    runtime, actor = visit.entrance.runtime, visit.visitor.actor
    row = runtime.ledger.run(visit.path["run_id"])
    if not may_steer(runtime, row, actor):
        raise NotAllowed(f"{actor.id} may not steer this run", hint="the requester may, and anybody who holds a role")
    return row
