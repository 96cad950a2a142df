"""A call of an agent's own tool, decided at doors that do not know the tool: the answer counts, and only the agent acts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from assent.runtime.runtime import Runtime
from assent.runtime.testing import authenticated
from assent.schemas.errors import InvalidPlan, NotAllowed

from .agents import START as GO
from .agents import calls, extra, on, says, told

create_agent: Any = extra("langchain.agents").create_agent

from assent.runtime.embed import Governed, declared

Door = Callable[..., Runtime]


class Setting:
    """An agent that waits for an answer about one call."""

    def __init__(self, runtime: Runtime) -> None:
        self.sent: list[str] = []
        sent = self.sent

        @tool
        @declared(actions=lambda args: [("file_write", {"path": "letters.txt", "content": args["to"]})])
        def send(to: str) -> str:
            """Send a letter."""
            sent.append(to)
            return f"sent to {to}"

        self.runtime = runtime
        self.agent = create_agent(says(calls(("send", {"to": "bob"})), "ok"), [send], middleware=[Governed(runtime)], checkpointer=InMemorySaver())
        self.request_id = self.agent.invoke(GO, on("t"))["__interrupt__"][0].value["request_id"]

    def ring(self) -> Any:
        return self.agent.invoke(Command(resume="ring"), on("t"))


@pytest.fixture
def setting(door: Door) -> Setting:
    return Setting(door())


def test_an_answer_at_the_same_runtime_leaves_the_call_to_the_agent(setting: Setting) -> None:
    run = setting.runtime.decide(setting.request_id, "approve", actor=authenticated("lena"))
    assert (run.status, setting.sent) == ("running", [])
    assert setting.runtime.resume(run.id).status == "running"
    assert (told(setting.ring())[0].content, setting.sent, run.status) == ("sent to bob", ["bob"], "completed")


def test_an_answer_at_another_door_leaves_the_call_to_the_agent(setting: Setting, door: Door) -> None:
    other = door("lena")
    assert other.ledger.risk(other.ledger.plan(other.inbox()[0].run_id)).whole.level == "HIGH"  # type: ignore[arg-type]
    run = other.decide(setting.request_id, "approve")
    assert (run.status, setting.sent) == ("running", [])
    assert (told(setting.ring())[0].content, setting.sent) == ("sent to bob", ["bob"])


def test_what_is_not_known_there_takes_more_than_it_takes_here(setting: Setting, door: Door) -> None:
    """MEDIUM at the agent's door, where the declaration is; HIGH where it is not, so a developer is not enough."""
    with pytest.raises(NotAllowed, match="lead or admin"):
        door("dora").decide(setting.request_id, "approve")
    setting.runtime.decide(setting.request_id, "approve", actor=authenticated("dora"))
    setting.ring()
    assert setting.sent == ["bob"]


def test_a_rejection_at_another_door_reaches_the_agent(setting: Setting, door: Door) -> None:
    door("lena").decide(setting.request_id, "reject", reason="not bob")
    (message,) = told(setting.ring())
    assert (message.status, "not bob" in str(message.content), setting.sent) == ("error", True, [])


def test_an_edit_needs_a_door_that_knows_the_tool(setting: Setting, door: Door) -> None:
    with pytest.raises(InvalidPlan, match="there is no tool"):
        door("lena").decide(setting.request_id, "edit", edit={"steps": {1: {"args": {"to": "eve"}}}})
    setting.runtime.decide(setting.request_id, "edit", edit={"steps": {1: {"args": {"to": "eve"}}}}, actor=authenticated("lena"))
    again = setting.ring()["__interrupt__"][0].value["request_id"]
    door("lena").decide(again, "approve")
    setting.ring()
    assert setting.sent == ["eve"]


def test_a_sweep_elsewhere_does_not_act_for_the_agent(setting: Setting, door: Door) -> None:
    door("lena").decide(setting.request_id, "approve", resume=False)
    door("lena").sweep()
    setting.runtime.sweep()
    assert setting.sent == []
    setting.ring()
    assert setting.sent == ["bob"]


def test_the_command_line_shows_and_answers_it(home: Path, workspace: Path) -> None:
    def cli(*args: str) -> str:
        command = [sys.executable, "-m", "assent", *args, "--home", str(home), "--workspace", str(workspace)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert "defect" not in done.stderr, done.stderr
        return done.stdout

    with Runtime(home, workspace=workspace) as runtime:  # by the real clock, like the command line's own process
        setting = Setting(runtime)
        assert setting.request_id in cli("inbox")
        assert "agent.send(to='bob')" in cli("show", setting.request_id)
        assert "running" in cli("approve", setting.request_id)
        assert setting.sent == []
        setting.ring()
        assert setting.sent == ["bob"]
        assert "log is whole" in cli("verify")
