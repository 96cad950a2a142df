"""The examples are real: each is run from a copy, the way its README says, and what it promises is looked at in the world."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import assent
from assent.runtime.cli.app import app

EXAMPLES = Path(assent.__file__).parent / "examples"


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a newcomer with a copy of the examples."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSENT_HOME", raising=False)
    return tmp_path


def call(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def prepared(name: str) -> list[str]:
    """Prepare an example and return the words of its command."""
    subprocess.run([sys.executable, f"examples/{name}/prepare.py", "place"], check=True, capture_output=True)
    return ["run", f"examples/{name}/plan.yaml", "--workspace", "place"]


def approved() -> Any:
    (asked,) = json.loads(call("inbox", "--json").stdout)
    return call("approve", asked["id"])


def test_the_slow_query_gets_its_index_after_somebody_said_yes_in_another_process(copied: Path) -> None:
    assert call(*prepared("slow_query")).exit_code == 3
    with closing(sqlite3.connect(copied / "place" / "shop.db")) as c:
        assert c.execute("SELECT count(*) FROM orders").fetchone()[0] >= 300_000
        assert c.execute("SELECT count(*) FROM sqlite_master WHERE type = 'index'").fetchone()[0] == 0
    found = approved()
    assert found.exit_code == 0, found.output
    assert "measure 1/1 before" in found.stdout and ", met" in found.stdout and "success" in found.stdout
    with closing(sqlite3.connect(copied / "place" / "shop.db")) as c:
        assert c.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall() == [("idx_orders_customer",)]
    assert call("verify").exit_code == 0


def test_the_release_notes_are_as_they_were_when_the_last_step_failed(copied: Path) -> None:
    words = prepared("release_notes")
    notes = copied / "place" / "docs"
    before = {path.name: path.read_bytes() for path in notes.iterdir()}
    found = call(*words)
    if found.exit_code == 3:
        found = approved()
    assert found.exit_code == 1 and "rolled back" in found.stdout, found.output
    assert {path.name: path.read_bytes() for path in notes.iterdir()} == before
    assert call("verify").exit_code == 0


def test_the_read_only_report_asks_nobody(copied: Path) -> None:
    found = call(*prepared("read_only_report"))
    assert found.exit_code == 0 and "success" in found.stdout, found.output
    assert json.loads(call("inbox", "--json").stdout) == []
    (run,) = json.loads(call("runs", "--json").stdout)
    assert json.loads(call("log", run["id"], "--json").stdout)["approved_by"] == "system:auto"
