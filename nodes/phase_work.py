"""One agent's work in a phase: is its report there already, what is it told, and what became of it. Shared by the stations of a phase.

Rules: a report is kept before anybody hears of it; the same agent asked the same about the same inputs is not run again; only an agent's own
answer counts as its report. Source: E9, E10, E13.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from langgraph.errors import GraphBubbleUp

from ..policies.agent_message import Unreadable, read_answer, task_message
from ..policies.phase_recovery import callable_for
from ..policies.redact import redact
from ..schemas.agent_message import AgentMessage
from ..schemas.canonical import canonical, digest
from ..schemas.errors import NotFound, StoreCorrupt
from ..schemas.phase import AgentOutcome, AgentSpec, FaultCategory, PhaseSpec, Settled
from .phase_crew import AsksPerson, Exhausted, Key, Late, Slot, Work
from .phase_ports import PhasePorts
from .phase_progress import Say, heard_by
from .phase_state import AgentTask
from .phase_tell import progress_of

ANY_RUN = ""
_REASON = 500


def begin(task: AgentTask, spec: PhaseSpec, ports: PhasePorts) -> Slot | Settled:
    """Start an agent's work unless its report is there. Raises: NotFound: the ports have no such agent."""
    key = _key(task, spec)
    running = ports.crew.running(key)
    if running is not None:
        return running
    asked = input_digest(task, spec)
    found = _earlier(asked, task, spec, ports)
    return found if found is not None else ports.crew.begin(key, lambda: _work(asked, task, spec, ports))


async def abegin(task: AgentTask, spec: PhaseSpec, ports: PhasePorts) -> Slot | Settled:
    """Do what `begin` does, with coroutines on the caller's loop."""
    key = _key(task, spec)
    running = ports.crew.running(key)
    if running is not None:
        return running
    asked = input_digest(task, spec)
    found = _earlier(asked, task, spec, ports)
    return found if found is not None else await ports.crew.abegin(key, lambda: _work(asked, task, spec, ports))


def release(run_id: str, round_: int, spec: PhaseSpec, ports: PhasePorts) -> None:
    """Forget the work of a round."""
    ports.crew.release((run_id, spec.name, str(round_)))


def input_digest(task: AgentTask, spec: PhaseSpec) -> str:
    """Return what names an agent's work: its role, its callable, what it is told and what it is to look at."""
    agent = spec.agent(task["agent_id"])
    asked = {
        "phase": [spec.name, spec.number],
        "agent": [agent.id, agent.role, _callable(task, agent), agent.prompt, list(agent.tools)],
        "focus": task["focus"],
        "inputs": task["inputs"],
    }
    return digest(canonical(asked))


def read_report(reference: str, ports: PhasePorts) -> AgentMessage:
    """Return a kept message. Raises: KeyError, StoreCorrupt: it is not there, or not what it was."""
    return AgentMessage.model_validate_json(ports.keep.get(reference))


def _key(task: AgentTask, spec: PhaseSpec) -> Key:
    return (task["run_id"], spec.name, str(task["round"]), str(task["attempt"]), task["agent_id"])


def _callable(task: AgentTask, agent: AgentSpec) -> str:
    was = FaultCategory(task["was"]) if task["was"] else None
    return callable_for(agent, was, task["attempt"])


def _earlier(asked: str, task: AgentTask, spec: PhaseSpec, ports: PhasePorts) -> Settled | None:
    for run_id in (task["run_id"], ANY_RUN) if spec.reuse == "any run" else (task["run_id"],):
        found = ports.store.get(run_id, spec.name, task["agent_id"], asked)
        if found is None or not found.has_reported:
            continue
        try:
            read_report(found.digest, ports)
        except (KeyError, ValueError, OSError, StoreCorrupt):
            continue  # the note outlived the report, or one of them was changed: run it again
        return found.model_copy(update={"reused": True, "took_s": 0.0, "round": task["round"], "attempt": task["attempt"]})
    return None


def _work(asked: str, task: AgentTask, spec: PhaseSpec, ports: PhasePorts) -> Work:
    agent = spec.agent(task["agent_id"])
    name = _callable(task, agent)
    call = ports.agents.get(name)
    if call is None:
        raise NotFound(f"phase {spec.name!r} has no agent {name!r}", hint=f"the ports have: {', '.join(sorted(ports.agents)) or 'none'}")
    message = task_message(spec, agent, focus=tuple(task["focus"]), inputs=task["inputs"], attempt=task["attempt"], now=ports.clock(), run_id=task["run_id"])

    def settle(answer: Any, error: BaseException | None, took_s: float) -> Settled:
        settled = _settled(answer, error, took_s, task, spec, ports)
        if settled.has_reported and not settled.partial:
            for run_id in (task["run_id"], ANY_RUN) if spec.reuse == "any run" else (task["run_id"],):
                ports.store.put(run_id, spec.name, agent.id, asked, settled)
        return settled

    say = progress_of(task, spec.name, ports)
    return Work(
        call=partial(_called, call, message, say), settle=settle, time_s=min(agent.limits.time_s, spec.time_limit_s), acall=_coroutine(call, message, say),
    )


def _called(call: Any, message: AgentMessage, say: Say) -> Any:
    with heard_by(say):
        answer = call(message)
        # A coroutine runs here as well, so that what it says is heard.
        return asyncio.run(_awaited(answer)) if inspect.isawaitable(answer) else answer


def _coroutine(call: Any, message: AgentMessage, say: Say) -> Callable[[], Any] | None:
    acall = getattr(call, "acall", None)
    if acall is None and inspect.iscoroutinefunction(call):
        acall = call
    if acall is None:
        return None

    async def called() -> Any:
        with heard_by(say):
            return await acall(message)

    return called


async def _awaited(answer: Any) -> Any:
    return await answer


def _settled(answer: Any, error: BaseException | None, took_s: float, task: AgentTask, spec: PhaseSpec, ports: PhasePorts) -> Settled:
    agent = spec.agent(task["agent_id"])

    def ended(outcome: AgentOutcome, reason: str = "", category: FaultCategory | None = None, **more: Any) -> Settled:
        return Settled(
            agent_id=agent.id, outcome=outcome, reason=redact(reason)[:_REASON] if reason else "", category=category, took_s=round(took_s, 4), attempt=task["attempt"],
            round=task["round"], **more,
        )

    if error is not None:
        return ended(*_fault(error))
    try:
        message = read_answer(answer, spec, agent, took_s=took_s, attempt=task["attempt"], now=ports.clock())
    except Unreadable as refused:
        return ended(AgentOutcome.INVALID, refused.reason, refused.category)
    data = message.model_dump_json(exclude_none=True).encode()
    where: dict[str, Any] = {"digest": ports.keep.put(data), "size_bytes": len(data)}
    if message.body.message_type == "error":
        said = message.body.content.get("summary") or message.body.content.get("error") or "it answered with an error"
        return ended(AgentOutcome.FAILED, str(said), FaultCategory.AGENT_FAILURE, **where)
    if message.body.message_type == "warning":
        missing = message.body.content.get("not_looked_at")
        return ended(AgentOutcome.REPORTED, str(missing[-1]) if isinstance(missing, list) and missing else "", partial=True, **where)
    return ended(AgentOutcome.REPORTED, **where)


def _fault(error: BaseException) -> tuple[AgentOutcome, str, FaultCategory]:
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, Late):
        return AgentOutcome.LATE, str(error), FaultCategory.AGENT_FAILURE
    if isinstance(error, Exhausted | MemoryError | RecursionError):
        return AgentOutcome.CRASHED, str(error) if isinstance(error, Exhausted) else said, FaultCategory.RESOURCE_EXHAUSTION
    if isinstance(error, AsksPerson | GraphBubbleUp):
        # It stopped before it acted; nothing that it wanted was done.
        return AgentOutcome.ASKS, str(error) or "it stopped with a question", FaultCategory.AGENT_FAILURE
    if isinstance(error, Unreadable):
        return AgentOutcome.INVALID, error.reason, error.category
    if isinstance(error, ConnectionError | TimeoutError):
        return AgentOutcome.CRASHED, said, FaultCategory.INTEGRATION_FAILURE
    return AgentOutcome.CRASHED, said, FaultCategory.AGENT_FAILURE
