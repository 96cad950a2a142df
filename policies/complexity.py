"""Three or five testing agents: rules over what is known of a change, as data (`complexity.yaml`).

Rules: one rule that holds is enough; an empty rule set is invalid; a risk that nobody stated counts as HIGH. Source: E5, seed 4 (adaptive
allocation); the thresholds are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from ..schemas.errors import InvalidConfiguration
from ..schemas.go_no_go import Change, Staffing
from ..schemas.noun import Noun
from ..schemas.risk import Level

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Agents(Noun):
    """How many agents, for a plain change and for a complex one."""

    base: int = Field(ge=3, le=5)
    extended: int = Field(ge=3, le=5)


class ComplexityRule(Noun):
    """One fact of a change and one comparison."""

    fact: Literal["files_touched", "systems", "risk", "environment"]
    at_least: int | Level | None = None
    is_one_of: tuple[str, ...] | None = Field(default=None, alias="is")
    because: str = Field(min_length=1)

    @model_validator(mode="after")
    def _one_comparison(self) -> ComplexityRule:
        if (self.at_least is None) == (self.is_one_of is None):
            raise ValueError("a rule has either `at_least` or `is`")
        if self.at_least is not None and (self.fact == "environment" or isinstance(self.at_least, Level) != (self.fact == "risk")):
            raise ValueError(f"`at_least: {self.at_least}` cannot be compared with {self.fact}")
        return self

    def holds(self, change: Change) -> bool:
        """Tell whether the rule speaks about this change."""
        value: Any = getattr(change, self.fact)
        if self.is_one_of is not None:
            values = value if isinstance(value, tuple) else (value,)
            return any(str(one) in self.is_one_of for one in values if one is not None)
        least: Any = self.at_least
        return bool((len(value) if isinstance(value, tuple) else value) >= least)


class ComplexityTable(Noun):
    """The rules in force."""

    agents: Agents
    rules: dict[str, ComplexityRule] = Field(min_length=1)


def staffing(change: Change, table: ComplexityTable | None = None) -> Staffing:
    """Decide how many agents test a change, and why."""
    rules = table or shipped()
    spoken = {name: rule for name, rule in rules.rules.items() if rule.holds(change)}
    return Staffing(
        agents=rules.agents.extended if spoken else rules.agents.base,
        rules=tuple(spoken),
        reasons=tuple(rule.because for rule in spoken.values()),
    )


def read_table(data: Mapping[str, Any], *, file: str = "complexity.yaml") -> ComplexityTable:
    """Read rules. Raises: InvalidConfiguration: names file and key."""
    try:
        return ComplexityTable.model_validate(dict(data))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidConfiguration(f"{file}: {where}: {first['msg']}", hint="a rule is {fact, at_least | is, because}; see policies/complexity.yaml") from None


@cache
def shipped() -> ComplexityTable:
    """Return the shipped rules."""
    text = resources.files(__package__ or "assent.policies").joinpath("complexity.yaml").read_text(encoding="utf-8")
    return read_table(yaml.load(text, Loader=_LOADER))  # noqa: S506 - a safe loader, in C where there is one
