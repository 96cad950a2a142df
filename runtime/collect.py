"""What a run leaves is gathered into its artifact folder: the log of its execution, the files that its steps wrote, and outputs too large for a receipt.

Rules: only of steps that were done and not taken back; a file is read the way the files tool writes it, so no link leads outside; what is larger
than a step may output, or is not a regular file, stays where it is. All of it can be made again, so nothing here waits for the disk.
Source: the artifacts of the plan/approve/execute guide; `real_time_log` of the problem/action/results guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from ..policies.redact import redact
from ..schemas.canonical import digest
from ..schemas.dispatch import Dispatch, DispatchState
from ..schemas.noun import stamp
from ..schemas.plan import Plan, Step
from ..schemas.results import Artifact
from ..tools.confine import spot
from ..tools.content import look
from ..tools.tool import Place, ToolRefused
from ..tools.toolbox import Toolbox
from .keep import Keep

LOG = "execution.log"
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


def collect(
    run_id: str, plan: Plan | None, calls: Sequence[Dispatch], *, tools: Toolbox, place: Place, keep: Keep, now: datetime, known: Sequence[str] = ()
) -> list[Artifact]:
    """Gather what a run left and return what is kept.

    Args:
        calls: every dispatched call of the run, in order.
        known: values that the log of the execution may not hold.

    Side effects: files in the artifact folder of the run.
    """
    from .embed.langchain_tool import BOUND

    # Of a single call of an agent the ledger has all there is, and the agent waits for its answer.
    if plan is None or not calls or (BOUND.get() is not None and len(plan.steps) == 1):
        return []
    found = {LOG: ("text/plain", redact(execution_log(plan, calls), known=known).encode("utf-8", "replace"))}
    back = {call.step for call in calls if call.direction == "undo" and call.state is DispatchState.DONE}
    for call in calls:
        if call.digest != plan.digest or call.direction != "do" or call.state is not DispatchState.DONE or call.step in back:
            continue
        step = plan.steps[call.step - 1]
        for path in _written(step, tools):
            raw = _bytes(path, place)
            if raw is not None:
                found[_name(step, path)] = ("application/octet-stream", raw)
        if call.receipt is not None and call.receipt.output_ref:
            found[f"step-{step.step}-output.txt"] = ("text/plain", keep.get(call.receipt.output_ref))
    keep.write_all(run_id, {name: raw for name, (_, raw) in found.items()}, durable=False)
    return [Artifact(name=name, digest=digest(raw), size_bytes=len(raw), media_type=media_type, created_at=now) for name, (media_type, raw) in found.items()]


def execution_log(plan: Plan, calls: Sequence[Dispatch]) -> str:
    """Return the log of an execution, a line for the beginning and the end of each call: time, call, status, message."""
    lines: list[str] = []
    # Where the clock stood still, in the order in which a run makes its calls; the last step is taken back first.
    turn = {"before": 0, "do": 1, "after": 2, "undo": 3}
    for call in sorted(calls, key=lambda one: (one.started_at, turn[one.direction], -one.step if one.direction == "undo" else one.step, one.attempt)):
        if call.digest != plan.digest:
            continue
        if call.direction in ("before", "after"):
            name, said = f"measure {call.step} {call.direction}", plan.measures[call.step - 1].criterion
        else:
            step = plan.steps[call.step - 1]
            name, said = f"{'undo of ' if call.direction == 'undo' else ''}step {call.step}", step.description or step.tool
        lines.append(f"{stamp(call.started_at)}  {name}  started  {_line(said)}".rstrip())
        if call.finished_at is not None:
            ended = call.state.value if call.state is not DispatchState.DONE else "completed"
            lines.append(f"{stamp(call.finished_at)}  {name}  {ended}  {_line(call.receipt.summary if call.receipt else '')}".rstrip())
    return "\n".join([*lines, ""])


def _written(step: Step, tools: Toolbox) -> Iterator[str]:
    """Yield the files that a step wrote, as its own tool declares them."""
    tool = tools[step.tool]
    for kind, payload in tool.actions(tools.parse(step.tool, step.args)):
        if kind == "file_write" and isinstance(payload, dict) and payload.get("operation") != "delete":
            yield str(payload["path"])


def _bytes(path: str, place: Place) -> bytes | None:
    try:
        with spot(place, path) as here:
            seen = look(here, place.limits.output_bytes)
    except (OSError, ToolRefused):
        return None
    return None if seen is None else seen.data


def _name(step: Step, path: str) -> str:
    return f"step-{step.step}-{_ODD.sub('-', path.rsplit('/', 1)[-1]).strip('-')[-80:] or 'file'}"


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
