"""kill -9 in the middle of a phase: whoever goes on runs no agent again that had reported, and no step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .delivery_world import Delivery, document, write

ROOT = Path(__file__).resolve().parents[1]
# A report of the analysis is noted twice, for its run and for any run; two of three agents, and later all three and four of five testers.
ANALYSED, TESTED = 2 * 2, 2 * 3 + 4


@pytest.fixture
def delivery(tmp_path: Path) -> Iterator[Delivery]:
    world = Delivery(tmp_path)
    yield world
    world.close()


def killed(folder: Path, what: str, victim: str, reported: int) -> None:
    """Drive the delivery in another process until `victim` is at work and so many reports are there, and kill it."""
    with subprocess.Popen(
        [sys.executable, "-m", "assent.tests.delivery_victim", str(folder), what, victim, str(reported)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / ".src")},
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        said = child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        assert said == "now\n", child.stderr.read()[-2000:]
        assert child.wait() == -signal.SIGKILL


def test_killed_in_the_middle_of_the_analysis(delivery: Delivery) -> None:
    killed(delivery.folder, "start", "infrastructure", ANALYSED)
    runtime = delivery.open("lena")
    run = runtime.run("run_1")
    assert run.status == "planning"
    run = run.resume()
    assert (delivery.calls, run.status) == (["infrastructure"], "awaiting_approval")
    run = runtime.decide(run.requests[0].id, "approve")
    assert (run.status, (delivery.workspace / "notes.txt").read_text()) == ("completed", "new\n")
    assert runtime.verify().ok


def test_killed_in_the_middle_of_the_tests(delivery: Delivery) -> None:
    runtime = delivery.open("lena")
    runtime.start(document(write("notes.txt", "new\n")), graph="delivery", run_id="run_1")
    runtime.close()
    delivery.calls.clear()
    killed(delivery.folder, "approve", "documentation", TESTED)
    runtime = delivery.open("lena")
    run = runtime.run("run_1")
    assert ((delivery.workspace / "notes.txt").read_text(), run.status, run.progress.phase) == ("new\n", "running", "testing")
    assert "agent3" in run.progress.active_agents
    run = run.resume()
    assert (delivery.calls, run.status) == (["documentation"], "completed")
    assert [(event.data["direction"], event.data["step"]) for event in run.events() if event.type == "step.dispatched"] == [("do", 1)]


@pytest.mark.slow
def test_killed_in_both_phases_of_one_run(delivery: Delivery) -> None:
    killed(delivery.folder, "start", "code", ANALYSED)
    killed(delivery.folder, "start", "code", ANALYSED)
    runtime = delivery.open("lena")
    run = runtime.run("run_1").resume()
    assert delivery.calls == ["code"]
    runtime.close()
    delivery.calls.clear()
    killed(delivery.folder, "approve", "tests", TESTED)
    runtime = delivery.open("lena")
    run = runtime.run("run_1").resume()
    assert (delivery.calls, run.status) == (["tests"], "completed")
