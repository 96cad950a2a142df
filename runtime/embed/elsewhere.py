"""Calls whose tool is not at this door: an agent's own tools act only inside that agent, and other programs do not even know them.

A decision about such a call can be made at any door. It is judged as what it is there, something of which nothing is known (HIGH), and it is
left where it stands: the agent goes on with it when it is resumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...policies.plan_risk import Action
from ...schemas.plan import Call, Plan
from ...tools.toolbox import Toolbox


def actions_of(tools: Toolbox, call: Call) -> Sequence[Action]:
    """Return what the assessor has to judge of a call; nothing, which is HIGH, where this door does not know the tool."""
    return tools[call.tool].actions(tools.parse(call.tool, call.args)) if call.tool in tools else ()


def acts_here(tools: Toolbox, plan: Plan | None) -> bool:
    """Tell whether every call of a plan can act in this flow; a plan that is still to be made can."""
    if plan is None:
        return True
    calls = [step.tool for step in plan.steps] + [step.undo.tool for step in plan.steps if step.undo] + [measure.tool for measure in plan.measures]
    return all(acts_alone(tools.get(name)) for name in calls)


def acts_alone(tool: Any) -> bool:
    """Tell whether a tool is known and can act in this flow, without an agent."""
    return tool is not None and bool(getattr(tool, "is_here", True))
