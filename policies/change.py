"""What a plan changes, as far as its bytes tell: which files, which systems, how risky, where. Pure. Source: E5 (when a change is complex)."""

from __future__ import annotations

from ..schemas.go_no_go import Change
from ..schemas.plan import Plan
from ..schemas.risk import Level

_OPAQUE = frozenset({"shell", "python"})


def change_of(plan: Plan, risk: Level, steps: tuple[Level, ...] = ()) -> Change:
    """Return the change that a plan makes.

    Args:
        risk: of the whole plan.
        steps: risk of each step; a command that was proved to read only touches nothing.
    """
    touched = set(files_of(plan))
    # What a command touches stands nowhere; it counts as one file, and its risk speaks for the rest.
    unknown = sum(step.tool in _OPAQUE and (not steps or steps[step.step - 1] > Level.LOW) for step in plan.steps)
    context = plan.problem.context
    return Change(files_touched=len(touched) + unknown, systems=tuple(context.affected_systems), risk=risk, environment=context.environment)


def files_of(plan: Plan) -> tuple[str, ...]:
    """Return the files and databases that the steps of a plan name, in order, each once; a read names none."""
    found: list[str] = []
    for step in plan.steps:
        if step.tool == "files" and step.args.get("operation") != "read":
            found += [str(step.args[name]) for name in ("path", "to") if step.args.get(name)]
        elif step.tool == "sql" and step.args.get("database"):
            found.append(str(step.args["database"]))
    return tuple(dict.fromkeys(found))
