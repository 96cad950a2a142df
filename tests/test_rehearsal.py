"""The way back is tried in a copy of the workspace: what can be tried is, what cannot is said, and the workspace itself is never touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from assent.runtime.runtime import Runtime

from .delivery_world import document, write

Door = Callable[..., Runtime]
PRINT = {"tool": "shell", "args": {"command": "printf x >> log.txt"}}


def done(door: Door, *steps: dict[str, Any], **config: Any) -> tuple[Runtime, str]:
    runtime = door("lena", **config)
    run = runtime.start(document(*steps))
    if run.status == "awaiting_approval":
        run = runtime.decide(run.requests[0].id, "approve")
    assert run.status == "completed", run.results
    return runtime, run.id


def seen(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_files_are_taken_back_in_a_copy_last_first_and_seen(door: Door, workspace: Path) -> None:
    (workspace / "a.txt").write_text("one\n")
    edit = {"tool": "files", "args": {"operation": "edit", "path": "a.txt", "old": "one", "new": "two"}}
    again = {"tool": "files", "args": {"operation": "edit", "path": "a.txt", "old": "two", "new": "three"}}
    move = {"tool": "files", "args": {"operation": "move", "path": "a.txt", "to": "b/c.txt"}}
    runtime, run = done(door, edit, again, move, write("new.txt", "x\n"))
    before = seen(workspace)
    found = runtime.rehearse(run)
    assert (found.tested, found.steps, found.verified, found.untested) == (True, (4, 3, 2, 1), (4, 3, 2, 1), ())
    assert seen(workspace) == before


def test_a_file_that_somebody_changed_since_is_no_way_back(door: Door, workspace: Path) -> None:
    runtime, run = done(door, write("a.txt", "x\n"))
    (workspace / "a.txt").write_text("somebody else\n")
    found = runtime.rehearse(run)
    assert (found.tested, found.steps) == (False, ())
    assert "changed since" in found.untested[0]


def test_bytes_that_are_not_kept_any_more_are_no_way_back(door: Door, workspace: Path) -> None:
    (workspace / "a.txt").write_text("the earlier text\n")
    runtime, run = done(door, write("a.txt", "x\n"))
    kept = runtime.ledger.dispatches(run)[0].before["digest"].removeprefix("sha256:")
    (runtime.keep.blobs / kept[:2] / kept).unlink()
    assert not runtime.rehearse(run).tested


def test_a_statement_is_taken_back_in_a_copy_of_its_database(door: Door, workspace: Path) -> None:
    with closing(sqlite3.connect(workspace / "shop.db")) as c:
        c.executescript("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT);")
    index = {
        "tool": "sql", "args": {"database": "shop.db", "statement": "CREATE INDEX i ON orders (item)"}, "undo": {"tool": "sql", "args": {"database": "shop.db", "statement": "DROP INDEX i"}},
    }
    runtime, run = done(door, index)
    found = runtime.rehearse(run)
    assert (found.tested, found.steps, found.verified) == (True, (1,), (1,))
    with closing(sqlite3.connect(workspace / "shop.db")) as c:
        assert c.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall() == [("i",)]


def test_a_wrong_undo_is_found_out_beforehand(door: Door, workspace: Path) -> None:
    with closing(sqlite3.connect(workspace / "shop.db")) as c:
        c.executescript("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT);")
    index = {
        "tool": "sql", "args": {"database": "shop.db", "statement": "CREATE INDEX i ON orders (item)"}, "undo": {"tool": "sql", "args": {"database": "shop.db", "statement": "DROP INDEX j"}},
    }
    runtime, run = done(door, index)
    found = runtime.rehearse(run)
    assert (found.tested, "could not be taken back" in found.untested[0]) == (False, True)


def test_a_written_command_is_not_tried_unless_the_rules_say_so(door: Door, workspace: Path) -> None:
    step = {**PRINT, "undo": {"tool": "shell", "args": {"command": "rm log.txt"}}}
    runtime, run = done(door, step)
    found = runtime.rehearse(run)
    assert (found.tested, "not tried beforehand" in found.untested[0]) == (False, True)
    later = door("lena", delivery={"rehearse": "everything"})
    found = later.rehearse(run)
    assert (found.tested, found.steps) == (True, (1,))
    assert (workspace / "log.txt").read_text() == "x", "only the copy's file is gone"


def test_what_no_tool_takes_back_is_said_and_what_only_reads_is_not_asked_for(door: Door, workspace: Path) -> None:
    runtime, run = done(door, PRINT, {"tool": "shell", "args": {"command": "ls"}})
    found = runtime.rehearse(run)
    assert (found.tested, len(found.untested), "cannot be taken back by a tool" in found.untested[0]) == (False, 1, True)


def test_a_home_inside_of_the_workspace_is_no_part_of_it(tmp_path: Path) -> None:
    with Runtime(tmp_path / "keeps", workspace=tmp_path, config={"preset": "solo"}) as runtime:
        before = runtime.delivery_ports.analysis_inputs("")
        run = runtime.start(document(write("a.txt", "x\n")))
        assert runtime.delivery_ports.analysis_inputs("") == before, "the ledger has grown, the project has not"
        run = runtime.decide(run.requests[0].id, "approve")
        assert runtime.rehearse(run.id).tested
        assert runtime.delivery_ports.analysis_inputs("")["tree"] != before["tree"]
