"""A synthesis held against its checkpoint, on authority of the ledger: whose it is, what people said about its conflicts, and what follows.
Shared by the stations behind a phase.

Rules: the reference in the state only names what to look up; a synthesis of another run or phase is refused; a resolution counts only as the ledger
has it now; the question to a person is opened here, with its text from the synthesis, so no state can word it.
"""

from __future__ import annotations

from typing import Any

from ..policies.checkpoint import check
from ..policies.redact import redact
from ..schemas.approval import Question, Request
from ..schemas.consolidated import CheckpointResult, Consolidated
from ..schemas.delivery import AgentTime, PhaseCheck
from ..schemas.phase import PhaseSpec
from .ports import Ports

_MOST = 8
_LONGEST = 200


def checked(run_id: str, spec: PhaseSpec, found: Consolidated, ports: Ports) -> tuple[Consolidated, CheckpointResult]:
    """Return the synthesis with the resolutions of now, and what its checkpoint says after every re-run.

    Raises:
        ValueError: it is not of this run and phase.
    """
    if (found.run_id, found.phase) != (run_id, spec.name):
        raise ValueError(f"the synthesis is of {found.phase} of run {found.run_id}, not of {spec.name} of run {run_id}")
    found = found.with_resolutions(ports.ledger.resolutions(run_id, spec.name))
    return found, check(spec, found, attempt=spec.reruns)


def recorded(run_id: str, reference: str, found: Consolidated, result: CheckpointResult, ports: Ports, *, plan: str = "") -> PhaseCheck:
    """Record what a checkpoint said."""
    agents = tuple(AgentTime(id=one.agent_id, outcome=one.outcome.value, took_ms=int(one.took_s * 1000), reused=one.reused) for one in found.agents)
    failed = tuple(one.id for one in result.criteria if not one.met)
    return ports.ledger.check_phase(
        run_id, PhaseCheck(phase=found.phase, consolidated=reference, plan=plan, passed=result.passed, action=result.action, failed=failed, agents=agents)
    )


def asked(run_id: str, reference: str, found: Consolidated, result: CheckpointResult, ports: Ports) -> dict[str, Any]:
    """Open the question of a checkpoint that was not passed, and return the update that leads to it."""
    kind = Question.CONFLICT if result.action == "resolve" else Question.GATE
    subject: dict[str, Any] = {
        "key": f"phase {found.phase}", "phase": found.phase, "consolidated": reference,
        "why": _said("; ".join(result.reasons), 2000), "criteria": [one.id for one in result.criteria if not one.met],
    }
    if kind is Question.CONFLICT:
        left = [one for one in found.conflicts if one.id in result.conflicts][:_MOST]
        subject["conflicts"] = [
            {
                "id": one.id, "subject": _said(one.subject), "aspect": _said(one.aspect),
                "sides": [{"agent": side.agent_id, "value": _said(side.value), "text": _said(side.text)} for side in one.sides],
            }
            for one in left
        ]
    return opened(run_id, kind, subject, ports)


def opened(run_id: str, kind: Question, subject: dict[str, Any], ports: Ports) -> dict[str, Any]:
    """Open a question, or find it. One that is settled did not carry, or nobody would ask: the next follows it. Returns the update that leads to it."""
    request_id = ports.ledger.question(run_id, kind, subject)
    standing = next((one for one in ports.ledger.requests(run_id) if one.id == request_id), None)
    if standing is not None and not standing.is_open:
        request_id = ports.ledger.question(run_id, kind, subject, again=True)
    return _leading_to(ports.ledger.open_request(request_id, run_id, kind, subject))


def waits(run_id: str, phase: str, ports: Ports) -> dict[str, Any] | None:
    """Return the update that leads to the question of a phase that is open; `None`: there is none. What was asked is not found out again."""
    found = next((one for one in ports.ledger.requests(run_id) if one.is_open and one.subject.get("phase") == phase), None)
    return None if found is None else _leading_to(found)


def _leading_to(request: Request) -> dict[str, Any]:
    return {"route": "question", "question": {"id": request.id, "kind": request.kind.value, "subject": {name: request.subject[name] for name in ("key", "phase")}}}


def _said(value: Any, limit: int = _LONGEST) -> str:
    return redact(str(value))[:limit]
