"""Station `checkpoint`: checkpoint 1, between the analysis and the plan. Nothing of the work runs before the ledger has it.

What the phase says about itself is not taken for it: the synthesis is looked up by its digest and held against the criteria again, with what people
said as the ledger has it.
"""

from __future__ import annotations

from typing import Any

from .checking import asked, checked, recorded
from .delivery_ports import DeliveryPorts
from .delivery_state import DeliveryState


def checkpoint(state: DeliveryState, *, ports: DeliveryPorts) -> dict[str, Any]:
    """Record what the checkpoint says: `passed`, `question`, or `over` for a run that ended meanwhile.

    Raises:
        KeyError: nothing is kept under that digest.
        ValueError: what is kept there is not of this run and phase.
    """
    run_id = state["run_id"]
    ledger = ports.ports.ledger
    with ports.ports.own(run_id):
        if ledger.run(run_id).status.is_over:
            return {"route": "over"}
        if ledger.has_passed(run_id):
            return {"route": "passed"}
        reference = state.get("consolidated", "")
        found, result = checked(run_id, ports.analysed, ports.consolidated(run_id, reference), ports.ports)
        recorded(run_id, reference, found, result, ports.ports)
        return {"route": "passed"} if ledger.has_passed(run_id) else asked(run_id, reference, found, result, ports.ports)
