"""Station `final_consolidation`: the tests' synthesis is judged, everything known of the delivery is put together, and the decision is recorded.

Contradictions between testing agents go to a person first. Any other criterion that does not hold leads to BLOCK: there is nothing for which a person
could let work pass that was not tested.
"""

from __future__ import annotations

from typing import Any

from .checking import asked, checked, recorded
from .delivery_ports import DeliveryPorts
from .delivery_state import DeliveryState


def final_consolidation(state: DeliveryState, *, ports: DeliveryPorts) -> dict[str, Any]:
    """Consolidate: `decided`, `question`, or `over` for a run that ended meanwhile.

    Raises:
        KeyError: nothing is kept under that digest.
        ValueError: what is kept there is not of this run and phase.
        RunBusy: another process owns the run.
    """
    run_id = state["run_id"]
    ledger = ports.ports.ledger
    with ports.ports.own(run_id):
        run = ledger.run(run_id)
        if run.status.is_over:
            return {"route": "over"}
        reference = state.get("consolidated", "")
        # As many agents as the change takes now; a synthesis of fewer lacks some, whichever phase made it.
        spec = ports.tested[ports.staff(run_id).agents]
        found, result = checked(run_id, spec, ports.consolidated(run_id, reference), ports.ports)
        recorded(run_id, reference, found, result, ports.ports, plan=run.digest)
        if result.action == "resolve":
            return asked(run_id, reference, found, result, ports.ports)
        document, decided = ports.finalise(run_id)
        ledger.decide_release(run_id, decided)
        return {"route": "decided", "summary": document.headline}
