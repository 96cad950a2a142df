"""How a run ends, read off what was dispatched; and what it leaves behind in the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from ..schemas.delivery import ReleaseState
from ..schemas.dispatch import Dispatch, DispatchState, Receipt
from ..schemas.plan import Plan
from ..schemas.risk import Level
from ..schemas.run import RunRow, RunStatus
from .ports import Ports

_MICRO_USD = Decimal("0.000001")
_RELEASED: Mapping[ReleaseState, RunStatus] = {
    "released": RunStatus.COMPLETED, "blocked": RunStatus.FAILED, "refused": RunStatus.FAILED, "open": RunStatus.RUNNING, "waits": RunStatus.RUNNING,
}  # fmt: skip


def all_done(plan: Plan, rows: list[Dispatch]) -> bool:
    """Tell whether every step was done and none taken back."""
    done = {d.step for d in rows if d.direction == "do" and d.state is DispatchState.DONE}
    return len(done) == len(plan.steps) and not any(d.direction == "undo" for d in rows)


def ending(plan: Plan, rows: list[Dispatch], ports: Ports, run: RunRow) -> RunStatus:
    """Return the state in which a run ends, from what was dispatched; `RUNNING` while the release of a delivery is not decided."""
    if all_done(plan, rows):
        # Only a delivery has a release, and only the ledger knows about it.
        status = _RELEASED[ports.ledger.release(run.id)] if run.graph == "delivery" else RunStatus.COMPLETED
        return RunStatus.CANCELLED if status is RunStatus.RUNNING and run.stop_requested else status
    if not any(d.direction == "undo" for d in rows):
        return RunStatus.CANCELLED if run.stop_requested else RunStatus.FAILED
    return RunStatus.FAILED if left_behind(plan, rows, ports) else RunStatus.ROLLED_BACK


def left_behind(plan: Plan, rows: list[Dispatch], ports: Ports) -> list[str]:
    """Return, in words, every effect of a run that was not taken back or of which that is not known."""
    undone = {d.step: d for d in rows if d.direction == "undo"}
    found = []
    risks = ports.ledger.risk(plan, rows[0].run_id).steps if rows else ()
    for d in rows:
        if d.direction != "do" or d.state in (DispatchState.NOT_STARTED, DispatchState.DISPATCHED):
            continue
        step = plan.steps[d.step - 1]
        tool = ports.tools[step.tool]
        effects = tool.effects(ports.tools.parse(step.tool, step.args))
        if (not effects.writes and not effects.network) or risks[d.step - 1].level is Level.LOW:
            continue  # it only looked: declared by the tool, or proved by the assessor
        back = undone.get(d.step)
        name = f"step {d.step} ({step.description or step.tool})"
        if d.state is DispatchState.FAILED:
            if not tool.atomic:
                found.append(f"{name} failed on its way; what it did before that is still there")
        elif d.state is DispatchState.ABANDONED:
            found.append(f"{name} was given up while in doubt; look whether it happened")
        elif d.state is DispatchState.IN_DOUBT:
            found.append(f"{name} may or may not have happened; look")
        elif d.state is DispatchState.DONE and back is None:
            by_hand = f"; by hand: {step.rollback_plan}" if step.rollback_plan else ""
            found.append(f"{name} cannot be taken back by a tool{by_hand}")
        elif back is not None and back.state is DispatchState.IN_DOUBT:
            found.append(f"{name} may or may not be taken back; look")
        elif back is not None and back.state is DispatchState.ABANDONED:
            found.append(f"{name} may or may not be taken back, and was given up ({_said(back)}); look")
        elif back is not None and (back.state is not DispatchState.DONE or (back.receipt is not None and back.receipt.verified is False)):
            found.append(f"{name} could not be taken back: {_said(back)}")
    return found


def _said(call: Dispatch) -> str:
    return call.receipt.summary if call.receipt else call.state.value


def actual_usd(receipts: Sequence[Receipt], rates: Mapping[str, str]) -> Decimal:
    """Return what calls cost: what their tools reported, and the time that they took at the rate of the configuration."""
    usd = sum([Decimal(receipt.cost_usd) for receipt in receipts], Decimal(0))
    if rate := Decimal(rates.get("compute", "0")):
        usd += rate * (Decimal(sum([receipt.duration_ms for receipt in receipts])) / 1000) / 3600
    return usd.quantize(_MICRO_USD)
