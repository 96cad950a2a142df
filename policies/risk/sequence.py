"""What several actions do together: two harmless halves can make one harm.

Rules
- A secret that was read and a later action that can carry something out: CRITICAL, whatever lies between.
- A file that was written and a later action that runs it, or that takes orders from it (`make` after the Makefile, `pytest` after conftest.py):
  at least HIGH; CRITICAL when the file came from another machine.
- A secret under a new name stays a secret: reading the copy is CRITICAL.
- A control that was taken away and a later change: CRITICAL. Five removals: HIGH, twelve: CRITICAL.
- Findings only raise. It is one pass over the actions in order, linear in their number and text.

What it does not do: follow a value through variables or programs; facts are drawn from words (`facts.py`) and err to too many.
Source: threat classes in the reference on risk (secret then network; write then run).
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...schemas.risk import Level, Reason, Risk
from .facts import Facts, any_takes_orders, facts_of, runners

Action = tuple[str, Any, Risk]
_SOME, _MANY = 5, 12


@dataclass(frozen=True)
class Joint:
    """A finding about several actions.

    Args:
        reason: what they do together.
        actions: their places in the order, from 0.
    """

    reason: Reason
    actions: tuple[int, ...]


def assess_sequence(actions: Sequence[Action]) -> tuple[Reason, ...]:
    """Say what ordered actions add up to.

    Args:
        actions: kind, payload and own risk of each action, in the order in which they run.

    Returns:
        Findings that raise the whole, worst first; none when the actions are no more than their sum.
    """
    reasons = (joint.reason for joint in joint_findings(actions))
    return tuple(sorted(dict.fromkeys(reasons), key=lambda reason: -reason.level.rank))


def joint_findings(actions: Sequence[Action]) -> tuple[Joint, ...]:
    """Say what ordered actions add up to, with the places of the actions in each finding."""
    seen = _Seen()
    for place, (kind, payload, risk) in enumerate(actions):
        seen.add(place, facts_of(kind, payload, risk))
    return tuple(seen.found)


class _Seen:
    """What was seen so far: first places only, so that each pair is told once."""

    def __init__(self) -> None:
        self.found: list[Joint] = []
        self._secret: int | None = None
        self._disabled: int | None = None
        self._deleted: list[int] = []
        self._written: dict[str, tuple[int, bool]] = {}
        self._copied: dict[str, int] = {}
        self._ordered: dict[str, tuple[int, bool]] = {}  # kind of runner → the first file that was written for it

    def add(self, place: int, facts: Facts) -> None:
        self._leaks(place, facts)
        self._runs(place, facts)
        if self._disabled is not None and facts.changes:
            text = "takes a control away and then changes something that it would have seen"
            self._tell("sequence.control_then_act", Level.CRITICAL, text, self._disabled, place)
        self._deletes(place, facts)
        self._remember(place, facts)

    def _leaks(self, place: int, facts: Facts) -> None:
        if self._secret is not None and facts.sends:
            text = "reads a secret and then can carry it to another machine"
            self._tell("sequence.secret_then_send", Level.CRITICAL, text, self._secret, place)
        copied = next((self._copied[name] for name in _names(facts.named) if name in self._copied), None)
        if copied is not None:
            self._tell(
                "sequence.secret_copied", Level.CRITICAL, "copies a secret to another name and then uses the copy", copied, place
            )

    def _runs(self, place: int, facts: Facts) -> None:
        if not facts.heads:
            return
        direct = next((self._written[name] for name in _names(facts.named) if name in self._written), None)
        ordered = next((self._ordered[head] for head in sorted(facts.heads) if head in self._ordered), None)
        for found in (direct, ordered):
            if found is None:
                continue
            written, fetched = found
            if fetched:
                text = "fetches something from another machine and then runs it"
                self._tell("sequence.fetch_then_run", Level.CRITICAL, text, written, place)
            else:
                self._tell(
                    "sequence.write_then_run",
                    Level.HIGH,
                    "writes a file and then runs it, or what takes orders from it",
                    written,
                    place,
                )

    def _deletes(self, place: int, facts: Facts) -> None:
        if not facts.deletes:
            return
        self._deleted.append(place)
        if len(self._deleted) in (_SOME, _MANY):
            level = Level.CRITICAL if len(self._deleted) == _MANY else Level.HIGH
            self._tell("sequence.many_deletes", level, f"removes things in {len(self._deleted)} steps", *self._deleted)

    def _remember(self, place: int, facts: Facts) -> None:
        if facts.secret and self._secret is None:
            self._secret = place
        if facts.disables and self._disabled is None:
            self._disabled = place
        for path in facts.written:
            for name in _names(frozenset({path})):
                self._written.setdefault(name, (place, facts.fetches))
                if facts.secret and facts.copies:
                    self._copied.setdefault(name, place)
            seen = "//" + path.lstrip("/")
            for head, _, takes_orders in runners() if any_takes_orders()(seen) else ():
                if takes_orders(seen):
                    self._ordered.setdefault(head, (place, facts.fetches))

    def _tell(self, rule: str, level: Level, text: str, *places: int) -> None:
        steps = ", ".join(str(place + 1) for place in places)
        self.found.append(Joint(Reason(rule=rule, level=level, text=f"{text} (actions {steps})"), places))


def _names(words: frozenset[str]) -> list[str]:
    """Return the words that may be files, whole and by their last part, in a stable order; short and common words are no files."""
    found = []
    for word in sorted(words):
        name = posixpath.basename(word)
        if len(word) >= 2 and not name.startswith("-") and name not in ("", ".", ".."):
            found.append(word)
            if len(name) >= 2 and ("." in name or "/" in word):
                found.append(name)
    return found
