"""The phases that ship, as data: `analysis.yaml` and `testing.yaml`. Source: the agent allocation and resource guidelines of the phases document."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError

from ...schemas.errors import InvalidConfiguration
from ...schemas.phase import PhaseSpec

_MOST = 8
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def shipped(name: str) -> PhaseSpec:
    """Return a shipped phase by its name. Raises: InvalidConfiguration: there is none."""
    source = resources.files(__package__ or "assent.policies.phases").joinpath(f"{name}.yaml")
    if not name.isidentifier() or not source.is_file():
        raise InvalidConfiguration(f"there is no phase {name!r}", hint="the shipped phases are: analysis, testing")
    return read_spec(yaml.load(source.read_text(encoding="utf-8"), Loader=_LOADER), file=f"{name}.yaml")  # noqa: S506 - a safe loader


def for_testing(agents: int) -> PhaseSpec:
    """Return the testing phase with its first three to five agents; sections of the others are left out."""
    spec = shipped("testing")
    chosen = spec.agents[:agents]
    names = {agent.id for agent in chosen}
    sections = {section: agent for section, agent in spec.consolidate.sections.items() if agent in names}
    return spec.model_copy(update={"agents": chosen, "consolidate": spec.consolidate.model_copy(update={"sections": sections})})


def read_spec(data: Mapping[str, Any], *, file: str = "phase.yaml") -> PhaseSpec:
    """Read a phase. Raises: InvalidConfiguration: names file, key and what was expected."""
    try:
        return PhaseSpec.model_validate(data)
    except ValidationError as error:
        found = [f"{'.'.join(str(part) for part in one['loc']) or 'phase'}: {_said(one)}" for one in error.errors()]
        more = [f"and {len(found) - _MOST} more"] if len(found) > _MOST else []
        raise InvalidConfiguration(f"{file}: {'; '.join([*found[:_MOST], *more])}", hint="policies/phases/analysis.yaml shows every field in use") from None


def _said(error: Any) -> str:
    return "no such field" if error["type"] == "extra_forbidden" else str(error["msg"]).removeprefix("Value error, ")
