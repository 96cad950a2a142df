"""A host with a SQLite checkpointer of its own dies while people are asked, and another process goes on: tool, subgraph and middleware."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assent.runtime.runtime import Runtime

from .agents import extra

extra("langchain.agents")
extra("langgraph.checkpoint.sqlite.aio")

_LEAVE = "import sys\nopen(sys.argv[2], 'a').write(sys.argv[1] + '\\n')\n"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_another_process_goes_on_with_every_kind_of_host(home: Path, workspace: Path, tmp_path: Path, mode: str) -> None:
    (workspace / "leave.py").write_text(_LEAVE)
    effects = tmp_path / "effects"

    def host(does: str) -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-m", "assent.tests.embedded_host", does, mode, str(home), str(workspace), str(tmp_path / "host.db"), str(effects)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode in (0, 9), done.stderr
        return done.returncode, {found["way"]: found for found in map(json.loads, done.stdout.splitlines())}

    code, asked = host("ask")
    assert code == 9
    # Several proposals at once ask each for itself; calls of an agent's own tools ask one after the other.
    assert {way: len(found["asks"]) for way, found in asked.items()} == {"tool": 2, "subgraph": 1, "middleware": 1}
    assert effects.read_text().split() == ["low"]

    with Runtime(home, workspace=workspace) as person:
        waiting = {request.id: str(person.ledger.plan(request.run_id)) for request in person.inbox()}
        assert {request for found in asked.values() for request in found["asks"]} <= set(waiting)
        for request, about in waiting.items():
            person.decide(request, "reject" if " t2 " in about or "'m2'" in about else "approve", reason="only the first", resume=False)

    code, ended = host("go_on")
    assert (code, {way: found["asks"] for way, found in ended.items()}) == (0, {"tool": [], "subgraph": [], "middleware": []})
    assert sorted(effects.read_text().split()) == ["low", "m1", "s", "t1"]
    assert [json.loads(said)["status"] for said in ended["tool"]["said"]] == ["completed", "rejected"]
    assert ended["subgraph"]["said"] == ["completed"]
    first, low, second = ended["middleware"]["said"]
    assert (first, low, "only the first" in second) == ("left m1", "left low", True)
    with Runtime(home, workspace=workspace) as person:
        assert person.verify().ok
