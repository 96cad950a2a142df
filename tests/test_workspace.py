"""Where a run acts: in the workspace in which it was started, whoever goes on with it and wherever they stand."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assent.runtime.cli.app import app
from assent.runtime.phases.calls import PhaseCalls
from assent.runtime.run import Run
from assent.runtime.runtime import Runtime
from assent.runtime.testing import ScriptedModel, authenticated
from assent.schemas.errors import IllegalTransition, StoreCorrupt
from assent.schemas.risk import Level

from .delivery_world import Delivery, document, write

PEOPLE = {"lena": ["lead"]}


@pytest.fixture
def field(tmp_path: Path) -> Path:
    """Two workspaces beside one home."""
    for name in ("right", "wrong"):
        (tmp_path / "field" / name).mkdir(parents=True)
        (tmp_path / "field" / name / "note.txt").write_text(f"{name}\n")
    return tmp_path / "field"


def opened(field: Path, workspace: str) -> Runtime:
    return Runtime(field / ".assent", workspace=field / workspace, config={"actors": PEOPLE}, actor=authenticated("lena"))


def started(field: Path) -> str:
    with opened(field, "right") as runtime:
        steps = [{"tool": "files", "args": {"operation": "edit", "path": "note.txt", "old": "right", "new": "done"}}, {"commands": ["pwd > where.txt"]}]
        run = runtime.start({"problem": {"title": "note"}, "action": {"steps": steps}})
        assert run.status == "awaiting_approval"
        return run.id


def finished(run: Run) -> None:
    for request in run.requests:
        if request.is_open:
            run._runtime.decide(request.id, "approve", reason="seen")
    assert run.status == "completed", run.results


def test_an_approval_given_from_another_folder_acts_where_the_run_was_started(field: Path) -> None:
    run_id = started(field)
    with opened(field, "wrong") as runtime:
        assert runtime.place(run_id).workspace == field / "right"
        finished(runtime.run(run_id))
    assert (field / "right" / "note.txt").read_text() == "done\n"
    assert (field / "right" / "where.txt").read_text() == f"{field / 'right'}\n"
    assert sorted(path.name for path in (field / "wrong").iterdir()) == ["note.txt"]
    assert (field / "wrong" / "note.txt").read_text() == "wrong\n"


def test_it_is_judged_where_it_acts(field: Path) -> None:
    outside = field.parent / "outside.txt"
    outside.write_text("x")
    (field / "right" / "link").symlink_to(outside)
    (field / "wrong" / "link").write_text("a plain file")
    with opened(field, "right") as runtime:
        run = runtime.start({"problem": {"title": "read"}, "action": {"steps": [{"commands": ["cat link"]}]}})
        assert run.status == "awaiting_approval", "the link leads out"
    with opened(field, "wrong") as runtime:
        assert runtime.run(run.id).risk is not None
        assert runtime.run(run.id).risk.level > Level.LOW  # type: ignore[union-attr]
        assert runtime.run(run.id).resume().status == "awaiting_approval"


def test_home_and_workspace_can_be_moved_together(field: Path) -> None:
    run_id = started(field)
    moved = field.rename(field.parent / "elsewhere")
    with opened(moved, "wrong") as runtime:
        finished(runtime.run(run_id))
    assert (moved / "right" / "note.txt").read_text() == "done\n"


def test_a_workspace_that_is_gone_is_said_and_the_run_can_be_cancelled(field: Path) -> None:
    run_id = started(field)
    shutil.rmtree(field / "right")
    with opened(field, "wrong") as runtime:
        run = runtime.run(run_id)
        (waits,) = run.requests
        with pytest.raises(IllegalTransition, match="right"):
            runtime.decide(waits.id, "approve")
        assert waits.is_open and not run.requests[0].decisions, "nothing was recorded that would have to be taken back"
        assert run.cancel("gone").status == "cancelled"


def test_a_workspace_that_was_changed_in_the_ledger_is_not_acted_in(field: Path) -> None:
    run_id = started(field)
    with contextlib.closing(sqlite3.connect(field / ".assent" / "ledger.db")) as c, c:
        (ask,) = c.execute("SELECT ask FROM run").fetchone()
        forged = json.loads(ask) | {"workspace": "wrong"}
        c.execute("UPDATE run SET ask = ?", (json.dumps(forged, separators=(",", ":"), sort_keys=True).encode(),))
    with opened(field, "right") as runtime, pytest.raises(StoreCorrupt):
        finished(runtime.run(run_id))
    assert (field / "wrong" / "note.txt").read_text() == "wrong\n"


def test_a_command_needs_no_workspace_for_a_run_that_exists_and_refuses_another(field: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(field)
    document = field / "plan.yaml"
    document.write_text("problem: {title: note}\naction: {steps: [{tool: files, args: {operation: write, path: new.txt, content: x}}]}\n")
    shell = CliRunner()
    begun = shell.invoke(app, ["run", "plan.yaml", "--workspace", "right"])
    assert begun.exit_code == 3, begun.output
    asked = json.loads(shell.invoke(app, ["inbox", "--json"]).stdout)[0]["id"]
    refused = shell.invoke(app, ["approve", asked, "--workspace", "wrong"])
    assert (refused.exit_code, "acts in" in refused.stderr) == (1, True)
    assert str(field / "right") in json.loads(shell.invoke(app, ["show", asked, "--json"]).stdout)["workspace"]
    assert shell.invoke(app, ["approve", asked]).exit_code == 0
    assert (field / "right" / "new.txt").read_text() == "x"
    assert not (field / "new.txt").exists()


def test_a_delivery_approved_from_another_folder_is_analysed_and_tested_where_it_acts(tmp_path: Path) -> None:
    right = Delivery(tmp_path)
    run_id = right.open("lena").start(document(write("new.txt", "x\n")), graph="delivery").id
    other = Delivery(tmp_path, said=right.said)
    other.workspace = tmp_path / "elsewhere"
    other.workspace.mkdir()
    runtime = other.open("lena")
    run = runtime.run(run_id)
    assert run.status == "awaiting_approval"
    while run.status.is_waiting:
        run = runtime.decide(run.requests[-1].id, "approve", reason="seen")
    assert (run.status, (right.workspace / "new.txt").exists()) == ("completed", True)
    looked = {name: told.body.content["inputs"]["path"] for name, told in (right.told | other.told).items()}
    assert set(looked.values()) == {str(right.workspace)} and "tests" in other.told
    assert list(other.workspace.iterdir()) == []
    right.close()
    other.close()


def test_a_model_that_plans_or_reads_for_a_run_sees_the_folder_of_that_run(field: Path) -> None:
    run_id = started(field)
    (field / "right" / "README.md").write_text("the right one\n")
    (field / "wrong" / "README.md").write_text("the wrong one\n")
    with Runtime(field / ".assent", workspace=field / "wrong", config={"actors": PEOPLE}, actor=authenticated("lena"), model=ScriptedModel()) as runtime:
        assert runtime.planner is not None
        assert runtime.planner.facts(run_id).readme == "the right one"
        calls = PhaseCalls(runtime, ["files"], who="an agent", about="its work", author="model:scripted", beside=run_id)
        assert "the right one" in str(calls("files", {"operation": "read", "path": "README.md"}, "1").output)
