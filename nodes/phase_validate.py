"""Station `validate`: the checkpoint. Passed, or run agents again on less, or put a question to a person; there is no fourth way.

The question has the shape that the station `approval` takes, so the graph that embeds a phase hands it on as it is. A person's answer comes back
through the ports, from the ledger, when the phase runs again; agents that reported are not run again for that.
"""

from __future__ import annotations

from typing import Any

from ..policies.checkpoint import check
from ..schemas.approval import Question
from ..schemas.consolidated import CheckpointResult, Consolidated
from ..schemas.phase import PhaseSpec
from ..schemas.phase_event import PhaseChecked
from .phase_ports import PhasePorts
from .phase_state import AGAIN, PhaseState
from .phase_tell import tell

_KINDS = {"resolve": Question.CONFLICT, "ask": Question.GATE}


def validate(state: PhaseState, *, spec: PhaseSpec, ports: PhasePorts) -> dict[str, Any]:
    """Hold the synthesis against the criteria. Raises: KeyError, StoreCorrupt: the synthesis is not there, or was changed."""
    found = Consolidated.model_validate_json(ports.keep.get(state["consolidated"]))
    result = check(spec, found, attempt=state["attempt"])
    ports.record(state["run_id"], result)
    tell(
        ports,
        PhaseChecked(
            at=ports.clock(), run_id=state["run_id"], phase=spec.name, attempt=state["attempt"], passed=result.passed, action=result.action,
            reasons=result.reasons, question=result.question,
        ),
    )  # fmt: skip
    if result.passed:
        return {"route": "passed", "passed": True, "question": None}
    summary = f"{state['summary']}; not passed: {'; '.join(result.reasons)}"[:2000]
    if result.action == "rerun":
        return {"route": AGAIN, "passed": False, "focus": {agent: list(focus) for agent, focus in result.reruns.items()}, "summary": summary}
    return {"route": "question", "passed": False, "question": _question(state, result, spec), "summary": summary}


def _question(state: PhaseState, result: CheckpointResult, spec: PhaseSpec) -> dict[str, Any]:
    return {
        "kind": _KINDS[result.action].value,
        "subject": {
            "key": f"phase {spec.name}",
            "phase": spec.name,
            "consolidated": state["consolidated"],
            "conflicts": list(result.conflicts),
            "why": result.question[:2000],
        },
    }
