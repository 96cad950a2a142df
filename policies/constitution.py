"""Constitution: principles that no plan may violate, whoever asked for it.

Rules:
- A violation blocks. Who is entitled may override a principle for one plan; that is a decision, recorded elsewhere, and comes in as an id.
- A principle is data with examples, and the examples are run when it is read: one that does not hold is an error, never a warning.
- A user adds principles, or replaces one by its id; none disappears silently, so switching one off says so (`check: off`).
- What only a model can judge is listed as unchecked; it is not called kept.

Source: feature D4. The principles are data, `constitution.yaml`. Deliberately absent: asking a model, recording overrides.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from ..schemas.errors import InvalidConfiguration
from ..schemas.noun import Noun
from ..schemas.plan import Call, Plan
from ..schemas.ruling import Ruling

LONGEST = 50_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Example(Noun):
    """A call that violates or keeps a principle."""

    tool: str
    args: dict[str, Any] = Field(default_factory=dict)
    findings: tuple[str, ...] = ()


class When(Noun):
    """Conditions on one call; all that are given have to hold."""

    tools: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    @field_validator("patterns")
    @classmethod
    def _compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern, re.MULTILINE)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return patterns

    @cached_property
    def expressions(self) -> tuple[re.Pattern[str], ...]:
        """The patterns, compiled."""
        return tuple(re.compile(pattern, re.MULTILINE) for pattern in self.patterns)


class Principle(Noun):
    """One principle."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{1,60}$")
    text: str = Field(min_length=1)
    check: Literal["rule", "model", "off"]
    when: tuple[When, ...] = ()
    violates: tuple[Example, ...] = ()
    keeps: tuple[Example, ...] = ()

    @field_validator("check", mode="before")
    @classmethod
    def _off_is_a_word(cls, check: Any) -> Any:
        return "off" if check is False else check  # YAML reads a bare `off` as false


@dataclass(frozen=True)
class Deed:
    """A call of a plan: where it stands, and the rules that the assessor found for it."""

    where: str
    call: Call
    findings: tuple[str, ...] = ()

    @cached_property
    def text(self) -> str:
        """Everything that its arguments say, in lower case; read once, because every principle asks."""
        text = "\n".join(_texts(self.call.args)).lower()
        # What is too long to be read as a whole is read at both ends, where commands stand; the assessor refuses such lengths anyway.
        return text if len(text) <= LONGEST else text[: LONGEST // 2] + "\n" + text[-LONGEST // 2 :]


@dataclass(frozen=True)
class Violation:
    """A principle that a call violates."""

    principle: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where} violates {self.principle}: {self.text}"


@dataclass(frozen=True)
class Held:
    """What a plan was held against.

    Args:
        violations: that nobody has overridden.
        overridden: that somebody entitled has.
        unchecked: ids of the principles that only a model can judge.
    """

    violations: tuple[Violation, ...]
    overridden: tuple[Violation, ...]
    unchecked: tuple[str, ...]

    @property
    def ruling(self) -> Ruling:
        """Deny when a principle is violated, otherwise allow."""
        if not self.violations:
            return Ruling(answer="allow", rules=("constitution.kept",))
        ids = dict.fromkeys(f"constitution.{one.principle}" for one in self.violations)
        return Ruling(answer="deny", rules=tuple(ids), reasons=tuple(map(str, self.violations)))


def deeds(plan: Plan, findings: Mapping[str, Sequence[str]]) -> tuple[Deed, ...]:
    """Return every call that a plan may make: steps, written undos, measures.

    Args:
        findings: rules of the assessor, by `step 1`, `undo of step 1`, `measure 1`; those that are missing have none.
    """
    calls = [(f"step {step.step}", step.call) for step in plan.steps]
    calls += [(f"undo of step {step.step}", step.undo) for step in plan.steps if step.undo is not None]
    calls += [(f"measure {number}", measure.call) for number, measure in enumerate(plan.measures, 1)]
    return tuple(Deed(where, call, tuple(findings.get(where, ()))) for where, call in calls)


def hold(done: Iterable[Deed], constitution: Sequence[Principle] | None = None, *, overridden: Collection[str] = ()) -> Held:
    """Hold calls against the principles.

    Args:
        done: what the plan would do.
        constitution: the principles in force; the shipped ones by default.
        overridden: ids of principles that someone entitled has overridden for this plan.
    """
    principles = shipped() if constitution is None else constitution
    calls = tuple(done)
    found = [violation for principle in principles if principle.check == "rule" for violation in _violations(principle, calls)]
    return Held(
        violations=tuple(one for one in found if one.principle not in overridden),
        overridden=tuple(one for one in found if one.principle in overridden),
        unchecked=tuple(
            principle.id for principle in principles if principle.check == "model" and principle.id not in overridden
        ),
    )


def read_constitution(own: Sequence[Mapping[str, Any]], *, file: str = "config.yaml") -> tuple[Principle, ...]:
    """Lay a user's principles over the shipped ones.

    Args:
        own: each a principle as in `constitution.yaml`; one with a shipped id takes its place.
        file: where they were read, for the error.

    Raises:
        InvalidConfiguration: a principle that cannot be read, or an example that does not hold.
    """
    laid = {principle.id: principle for principle in shipped()}
    for number, one in enumerate(own, 1):
        where = f"constitution[{number}]"
        base = laid.get(str(one.get("id"))) if isinstance(one, Mapping) else None
        try:
            # `{id: …, check: off}` is enough to switch one off.
            principle = Principle.model_validate({**(base.model_dump() if base else {}), **one})
        except (ValidationError, TypeError) as error:
            said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise InvalidConfiguration(
                f"{file}: {where}: {said}", hint="a principle has id, text, check, and when it is a rule: when", key=where
            ) from error
        problems = list(_problems(principle))
        if problems:
            raise InvalidConfiguration(
                f"{file}: {where}: {'; '.join(problems)}", hint="correct the rule or the example", key=where
            )
        laid[principle.id] = principle
    return tuple(laid.values())


@cache
def shipped() -> tuple[Principle, ...]:
    """Return the shipped principles. Raises: ValueError: an example in the file does not hold; a defect."""
    text = files(__package__ or "assent.policies").joinpath("constitution.yaml").read_text(encoding="utf-8")
    table = yaml.load(text, Loader=_LOADER)  # noqa: S506 - the safe loader, in C where there is one
    found = tuple(Principle.model_validate(one) for one in table["principles"])
    problems = [problem for principle in found for problem in _problems(principle)]
    if problems:
        raise ValueError("; ".join(problems))
    return found


def _problems(principle: Principle) -> Iterator[str]:
    if principle.check == "rule" and not (principle.when and principle.violates):
        yield f"{principle.id}: a rule has `when`, and an example that violates it"
    if not all(one.patterns or one.findings for one in principle.when):
        yield f"{principle.id}: every entry of `when` has patterns or findings"
    if principle.check != "rule":
        return
    for examples, wanted in ((principle.violates, True), (principle.keeps, False)):
        for example in examples:
            deed = Deed("example", Call(tool=example.tool, args=example.args), example.findings)
            if bool(list(_violations(principle, [deed]))) is not wanted:
                yield f"{principle.id}: the example {example.args} {'is not' if wanted else 'is'} a violation"


def _violations(principle: Principle, calls: Iterable[Deed]) -> Iterator[Violation]:
    for deed in calls:
        if any(_holds(one, deed) for one in principle.when if not one.tools or deed.call.tool in one.tools):
            yield Violation(principle.id, deed.where, principle.text)


def _holds(when: When, deed: Deed) -> bool:
    """Tell whether conditions that speak of the call's tool hold."""
    if when.findings and not any(fnmatchcase(rule, wanted) for rule in deed.findings for wanted in when.findings):
        return False
    return all(pattern.search(deed.text) for pattern in when.expressions)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
