"""Station `admit`: the run is in the ledger, and the ledger says whether its analysis is still to be made."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from ..schemas.delivery import ANALYSIS
from .admission import admitted
from .checking import waits
from .delivery_ports import DeliveryPorts
from .delivery_state import DeliveryState
from .state import Context


def admit(state: DeliveryState, runtime: Runtime[Context], *, ports: DeliveryPorts) -> dict[str, Any]:
    """Admit the run and choose the way: `to analyse`, `analysed` when checkpoint 1 holds already, `question` when its question is open, or `over`.

    Raises:
        InvalidDocument, InvalidPlan, ModelNeeded: the request cannot become a plan.
        NotAllowed: the run follows another graph.
    """
    ledger = ports.ports.ledger
    run = admitted(state, runtime, ports.ports)
    if run.status.is_over:
        return {"run_id": run.id, "route": "over"}
    if ledger.has_passed(run.id):
        return {"run_id": run.id, "route": "analysed"}
    standing = waits(run.id, ANALYSIS, ports.ports)
    if standing is not None:
        return {"run_id": run.id, **standing}
    inputs = ports.analysis_inputs(run.id)
    # A full write: whatever was left open for the beginning of the run must not keep other writers waiting for the agents.
    ledger.note(run.id, "phase.began", deferred=False, phase=ANALYSIS, agents=[agent.id for agent in ports.analysed.agents])
    return {"run_id": run.id, "route": "to analyse", "inputs": inputs}
