"""The commands of a delivery: what they print, their exit codes, and that looking changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from assent.runtime.cli.app import app

from .conftest import PEOPLE
from .delivery_world import Delivery, document, write


@pytest.fixture
def delivery(tmp_path: Path) -> Iterator[Delivery]:
    world = Delivery(tmp_path, clock=lambda: datetime.now(UTC))
    world.home.mkdir()
    # The command line opens the home by itself, as whoever runs it.
    (world.home / "config.yaml").write_text(yaml.safe_dump({"actors": PEOPLE, "delivery": {"baseline": False}}))
    yield world
    world.close()


def call(delivery: Delivery, *arguments: str) -> Any:
    for runtime in delivery.opened:
        runtime.ledger.flush()
    return CliRunner().invoke(app, ["--home", str(delivery.home), "--workspace", str(delivery.workspace), *arguments])


def started(delivery: Delivery) -> Any:
    runtime = delivery.open("lena")
    run = runtime.start(document(write("new.txt", "x\n")), graph="delivery")
    while run.status.is_waiting and run.requests[-1].kind == "plan":
        run = runtime.decide(run.requests[-1].id, "approve")
    return run


def test_validate_says_of_each_criterion_whether_it_holds(delivery: Delivery) -> None:
    run = started(delivery)
    said = call(delivery, "validate", run.id, "--checkpoint", "1")
    assert (said.exit_code, said.output.count("✓"), said.output.splitlines()[-1]) == (0, 5, "passed")
    said = call(delivery, "validate", run.id, "--final", "--json")
    found = json.loads(said.output)
    assert (said.exit_code, found["decision"], found["release"], len(found["criteria"])) == (0, "PROCEED", "released", 7)


def test_a_checkpoint_that_waits_exits_with_3_and_says_how_to_answer(delivery: Delivery) -> None:
    delivery.said["code"] = {"raises": "no"}
    run = started(delivery)
    said = call(delivery, "validate", run.id, "--checkpoint", "1")
    assert said.exit_code == 3
    assert f"assent approve {run.requests[0].id}" in said.output and "✗ All three agents" in said.output
    shown = call(delivery, "show", run.requests[0].id)
    assert "THE CHECKPOINT OF THE ANALYSIS WAS NOT PASSED" in shown.output
    assert "Blocked" in call(delivery, "show", run.id).output
    assert call(delivery, "resume", run.id, "--no-ask").exit_code == 3
    run = delivery.opened[0].decide(run.requests[0].id, "approve", reason="known")
    assert "an exception was made by lena" in call(delivery, "validate", run.id, "--checkpoint", "1").output


def test_a_blocked_release_exits_with_1_and_a_conditional_one_with_3(delivery: Delivery) -> None:
    delivery.says("tests", critical="fail", failed=1)
    blocked = started(delivery)
    said = call(delivery, "validate", blocked.id, "--final")
    assert (said.exit_code, said.output.startswith("BLOCK")) == (1, True)
    delivery.says("tests", critical="pass", failed=0)
    delivery.says("documentation", incomplete=4)
    (delivery.workspace / "more.txt").write_text("so that it is tested again\n")
    conditional = started(delivery)
    said = call(delivery, "validate", conditional.id, "--final")
    assert (said.exit_code, "MAY THIS BE RELEASED?" in said.output) == (3, True)


def test_consolidate_writes_the_files_again_and_copies_them(delivery: Delivery, tmp_path: Path) -> None:
    run = started(delivery)
    before = len(run.events())
    for name in ("final_consolidation.md", "final_consolidation.json"):
        (delivery.home / "artifacts" / run.id / name).unlink()
    said = call(delivery, "consolidate", run.id, "--out", str(tmp_path / "out"))
    assert said.exit_code == 0 and "analysis: 3 of 3 agents reported" in said.output and "PROCEED" in said.output
    assert {"final_consolidation.md", "phase1_synthesis.json", "SESSION_CONTINUITY.md"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert not [event for event in run.events()[before:] if event.type != "artifact.kept"], "nothing that decides was written"
    assert set(json.loads(call(delivery, "consolidate", run.id, "--json").output)["phases"]) == {"analysis", "testing"}


def test_a_contradiction_is_resolved_at_the_command_line(delivery: Delivery) -> None:
    delivery.contradict()
    run = started(delivery)
    request = run.requests[0]
    conflict = request.subject["conflicts"][0]["id"]
    shown = call(delivery, "show", request.id).output
    assert "CONTRADICT EACH OTHER" in shown and "agent1 says True" in shown and f"assent resolve {request.id}" in shown
    said = call(delivery, "approve", request.id)
    assert (said.exit_code, "asks which side" in said.output) == (1, True)
    said = call(delivery, "resolve", request.id, f"{conflict}=agent9")
    assert (said.exit_code, "is no side" in said.output) == (1, True)
    assert call(delivery, "resolve", request.id, "agent1").exit_code == 2
    said = call(delivery, "resolve", request.id, f"{conflict}=agent1", "--reason", "looked", "--no-resume")
    assert said.exit_code == 1 and "running" in said.output, "it is answered, and nobody went on with it yet"
    runtime = delivery.opened[0]
    run = runtime.resume(run.id)
    assert [one.holds for one in runtime.ledger.resolutions(run.id, "analysis")] == ["agent1"]
    assert delivery.calls.count("architecture") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("validate", "RUN"), 2, "--checkpoint 1 or --final"), (("validate", "RUN", "--checkpoint", "1", "--final"), 2, "--checkpoint 1 or --final"),
        (("validate", "RUN", "--checkpoint", "2"), 2, "checkpoints are 1"), (("validate", "run_none", "--final"), 1, "there is no run"),
        (("consolidate", "run_none"), 1, "there is no run"),
    ],
)
def test_what_cannot_be_looked_at_says_why(delivery: Delivery, arguments: tuple[str, ...], code: int, says: str) -> None:
    run = started(delivery)
    said = call(delivery, *[run.id if one == "RUN" else one for one in arguments])
    assert said.exit_code == code
    assert says in (said.output + said.stderr + str(said.exception))


def test_a_run_of_another_graph_has_no_phases(delivery: Delivery) -> None:
    run = delivery.open("lena").start(document({"tool": "shell", "args": {"command": "ls"}}))
    for arguments in (("consolidate", run.id), ("validate", run.id, "--final"), ("validate", run.id, "--checkpoint", "1")):
        said = call(delivery, *arguments)
        assert (said.exit_code, "has no phases" in said.output, "--graph delivery" in said.output) == (1, True, True)


def test_a_run_before_its_tests_has_no_final_checkpoint(delivery: Delivery) -> None:
    runtime = delivery.open("dora")
    run = runtime.start(document(write("notes.txt", "x\n")), graph="delivery")
    said = call(delivery, "validate", run.id, "--final")
    assert (said.exit_code, "was not tested yet" in said.output) == (1, True)
    shown = call(delivery, "show", run.id).output
    assert "approval" in shown and "Blocked" in shown
    found = json.loads(call(delivery, "show", run.id, "--json").output)["progress"]
    assert (found["phase"], found["total_steps"], found["completed"]) == ("approval", 1, 0)


def test_without_a_scanner_the_end_is_told_at_the_beginning_and_why_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assent.runtime.analysis.extras.find_spec", lambda name: None)
    (tmp_path / "work").mkdir()
    (tmp_path / "plan.json").write_text(json.dumps(document(write("new.txt", "x\n"))))
    where = ["--home", str(tmp_path / "home"), "--workspace", str(tmp_path / "work")]
    said = CliRunner().invoke(app, [*where, "run", "--graph", "delivery", str(tmp_path / "plan.json")])
    assert said.stderr.startswith("warning: bandit is not installed") and 'hint: install it with `pip install "assent[analysis]"`' in said.stderr
    for _ in range(2):  # the checkpoint of an empty project, the plan
        (request,) = json.loads(CliRunner().invoke(app, [*where, "inbox", "--json"]).stdout)
        ended = CliRunner().invoke(app, [*where, "approve", request["id"]])
    assert 'not measured, bandit is not installed, so the code is not scanned for insecure constructs (install it with `pip install "assent[analysis]"`)' in ended.stdout
