"""Station `plan`: the request becomes a frozen plan. Running it again finds the plan that is there."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from ..schemas.canonical import parse
from ..schemas.errors import NotFound
from .ports import Ports
from .state import Context, State


def plan(state: State, runtime: Runtime[Context], *, ports: Ports) -> dict[str, Any]:
    """Admit the run, read or author its plan, and freeze it.

    Raises:
        InvalidDocument, InvalidPlan, ModelNeeded: the request cannot become a plan.
    """
    ledger = ports.ledger
    run_id = state.get("run_id") or _thread(runtime)
    try:
        run = ledger.run(run_id)
    except NotFound:
        request = state.get("request")
        if not _is_words(request):
            # What cannot be read must not leave a run behind; plain language is admitted first, because asking a model costs money.
            frozen = ports.author(request, run_id)
            claimed, hints = ports.claims(request)
            tier = claimed if state.get("tier") is None else state.get("tier")
            ledger.admit(run_id, {"request": request}, graph=ports.graph, tier=tier, title=frozen.problem.title, requester=ports.requester)
            ledger.freeze(run_id, frozen, editor=frozen.author or ports.requester)
            if hints:
                ledger.note(run_id, "problem.vague", hints=list(hints))
            return {"run_id": run_id, "digest": frozen.digest}
        ledger.admit(run_id, {"request": request}, graph=ports.graph, tier=state.get("tier"), title=str(request)[:80], requester=ports.requester)
        run = ledger.run(run_id)
    found = ledger.plan(run_id)
    if found is None:
        found = ports.author(_asked(ledger.ask(run_id)), run_id)
        ledger.freeze(run_id, found, editor=found.author or run.requester)
        ports.settled(run_id)
    return {"run_id": run_id, "digest": found.digest}


def _thread(runtime: Runtime[Context]) -> str:
    info = runtime.execution_info
    if info is None or not info.thread_id:
        raise NotFound("this graph needs a thread", hint='invoke it with {"configurable": {"thread_id": …}}, or start it through `assent.open().start(…)`')
    return info.thread_id


def _is_words(request: Any) -> bool:
    return isinstance(request, str) and "\n" not in request.strip() and not request.strip().endswith((".yaml", ".yml", ".json", "}"))


def _asked(raw: bytes) -> Any:
    return parse(raw)["request"]
