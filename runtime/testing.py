"""What tests of runs are made of: a clock that stands still, and a tool whose effects can be counted.

Rules:
- Fakes, not mocks: `Recorder` is a whole tool, and everything that a run does with it goes through the ledger like any other call.
- What a call is to do stands in its arguments, so a plan tells the whole story; `will` overrides it while a test runs.
- Every effect is one line, written in one system call and, with a path, readable by other processes: a test counts lines, not calls.

Deliberately absent: sleeping, patching, and a way around the ledger.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from ..schemas.approval import Actor, Assurance
from ..schemas.dispatch import EffectClass, Effects, Receipt
from ..schemas.plan import Plan, Step
from ..schemas.problem import Problem
from ..tools.tool import Arguments, Found, Place, Preview, ToolRefused

Outcome = Literal["done", "failed", "not_started", "unknown", "refuses", "raises", "hangs", "dies_before", "dies_after"]
"""What becomes of a call. `hangs` waits for `Recorder.release` and then is done; `dies_*` raises `ProcessDied` around the effect."""

# What the assessor says of these is what the level's name says; nothing at all is HIGH because nothing is known.
_JUDGED: dict[str, list[tuple[str, Any]]] = {
    "LOW": [("file_read", "recorder.txt")],
    "MEDIUM": [("file_write", {"path": "recorder.txt", "content": ""})],
    "HIGH": [],
    "CRITICAL": [("shell", "rm -rf /")],
}


class FrozenClock:
    """A wall clock that moves only when it is told to; give it to `assent.open(clock=…)`."""

    def __init__(self, at: datetime | None = None) -> None:
        """Stand at `at`, an aware time; a Monday morning in 2026 by default."""
        self.at = at or datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.at

    def advance(self, seconds: float = 0, **more: float) -> datetime:
        """Move by seconds, or by `minutes=`, `hours=`, `days=`; negative values set the clock back. Returns the new time."""
        self.at += timedelta(seconds=seconds, **more)
        return self.at


class ProcessDied(BaseException):
    """Stands for the death of the process in the middle of a call: nothing after it is recorded, and no handler may catch it."""


@dataclass(frozen=True)
class Effect:
    """One effect that a Recorder had: what, through which dispatch, and whether it was the doing or the undoing."""

    name: str
    key: str
    direction: Literal["do", "undo"]


class RecorderArguments(Arguments):
    """What a call of the Recorder is to do."""

    effect: str = Field(description="What is written down when it happens.")
    outcome: Outcome = "done"
    level: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"] = Field(default="HIGH", description="How the assessor will judge it.")
    effect_class: Literal["transactional", "keyed", "conditional", "readable", "opaque"] = "opaque"
    can_undo: bool = True
    undo: Literal["done", "failed", "unknown", "unverified", "raises", "dies_after"] = "done"
    path: str | None = Field(default=None, description="Names a place, for grants that are about one; nothing is written there.")
    looks: bool = Field(default=False, description="Reads only: no effect, and `value` of the output is the number of effects so far.")


class Recorder:
    """A tool that writes its effects down, and fails, hangs, dies or leaves doubt as it is told."""

    name: ClassVar[str] = "recorder"
    Arguments: ClassVar[type[Arguments]] = RecorderArguments
    atomic: ClassVar[bool] = True

    def __init__(self, path: Path | None = None) -> None:
        """Make one.

        Args:
            path: file of the effects, shared by processes; in memory without one.
        """
        self.path = path
        self.looked = 0
        """How often a call with `looks` ran."""
        self._lines: list[str] = []
        self._told: dict[str, Outcome] = {}
        self._released = threading.Event()
        self.hanging = threading.Event()
        """Set while a call hangs."""

    @property
    def effects_had(self) -> list[Effect]:
        """Every effect that happened, in order."""
        lines = self._lines if self.path is None else self.path.read_text().splitlines() if self.path.exists() else []
        return [Effect(**json.loads(line)) for line in lines]

    @property
    def names(self) -> list[str]:
        """The effects as words: `a`, and `undo a` for what was taken back."""
        return [effect.name if effect.direction == "do" else f"undo {effect.name}" for effect in self.effects_had]

    def will(self, effect: str, outcome: Outcome | None) -> None:
        """Let calls for `effect` end with `outcome` whatever their arguments say; `None` ends that."""
        if outcome is None:
            self._told.pop(effect, None)
        else:
            self._told[effect] = outcome

    def release(self) -> None:
        """Let every call that hangs, or will, go on."""
        self._released.set()

    # --- the tool -------------------------------------------------------------------------------------------------------------------

    def actions(self, args: RecorderArguments) -> Sequence[tuple[str, Any]]:
        """Return actions that the assessor judges as the wanted level."""
        return _JUDGED["LOW" if args.looks else args.level]

    def effects(self, args: RecorderArguments) -> Effects:
        """Return that it writes, unless it only looks."""
        return Effects(reads=True, writes=not args.looks)

    def effect_class(self, args: RecorderArguments) -> EffectClass:
        """Return the class that the arguments name."""
        return EffectClass(args.effect_class)

    def preview(self, args: RecorderArguments, place: Place) -> Preview:
        """Show the effect."""
        return Preview(headline=f"record {args.effect}", undo="write that it was taken back" if args.can_undo else "")

    def prepare(self, args: RecorderArguments, place: Place) -> dict[str, Any]:
        """Note how many effects there were. Raises: ToolRefused when told to refuse."""
        if self._outcome(args) == "refuses":
            raise ToolRefused(f"the recorder was told to refuse {args.effect}", rule="recorder.refuses")
        return {"effects": len(self.effects_had)}

    def run(self, args: RecorderArguments, place: Place, *, key: str, before: Mapping[str, Any]) -> Receipt:
        """Write the effect down, or do whatever else it was told.

        Raises:
            RuntimeError, ProcessDied: when told to.
        """
        outcome = self._outcome(args)
        if args.looks:
            self.looked += 1
            return Receipt(status="done", summary="looked", output={"value": len(self.effects_had)})
        if outcome == "dies_before":
            raise ProcessDied(args.effect)
        if outcome == "hangs":
            self.hanging.set()
            self._released.wait()
            self.hanging.clear()
        if outcome in ("failed", "not_started"):
            return Receipt(status=outcome, summary=f"told that {args.effect} is {outcome}")
        self._write(Effect(args.effect, key, "do"))
        if outcome == "dies_after":
            raise ProcessDied(args.effect)
        if outcome == "raises":
            raise RuntimeError(f"told to break after {args.effect}")
        if outcome == "unknown":
            return Receipt(status="unknown", summary=f"told to leave {args.effect} in doubt")
        return Receipt(status="done", summary=args.effect, before=dict(before))

    def can_undo(self, args: RecorderArguments) -> bool:
        """Return what the arguments say."""
        return args.can_undo

    def undo(self, args: RecorderArguments, place: Place, *, key: str, receipt: Receipt) -> Receipt:
        """Write down that it was taken back. Raises: RuntimeError, ProcessDied when told to."""
        if args.undo == "failed":
            return Receipt(status="failed", summary=f"told that {args.effect} cannot be undone")
        self._write(Effect(args.effect, key, "undo"))
        if args.undo == "dies_after":
            raise ProcessDied(f"undo {args.effect}")
        if args.undo == "raises":
            raise RuntimeError(f"told to break after undoing {args.effect}")
        if args.undo == "unknown":
            return Receipt(status="unknown", summary=f"told to leave the undo of {args.effect} in doubt")
        return Receipt(status="done", summary=f"undid {args.effect}", verified=args.undo == "done")

    def probe(
        self, args: RecorderArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Found:
        """Look for the key among the effects, where the class says that looking tells; otherwise nothing is known."""
        if args.effect_class == "opaque":
            return "unknown"
        return "happened" if any(effect.key == key for effect in self.effects_had) else "did_not_happen"

    def recover(
        self, args: RecorderArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Receipt | None:
        """Return `None`: the recorder keeps no receipts of its own."""
        return None

    def _outcome(self, args: RecorderArguments) -> Outcome:
        return self._told.get(args.effect, args.outcome)

    def _write(self, effect: Effect) -> None:
        line = json.dumps({"name": effect.name, "key": effect.key, "direction": effect.direction})
        if self.path is None:
            self._lines.append(line)
            return
        # One write with O_APPEND, so that lines of several processes never mix and a killed process leaves none behind half written.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode() + b"\n")
        finally:
            os.close(descriptor)


def authenticated(name: str) -> Actor:
    """Return a person as a server hands one over whom it has authenticated; roles are those of the configuration."""
    return Actor(id=name, assurance=Assurance.AUTHENTICATED)


def recorded(*effects: str | Mapping[str, Any], title: str = "Write effects down", problem: Mapping[str, Any] | None = None, **more: Any) -> Plan:
    """Return a plan of Recorder steps.

    Args:
        effects: one step each: the effect's name, or the arguments of `RecorderArguments`.
        problem: fields of the Problem beside its title.
        more: further fields of the Plan.
    """
    return Plan(problem=Problem(title=title, **(problem or {})), steps=tuple(_steps(effects)), **more)


def _steps(effects: Iterable[str | Mapping[str, Any]]) -> Iterable[Step]:
    for number, effect in enumerate(effects, 1):
        args = {"effect": effect} if isinstance(effect, str) else dict(effect)
        yield Step(step=number, description=f"record {args['effect']}", tool=Recorder.name, args=args)


_ELSEWHERE = {"ScriptedModel": ".scripted", "FakeOpenAI": ".fake_openai", "Turn": ".fake_openai", "faults": ".fake_openai"}


def __getattr__(name: str) -> Any:
    # Who tests runs without a model does not pay for the server.
    if name in _ELSEWHERE:
        from importlib import import_module

        return getattr(import_module(_ELSEWHERE[name], __package__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
