"""Trying the way back: what a run did is taken back in a copy of the workspace, last step first, and looked at.

Rules:
- nothing outside of the copy is touched: the undo of files, and statements on databases that lie in the workspace; a written command is tried only
  where the configuration says so, because nobody can tell what else it touches;
- the bytes that an undo needs come from where the run kept them, so that a rehearsal shows too that they are still there;
- a step that only reads needs no way back; any other that cannot be tried makes the way back untested, by name.

Source: E11, the final checkpoint of seed 4 (rollback procedures tested). Takes nothing back for real; `nodes/rollback.py` does that.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from ...policies.redact import redact
from ...schemas.delivery import Rehearsal
from ...schemas.dispatch import Dispatch, DispatchState, Receipt
from ...schemas.plan import Plan, Step
from ...schemas.risk import Level, Risk
from ...tools.tool import Place, Restores, ToolRefused
from ...tools.toolbox import Toolbox
from ..analysis.sources import walk

_INSIDE = frozenset({"files", "sql"})
"""Tools that cannot leave the workspace."""


def rehearse(
    plan: Plan, rows: Sequence[Dispatch], risks: Sequence[Risk], tools: Toolbox, place: Place, *, without: str = "",
    how: Literal["tools", "everything"] = "tools",
) -> Rehearsal:
    """Take every done step back in a copy.

    Args:
        rows: what was dispatched under the plan.
        risks: of each step; what was proved to read only needs no way back.
        without: a folder inside of the workspace that is no part of it.
    """
    done = {d.step: d for d in rows if d.direction == "do" and d.state is DispatchState.DONE}
    tried: list[int] = []
    seen: list[int] = []
    left: list[str] = []
    with _copy(place, without) as there:
        for step in reversed(plan.steps):
            if step.step not in done or _only_reads(step, risks[step.step - 1], tools):
                continue
            name = f"step {step.step} ({step.description or step.tool})"
            try:
                found = _undone(step, done[step.step], tools, there, how)
            except ToolRefused as refusal:
                found = Receipt(status="not_started", summary=refusal.reason)
            if isinstance(found, str):
                left.append(redact(f"{name} {found}")[:400])
            elif not found.is_done or found.verified is False:
                left.append(redact(f"{name} could not be taken back in a copy: {found.summary}")[:400])
            else:
                tried.append(step.step)
                seen += [step.step] if found.verified else []
    return Rehearsal(tested=not left, steps=tuple(tried), verified=tuple(seen), untested=tuple(left))


def _undone(step: Step, done: Dispatch, tools: Toolbox, place: Place, how: str) -> Receipt | str:
    """Take one step back; a text says why that cannot be tried."""
    tool, args = tools[step.tool], tools.parse(step.tool, step.args)
    receipt = done.receipt or Receipt(status="done", before=done.before)
    if step.undo is None:
        if not tool.can_undo(args):
            return "cannot be taken back by a tool"
        if step.tool not in _INSIDE:
            return "is not tried beforehand: its tool acts outside of the workspace"
        return tool.undo(args, place, key=f"rehearsal-{step.step}", receipt=receipt)
    if step.undo.tool not in _INSIDE and (how != "everything" or step.undo.tool not in ("shell", "python")):
        return f"is taken back by {step.undo.tool}, which is not tried beforehand (`delivery: {{rehearse: everything}}` lets commands run in the copy)"
    other, given = tools[step.undo.tool], tools.parse(step.undo.tool, step.undo.args)
    found = other.run(given, place, key=f"rehearsal-{step.step}", before=other.prepare(given, place))
    if found.is_done and isinstance(tool, Restores):
        found = found.model_copy(update={"verified": tool.restored(args, place, before=receipt.before)})
    return found


def _only_reads(step: Step, risk: Risk, tools: Toolbox) -> bool:
    effects = tools[step.tool].effects(tools.parse(step.tool, step.args))
    return risk.level is Level.LOW or not (effects.writes or effects.network)


@contextmanager
def _copy(place: Place, without: str) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="assent-rehearsal-", ignore_cleanup_errors=True) as folder:
        copy, scratch = Path(folder) / "workspace", Path(folder) / "scratch"
        copy.mkdir()
        scratch.mkdir()
        for name in walk(place.workspace, without):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(place.workspace / name, copy / name)
        yield replace(place, workspace=copy, scratch=scratch, lock_fd=None)
