"""What a tool is, and the place in which it acts.

Rules:
- A tool never decides whether it may act; it is called only after a dispatch was recorded.
- `prepare` looks and does not touch. What it returns is recorded with the dispatch, before the effect, and is all that `undo` and `probe`
  will have when the process died in between.
- `run` returns a receipt and does not raise for what the outside world did; it raises only for defects.
- `not_started` is an allow-list: provably nothing happened. Everything that is not known is `unknown`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from ..schemas.dispatch import EffectClass, Effects, Receipt


class Arguments(BaseModel):
    """The base of every tool's arguments: closed, frozen, strict about types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Keep(Protocol):
    """Where bytes are kept by their digest; durable when `put` returns."""

    def put(self, data: bytes) -> str:
        """Keep these bytes and return `sha256:…`."""
        ...

    def get(self, digest: str) -> bytes:
        """Return the bytes of that digest. Raises: KeyError when they are not kept."""
        ...


@dataclass(frozen=True)
class Limits:
    """Bounds on one call."""

    time_s: float = 300.0
    memory_bytes: int = 2 * 1024**3
    cpu_share: float = 1.0
    """Of all processors, on average over the time limit."""
    output_bytes: int = 10 * 1024**2
    response_bytes: int = 10 * 1024**2
    redirects: int = 5


@dataclass(frozen=True)
class Place:
    """Where a call acts.

    Args:
        workspace: absolute folder to which files are confined and in which processes start.
        keep: where bytes are kept.
        scratch: absolute folder outside the workspace for a process's own record of its end; one subfolder per dispatch key.
        limits: bounds.
        environment: extra variables for processes, from the configuration; never the parent's environment.
        lock_fd: descriptor of the run's kernel lock, inherited by every child so that nobody takes the run over while a child lives.
        hosts: hosts that HTTP may reach although their addresses are private (loopback services in development), lower case, from configuration.
        sleep: waits; a test gives one that does not.
        progress: called with a line of live output; may be called from another thread.
    """

    workspace: Path
    keep: Keep
    scratch: Path
    limits: Limits = field(default_factory=Limits)
    environment: Mapping[str, str] = field(default_factory=dict)
    lock_fd: int | None = None
    hosts: frozenset[str] = frozenset()
    sleep: Callable[[float], None] | None = None
    progress: Callable[[str], None] | None = None

    @cached_property
    def own(self) -> tuple[str, ...]:
        """The components of assent's own folder, the one around `scratch`, where it lies inside the workspace; otherwise none."""
        try:
            return self.scratch.parent.relative_to(self.workspace).parts
        except ValueError:
            return ()


@dataclass(frozen=True)
class Preview:
    """What will happen, for the person who decides. Computed from the arguments by code; nothing is touched."""

    headline: str
    """One line: the verb, the target, the size."""
    detail: str = ""
    """The whole of it: the command, the diff, the statement. May be long; the screen shortens it and says so."""
    undo: str = ""
    """What takes it back, or empty when nothing does."""


Found = Literal["happened", "did_not_happen", "unknown"]


class Tool(Protocol):
    """One kind of call."""

    name: ClassVar[str]
    Arguments: ClassVar[type[Arguments]]
    atomic: ClassVar[bool]
    """Whether a receipt `failed` means that nothing was changed."""

    def actions(self, args: Any) -> Sequence[tuple[str, Any]]:
        """Return what the assessor has to judge, as (kind, payload) with the kinds of `assent.assess`. Empty: nothing is known, so HIGH."""
        ...

    def effects(self, args: Any) -> Effects:
        """Return what the call may touch."""
        ...

    def effect_class(self, args: Any) -> EffectClass:
        """Return what can be known when its receipt is missing."""
        ...

    def preview(self, args: Any, place: Place) -> Preview:
        """Show what will happen. Reads at most."""
        ...

    def prepare(self, args: Any, place: Place) -> dict[str, Any]:
        """Note the state before, and keep what undo will need. Touches nothing but `place.keep`. Raises: ToolRefused before any effect."""
        ...

    def run(self, args: Any, place: Place, *, key: str, before: Mapping[str, Any]) -> Receipt:
        """Do it once. `key` names this dispatch and is what a remote side deduplicates on. Its duration, where the receipt says none, is taken around it."""
        ...

    def can_undo(self, args: Any) -> bool:
        """Tell whether `undo` can take this call back without a written undo."""
        ...

    def undo(self, args: Any, place: Place, *, key: str, receipt: Receipt) -> Receipt:
        """Take back what `receipt` says was done, and look whether the earlier state is there (`verified`)."""
        ...

    def probe(self, args: Any, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]) -> Found:
        """Look whether a call without receipt happened. Called only when nothing of it still runs."""
        ...

    def recover(
        self, args: Any, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Receipt | None:
        """Rebuild the receipt of a call whose process died before it was recorded. None: nothing proves what happened."""
        ...


@runtime_checkable
class Restores(Protocol):
    """A tool that can tell whether a written undo brought the earlier state back."""

    def restored(self, args: Any, place: Place, *, before: Mapping[str, Any]) -> bool | None:
        """Compare the state now with what was noted before the step. `None`: it cannot tell."""
        ...


class ToolRefused(Exception):
    """The tool itself will not do this (a path outside the workspace, a private address); nothing has happened."""

    def __init__(self, reason: str, *, rule: str = "tool.refused") -> None:
        super().__init__(reason)
        self.reason = reason
        self.rule = rule
