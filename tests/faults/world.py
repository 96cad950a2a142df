"""The world that the fault tests act on: two plans, what they do to a workspace, and whether what came of them is right.

- `completes`: five steps that succeed, and a measure before and after; a person may then take the whole run back.
- `undone`: five steps that succeed and a last one that fails, so that all of them are taken back.

Every effect leaves a trace that can be counted: a row, a letter in a file that is only appended to, a file's exact bytes. An undo of the
shell step appends another letter instead of removing the first, so that an undo that ran twice shows too.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

WRITE = {"tool": "files", "args": {"operation": "write", "path": "notes/new.txt", "content": "new\n"}}
EDIT = {"tool": "files", "args": {"operation": "edit", "path": "readme.txt", "old": "old words", "new": "new words"}}
MOVE = {"tool": "files", "args": {"operation": "move", "path": "draft.txt", "to": "kept/final.txt"}}
DELETE = {"tool": "files", "args": {"operation": "delete", "path": "stale.txt"}}
INSERT = {
    "tool": "sql",
    "args": {"database": "shop.db", "statement": "INSERT INTO orders (item) VALUES ('x')"},
    "undo": {"tool": "sql", "args": {"database": "shop.db", "statement": "DELETE FROM orders WHERE item = 'x'"}},
}
INDEX = {
    "tool": "sql",
    "args": {"database": "shop.db", "statement": "CREATE INDEX orders_item ON orders (item)"},
    "undo": {"tool": "sql", "args": {"database": "shop.db", "statement": "DROP INDEX orders_item"}},
}
SHELL = {
    "tool": "shell",
    "args": {"command": "printf x >> effects.log"},
    "undo": {"tool": "shell", "args": {"command": "printf y >> effects.log"}},
}
FAILS = {"tool": "files", "args": {"operation": "edit", "path": "readme.txt", "old": "words that are not there", "new": "…"}}
COUNT = {"criterion": "orders = 3", "tool": "sql", "args": {"database": "shop.db", "statement": "SELECT count(*) FROM orders"}, "read": "value"}

SCENARIOS: dict[str, dict[str, Any]] = {
    "completes": {"steps": [WRITE, EDIT, MOVE, INSERT, SHELL], "measures": [COUNT], "ends": "completed"},
    "undone": {"steps": [WRITE, DELETE, EDIT, INDEX, SHELL, FAILS], "measures": [], "ends": "rolled_back"},
}


def plan_of(scenario: str) -> dict[str, Any]:
    """Return the plan of a scenario in its JSON form."""
    written = SCENARIOS[scenario]
    steps = [{"step": number, **step} for number, step in enumerate(written["steps"], 1)]
    return {"form": "assent.plan/1", "problem": {"title": scenario, "success_criteria": ["orders = 3"]}, "steps": steps, "measures": written["measures"]}


def build(workspace: Path) -> None:
    """Make the workspace as it is before anything runs."""
    workspace.mkdir(parents=True)
    (workspace / "readme.txt").write_text("some old words\n")
    (workspace / "draft.txt").write_text("a draft\n")
    (workspace / "stale.txt").write_text("stale\n")
    (workspace / "readme.txt").chmod(0o640)
    with closing(sqlite3.connect(workspace / "shop.db")) as connection:
        connection.executescript("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT); INSERT INTO orders (item) VALUES ('a'), ('b');")


def look(workspace: Path) -> dict[str, Any]:
    """Return everything that is in the workspace: each file with mode and content, each folder, rows and schema of the database."""
    seen: dict[str, Any] = {}
    for folder, folders, files in os.walk(workspace):
        here = Path(folder)
        for name in folders:
            seen[f"{(here / name).relative_to(workspace)}/"] = "folder"
        for name in files:
            path = here / name
            # The bytes of a database differ from run to run; its rows are read below. A file beside it that stayed is a finding.
            content = "a database" if name == "shop.db" else hashlib.sha256(path.read_bytes()).hexdigest()[:12] + " " + repr(path.read_bytes()[:40])
            seen[str(path.relative_to(workspace))] = f"{stat.S_IMODE(path.stat().st_mode):o} {content}"
    if (workspace / "shop.db").exists():
        with closing(sqlite3.connect(workspace / "shop.db", timeout=5)) as connection:
            seen["rows"] = [list(row) for row in connection.execute("SELECT item FROM orders ORDER BY id").fetchall()]
            seen["schema"] = [list(row) for row in connection.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall()]
            seen["whole"] = connection.execute("PRAGMA integrity_check").fetchone()[0]
    return seen


def happened(workspace: Path, scenario: str, number: int, direction: str) -> bool:
    """Look, as a person would who is asked whether a step, or its undo, happened."""
    seen = state_of(workspace, SCENARIOS[scenario]["steps"][number - 1])
    return seen in ("there", "taken back") if direction == "do" else seen != "there"


def twice(workspace: Path) -> list[str]:
    """Return every effect that is there more than once."""
    found = [f"the shell wrote {letter} {letters(workspace).count(letter)} times" for letter in "xy" if letters(workspace).count(letter) > 1]
    if orders(workspace).count("x") > 1:
        found.append("the row was inserted twice")
    return found


def letters(workspace: Path) -> str:
    """Return what the shell steps appended."""
    path = workspace / "effects.log"
    return path.read_text() if path.exists() else ""


def orders(workspace: Path) -> list[str]:
    """Return the items of the orders."""
    with closing(sqlite3.connect(workspace / "shop.db", timeout=5)) as connection:
        return [row[0] for row in connection.execute("SELECT item FROM orders")]


def state_of(workspace: Path, step: dict[str, Any]) -> str:
    """Return what the world shows of a step: `there`, `absent`, `taken back` (which only the shell can show) or a sentence of what is wrong."""
    tool, args = step["tool"], step["args"]
    if tool == "shell":
        return {"": "absent", "x": "there", "xy": "taken back"}.get(letters(workspace), f"the shell wrote {letters(workspace)!r}")
    if step["args"].get("statement", "").startswith("CREATE INDEX"):
        return "there" if ["index", "orders_item"] in look(workspace)["schema"] else "absent"
    if tool == "sql":
        count = orders(workspace).count("x")
        return ("absent", "there")[count] if count < 2 else f"the row is there {count} times"
    path = workspace / args["path"]
    if args["operation"] == "write":
        return "absent" if not path.exists() else "there" if path.read_text() == args["content"] else "half written"
    if args["operation"] == "edit":
        text = path.read_text()
        return "there" if args["new"] in text else "absent" if text in ("some old words\n", "some new words\n") else "half edited"
    if args["operation"] == "delete":
        return "absent" if path.exists() else "there"
    places = (path.exists(), (workspace / args["to"]).exists())
    return {(True, False): "absent", (False, True): "there", (True, True): "under both names", (False, False): "gone"}[places]
