"""What the agents of a delivery are told to look at: the workspace in which the run acts, the record, and the configuration.

Rules: everything that a report rests on is an input, so that an old one is never taken for the answer to a new question; the folder is the run's own,
whichever folder the door was opened for that goes on with it. Source: E1, E5.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...schemas.delivery import ANALYSIS, Rehearsal

if TYPE_CHECKING:
    from .delivering import Delivering

_PYTEST = ("-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=")


def analysis_inputs(runtime: Delivering, run_id: str) -> dict[str, Any]:
    """Return what the analysis of a run looks at."""
    from ..analysis.extras import installed

    rules = runtime.policy.delivery
    inputs = {**_tree(runtime, run_id), "may_run": rules.baseline, "analysers": installed()}
    if runtime.reads_on is not None:
        inputs["model"] = runtime.reads_on.model.name
    return inputs | ({"benchmark": _benchmark(runtime)} if rules.baseline else {})


def testing_inputs(runtime: Delivering, run_id: str, rehearsal: Rehearsal | None) -> dict[str, Any]:
    """Return what the tests of a run look at.

    Args:
        rehearsal: how taking the work back went; `None` takes what the record says.
    """
    rules = runtime.policy.delivery
    tried = rehearsal if rehearsal is not None else runtime.rehearsal_of(run_id)
    inputs: dict[str, Any] = {
        "run": run_id, **_tree(runtime, run_id), "in_place": rules.in_place, "test_command": list(rules.test_command), "benchmark": _benchmark(runtime),
        "workflows": [list(one) for one in rules.workflows], "rollback_tested": tried is not None and tried.tested,
    }
    found = runtime.synthesis(run_id, ANALYSIS)
    section = found.sections.get("infrastructure_state") if found is not None else None
    baseline = section.get("baseline") if isinstance(section, Mapping) else None
    if isinstance(baseline, Mapping) and isinstance(baseline.get("seconds"), int | float):
        inputs["baseline_s"] = baseline["seconds"]
    return inputs | ({"python": rules.python} if rules.python else {})


def home_within(home: Path, folder: Path) -> str:
    """Return the home's folder inside of a workspace, which is no part of the project; empty when it lies elsewhere."""
    home, folder = home.resolve(), folder.resolve()
    return home.relative_to(folder).as_posix() if home.is_relative_to(folder) and home != folder else ""


def _tree(runtime: Delivering, run_id: str) -> dict[str, Any]:
    from ..analysis.sources import tree_digest

    folder = runtime.workspace_of(run_id)
    without = home_within(runtime.home.root, folder)
    return {"path": str(folder), "tree": tree_digest(folder, without), "without": without}


def _benchmark(runtime: Delivering) -> list[str]:
    rules = runtime.policy.delivery
    return list(rules.benchmark or rules.test_command or (rules.python or sys.executable, *_PYTEST))
