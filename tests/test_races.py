"""Several processes at once answer, resume, ring and cancel the same run: one outcome, every effect once, and a log that verifies.

The processes are real and stay alive for all rounds; each spins until the same moment of the machine's monotonic clock.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assent.runtime.run import Run
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, Recorder, authenticated, recorded
from assent.schemas.errors import RunBusy, StaleDecision
from assent.tools.toolbox import standard

RACER = Path(__file__).with_name("racer.py")
EXPECTED = {"completed", "rejected", "cancelled", "running", "awaiting_approval", "rung", "StaleDecision", "RunBusy"}
STEPS = ("a", "b", "c")


class Field:
    """Eight processes in one home."""

    def __init__(self, folder: Path) -> None:
        (folder / "workspace").mkdir()
        people = {"dora": ["developer"], "lena": ["lead"], "lou": ["lead"], "ada": ["admin"]}
        self.recorder = Recorder(folder / "effects.jsonl")
        self.runtime = Runtime(
            folder / "home", workspace=folder / "workspace", config={"actors": people}, clock=FrozenClock(), actor=authenticated("dora"),
            tools=standard().plus(self.recorder),
        )
        self.racers = [
            subprocess.Popen([sys.executable, str(RACER), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)
        ]
        for racer in self.racers:
            assert self._said(racer) == "ready"

    def close(self) -> None:
        for racer in self.racers:
            assert racer.stdin is not None and racer.stdout is not None
            racer.stdin.close()
        for racer in self.racers:
            assert racer.wait(timeout=30) == 0
            assert racer.stdout is not None
            racer.stdout.close()
        self.runtime.close()

    def _said(self, racer: subprocess.Popen[str]) -> Any:
        assert racer.stdout is not None
        line = racer.stdout.readline()
        assert line, "a racer died"
        return json.loads(line)

    def race(self, run: Run, deeds: list[tuple[str, str]]) -> list[str]:
        """Let one process do each deed, all at the same moment; return how each ended."""
        start = time.monotonic() + 0.01
        racers = self.racers[: len(deeds)]
        request = run.requests[-1].id
        for racer, (what, who) in zip(racers, deeds, strict=True):
            assert racer.stdin is not None
            racer.stdin.write(json.dumps({"at": start, "what": what, "who": who, "run": run.id, "request": request}) + "\n")
            racer.stdin.flush()
        return [self._said(racer) for racer in racers]


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    opened = Field(tmp_path_factory.mktemp("races"))
    yield opened
    opened.close()


def deeds(count: int, chance: random.Random) -> list[tuple[str, str]]:
    """Return what `count` processes do: somebody approves, somebody rejects, the others resume, ring, or answer as well."""
    chosen = [("approve", "lena"), chance.choice([("reject", "lou"), ("approve", "lou"), ("resume", "")])]
    more = [("resume", ""), ("approve", "lou"), ("approve", "ada"), ("reject", "ada"), ("reject", "lou"), ("approve", "lena"), ("ring", ""), ("resume", "")]
    chosen += chance.sample(more, count - 2)
    chance.shuffle(chosen)
    return chosen


def one_round(field: Field, count: int, seed: int) -> str:
    chance = random.Random(seed)
    level = chance.choice(["MEDIUM", "HIGH"])
    name = f"{count}.{seed}"
    run = field.runtime.start(recorded(*[{"effect": f"{name}.{step}", "level": level} for step in STEPS]))
    wanted = deeds(count, chance)
    ends = field.race(run, wanted)
    story = list(zip(wanted, ends, strict=True))
    assert set(ends) <= EXPECTED, story
    if not run.status.is_over:  # whoever owned it had only come to look
        run.resume()
    had = Counter(effect.name.removeprefix(name + ".") for effect in field.recorder.effects_had if effect.name.startswith(name + "."))
    status = run.status.value
    assert had == (Counter(STEPS) if status == "completed" else Counter()), (status, had, story)
    kinds = Counter(event.type for event in run.events())
    assert kinds["request.settled"] == 1, story
    assert kinds["results.recorded"] == 1, story
    assert kinds["step.dispatched"] == (len(STEPS) if status == "completed" else 0), story
    settled = [event.data["status"] for event in run.events() if event.type == "request.settled"]
    assert settled == ["approved" if status == "completed" else "rejected"], story
    return status


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [2, 4, 8])
def test_race_has_one_outcome_and_each_effect_once(field: Field, count: int, seed: int) -> None:
    assert one_round(field, count, seed) in ("completed", "rejected")


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4, 8])
def test_hundred_races_have_one_outcome_each_and_each_effect_once(field: Field, count: int) -> None:
    ends = Counter(one_round(field, count, 1000 + n) for n in range(34))
    assert set(ends) == {"completed", "rejected"}, "both ends have to be reached, or nothing was raced"


@pytest.mark.parametrize("seed", range(3))
def test_cancel_against_approval_leaves_a_prefix_of_the_effects_and_each_once(field: Field, seed: int) -> None:
    name = f"cancel.{seed}"
    run = field.runtime.start(recorded(*[f"{name}.{step}" for step in STEPS]))
    ends = field.race(run, [("approve", "lena"), ("cancel", ""), ("resume", ""), ("cancel", "")])
    assert set(ends) <= {*EXPECTED, "IllegalTransition"}, ends
    if not run.status.is_over:
        run.resume()
    had = [effect.name.removeprefix(name + ".") for effect in field.recorder.effects_had if effect.name.startswith(name + ".")]
    assert had == list(STEPS[: len(had)])
    assert run.status == ("completed" if len(had) == len(STEPS) else "cancelled"), ends


def test_two_answers_about_a_step_in_doubt_settle_it_once(field: Field) -> None:
    run = field.runtime.start(recorded({"effect": "doubt", "outcome": "unknown"}, "after"))
    field.runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"))
    assert run.status == "in_doubt"
    ends = field.race(run, [("happened", "lena"), ("abandon", "lou"), ("happened", "ada"), ("resume", "")])
    assert set(ends) <= {*EXPECTED, "rolled_back", "failed", "in_doubt"}, ends
    if not run.status.is_over:
        for request in run.requests:
            if request.is_open:
                field.runtime.decide(request.id, "happened", actor=authenticated("lena"))
        run.resume()
    assert sum(effect.name == "doubt" for effect in field.recorder.effects_had) == 1
    assert sum(effect.name == "after" for effect in field.recorder.effects_had) == (run.status == "completed")
    assert Counter(event.type for event in run.events())["request.settled"] == 2


def test_threads_of_one_handle_start_and_decide_without_losing_anything(field: Field) -> None:
    errors: list[BaseException] = []
    runs: list[Run] = []

    def work(number: int) -> None:
        for n in range(4):
            try:
                run = field.runtime.start(recorded(f"thread.{number}.{n}"))
                runs.append(run)
                field.runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"))
                with pytest.raises(StaleDecision):
                    field.runtime.decide(run.requests[0].id, "reject", actor=authenticated("lou"))
            except BaseException as error:  # noqa: BLE001 - whatever a thread dies of is the test's business
                errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {run.status.value for run in runs} == {"completed"}
    names = Counter(effect.name for effect in field.recorder.effects_had if effect.name.startswith("thread."))
    assert names == Counter({f"thread.{a}.{b}": 1 for a in range(5) for b in range(4)})


def test_a_run_that_somebody_owns_is_busy_for_everybody_else(field: Field) -> None:
    run = field.runtime.start(recorded("busy"))
    with field.runtime.locks.own(run.id):
        assert field.race(run, [("resume", ""), ("ring", "")]) == ["RunBusy", "RunBusy"] or run.status == "awaiting_approval"
        seen: list[str] = []

        def elsewhere() -> None:
            try:
                field.runtime.resume(run.id)
            except RunBusy as busy:
                seen.append(busy.fields["owner"])

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert len(seen) == 1
    assert run.resume().status == "awaiting_approval"


def test_after_all_races_the_log_verifies(field: Field) -> None:
    found = field.runtime.verify()
    assert found.ok, found.problems
    keys = Counter((effect.key, effect.direction) for effect in field.recorder.effects_had)
    assert set(keys.values()) <= {1}, "a key was used twice"
