"""What the calls of a plan will do, as its tools show it: headline, detail, undo, level, findings.

Rules: computed from the plan's bytes by code, never from anybody's words about it; a tool that cannot show a call is shown as saying so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...policies.plan_risk import PlanRisk
from ...schemas.plan import Call, Plan, Step
from ...schemas.risk import Level, Reason, Risk
from ...tools.tool import Place, Preview
from ...tools.toolbox import Toolbox


@dataclass(frozen=True)
class Seen:
    """One call, as it is shown."""

    name: str
    level: str
    headline: str
    detail: str
    undo: str
    findings: tuple[Reason, ...]
    undo_detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "name": self.name, "level": self.level, "headline": self.headline, "detail": self.detail, "undo": self.undo,
            "undo_detail": self.undo_detail, "findings": [finding.as_json() for finding in self.findings],
        }  # fmt: skip


def seen_steps(plan: Plan, risk: PlanRisk, tools: Toolbox, place: Place) -> tuple[Seen, ...]:
    """Return every step as it is shown to the person who decides. Reads what previews read."""
    found = []
    for step, own, back in zip(plan.steps, risk.steps, risk.undos, strict=True):
        shown = preview(step.call, tools, place)
        said = undo_of(step, shown, own, back, tools, place)
        written = preview(step.undo, tools, place).detail if step.undo is not None else ""
        found.append(Seen(f"step {step.step}", own.level.value, shown.headline, shown.detail, said, own.findings, written))
    return tuple(found)


def seen_measures(plan: Plan, risk: PlanRisk, tools: Toolbox, place: Place) -> tuple[Seen, ...]:
    """Return every measure as it is shown; measures run too, before and after."""
    found = []
    for number, (measure, own) in enumerate(zip(plan.measures, risk.measures, strict=True), 1):
        shown = preview(measure.call, tools, place)
        found.append(Seen(f"measure {number}", own.level.value, shown.headline, shown.detail, "", own.findings))
    return tuple(found)


def preview(call: Call, tools: Toolbox, place: Place) -> Preview:
    """Return what a tool says that a call will do."""
    try:
        return tools[call.tool].preview(tools.parse(call.tool, call.args), place)
    except Exception as defect:  # noqa: BLE001 - a tool that cannot show its call must not keep the rest of the plan from being shown
        return Preview(headline=f"{call.tool}: cannot be shown ({type(defect).__name__}: {defect})", detail=_arguments(call.args))


def headline(call: Call, tools: Toolbox, place: Place) -> str:
    """Return the one line of a call."""
    return preview(call, tools, place).headline


def undo_of(step: Step, shown: Preview, own: Risk, back: Risk | None, tools: Toolbox, place: Place) -> str:
    """Return what takes a step back, from what code can do and not from what the author says.

    Args:
        own: risk of the step.
        back: risk of its written undo.
    """
    if step.undo is not None:
        level = f"[{back.level.value}] " if back is not None else ""
        return f"undo: {level}{headline(step.undo, tools, place)}"
    try:
        args = tools.parse(step.tool, step.args)
        tool = tools[step.tool]
        effects = tool.effects(args)
        # LOW is what was proved to read only, also of a tool that could do anything.
        only_reads = own.level is Level.LOW or not (effects.writes or effects.network)
        can_undo = tool.can_undo(args)
    except Exception:  # noqa: BLE001 - as above: what cannot be told is told as the worse case
        only_reads = can_undo = False
    if only_reads:
        return "only reads; nothing to undo"
    if shown.undo and can_undo:
        return f"undo: {shown.undo}"
    if can_undo:
        return f"undo: by the tool {step.tool}"
    by_hand = "; the author describes what a person can do" if step.rollback_plan else ""
    disputed = "; the author says that it can" if step.reversible else ""
    return f"cannot be undone{by_hand}{disputed}"


def _arguments(args: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in args.items())
