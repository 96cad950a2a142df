"""One call through the ledger: look, dispatch, act, receipt. Shared by the stations that act.

Rules:
- The arguments come from the plan's bytes.
- Every call has a dispatch before it and a receipt after it. A receipt may be recorded together with the next dispatch where losing it is
  harmless, because the effect can be looked up; an opaque effect's receipt is recorded at once.
- What a tool raises is a defect after which nobody knows what happened: the receipt says so, and a person is asked.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..schemas.dispatch import Direction, Dispatch, DispatchState, EffectClass, Receipt
from ..schemas.plan import Call, Measure, Plan, Step
from ..schemas.ruling import Ruling
from ..tools.tool import Place, Restores, Tool, ToolRefused
from .ports import Ports

SMALL_BYTES = 4096
_spelled = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode
_TIMINGS = frozenset({"p50_ms", "p95_ms", "p99_ms", "mean_ms", "max_ms", "min_ms"})


@dataclass(frozen=True)
class Item:
    """One call of a plan, in its place."""

    direction: Direction
    number: int
    call: Call
    repeat: int = 1


def forward(plan: Plan) -> Iterator[Item]:
    """Yield what runs before the report: the measures taken first, then the steps."""
    for number, measure in enumerate(plan.measures, 1):
        yield Item("before", number, measure.call, repeats(measure))
    for step in plan.steps:
        yield Item("do", step.step, step.call)


def repeats(measure: Measure) -> int:
    """Return how often a measure is run: as written, otherwise 20 times for a timing and once for anything else."""
    return measure.repeat or (20 if measure.read in _TIMINGS else 1)


def may_run_again(earlier: Dispatch) -> bool:
    """Tell whether it is known that the earlier attempt did nothing, because somebody looked or a person said so."""
    return earlier.state is DispatchState.NOT_STARTED and earlier.receipt is not None and bool(earlier.receipt.output.get("again"))


class Performer:
    """Performs calls of one run while its lock is held."""

    def __init__(self, run_id: str, plan: Plan, ports: Ports) -> None:
        self.run_id = run_id
        self.plan = plan
        self.ports = ports
        self.place: Place = ports.place(run_id)
        self._open: tuple[Dispatch, Receipt] | None = None

    def perform(self, item: Item) -> Receipt | Ruling:
        """Run one call once. Returns its receipt, or the ruling that refused it."""
        tool, args = self._parsed(item.call)
        self._settle_opaque()
        before: dict[str, Any] = {}
        refused: ToolRefused | None = None
        try:
            before = tool.prepare(args, self.place)
        except ToolRefused as refusal:
            refused = refusal
        effect_class = tool.effect_class(args)
        finishing, self._open = self._open, None
        answer = self.ports.ledger.dispatch(self.run_id, item.direction, item.number, effect_class=effect_class, before=before, finishing=finishing)
        if isinstance(answer, Ruling):
            return answer
        if refused is not None:
            receipt = Receipt(status="not_started", summary=refused.reason, output={"rule": refused.rule})
        else:
            receipt = self._act(tool, args, answer, item)
        receipt = self._slim(receipt)
        self._open = (answer, receipt)
        return receipt

    def close(self, *, deferred: bool = False) -> None:
        """Record the receipt that is still in hand."""
        if self._open is not None:
            dispatch, receipt = self._open
            self._open = None
            self.ports.ledger.receive(dispatch, receipt, deferred=deferred and dispatch.effect_class is not EffectClass.OPAQUE)
            if not deferred:
                self._forget(dispatch.key)

    def undo(self, step: Step, done: Dispatch) -> Receipt | Ruling | None:
        """Take one step back, through its own dispatch. `None`: nothing can."""
        tool, args = self._parsed(step.call)
        receipt = done.receipt or Receipt(status="done", before=done.before)
        if step.undo is not None:
            answered = self.perform(Item("undo", step.step, step.undo))
            if isinstance(answered, Receipt) and answered.is_done and isinstance(tool, Restores) and self._open is not None:
                answered = answered.model_copy(update={"verified": tool.restored(args, self.place, before=receipt.before)})
                self._open = (self._open[0], answered)
            return answered
        if not tool.can_undo(args):
            return None
        answer = self.ports.ledger.dispatch(self.run_id, "undo", step.step, effect_class=EffectClass.CONDITIONAL, before=receipt.before)
        if isinstance(answer, Ruling):
            return answer
        undone = _guarded(lambda: tool.undo(args, self.place, key=answer.key, receipt=receipt))
        self._open = (answer, self._slim(undone))
        self.close()
        return undone

    def settle(self) -> list[Dispatch]:
        """Settle what an earlier process left without a receipt; return what only a person can settle. The lock says that nothing of it runs."""
        doubts = []
        for dispatch in self.ports.ledger.dispatches(self.run_id):
            if dispatch.state is DispatchState.DISPATCHED:
                dispatch = self._settle_one(dispatch)
            if dispatch.state is DispatchState.IN_DOUBT and dispatch.digest == self.plan.digest:
                doubts.append(dispatch)
        return doubts

    def _settle_one(self, dispatch: Dispatch) -> Dispatch:
        call = self.call_of(dispatch)
        tool, args = self._parsed(call)
        way: Any = "undo" if dispatch.direction == "undo" and self.plan.steps[dispatch.step - 1].undo is None else "do"
        recovered = tool.recover(args, self.place, key=dispatch.key, before=dispatch.before, direction=way)
        if recovered is not None:
            return self.ports.ledger.receive(dispatch, self._slim(recovered))
        effects = tool.effects(args)
        if not effects.writes and way == "do":
            # It only looks, so looking again is the same as looking once.
            return self.ports.ledger.receive(dispatch, Receipt(status="not_started", summary="interrupted; it only reads", output={"again": True}))
        found = tool.probe(args, self.place, key=dispatch.key, before=dispatch.before, direction=way)
        if found == "happened":
            summary = "interrupted; looked, and it had happened"
            return self.ports.ledger.receive(dispatch, Receipt(status="done", summary=summary, before=dispatch.before))
        if found == "did_not_happen":
            summary = "interrupted; looked, and it had not happened"
            return self.ports.ledger.receive(dispatch, Receipt(status="not_started", summary=summary, output={"again": True}))
        return self.ports.ledger.doubt(dispatch, "interrupted; nothing tells whether it happened")

    def call_of(self, dispatch: Dispatch) -> Call:
        """Return the call that a dispatch permits, from the plan's bytes."""
        if dispatch.direction in ("before", "after"):
            return self.plan.measures[dispatch.step - 1].call
        step = self.plan.steps[dispatch.step - 1]
        return step.undo if dispatch.direction == "undo" and step.undo is not None else step.call

    def _settle_opaque(self) -> None:
        if self._open is not None and self._open[0].effect_class is EffectClass.OPAQUE:
            self.close()

    def _parsed(self, call: Call) -> tuple[Tool, Any]:
        return self.ports.tools[call.tool], self.ports.tools.parse(call.tool, call.args)

    def _act(self, tool: Tool, args: Any, dispatch: Dispatch, item: Item) -> Receipt:
        def once(key: str) -> Receipt:
            return _guarded(lambda: tool.run(args, self.place, key=key, before=dispatch.before))

        if item.direction in ("do", "undo"):
            return once(dispatch.key)
        # A key never runs twice, so each repeat has its own.
        return _measured(once, [dispatch.key, *[f"{dispatch.key}-{n}" for n in range(2, item.repeat + 1)]])

    def _forget(self, key: str) -> None:
        """Remove what a process recorded of its own end; the ledger has it now."""
        for folder in self.place.scratch.glob(f"{key}*") if (self.place.scratch / key).exists() else ():
            shutil.rmtree(folder, ignore_errors=True)

    def _slim(self, receipt: Receipt) -> Receipt:
        raw = _spelled(receipt.output).encode("utf-8", "replace")
        if len(raw) <= SMALL_BYTES:
            return receipt
        kept = receipt.output_ref or self.place.keep.put(raw)
        small = {key: value for key, value in receipt.output.items() if isinstance(value, int | float | bool) or (isinstance(value, str) and len(value) <= 200)}
        return receipt.model_copy(update={"output": {**small, "kept": kept, "size_bytes": len(raw)}, "output_ref": kept})


def _guarded(act: Callable[[], Receipt]) -> Receipt:
    began = time.monotonic()
    try:
        receipt = act()
    except ToolRefused as refusal:
        return Receipt(status="not_started", summary=refusal.reason, output={"rule": refusal.rule})
    except Exception as defect:  # noqa: BLE001 - a defect in a tool: the effect may be there, and that is what the receipt must say
        return Receipt(status="unknown", summary=f"the tool broke: {type(defect).__name__}: {defect}")
    took_ms = 0 if receipt.duration_ms else int((time.monotonic() - began) * 1000)
    return receipt.model_copy(update={"duration_ms": took_ms}) if took_ms else receipt


def _measured(once: Callable[[str], Receipt], keys: Sequence[str]) -> Receipt:
    """Run a measure once for each key; its output gains p50_ms, p95_ms … over the runs, from the tool's own timing where it gives one."""
    times: list[float] = []
    receipt = Receipt(status="not_started")
    for key in keys:
        began = time.perf_counter()
        receipt = once(key)
        elapsed = receipt.output.get("elapsed_ms")
        times.append(float(elapsed) if isinstance(elapsed, int | float) else (time.perf_counter() - began) * 1000)
        if not receipt.is_done:
            return receipt
    times.sort()
    marks = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "min_ms": 0.0, "max_ms": 1.0}
    summary = {name: round(times[min(len(times) - 1, int(len(times) * q))], 3) for name, q in marks.items()}
    summary["mean_ms"] = round(sum(times) / len(times), 3)
    return receipt.model_copy(update={"output": {**receipt.output, **summary, "runs": len(keys)}, "duration_ms": int(sum(times))})
