"""What waits, and what runs: the inbox and the board of runs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...policies.counted import counted
from ...schemas.approval import Question, Request
from ...schemas.run import RunRow
from ..cli.lines import ago, moment, span
from .frame import ROOT, Frame
from .markup import Child, Html, badge, exact, state, tag, words


def inbox_page(frame: Frame, requests: Sequence[Request], recent: Sequence[RunRow], now: datetime, *, mark: str, known: tuple[str, ...] = ()) -> Html:
    """Return the inbox: requests that wait, oldest first, and the newest runs."""
    waiting = tag("ul", [_waiting(request, now, known) for request in requests], class_="cards") if requests else _calm()
    said = f"{counted(len(requests), 'request waits', 'requests wait')} for a person; the oldest comes first."
    live = tag(
        "div", tag("h1", "Inbox"), tag("p", said, class_="lead") if requests else None, waiting, tag("h2", "Latest runs"), _board(recent, now, known), id="live", data_live=f"{ROOT}/board/events?since={mark}"
    )
    return frame.page("Inbox", live, refresh_s=20)


def runs_page(frame: Frame, rows: Sequence[RunRow], now: datetime, *, mark: str, known: tuple[str, ...] = ()) -> Html:
    """Return the board: every run, newest first."""
    return frame.page("Runs", tag("div", tag("h1", "Runs"), _board(rows, now, known), id="live", data_live=f"{ROOT}/board/events?since={mark}"), refresh_s=20)


def _calm() -> Html:
    mark = tag("span", "✓", class_="mark", aria_hidden="true")
    return tag("div", mark, tag("strong", "Nothing waits for a person."), tag("p", "A question appears here by itself as soon as somebody is asked."), class_="empty")


def _waiting(request: Request, now: datetime, known: tuple[str, ...]) -> Html:
    doubt = request.kind is Question.IN_DOUBT
    what = "Did it happen? " if doubt else ""
    facts: list[Child] = [f"asked by {exact(request.requester, limit=40)} {ago(request.opened_at, now)}"]
    if request.decide_by is not None:
        left = (request.decide_by - now).total_seconds()
        facts.append(f"{span(left)} left" if left > 0 else "too late")
    if request.need.approvals > 1:
        facts.append(f"{len(request.approvals)} of {request.need.approvals} approvals")
    if request.claimed_by and request.claimed_until is not None and request.claimed_until > now:
        facts.append(f"{exact(request.claimed_by, limit=40)} looks at it")
    tags = [tag("span", exact(one, known=known, limit=40), class_="tag") for one in request.tags[:4]]
    link = tag("a", f"{what}{words(request.title or request.id, known=known, limit=160)}", href=f"{ROOT}/requests/{request.id}", class_="whole")
    return tag("li", badge(request.risk.value), tag("div", link, tag("p", _dotted(facts), class_="dim"), tag("p", tags, class_="tags") if tags else None), class_=f"card edge-{request.risk.value.lower()}")


def _board(rows: Sequence[RunRow], now: datetime, known: tuple[str, ...]) -> Html:
    if not rows:
        return tag("div", tag("strong", "There are no runs yet."), tag("p", "Start one with ", tag("code", "assent run plan.yaml"), "; it appears here by itself."), class_="empty")
    return tag("ul", [_run(row, now, known) for row in rows], class_="cards slim")


def _run(row: RunRow, now: datetime, known: tuple[str, ...]) -> Html:
    link = tag("a", words(row.title or row.id, known=known, limit=160), href=f"{ROOT}/runs/{row.id}", class_="whole")
    facts: list[Child] = [exact(row.requester, limit=40), tag("time", ago(row.updated_at, now), datetime=row.updated_at.isoformat(), title=moment(row.updated_at))]
    return tag("li", state(row.status.value), tag("div", link, tag("p", _dotted(facts), class_="dim")), class_="card")


def _dotted(facts: Sequence[Child]) -> list[Child]:
    found: list[Child] = []
    for fact in facts:
        found += [" · ", fact] if found else [fact]
    return found
