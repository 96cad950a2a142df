"""What an edit changes, as a person would say it: steps added, dropped, moved or changed, field by field. Pure.

Rules: steps are matched by what they do, so a step put in front is one addition and not a change of every step behind it; a text of several
lines is shown as a difference of lines; the author is left out, because the ledger notes who edited.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...schemas.canonical import canonical
from ...schemas.plan import Plan, Step
from ...schemas.risk import Reason, Risk

_PLACE = re.compile(r"^(?:(?:undo of )?step|measure) \d+: ")
_LEFT_OUT = frozenset({"steps", "author", "form"})


@dataclass(frozen=True)
class Change:
    """One thing that is different."""

    how: Literal["added", "dropped", "moved", "changed"]
    where: str
    before: str = ""
    after: str = ""

    def as_json(self) -> dict[str, str]:
        """Return what `--json` prints."""
        return {name: value for name, value in asdict(self).items() if value}


def changes(old: Plan, new: Plan) -> list[Change]:
    """Return everything that differs between two plans, steps first."""
    return [*_steps(old, new), *_fields("", _rest(old), _rest(new))]


def risk_changes(old: Risk, new: Risk) -> tuple[list[Reason], list[Reason]]:
    """Return the findings that are new and those that are gone."""
    return _without(new.findings, old.findings), _without(old.findings, new.findings)


def _without(findings: Sequence[Reason], known: Sequence[Reason]) -> list[Reason]:
    # The number of a step is not what was found about it: a step put in front gives all others a new one.
    left = Counter((finding.rule, _PLACE.sub("", finding.text)) for finding in known)
    found = []
    for finding in findings:
        place = (finding.rule, _PLACE.sub("", finding.text))
        if left[place]:
            left[place] -= 1
        else:
            found.append(finding)
    return found


def difference_of(change: Change) -> list[str]:
    """Return before and after as lines: `- old`, `+ new`, or a difference of lines where there are several."""
    before, after = change.before.split("\n"), change.after.split("\n")
    if change.before and change.after and len(before) + len(after) > 2:
        return list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
    return [f"- {line}" for line in before if change.before] + [f"+ {line}" for line in after if change.after]


def _steps(old: Plan, new: Plan) -> Iterator[Change]:
    before, after = [_identity(step) for step in old.steps], [_identity(step) for step in new.steps]
    dropped: list[Step] = []
    added: list[Step] = []
    pairs: list[tuple[Step, Step]] = []
    for tag, a0, a1, b0, b1 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, come = list(old.steps[a0:a1]), list(new.steps[b0:b1])
        if tag == "replace":
            gone, come = _paired(gone, come, pairs)
        if tag != "equal":
            dropped += gone
            added += come
    for step in list(added):
        origin = next((one for one in dropped if _identity(one) == _identity(step)), None)
        if origin is not None:
            dropped.remove(origin)
            added.remove(step)
            yield Change("moved", f"step {origin.step}", after=f"now step {step.step}")
    for step in dropped:
        yield Change("dropped", f"step {step.step}", before=_told(step))
    for one, other in pairs:
        yield from _fields(f"step {other.step}", _content(one), _content(other))
    for step in added:
        yield Change("added", f"step {step.step}", after=_told(step))


def _paired(gone: list[Step], come: list[Step], pairs: list[tuple[Step, Step]]) -> tuple[list[Step], list[Step]]:
    """Take steps for changed rather than replaced where the tool stayed; return what is left."""
    left = list(come)
    alone = []
    for step in gone:
        partner = next((one for one in left if one.tool == step.tool), None) or (left[0] if len(gone) == len(come) and left else None)
        if partner is None:
            alone.append(step)
        else:
            left.remove(partner)
            pairs.append((step, partner))
    return alone, left


def _identity(step: Step) -> bytes:
    return canonical(_content(step))


def _content(step: Step) -> dict[str, Any]:
    return {name: value for name, value in step.as_json().items() if name != "step" and value not in ("", None)}


def _rest(plan: Plan) -> dict[str, Any]:
    return {name: value for name, value in plan.as_json().items() if name not in _LEFT_OUT}


def _fields(where: str, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            yield from _fields(f"{where}.{name}" if where else str(name), old.get(name), new.get(name))
    elif isinstance(old, list) and isinstance(new, list) and any(isinstance(one, Mapping) for one in [*old, *new]):
        for number in range(max(len(old), len(new))):
            yield from _fields(f"{where}[{number + 1}]", old[number] if number < len(old) else None, new[number] if number < len(new) else None)
    else:
        how: Literal["added", "dropped", "changed"] = "added" if old in (None, "", [], {}) else "dropped" if new in (None, "", [], {}) else "changed"
        yield Change(how, where, _said(old), _said(new))


def _told(step: Step) -> str:
    return "\n".join([f"tool: {step.tool}", *(f"{name}: {_said(value)}" for name, value in step.args.items())])


def _said(value: Any) -> str:
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_said(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return "\n".join(_said(inner) for inner in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
