"""A phase killed with -9 at its points: before and after everything that it does to the world, and in the middle of each write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = ["SESSION_CONTINUITY.md", "a.json", "b.json", "c.json", "trial.json", "trial.md"]
POINTS = ["notify", "store.get", "store.put", "keep.put", "keep.get", "files", "record", "resolutions", "checkpoint", "writes", "in agent", "in the middle of a write"]


@pytest.mark.parametrize(("kind", "each"), [("sync", 1), ("async", 2)])
def test_killed_at_any_point_a_resume_ends_it_and_runs_nobody_who_had_reported(tmp_path: Path, kind: str, each: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.phase_killer", str(tmp_path), kind, str(each)], check=False, capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    *points, last = [json.loads(line) for line in ran.stdout.splitlines()]
    assert last["unharmed"] == 0 and abs(last["points"] - each * len(points)) <= each
    where = " ".join(point["at"] for point in points)  # agents work at the same time, so which of them dies at a point is anybody's guess
    assert each > 1 or [name for name in POINTS if name not in where] == []
    for point in points:
        assert point["resumed"] == 0 and point["passed"] and point["missing"] == [] and point["findings"] == ["a", "b", "c"], point
        assert point["files"] == FILES, point
        assert not set(point["again"]) & set(point["noted"]), f"ran again although it had reported: {point}"
        assert len(point["again"]) == len(set(point["again"])), f"ran twice: {point}"
