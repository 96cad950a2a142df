"""An edit of a plan, in any of the forms that a person or a program gives, as the changed plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..schemas.errors import Complaint, InvalidDocument
from ..schemas.plan import Plan
from ..tools.toolbox import Toolbox
from .intake import check, read

_STEP_FIELDS = ("description", "tool", "args", "risk", "reversible", "undo", "rollback_plan", "estimated_time_s", "cost_usd")


def edited(plan: Plan, edit: Any, tools: Toolbox, *, author: str) -> Plan:
    """Return the plan that an edit asks for.

    Args:
        edit: a whole plan (a Plan, its JSON form, or a written document as text or mapping); or {"steps": {number: {field: value}}} with
            `args` merged into the present ones, and `null` for a step that is dropped.

    Raises:
        InvalidDocument, InvalidPlan: the edit cannot be read, with every complaint.
    """
    if isinstance(edit, Mapping) and set(edit) <= {"steps", "measures"} and isinstance(edit.get("steps"), Mapping):
        changed = _patched(plan, edit["steps"])
        check(changed, tools)
        return changed
    if edit is None or (isinstance(edit, Mapping) and not edit):
        raise InvalidDocument([Complaint(where="edit", expected="the changed plan, or {'steps': {number: {field: value}}}", found="nothing")])
    return read(edit, tools, author=author).plan


def _patched(plan: Plan, patches: Mapping[Any, Any]) -> Plan:
    by_number = {str(number): patch for number, patch in patches.items()}
    known = {str(step.step) for step in plan.steps}
    complaints = [Complaint(where=f"steps.{number}", expected=f"a step from 1 to {len(known)}") for number in by_number if number not in known]
    steps: list[dict[str, Any]] = []
    for step in plan.steps:
        patch = by_number.get(str(step.step), {})
        if patch is None:
            continue
        if not isinstance(patch, Mapping):
            complaints.append(Complaint(where=f"steps.{step.step}", expected="fields to change, or null to drop the step", found=type(patch).__name__))
            continue
        complaints += [
            Complaint(where=f"steps.{step.step}.{name}", expected=f"one of {', '.join(_STEP_FIELDS)}") for name in patch if name not in _STEP_FIELDS
        ]
        whole = {**step.as_json(), **patch}
        if isinstance(patch.get("args"), Mapping) and patch.get("tool", step.tool) == step.tool:
            whole["args"] = {**step.args, **patch["args"]}
        steps.append({**whole, "step": len(steps) + 1})
    if complaints:
        raise InvalidDocument(complaints)
    try:
        return Plan.model_validate({**plan.as_json(), "steps": steps})
    except ValidationError as error:
        raise InvalidDocument([Complaint(where=".".join(map(str, one["loc"])) or "plan", expected=one["msg"]) for one in error.errors()]) from error
