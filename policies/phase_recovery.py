"""What is done when an agent of a phase fails, by the category of the fault, as data (`phase_recovery.yaml`).

Rules: every strategy ends with a person; a re-run that narrows never looks at more than before. Source: E10, the recovery strategies of the
phases document. Deliberately does not decide whether a re-run is still allowed; the checkpoint counts them.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal, get_args

import yaml

from ..schemas.errors import InvalidConfiguration
from ..schemas.phase import AgentSpec, FaultCategory

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Strategy = Literal["narrower scope", "backup agent", "run again", "ask"]


def strategy(category: FaultCategory, attempt: int) -> Strategy:
    """Return what is done about a fault at the end of attempt 0, 1, …"""
    steps = strategies()[category]
    return steps[min(attempt, len(steps) - 1)]


def narrowed(agent: AgentSpec, attempt: int) -> tuple[str, ...]:
    """Return the focus of attempt 0, 1, …: as written, otherwise half of the one before, and one thing at least."""
    focus = agent.focus
    for number in range(attempt):
        if agent.narrower:
            focus = agent.narrower[min(number, len(agent.narrower) - 1)]
        else:
            focus = focus[: max(1, (len(focus) + 1) // 2)] if len(focus) > 1 else focus
    return focus


def callable_for(agent: AgentSpec, category: FaultCategory | None, attempt: int) -> str:
    """Return the name of the callable that takes an attempt: the backup where its turn has come and there is one."""
    if attempt and category is not None and agent.backup and strategy(category, attempt - 1) == "backup agent":
        return agent.backup
    return agent.callable


@cache
def strategies() -> dict[FaultCategory, tuple[Strategy, ...]]:
    """Return the shipped table. Raises: InvalidConfiguration: a category is missing, a strategy unknown, or one does not end with a person."""
    text = resources.files(__package__ or "assent.policies").joinpath("phase_recovery.yaml").read_text(encoding="utf-8")
    return read_strategies(yaml.load(text, Loader=_LOADER))  # noqa: S506 - a safe loader, in C where there is one


def read_strategies(data: dict[str, list[Strategy]], *, file: str = "phase_recovery.yaml") -> dict[FaultCategory, tuple[Strategy, ...]]:
    """Read a table of strategies. Raises: InvalidConfiguration."""
    if set(data) != {category.value for category in FaultCategory}:
        raise InvalidConfiguration(f"{file}: the categories are {', '.join(FaultCategory)}, found {', '.join(data)}", hint="give each category a list")
    for name, steps in data.items():
        unknown = [step for step in steps if step not in get_args(Strategy)]
        if unknown or not steps or steps[-1] != "ask":
            raise InvalidConfiguration(f"{file}: {name}: {unknown or steps}", hint=f"a list of {', '.join(get_args(Strategy))} that ends with `ask`")
    return {FaultCategory(name): tuple(steps) for name, steps in data.items()}
