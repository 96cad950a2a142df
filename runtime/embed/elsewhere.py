"""Calls whose tool is not at this door: an agent's own tools act only inside that agent, and other programs do not even know them.

A decision about such a call can be made at any door. It is judged as what it is there, something of which nothing is known (HIGH), and it is
left where it stands: the agent goes on with it when it is resumed. Their names have a prefix (`agent.send`); a name without one that is not
known is a tool that is gone, and an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...policies.plan_risk import Action
from ...schemas.plan import Call, Plan
from ...tools.toolbox import Toolbox


def actions_of(tools: Toolbox, call: Call) -> Sequence[Action]:
    """Return what the assessor has to judge of a call; nothing, which is HIGH, for a tool of an agent that is not here.

    Raises:
        InvalidPlan: the tool is gone, or does not take these arguments.
    """
    if _is_elsewhere(tools, call.tool):
        return ()
    args = tools.parse(call.tool, call.args)  # first, because it says which tool is gone
    return tools[call.tool].actions(args)


def acts_here(tools: Toolbox, plan: Plan | None) -> bool:
    """Tell whether no call of a plan waits for an agent that is not here; a plan that is still to be made waits for nobody."""
    if plan is None:
        return True
    names = {step.tool for step in plan.steps} | {step.undo.tool for step in plan.steps if step.undo} | {measure.tool for measure in plan.measures}
    return not any(_is_elsewhere(tools, name) or not acts_alone(tools.get(name)) for name in names)


def acts_alone(tool: Any) -> bool:
    """Tell whether a tool can act in this flow; an agent's can while that agent is making a call."""
    return bool(getattr(tool, "is_here", True))


def _is_elsewhere(tools: Toolbox, name: str) -> bool:
    return "." in name and name not in tools
