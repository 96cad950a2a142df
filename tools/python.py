"""python: run exactly the assessed code with this interpreter, in the workspace, under the limits of a command.

Rules: `python -I -c`, so neither the environment nor the workspace adds modules; otherwise as `shell`. Its effect is opaque and it has no
undo of its own. Source: DESIGN §6. Deliberately does not look at what the code says; the assessor does.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from ..schemas.dispatch import EffectClass, Effects, Receipt
from . import process
from .tool import Arguments, Found, Place, Preview


class PythonArguments(Arguments):
    """A program text, and how long it may take."""

    code: str = Field(min_length=1, description="Run as it is by `python -I -c` in the workspace.")
    timeout_s: float | None = Field(default=None, gt=0, description="At most this long; the configured limit when it is shorter.")

    @field_validator("code")
    @classmethod
    def _passes_to_a_program(cls, code: str) -> str:
        return process.passable(code)


class Python:
    """Runs a program text."""

    name: ClassVar[str] = "python"
    Arguments: ClassVar[type[Arguments]] = PythonArguments
    atomic: ClassVar[bool] = False

    def actions(self, args: PythonArguments) -> Sequence[tuple[str, Any]]:
        """Return the code."""
        return [("python", args.code)]

    def effects(self, args: PythonArguments) -> Effects:
        """Return that it may do anything."""
        return Effects(reads=True, writes=True, network=True, irreversible=True)

    def effect_class(self, args: PythonArguments) -> EffectClass:
        """Return that nobody but a person can tell."""
        return EffectClass.OPAQUE

    def preview(self, args: PythonArguments, place: Place) -> Preview:
        """Show the whole code."""
        first, *more = args.code.strip().splitlines() or [""]
        return Preview(headline=f"run Python: {first}" + (f" (and {len(more)} more lines)" if more else ""), detail=args.code)

    def prepare(self, args: PythonArguments, place: Place) -> dict[str, Any]:
        """Refuse what could not be started. Raises: ToolRefused."""
        process.check(args.code, place)
        return {}

    def run(self, args: PythonArguments, place: Place, *, key: str, before: Mapping[str, Any]) -> Receipt:
        """Run it once and wait for its end."""
        return process.run(process.Command(sys.executable, (sys.executable, "-I", "-c", args.code), args.timeout_s), place, key)

    def can_undo(self, args: PythonArguments) -> bool:
        """Return false: only a written undo takes a program back."""
        return False

    def undo(self, args: PythonArguments, place: Place, *, key: str, receipt: Receipt) -> Receipt:
        """Return that nothing was done."""
        return Receipt(status="not_started", summary="a program is taken back by a written undo only")

    def probe(
        self, args: PythonArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Found:
        """Read the supervisor's record."""
        return process.probe(place, key)

    def recover(
        self, args: PythonArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Receipt | None:
        """Rebuild the receipt from the supervisor's record."""
        return process.recover(place, key)
