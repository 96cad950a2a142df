"""Station `collect`: when every agent is settled, their reports become one synthesis. Deferred, so it runs once for all of them.

All-settled: agents that were late, crashed or answered what cannot be read are in the synthesis by name, and the phase goes on with what arrived.
Every report is read from where it is kept and checked against its digest; one that is gone counts as missing.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..policies.consolidation import merge
from ..schemas.agent_message import AgentMessage
from ..schemas.errors import StoreCorrupt
from ..schemas.phase import AgentOutcome, FaultCategory, PhaseSpec, Settled
from ..schemas.phase_event import PhaseConsolidated
from .phase_crew import Slot
from .phase_ports import PhasePorts
from .phase_state import AgentTask, PhaseState, tasks
from .phase_tell import tell, tell_ended
from .phase_work import abegin, begin, read_report, release


def collect(state: PhaseState, *, spec: PhaseSpec, ports: PhasePorts) -> dict[str, Any]:
    """Consolidate. Raises: OSError: the synthesis could not be kept; a resume begins here again."""
    found = {task["agent_id"]: begin(task, spec, ports) for task in _unsettled(state)}
    ports.crew.wait_all([one for one in found.values() if isinstance(one, Slot)])
    return _consolidated(state, _settled(found), spec, ports)


async def acollect(state: PhaseState, *, spec: PhaseSpec, ports: PhasePorts) -> dict[str, Any]:
    """Do what `collect` does without blocking the loop while it waits. Cancelling it cancels the agents of the phase."""
    found = {task["agent_id"]: await abegin(task, spec, ports) for task in _unsettled(state)}
    try:
        await ports.crew.await_all([one for one in found.values() if isinstance(one, Slot)])
    except asyncio.CancelledError:
        release(state["run_id"], state["round"], spec, ports)
        raise
    return _consolidated(state, _settled(found), spec, ports)


def _unsettled(state: PhaseState) -> list[AgentTask]:
    return [task for task in tasks(state) if "outcome" not in state["settled"].get(task["agent_id"], {})]


def _settled(found: dict[str, Slot | Settled]) -> dict[str, Settled]:
    for slot in found.values():
        if isinstance(slot, Slot):
            slot.is_told = True  # one error tells about all of them; a resume begins each anew
    return {agent_id: one.result() if isinstance(one, Slot) else one for agent_id, one in found.items()}


def _consolidated(state: PhaseState, waited: dict[str, Settled], spec: PhaseSpec, ports: PhasePorts) -> dict[str, Any]:
    for task in _unsettled(state):
        if task["agent_id"] in waited:  # its own station did not wait for it, so nobody was told
            tell_ended(waited[task["agent_id"]], task, spec, ports)
    known = {
        agent_id: Settled.model_validate(entry)
        for agent_id, entry in state["settled"].items()
        if entry.get("round") == state["round"] and "outcome" in entry and agent_id not in waited
    } | waited
    messages: dict[str, AgentMessage] = {}
    for agent_id, settled in known.items():
        if settled.has_reported:
            try:
                messages[agent_id] = read_report(settled.digest, ports)
            except (KeyError, ValueError, StoreCorrupt) as error:
                known[agent_id] = settled.model_copy(
                    update={"outcome": AgentOutcome.INVALID, "category": FaultCategory.DATA_CORRUPTION, "reason": f"its kept report cannot be read: {error}"[:500]}
                )
    found = merge(
        spec, messages, list(known.values()), now=ports.clock(), run_id=state["run_id"], resolutions=ports.resolutions(state["run_id"], spec.name)
    )
    reference = ports.keep.put(found.model_dump_json(exclude_none=True).encode())
    ports.files(spec, found, messages)
    release(state["run_id"], state["round"], spec, ports)
    tell(
        ports,
        PhaseConsolidated(
            at=ports.clock(), run_id=state["run_id"], phase=spec.name, attempt=state["attempt"], digest=reference, reported=len(messages),
            missing=found.missing, conflicts=len(found.conflicts), risk=found.risk_assessment.level.value,
        ),
    )  # fmt: skip
    return {
        "settled": {agent_id: settled.as_json() for agent_id, settled in known.items()},
        "consolidated": reference,
        "risk": found.risk_assessment.level.value,
        "summary": _summary(spec, found.missing, len(found.conflicts), found.risk_assessment.level.value),
    }


def _summary(spec: PhaseSpec, missing: tuple[str, ...], conflicts: int, risk: str) -> str:
    parts = [f"{len(spec.agents) - len(missing)} of {len(spec.agents)} agents reported"]
    parts += [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"{conflicts} contradictions"] if conflicts else []
    return "; ".join([*parts, f"risk {risk}"])
