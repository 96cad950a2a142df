"""Admitting a run: the ledger knows it, and what was asked, before anybody does anything for it. Shared by the stations that may come first."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from ..schemas.errors import NotAllowed, NotFound
from ..schemas.run import RunRow
from .ports import Ports
from .state import Context, State


def admitted(state: State, runtime: Runtime[Context], ports: Ports) -> RunRow:
    """Return the run of this thread; one that the ledger does not know yet is admitted, with its plan where the request is a written one.

    Raises:
        InvalidDocument, InvalidPlan, ModelNeeded: the request cannot become a plan.
        NotAllowed: the run follows another graph, which has other stations before its end.
    """
    ledger = ports.ledger
    run_id = state.get("run_id") or _thread(runtime)
    try:
        run = ledger.run(run_id)
    except NotFound:
        request = state.get("request")
        # What cannot be read must not leave a run behind; plain language is admitted first, because asking a model costs money.
        frozen = None if _is_words(request) else ports.author(request, run_id)
        claimed, hints = (None, ()) if frozen is None else ports.claims(request)
        tier = claimed if state.get("tier") is None else state.get("tier")
        title = str(request)[:80] if frozen is None else frozen.problem.title
        asking = {"request": request} | ({"workspace": ports.workspace} if ports.workspace else {})
        ledger.admit(run_id, asking, graph=ports.graph, tier=tier, title=title, requester=ports.requester)
        if frozen is not None:
            ledger.freeze(run_id, frozen, editor=frozen.author or ports.requester)
        if hints:
            ledger.note(run_id, "problem.vague", hints=list(hints))
        run = ledger.run(run_id)
    if run.graph != ports.graph:
        raise NotAllowed(f"run {run_id} follows the graph {run.graph}, not {ports.graph}", hint=f'`runtime.graph("{run.graph}")` goes on with it')
    return run


def _thread(runtime: Runtime[Context]) -> str:
    info = runtime.execution_info
    if info is None or not info.thread_id:
        raise NotFound("this graph needs a thread", hint='invoke it with {"configurable": {"thread_id": …}}, or start it through `assent.open().start(…)`')
    return info.thread_id


def _is_words(request: Any) -> bool:
    return isinstance(request, str) and "\n" not in request.strip() and not request.strip().endswith((".yaml", ".yml", ".json", "}"))
