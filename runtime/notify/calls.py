"""The calls of a plan as lines of text: which tools, on what, and how risky each is.

Rules: taken from the plan's bytes; each argument on a line of its own, and no value can break a line; the riskiest calls when not all fit, with a
count of the rest; secrets are hidden with the argument's name read along, before anything is cut or made visible.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...policies.counted import counted
from ...policies.plan_risk import PlanRisk
from ...policies.redact import redact
from ...policies.show import excerpt
from ...schemas.plan import Call, Plan
from ...schemas.risk import Level, Risk

_CALLS = 8
_ARGS = 8
_VALUE_CHARS = 240


@dataclass(frozen=True)
class _Row:
    place: str
    call: Call
    level: Level | None


def shown_calls(plan: Plan, risk: PlanRisk | None, known: Sequence[str]) -> Iterator[str]:
    """Yield the lines that show what will run.

    Args:
        risk: of the plan's calls; `None`: not known, which ranks above everything.
        known: values that are secret whatever they look like.
    """
    rows = _rows(plan, risk)
    # The riskiest in their order: a plan of a hundred harmless steps must not push the one that matters out of view.
    worst = sorted(range(len(rows)), key=lambda n: (-_rank(rows[n].level), n))[:_CALLS]
    yield f"WHAT WILL RUN, from the plan's bytes ({counted(len(plan.steps), 'step')}, {counted(len(rows) - len(plan.steps), 'written undo or measure', 'written undos and measures')})"
    for n in sorted(worst):
        row = rows[n]
        yield f"  {row.place}: [{row.level.value if row.level else 'risk not known'}] {line(row.call.tool, known)}"
        yield from _arguments(row.call.args, known)
    if len(rows) > len(worst):
        yield f"  ... {len(rows) - len(worst)} more calls of the same or lower risk are not shown here; `assent show` shows them"


def line(text: object, known: Sequence[str], limit: int = 300) -> str:
    """Return any text as one line of visible ASCII without secrets, its middle counted where it is too long."""
    return excerpt(redact(str(text), known=known), limit).shown


def _rows(plan: Plan, risk: PlanRisk | None) -> list[_Row]:
    fits = risk is not None and (len(risk.steps), len(risk.measures)) == (len(plan.steps), len(plan.measures))
    steps: Sequence[Risk | None] = risk.steps if risk and fits else [None] * len(plan.steps)
    undos: Sequence[Risk | None] = risk.undos if risk and fits else [None] * len(plan.steps)
    measures: Sequence[Risk | None] = risk.measures if risk and fits else [None] * len(plan.measures)
    rows = []
    for step, own, undo in zip(plan.steps, steps, undos, strict=True):
        rows.append(_Row(f"step {step.step}", step.call, _level(own)))
        if step.undo is not None:
            rows.append(_Row(f"undo of step {step.step}", step.undo, _level(undo)))
    rows += [_Row(f"measure {n}", measure.call, _level(own)) for n, (measure, own) in enumerate(zip(plan.measures, measures, strict=True), 1)]
    return rows


def _level(risk: Risk | None) -> Level | None:
    return risk.level if risk is not None else None


def _rank(level: Level | None) -> int:
    return 4 if level is None else level.rank


def _arguments(args: Mapping[str, Any], known: Sequence[str]) -> Iterator[str]:
    for name, value in list(args.items())[:_ARGS]:
        yield f"      {line(name, known, 60)}: {_value(name, value, known)}"
    if len(args) > _ARGS:
        yield f"      ... {len(args) - _ARGS} more arguments are not shown here"


def _value(name: str, value: Any, known: Sequence[str]) -> str:
    hidden = _hidden(name, value, known)
    text = hidden if isinstance(hidden, str) else redact(json.dumps(hidden, ensure_ascii=False, sort_keys=True), known=known)
    return excerpt(text, _VALUE_CHARS).shown


def _hidden(name: str, value: Any, known: Sequence[str]) -> Any:
    if isinstance(value, Mapping):
        return {redact(str(key), known=known): _hidden(str(key), inner, known) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(name, inner, known) for inner in value]
    if not isinstance(value, str):
        return value
    # The name decides about some values (`password: hunter2`), so it is read along and taken off again.
    prefix = f"{name}: "
    found = redact(prefix + value, known=known)
    return found.removeprefix(prefix) if found.startswith(prefix) else redact(value, known=known)
