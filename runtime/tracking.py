"""Reading where a run stands, for screens: the tracker from the record of one run. Decides nothing, so answers are taken as they are recorded."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from ..policies.progress import progress
from ..schemas.approval import Question, RequestStatus
from ..schemas.delivery import ANALYSIS, TESTING, ReleaseState
from ..schemas.event import Event
from ..schemas.progress import Progress
from .ledger import dispatches, gates, log, plans, requests, runs


def track(c: sqlite3.Connection, run_id: str, now: datetime) -> Progress:
    """Return the tracker of a run. Raises: NotFound."""
    run = runs.get(c, run_id)
    plan = plans.get(c, run_id, run.version) if run.version else None
    asked, events = requests.of_run(c, run_id), log.events(c, run_id)
    checks = {phase: check for phase in (ANALYSIS, TESTING) if (check := gates.newest(c, run_id, phase)) is not None}
    analysed = checks.get(ANALYSIS)
    excepted = analysed is not None and any(
        one.kind is Question.GATE and one.status is RequestStatus.APPROVED and one.subject.get("consolidated") == analysed.consolidated for one in asked
    )
    began = {str(e.data["phase"]): tuple(map(str, e.data["agents"])) for e in events if e.type == "phase.began"}
    release: ReleaseState = "" if run.graph != gates.DELIVERY else "open" if gates.decision_of(c, run_id) is None else "waits"
    return progress(
        run, plan, dispatches.of_run(c, run_id), asked, now=now, began=began, checks=checks, release=release,
        passed=analysed is not None and (analysed.passed or excepted), waits_until=_window(events),
    )


def _window(events: list[Event]) -> datetime | None:
    """Return when the window opens for which a run waits, where that is the last that was heard of it."""
    last = next((event for event in reversed(events) if not event.type.startswith("notice.")), None)
    return datetime.fromisoformat(last.data["until"]) if last is not None and last.type == "run.waits" else None
