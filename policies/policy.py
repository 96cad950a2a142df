"""The policy in force: the shipped rules, a preset, and what the user laid over them, as one checked value.

Rules: a misspelt key is an error that names file, key and remedy; an empty rule set is invalid; a policy has a digest, which is recorded with
every assessment and checked again at dispatch.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache, cached_property
from importlib import resources
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from ..schemas.approval import Stage
from ..schemas.canonical import canonical, digest
from ..schemas.errors import InvalidConfiguration
from ..schemas.escalation import Blocker
from ..schemas.noun import Noun
from ..schemas.risk import Level
from ..schemas.window import Recurring
from .budget import Budget
from .constitution import Principle, read_constitution
from .constitution import shipped as shipped_principles
from .delivery_rules import DeliveryRules
from .durations import seconds
from .windows import overlap

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Rule(Noun):
    """What it takes to approve one level of risk."""

    roles: tuple[str, ...] = Field(min_length=1)
    approvals: int = Field(default=1, ge=1, le=20)
    decide_within_s: int = Field(ge=1, alias="decide_within")
    reason_required: bool = False
    chain: tuple[Stage, ...] = Field(default=(), description="Roles in order; takes the place of `roles` and `approvals`.")
    denials: int = Field(default=1, ge=1, le=20)

    _span = field_validator("decide_within_s", mode="before")(lambda value: _span(value))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in order."""
        return self.chain or (Stage(roles=self.roles, approvals=self.approvals),)


class Waiting(Noun):
    """What happens while a question is open."""

    remind_every_s: int = Field(default=0, ge=0, alias="remind_every")
    backup_after_s: int = Field(default=7200, ge=1, alias="backup_after")
    backup_roles: tuple[str, ...] = ()

    _span = field_validator("remind_every_s", "backup_after_s", mode="before")(lambda value: _span(value))


class Escalation(Noun):
    """To whom a blocker goes, and after how long."""

    to: str
    after_s: int = Field(ge=1, alias="after")

    _span = field_validator("after_s", mode="before")(lambda value: _span(value))


class Retention(Noun):
    """How long the details of a run are kept after it ended; the log keeps its entries for ever."""

    completed_s: int = Field(ge=0, alias="completed")
    rejected_s: int = Field(ge=0, alias="rejected")

    _span = field_validator("completed_s", "rejected_s", mode="before")(lambda value: _span(value))


class Tier(Noun):
    """What an agent of this tier may do."""

    name: str
    authority: str = ""
    highest: Level
    environments: tuple[Literal["development", "staging", "production"], ...] = Field(min_length=1)
    decide_within_s: int | None = Field(default=None, ge=1, alias="decide_within")

    _span = field_validator("decide_within_s", mode="before")(lambda value: _span(value))


class Member(Noun):
    """A person whom the configuration knows."""

    roles: tuple[str, ...] = ()
    name: str = ""
    kind: Literal["human", "agent"] = "human"


class Rates(Noun):
    """What an hour costs, as decimal text."""

    compute_usd_per_hour: str = Field(default="0", pattern=r"^\d+(\.\d+)?$")
    human_usd_per_hour: str = Field(default="0", pattern=r"^\d+(\.\d+)?$")


class Bounds(Noun):
    """Bounds on one step."""

    time_s: int = Field(default=300, ge=1, alias="time")
    memory_mb: int = Field(default=2048, ge=64)
    output_mb: int = Field(default=10, ge=1)

    _span = field_validator("time_s", mode="before")(lambda value: _span(value))


class Sees(Noun):
    """What of the workspace goes into a prompt; secrets and the content of files never do."""

    files: bool = Field(default=True, description="The names of files.")
    readme: bool = Field(default=True, description="The beginning of the README.")
    hide: tuple[str, ...] = Field(default=(), description="Names that are left out and counted, as `*.csv` or `customers/*`; `*` stands for any characters.")


class SecondOpinion(Noun):
    """When a model is asked what the rules leave open, and from when on its answer counts."""

    ask: bool = Field(default=True, description="False: what the rules leave open goes to a person at once.")
    threshold_pct: int = Field(default=85, ge=50, le=100, description="From here on `within` needs no person.")
    time_s: int = Field(default=2, ge=1, le=600, alias="time", description="For one answer; a later one counts as none.")

    _span = field_validator("time_s", mode="before")(lambda value: _span(value))


class Policy(Noun):
    """Every rule that a run is held to."""

    version: Literal[1] = 1
    preset: Literal["solo", "team"] = "solo"
    auto_approve: Literal["LOW", "none"] = "LOW"
    roles: tuple[str, ...] = Field(default=("developer", "lead", "admin"), min_length=1)
    approvals: dict[Level, Rule]
    execute_within_s: int = Field(ge=1, alias="execute_within")
    separation_of_duties: tuple[Level, ...] = ()
    strict_problems: bool = False
    windows: tuple[Recurring, ...] = ()
    waiting: Waiting = Field(default_factory=Waiting)
    escalation: dict[Blocker, Escalation]
    retention: Retention
    review_after_s: int = Field(ge=1, alias="review_after")
    actors: dict[str, Member] = Field(default_factory=dict)
    tiers: dict[int, Tier] = Field(default_factory=dict)
    costs: Rates = Field(default_factory=Rates)
    limits: Bounds = Field(default_factory=Bounds)
    delivery: DeliveryRules = Field(default_factory=DeliveryRules)
    budget: Budget = Field(default_factory=Budget)
    model_sees: Sees = Field(default_factory=Sees)
    second_opinion: SecondOpinion = Field(default_factory=SecondOpinion)
    constitution: tuple[dict[str, Any], ...] = Field(default=(), description="Principles laid over the shipped ones; see `constitution.yaml`.")
    risk: dict[str, Any] = Field(default_factory=dict)

    _span = field_validator("execute_within_s", "review_after_s", mode="before")(lambda value: _span(value))

    @field_validator("actors", mode="before")
    @classmethod
    def _short_members(cls, value: Any) -> Any:
        # `alice: lead` and `alice: [lead, admin]` say the same as the long form.
        if not isinstance(value, Mapping):
            return value
        return {name: {"roles": [m]} if isinstance(m, str) else {"roles": m} if isinstance(m, list | tuple) else m for name, m in value.items()}

    @model_validator(mode="after")
    def _every_level_has_a_rule(self) -> Policy:
        missing = [level.value for level in Level if level not in self.approvals]
        if missing:
            raise ValueError(f"approvals: no rule for {', '.join(missing)}; an empty rule would approve by default")
        if sum(stage.approvals for stage in self.approvals[Level.CRITICAL].stages) < 2:
            raise ValueError("approvals.CRITICAL.approvals: critical plans take at least 2 different people")
        missing = [blocker for blocker in get_args(Blocker) if blocker not in self.escalation]
        if missing:
            raise ValueError(f"escalation: no row for {', '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _only_known_roles(self) -> Policy:
        used = [(f"approvals.{level.value}", role) for level, rule in self.approvals.items() for stage in rule.stages for role in stage.roles]
        used += [(f"actors.{name}", role) for name, member in self.actors.items() for role in member.roles]
        used += [("waiting.backup_roles", role) for role in self.waiting.backup_roles]
        for key, role in used:
            if role not in self.roles:
                raise ValueError(f"{key}: unknown role {role!r}; the roles are {', '.join(self.roles)} (add it to `roles:`)")
        return self

    @model_validator(mode="after")
    def _windows_do_not_overlap(self) -> Policy:
        found = overlap(self.windows)
        if found:
            raise ValueError(f"windows: {found}; merge them")
        return self

    @model_validator(mode="after")
    def _principles_can_be_read(self) -> Policy:
        if self.constitution:
            read_constitution(self.constitution)
        return self

    @cached_property
    def principles(self) -> tuple[Principle, ...]:
        """The principles in force."""
        return read_constitution(self.constitution) if self.constitution else shipped_principles()

    @cached_property
    def digest(self) -> str:
        """Digest of every rule."""
        return digest(canonical(self.model_dump(mode="json")))


def _span(value: Any) -> Any:
    return seconds(value) if isinstance(value, str) else value


def shipped() -> Mapping[str, Any]:
    """Return the shipped rules as they are written."""
    return _read_yaml("default.yaml")


def read_policy(*overlays: tuple[str, Mapping[str, Any]]) -> Policy:
    """Lay overlays over the shipped rules, later ones over earlier ones.

    Args:
        overlays: (name of the source for errors, mapping); mappings merge key by key, lists and scalars replace.

    Raises:
        InvalidConfiguration: an unknown key or a wrong value; names source, key and remedy.
    """
    base = shipped()
    preset: Any = base["preset"]
    for name, overlay in overlays:
        _known_keys(name, overlay)
        preset = overlay.get("preset", preset)
    presets = _read_yaml("presets.yaml")
    if preset not in presets:
        raise InvalidConfiguration(f"preset: expected one of {', '.join(presets)}, found {preset!r}", hint="set `preset: solo` or `preset: team`")
    if not any(overlay for _, overlay in overlays):
        return _plain()
    merged = _merge(base, presets[preset])
    for _, overlay in overlays:
        merged = _merge(merged, overlay)
    try:
        return Policy.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        names = ", ".join(name for name, _ in overlays) or "the shipped rules"
        raise InvalidConfiguration(
            f"{names}: {key + ': ' if key else ''}{first['msg'].removeprefix('Value error, ')}",
            hint="`assent doctor` shows the rules in force; remove the key to take the shipped value",
            key=key,
        ) from error


@cache
def _plain() -> Policy:
    base = shipped()
    return Policy.model_validate(_merge(base, _read_yaml("presets.yaml")[base["preset"]]))


def _known_keys(name: str, overlay: Mapping[str, Any]) -> None:
    known = [field.alias or key for key, field in Policy.model_fields.items()]
    for key in overlay:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            remedy = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}"
            raise InvalidConfiguration(f"{name}: {key}: no such setting", hint=remedy, key=str(key))


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


@cache
def _read_yaml(name: str) -> dict[str, Any]:
    text = resources.files(__package__ or "assent.policies").joinpath(name).read_text(encoding="utf-8")
    return dict(yaml.load(text, Loader=_LOADER))  # noqa: S506 - CSafeLoader is the safe loader
