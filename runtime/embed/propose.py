"""What a program outside may ask for, and what it is told: propose a plan or a goal, look how it stands, read the results.

Rules:
- A proposal is a document or a goal in words. It is never a path, because the reader of files is not the one who asks.
- What is told holds no secret that can be told from its form, and is bounded; it says who decides, and that the reader cannot.
- There is no way from here to a decision.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...nodes.approval import payload
from ...policies.counted import counted
from ...policies.redact import redact_value
from ...schemas.approval import Request
from ...schemas.canonical import parse
from ...schemas.dispatch import Receipt
from ...schemas.errors import Complaint, InvalidDocument, InvalidPlan, NotFound, RunBusy
from ...schemas.noun import stamp
from ...schemas.results import Results
from ...schemas.run import RunStatus
from ..intake import LARGEST_BYTES, read
from .elsewhere import acts_alone, acts_here

if TYPE_CHECKING:
    from ..run import Run
    from ..runtime import Runtime

LONGEST_OUTPUT = 4000
"""Most characters of one text of a step's output that are told; the whole of it stays in the ledger."""
_PATIENCE_S = 10.0
_POLL_S = 0.05
_SLOW_POLL_S = 0.25
_WAIT = "A person decides this, at a door of assent that you cannot reach. Nothing that you say or call decides it. Come back later with this run_id."


def asked(plan: Any = None, goal: str | None = None) -> dict[str, Any]:
    """Return a proposal as what `Runtime.start` takes.

    Args:
        plan: a document: a mapping, or YAML or JSON text.
        goal: plain language, for a runtime with a model.

    Raises:
        InvalidDocument: neither or both, or too long.
    """
    if (plan is None) == (goal is None):
        raise InvalidDocument([Complaint(where="plan", expected="either a plan or a goal", found="both" if plan is not None else "neither")])
    text = plan if plan is not None else goal
    if isinstance(text, str):
        if not text.strip() or len(text) > LARGEST_BYTES:
            raise InvalidDocument([Complaint(where="plan" if goal is None else "goal", expected="text, at most 1 MB", found=f"{len(text)} characters")])
        return {"text": text, "file": ""} if goal is None else {"words": text.strip()}
    if not isinstance(plan, Mapping):
        raise InvalidDocument([Complaint(where="plan", expected="a document with `problem` and `action`", found=type(plan).__name__)])
    return {"document": dict(plan)}


def begin(runtime: Runtime, ask: Mapping[str, Any], *, run_id: str | None = None, tier: int | None = None) -> Run:
    """Start a run for a proposal, or find the one of that id, and drive it until it is over or waits.

    Raises:
        InvalidDocument, InvalidPlan, ModelNeeded, ModelFailed, NotAllowed: nothing was started.
    """
    # A call of an agent's own tool acts only inside that agent, so as a step of a document nobody would ever do it.
    if "words" not in ask and not acts_here(runtime.tools, read(dict(ask), runtime.tools).plan):
        raise InvalidPlan("a step names a tool of an agent, which acts only when that agent calls it", hint="call that tool itself")
    return start_or_find(runtime, dict(ask), run_id=run_id, tier=tier)


def start_or_find(runtime: Runtime, request: Any, *, run_id: str | None, tier: int | None) -> Run:
    """Do what `Runtime.start` does, also while another flow is starting the run of that name."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return runtime.start(request, run_id=run_id, tier=tier)
        except RunBusy:
            assert run_id is not None
            # A run that is being started is nobody else's to see before it is admitted.
            with contextlib.suppress(NotFound):
                return look(runtime, run_id)
            if time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_S)


def look(runtime: Runtime, run_id: str) -> Run:
    """Look at the ledger again, and go on with the run where that is possible; what another flow is doing is waited for a while. Raises: NotFound."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return runtime.resume(run_id)
        except RunBusy:
            if time.monotonic() >= deadline:
                return runtime.run(run_id)
            time.sleep(_POLL_S)


def look_until(runtime: Runtime, run_id: str, wait_s: float) -> Run:
    """Do what `look` does, and again whenever something was decided, until the run is over or `wait_s` seconds have passed. Raises: NotFound."""
    deadline = time.monotonic() + wait_s
    run, seen = look(runtime, run_id), runtime.anchor()
    while not run.status.is_over and time.monotonic() < deadline:
        time.sleep(min(_SLOW_POLL_S, max(0.0, deadline - time.monotonic())))
        now = runtime.anchor()
        if now != seen:
            run, seen = look(runtime, run_id), now
    return run


def own(runtime: Runtime, run_id: str) -> str:
    """Return the id of a run that was asked for at this door. Raises: NotFound: there is none; other people's runs are not told of."""
    with contextlib.suppress(NotFound):
        row = runtime.ledger.run(run_id)
        if row.requester == runtime.actor.id:
            return row.id
    raise NotFound(f"there is no run {run_id!r} of yours", hint="use the run_id that an answer to you named")


def tools_in_words(runtime: Runtime) -> str:
    """Return the tools that a plan may name, each with its arguments: `shell(command, timeout_s?); …`."""
    words = []
    for name, tool in runtime.tools.items():
        if acts_alone(tool):
            fields = tool.Arguments.model_fields.items()
            words.append(f"{name}({', '.join(field if info.is_required() else f'{field}?' for field, info in fields)})")
    return "; ".join(words)


def waiting(runtime: Runtime, run: Run) -> dict[str, Any] | None:
    """Return what a host shows while a run cannot go on, in the shape of an interrupt's value; `None` when it is over."""
    status = run.status
    if status.is_over:
        return None
    request = next((r for r in reversed(run.requests) if r.is_open), None)
    if status.is_waiting and request is not None:
        plan = run.plan
        return payload(request, plan, None if plan is None else runtime.ledger.risk(plan, request.run_id), known=runtime.known_secrets)
    opens = runtime.ledger.waits_until(run.id)
    if opens is not None:
        return {"kind": "assent.window/v1", "run_id": run.id, "opens_at": stamp(opens)}
    return {"kind": "assent.running/v1", "run_id": run.id, "status": status.value}


def answer(runtime: Runtime, run: Run) -> dict[str, Any]:
    """Return how a run stands, for the program that asked for it."""
    status, found = run.status, run.results
    told: dict[str, Any] = {"run_id": run.id, "status": status.value}
    if not status.is_over:
        told |= {"waits_for": [_question(request) for request in run.requests if request.is_open], "next": _WAIT}
        opens = runtime.ledger.waits_until(run.id) if status is RunStatus.RUNNING else None
        if opens is not None:
            told["opens_at"] = stamp(opens)
    elif found is not None:
        told |= _over(runtime, run, found)
    safe: dict[str, Any] = redact_value(told, known=runtime.known_secrets)
    return safe


def why(run: Run) -> str:
    """Return in words why a run did not come to its end, for whoever asked for it."""
    cause = run.results.root_cause if run.results is not None else None
    found = [cause.finding, *cause.evidence] if cause is not None else []
    return "; ".join(dict.fromkeys([*found, *filter(None, [said_by_people(run)])]))


def said_by_people(run: Run) -> str:
    """Return the reasons that people gave with answers that counted, each with who gave it."""
    return "; ".join(dict.fromkeys(f"{d.actor.id}: {d.reason}" for r in run.requests for d in r.decisions if d.counted and d.reason))


def outputs(runtime: Runtime, run: Run) -> dict[int, dict[str, Any]]:
    """Return what each step that was dispatched under the plan in force gave back, whole, by its number."""
    digest = run.row.digest
    rows = [d for d in runtime.ledger.dispatches(run.id) if d.digest == digest and d.direction == "do" and d.receipt is not None]
    return {d.step: _whole(runtime, d.receipt) for d in rows if d.receipt is not None}


def _question(request: Request) -> dict[str, Any]:
    need = request.need
    people = f"{counted(need.approvals, 'approval')} by {' or '.join(need.roles)}"
    when = None if request.decide_by is None else stamp(request.decide_by)
    return {"request_id": request.id, "question": request.kind.value, "risk": request.risk.value, "title": request.title, "needs": people, "decide_by": when}


def _over(runtime: Runtime, run: Run, found: Results) -> dict[str, Any]:
    got = outputs(runtime, run)
    plan = run.plan
    steps = [
        {
            "step": s.step, "tool": plan.steps[s.step - 1].tool if plan is not None else "", "status": "undone" if s.undone else s.status,
            "summary": s.summary, "output": _cut(got.get(s.step, {})),
        }
        for s in found.steps
    ]  # fmt: skip
    told: dict[str, Any] = {"success": found.success, "steps": steps}
    told["outcomes"] = [outcome.as_json() for outcome in found.outcomes]
    told["not_undone"] = list(found.not_undone)
    told["why"] = "" if run.status is RunStatus.COMPLETED and found.success is not False else why(run)
    return {name: value for name, value in told.items() if value not in ([], "")}


def _whole(runtime: Runtime, receipt: Receipt) -> dict[str, Any]:
    if receipt.output_ref and "kept" in receipt.output:
        try:
            kept = parse(runtime.keep.get(receipt.output_ref))
        except (KeyError, ValueError):
            return receipt.output  # retention removed it, or it is no JSON; what stays in the ledger says so
        return kept if isinstance(kept, dict) else {"output": kept}
    return receipt.output


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST_OUTPUT:
        return f"{value[:LONGEST_OUTPUT]}… ({len(value) - LONGEST_OUTPUT:,} more characters are kept with the run)"
    if isinstance(value, Mapping):
        return {key: _cut(inner) for key, inner in list(value.items())[:100]}
    if isinstance(value, list):
        return [_cut(inner) for inner in value[:100]] + ([f"… and {len(value) - 100:,} more"] if len(value) > 100 else [])
    return value
