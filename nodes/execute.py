"""Station `execute`: the steps of the plan in order, each through the ledger, once.

By default the whole plan runs in one super-step, because recording one step and dispatching the next is one commit; with `stepwise` in the
context each super-step runs one step. What an earlier process left unfinished is settled first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from ..policies.authority import CURABLE
from ..schemas.approval import Question
from ..schemas.dispatch import Direction, Dispatch, DispatchState, Receipt
from ..schemas.noun import stamp
from ..schemas.ruling import Ruling
from ..schemas.run import RunStatus
from .meter import Meter
from .perform import Item, Performer, forward, may_run_again
from .ports import Ports
from .question import about_doubt, question
from .state import Context, State


def execute(state: State, runtime: Runtime[Context], *, ports: Ports) -> dict[str, Any]:
    """Run what is left of the plan.

    Returns an update whose `route` is `done`, `failed` (take back what was done), `question` (a person has to speak), `stopped` (nothing more
    may run), `next step`, or `checkpoint missing` (of a delivery).

    Raises:
        RunBusy: another process owns the run.
    """
    while True:
        update = _pass(state, runtime, ports)
        if update["route"] != "window":
            return update
        # Not a question: nobody has to answer. Whoever resumes, a sweep for example, makes this station look at the time again.
        interrupt({"kind": "assent.window/v1", "run_id": state["run_id"], "opens_at": update["opens_at"]})


def _pass(state: State, runtime: Runtime[Context], ports: Ports) -> dict[str, Any]:
    run_id = state["run_id"]
    with ports.own(run_id):
        run, plan = ports.ledger.run(run_id), ports.ledger.plan(run_id)
        if run.status.is_over or plan is None:
            return {"route": "stopped"}
        if ports.graph == "delivery" and not ports.ledger.has_passed(run_id):
            # Somebody led the run past its checkpoint. The ledger would refuse; here it is led back instead of being asked about something else.
            return {"route": "checkpoint missing"}
        performer = Performer(run_id, plan, ports)
        doubts = performer.settle()
        if doubts:
            return _about(doubts[0], performer, ports)
        stepwise = bool(runtime.context and runtime.context.stepwise)
        known = {(d.direction, d.step): d for d in ports.ledger.dispatches(run_id) if d.digest == plan.digest}
        if any(direction == "undo" for direction, _ in known):
            return {"route": "failed"}  # taking back has begun, so nothing runs forward any more
        meter = Meter(run_id, plan, ports, known.values())
        for item in forward(plan):
            earlier = known.get((item.direction, item.number))
            if earlier is not None and not may_run_again(earlier):
                if earlier.state is DispatchState.DONE or item.direction == "before":
                    continue
                return {"route": "failed"}
            over = meter.question(item.number) if item.direction == "do" else None
            if over is not None:
                performer.close()
                return {"route": "question", "question": over}
            answer = performer.perform(item)
            if isinstance(answer, Ruling):
                return _refused(answer, item, known, ports, run_id)
            meter.add(item.number if item.direction == "do" else 0, answer)
            if not answer.is_done and item.direction == "do":
                performer.close()
                return _ended_badly(answer, performer, ports)
            if stepwise and item.direction == "do" and item.number < len(plan.steps):
                performer.close()
                return {"route": "next step"}
        performer.close(deferred=True)
        return {"route": "done"}




def _ended_badly(receipt: Receipt, performer: Performer, ports: Ports) -> dict[str, Any]:
    if receipt.status != "unknown":
        return {"route": "failed"}
    doubts = performer.settle()
    return _about(doubts[0], performer, ports) if doubts else {"route": "failed"}


def _about(doubt: Dispatch, performer: Performer, ports: Ports) -> dict[str, Any]:
    # An undo in doubt is asked about by the station that takes back, which then goes on with the steps before it.
    return {"route": "failed"} if doubt.direction == "undo" else about_doubt(doubt, performer, ports)


def _refused(ruling: Ruling, item: Item, known: Mapping[tuple[Direction, int], Dispatch], ports: Ports, run_id: str) -> dict[str, Any]:
    begun = any(d.direction == "do" for d in known.values()) or (item.direction == "do" and item.number > 1)
    rules = set(ruling.rules)
    if "approval.expired" in rules and not begun:
        ports.ledger.move(run_id, RunStatus.EXPIRED, rules=list(ruling.rules))
        return {"route": "stopped", "summary": "; ".join(ruling.reasons)}
    if rules & CURABLE and not ports.ledger.run(run_id).status.is_over:
        return question(Question.PLAN, {"key": "plan", "why": "; ".join(ruling.reasons), "step": item.number}, ports, run_id, again=True)
    if "window.closed" in rules:
        opens = ports.ledger.opens_at(run_id)
        if opens is not None:
            return {"route": "window", "opens_at": stamp(opens)}
    return {"route": "stopped", "summary": "; ".join(ruling.reasons)}

