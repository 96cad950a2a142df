"""Station `plan`: the request becomes a frozen plan. Running it again finds the plan that is there."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from ..schemas.canonical import parse
from .admission import admitted
from .ports import Ports
from .state import Context, State


def plan(state: State, runtime: Runtime[Context], *, ports: Ports) -> dict[str, Any]:
    """Admit the run, read or author its plan, and freeze it.

    Raises:
        InvalidDocument, InvalidPlan, ModelNeeded: the request cannot become a plan.
        NotAllowed: the run follows another graph.
    """
    ledger = ports.ledger
    run = admitted(state, runtime, ports)
    found = ledger.plan(run.id)
    if found is None:
        found = ports.author(_asked(ledger.ask(run.id)), run.id)
        ledger.freeze(run.id, found, editor=found.author or run.requester)
        ports.settled(run.id)
    return {"run_id": run.id, "digest": found.digest}


def _asked(raw: bytes) -> Any:
    return parse(raw)["request"]
