"""shell: run exactly the assessed command with bash, in the workspace, under limits.

Rules: the string that was assessed is byte for byte the string that bash gets (`bash --noprofile --norc -c`); no input, no terminal, an
environment built from nothing. Its effect is opaque: what the record of its end does not tell, only a person can. It has no undo of its own.
Source: DESIGN §6, the design notes on risk (item 2). Deliberately does not look at what the command says; the assessor does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from ..schemas.dispatch import EffectClass, Effects, Receipt
from . import process
from .environment import environment
from .tool import Arguments, Found, Place, Preview


class ShellArguments(Arguments):
    """A command line, and how long it may take."""

    command: str = Field(min_length=1, description="Run as it is by `bash -c` in the workspace.")
    timeout_s: float | None = Field(default=None, gt=0, description="At most this long; the configured limit when it is shorter.")

    @field_validator("command")
    @classmethod
    def _passes_to_a_program(cls, command: str) -> str:
        return process.passable(command)


class Shell:
    """Runs a command line."""

    name: ClassVar[str] = "shell"
    Arguments: ClassVar[type[Arguments]] = ShellArguments
    atomic: ClassVar[bool] = False

    def actions(self, args: ShellArguments) -> Sequence[tuple[str, Any]]:
        """Return the command."""
        return [("shell", args.command)]

    def effects(self, args: ShellArguments) -> Effects:
        """Return that it may do anything."""
        return Effects(reads=True, writes=True, network=True, irreversible=True)

    def effect_class(self, args: ShellArguments) -> EffectClass:
        """Return that nobody but a person can tell."""
        return EffectClass.OPAQUE

    def preview(self, args: ShellArguments, place: Place) -> Preview:
        """Show the whole command."""
        first, *more = args.command.strip().splitlines() or [""]
        return Preview(headline=f"run: {first}" + (f" (and {len(more)} more lines)" if more else ""), detail=args.command)

    def prepare(self, args: ShellArguments, place: Place) -> dict[str, Any]:
        """Refuse what could not be started. Raises: ToolRefused."""
        process.check(args.command, place)
        return {}

    def run(self, args: ShellArguments, place: Place, *, key: str, before: Mapping[str, Any]) -> Receipt:
        """Run it once and wait for its end."""
        bash = "/bin/bash" if os.access("/bin/bash", os.X_OK) else shutil.which("bash", path=environment(place)["PATH"])
        if bash is None:
            return Receipt(status="not_started", summary="there is no bash on this machine")
        return process.run(
            process.Command(bash, ("bash", "--noprofile", "--norc", "-c", args.command), args.timeout_s),
            place,
            key,
        )

    def can_undo(self, args: ShellArguments) -> bool:
        """Return false: only a written undo takes a command back."""
        return False

    def undo(self, args: ShellArguments, place: Place, *, key: str, receipt: Receipt) -> Receipt:
        """Return that nothing was done."""
        return Receipt(status="not_started", summary="a command is taken back by a written undo only")

    def probe(
        self, args: ShellArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Found:
        """Read the supervisor's record."""
        return process.probe(place, key)

    def recover(
        self, args: ShellArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Receipt | None:
        """Rebuild the receipt from the supervisor's record."""
        return process.recover(place, key)
