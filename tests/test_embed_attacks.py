"""An agent that acts as the same operating-system user tries to answer for its person: through commands, code, files and the door's token."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

import assent
from assent.policies.risk.assess import assess
from assent.policies.risk.surroundings import Surroundings
from assent.runtime.assess import surroundings
from assent.runtime.runtime import Runtime
from assent.runtime.testing import authenticated
from assent.schemas.dispatch import Effects
from assent.schemas.errors import NotAllowed

from .agents import START as GO
from .agents import calls, extra, on, says

create_agent: Any = extra("langchain.agents").create_agent

from assent.runtime.embed import Governed, declared

Door = Callable[..., Runtime]
AROUND = Surroundings(workspace="/srv/app", own=("/srv/app/gov",), listing={"/srv/app/gov/door": ("token",)}.get)


def level(kind: str, payload: Any, around: Surroundings = AROUND) -> str:
    return assess(kind, payload, around).level.value


@pytest.mark.parametrize(
    "command",
    [
        "assent approve req_1", "assent --home gov approve req_1", "assent settle req_1 happened", "assent edit req_1 --file plan.yaml", "assent grant shell --command x",
        "assent reject req_1", "assent sweep", "assent serve", "assent decisions --due", "assent backup restore copy.db", "yes | assent approve req_1",
        "python -m assent approve req_1", "python3 -I -m assent approve req_1", "/opt/venv/bin/assent approve req_1", "./assent approve req_1", "uv run assent approve req_1",
        "env -u ASSENT_AGENT assent approve req_1", "ASSENT_HOME=gov assent approve req_1", "sudo -u ann assent approve req_1", "timeout 5 assent approve req_1",
        "bash -c 'assent approve req_1'", "xargs assent approve < ids", "a=assent; $a approve req_1", 'ass""ent app"r"ove req_1', "echo ok && assent approve req_1",
        'python3 -c "import assent; assent.open().decide(1, 2)"', "unset ASSENT_AGENT",
    ],
)  # fmt: skip
def test_a_command_that_answers_for_a_person_is_critical(command: str) -> None:
    """It takes two people entitled to that; one who approves what their agent does cannot wave it through."""
    assert level("shell", command) == "CRITICAL"


@pytest.mark.parametrize(
    "code",
    [
        "import assent\nassent.open().decide('req_1', 'approve')", "from assent.runtime.runtime import Runtime", "__import__('assent')",
        "import importlib; importlib.import_module('assent')", "import subprocess; subprocess.run(['assent', 'approve', 'req_1'])",
        "import os; del os.environ['ASSENT_AGENT']", "open('gov/config.yaml', 'w')", "import sqlite3; sqlite3.connect('/srv/app/gov/ledger.db')",
        "import sqlite3; sqlite3.connect('.assent/ledger.db')",
    ],
)  # fmt: skip
def test_code_that_reaches_the_runtime_is_critical(code: str) -> None:
    assert level("python", code) == "CRITICAL"


@pytest.mark.parametrize("path", ["gov/ledger.db", "./gov/../gov/config.yaml", "/srv/app/gov/door/token", "gov"])
def test_the_runtimes_own_folder_is_known_by_where_it_is(path: str) -> None:
    """`home` may have any name."""
    assert level("file_write", {"path": path, "content": "x"}) == "CRITICAL"
    assert level("file_read", path) == "HIGH"
    assert level("shell", f"echo x > {path}") == "CRITICAL"
    assert level("shell", f"cat {path}") == "HIGH"
    assert level("shell", f"cd gov && cat {path.rpartition('/')[2]}") == "HIGH"
    assert level("shell", f"cat {path}", Surroundings(workspace="/srv/app")) in ("LOW", "HIGH")  # without the folder, only names speak


def test_a_link_into_the_own_folder_is_followed() -> None:
    around = Surroundings(workspace="/srv/app", own=("/srv/app/gov",), resolve=lambda path: path.replace("/srv/app/link", "/srv/app/gov"))
    assert level("file_read", "link/door/token", around) == "HIGH"
    assert level("file_write", {"path": "link/config.yaml", "content": "x"}, around) == "CRITICAL"


def test_a_search_that_would_print_the_doors_token_is_asked_about() -> None:
    assert level("shell", "grep -r '' .") == "HIGH"
    assert level("shell", "grep -rn todo src") == "LOW"
    assert level("shell", "grep -r '' .", Surroundings(workspace="/srv/app", own=("/srv/app/gov",))) == "LOW"  # no door was ever opened


def test_everyday_words_about_assent_stay_what_they_were() -> None:
    for command in ("grep -rn 'assent approve' docs", "cat docs/assent.md", "git log --oneline -- assent.yaml", "echo assent approve is a command"):
        assert level("shell", command) == "LOW", command


def test_a_runtime_judges_with_its_own_folder(door: Door, home: Path, workspace: Path) -> None:
    assert door().surroundings.own == (str(home),)
    assert assess("file_write", {"path": str(home / "config.yaml"), "content": ""}, surroundings(str(workspace), own=(str(home),))).level == "CRITICAL"


# --- inside an agent ------------------------------------------------------------------------------------------------------------------------


def own_tools(runtime: Runtime) -> list[Any]:
    """What a careless developer gives an agent: the runtime itself, and a shell."""

    @tool
    @declared(effects=Effects(reads=True))
    def approve(request_id: str) -> str:
        """Approve a request."""
        return str(runtime.decide(request_id, "approve").status)

    @tool
    @declared(effects=Effects(reads=True))
    async def approve_as(request_id: str, name: str) -> str:
        """Approve a request as somebody."""
        return str((await runtime.adecide(request_id, "approve", actor=authenticated(name))).status)

    @tool
    @declared(effects=Effects(reads=True))
    def grant(command: str) -> str:
        """Grant a command."""
        return str(runtime.grant("shell", command=command, reason="mine", valid_for="1 hour"))

    @tool
    @declared(actions=lambda args: [("shell", args["command"])])
    def shell(command: str) -> str:
        """Run a command."""
        return subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout

    return [approve, approve_as, grant, shell]


@pytest.mark.parametrize(
    "call", [("approve", {}), ("approve_as", {"name": "lena"}), ("approve_as", {"name": "ada"}), ("grant", {"command": "make"})], ids=lambda call: "-".join([call[0], *call[1].values()]),
)  # fmt: skip
async def test_a_tool_that_reaches_the_runtime_is_nobody_who_decides(door: Door, call: Any) -> None:
    """The tool is even declared harmless; what it does, it does for the agent."""
    runtime = door("lena")
    wanted = runtime.start({"problem": {"title": "x"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "make"}}]}}).requests[0]
    name, args = call
    made = calls((name, args if name == "grant" else {"request_id": wanted.id, **args}))
    agent = create_agent(says(made, "ok"), own_tools(runtime), middleware=[Governed(runtime)], checkpointer=InMemorySaver())
    with pytest.raises(NotAllowed, match=r"only people decide|cannot grant"):
        await agent.ainvoke(GO, on("t"))
    assert (runtime.ledger.request(wanted.id).decisions, runtime.actor.kind) == ((), "human")
    assert runtime.decide(wanted.id, "reject").status == "rejected"  # the person at this door still can


def test_a_shell_tool_that_would_approve_its_own_question_takes_two_people(door: Door) -> None:
    runtime = door("lena")
    made = calls(("shell", {"command": "assent inbox --json | python3 -m assent approve -"}))
    agent = create_agent(says(made, "ok"), own_tools(runtime), middleware=[Governed(runtime)], checkpointer=InMemorySaver())
    (asked,) = agent.invoke(GO, on("t"))["__interrupt__"]
    assert asked.value["risk"] == "CRITICAL"
    with pytest.raises(NotAllowed, match="admin"):
        runtime.decide(asked.value["request_id"], "approve", reason="looks fine")


# --- inside a step --------------------------------------------------------------------------------------------------------------------------

_TRY = """
import os, subprocess, sys
env = {**os.environ, "PYTHONPATH": %r}
done = subprocess.run([sys.executable, "-m", "assent", "approve", %r, "--home", %r, "--reason", "fine"], capture_output=True, text=True, env=env)
print(done.returncode, done.stderr)
"""


def test_a_step_that_runs_the_command_line_is_nobody_who_decides(home: Path, workspace: Path) -> None:
    """What a program does that somebody approved without reading it; it runs as the very user who approves."""
    plan = {"problem": {"title": "x"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": f"{sys.executable} try.py"}}]}}
    with Runtime(home, workspace=workspace) as runtime:
        other = runtime.start({**plan, "problem": {"title": "the one that it wants"}})
        source = os.pathsep.join(dict.fromkeys([*os.environ.get("PYTHONPATH", "").split(os.pathsep), str(Path(assent.__file__).parent.parent)]))
        (workspace / "try.py").write_text(_TRY % (source, other.requests[0].id, str(home)))
        run = runtime.start(plan)
        run = runtime.decide(run.requests[0].id, "approve")
        said = runtime.ledger.dispatches(run.id)[0].receipt
        assert said is not None
        assert "only people decide" in str(said.output), said
        assert (runtime.run(other.id).status, runtime.ledger.request(other.requests[0].id).decisions) == ("awaiting_approval", ())


@pytest.mark.parametrize("actor", [None, "lena", {"id": "lena", "kind": "human"}])
def test_under_the_mark_nobody_is_a_person_whatever_name_is_given(home: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, actor: Any) -> None:
    step = {"step": 1, "tool": "shell", "args": {"command": "make"}}
    with Runtime(home, workspace=workspace) as runtime:
        request = runtime.start({"problem": {"title": "x"}, "action": {"steps": [step]}}).requests[0]
    monkeypatch.setenv("ASSENT_AGENT", "1")
    with Runtime(home, workspace=workspace, actor=actor) as runtime:
        assert runtime.actor.kind == "agent"
        with pytest.raises(NotAllowed, match="only people decide"):
            runtime.decide(request.id, "approve")
        with pytest.raises(NotAllowed, match="only people decide"):
            runtime.decide(request.id, "approve", actor="ann")
