"""What a supervisor wrote down of a command: the record of its end, its output, and the receipt that follows from them.

Rules: `done` is exit code 0, `failed` another exit code or a crash of its own, `unknown` whatever was killed: part of it may have happened.
No record means that nothing is known. Deliberately reads only; the supervisor alone writes here.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from ..schemas.dispatch import Receipt
from .output import SMALL_BYTES, number, small_or_kept
from .supervisor import FORM, RECORD
from .tool import Found, Keep

_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGXCPU})


def receipt(folder: Path, keep: Keep) -> Receipt | None:
    """Return the receipt of the command; None: there is no record.

    Side effects: keeps large output.
    """
    record = _record(folder)
    if record is None:
        return None
    if not record["started"]:
        return Receipt(status="not_started", summary=record["reason"])
    code, by = record["exit_code"], record["signal"]
    stdout, stdout_ref = small_or_kept(_written(folder / "stdout"), keep, SMALL_BYTES // 2)
    stderr, stderr_ref = small_or_kept(_written(folder / "stderr"), keep, SMALL_BYTES // 2)
    output: dict[str, Any] = {"exit_code": code, "stdout": stdout, "stderr": stderr, "elapsed_ms": record["duration_ms"]}
    value = number(stdout) if not stdout_ref else None
    notes = [
        f"{record[f'{name}_dropped']} bytes of {name} beyond the limit were dropped"
        for name in ("stdout", "stderr")
        if record[f"{name}_dropped"]
    ]
    if record["left_behind"]:
        notes.append(f"{record['left_behind']} processes that it left running were ended")
    output |= {
        name: item
        for name, item in (
            ("signal", by),
            ("value", value),
            ("stderr_ref", stderr_ref or None),
            ("stdout_dropped", record["stdout_dropped"] or None),
            ("stderr_dropped", record["stderr_dropped"] or None),
            ("left_behind", record["left_behind"] or None),
        )
        if item is not None
    }
    seconds = record["duration_ms"] / 1000
    if not record["in_time"]:
        ending = f"stopped at its time limit after {seconds:.1f} s; part of it may have happened"
    elif by is not None:
        ending = f"ended by signal {by} after {seconds:.1f} s"
    else:
        ending = f"exit code {code} after {seconds:.1f} s"
    return Receipt(
        status="unknown" if _was_killed(record) else "done" if code == 0 else "failed",
        summary="; ".join([ending, *notes]),
        output=output,
        output_ref=stdout_ref,
        duration_ms=record["duration_ms"],
    )


def found(folder: Path) -> Found:
    """Tell whether the command ran to an end of its own."""
    record = _record(folder)
    if record is None:
        return "unknown"
    if not record["started"]:
        return "did_not_happen"
    return "unknown" if _was_killed(record) else "happened"


class Tail:
    """The lines that the command has written since the last look."""

    def __init__(self, folder: Path) -> None:
        self._seen = {folder / name: (0, b"") for name in ("stdout", "stderr")}

    def lines(self, *, last: bool = False) -> list[str]:
        """Return whole lines; the last time also one without an end."""
        found: list[str] = []
        for path, (offset, rest) in self._seen.items():
            try:
                with path.open("rb") as file:
                    file.seek(offset)
                    data = file.read()
            except FileNotFoundError:
                continue
            *whole, unfinished = (rest + data).split(b"\n")
            if last and unfinished:
                whole.append(unfinished)
            self._seen[path] = (offset + len(data), unfinished)
            found.extend(line.decode("utf-8", "replace") for line in whole)
        return found


def _record(folder: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
    except FileNotFoundError:
        return None
    return record if record.get("form") == FORM else None


def _was_killed(record: dict[str, Any]) -> bool:
    return (
        not record["in_time"] or record["signal"] in _FROM_OUTSIDE or (record["exit_code"] is None and record["signal"] is None)
    )


def _written(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
