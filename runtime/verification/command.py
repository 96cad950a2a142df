"""Running a command for an agent: the port that agents are given, and its plain form, a supervised process under limits.

Rules: the command is a program with arguments, never a shell line; it gets no input and an environment built from nothing (`tools/environment.py`);
at its time limit it and everything that it started are killed; processor time is bounded by share × time limit. A caller that wants each command
approved and recorded gives agents another function of the same form. Source: E12.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ...schemas.phase import AgentLimits
from ...tools import process
from ...tools.tool import Limits, Place

_BOUNDED = 'ulimit -t "$1"; shift; exec nice -n 10 "$@"'
OUTPUT_BYTES = 8 * 1024**2
_TIMES = 3
_LONG_S = 10.0


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    exit_code: int | None
    """None: it was killed or not started."""
    output: str
    errors: str
    duration_s: float
    said: str
    """How it ended, as a sentence."""

    @property
    def is_success(self) -> bool:
        """Whether it ended by itself and well."""
        return self.exit_code == 0


class RunCommand(Protocol):
    """Runs a program with arguments in a folder, under limits, and waits for its end."""

    def __call__(self, arguments: Sequence[str], *, folder: Path, limits: AgentLimits) -> Ran:
        """Return what it did; a program that fails is no error of this call."""
        ...


def timed(arguments: Sequence[str], run_command: RunCommand, folder: Path, limits: AgentLimits) -> list[Ran]:
    """Run a command up to three times, to time it; what takes long is steady enough the first time."""
    runs: list[Ran] = []
    while len(runs) < _TIMES and sum(ran.duration_s for ran in runs) < _LONG_S:
        runs.append(run_command(arguments, folder=folder, limits=limits))
    return runs


class LocalCommands:
    """Runs commands on this machine at once."""

    def __init__(self, place: Place) -> None:
        """Args:
        place: its scratch folder, keep and environment are used.
        """
        self.place = place

    def __call__(self, arguments: Sequence[str], *, folder: Path, limits: AgentLimits) -> Ran:
        """Run a program."""
        key = f"command-{uuid.uuid4().hex}"
        bounds = Limits(time_s=limits.time_s, memory_bytes=limits.memory_mb * 1024**2, output_bytes=OUTPUT_BYTES)
        place = replace(self.place, workspace=folder, limits=bounds)
        seconds = str(max(1, round(limits.cpu_share * limits.time_s)))
        command = process.Command("/bin/bash", ("bash", "--noprofile", "--norc", "-c", _BOUNDED, "bash", seconds, *arguments), limits.time_s)
        try:
            receipt = process.run(command, place, key)
            home = process.folder_of(place, key)
            return Ran(
                exit_code=receipt.output.get("exit_code"), output=_written(home / "stdout"), errors=_written(home / "stderr"),
                duration_s=receipt.duration_ms / 1000, said=receipt.summary,
            )
        finally:
            shutil.rmtree(process.folder_of(place, key), ignore_errors=True)


def _written(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
