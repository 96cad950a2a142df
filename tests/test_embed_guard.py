"""guard: an agent that exists stays as it is where it is not governed; and what the package says without its extras."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assent.runtime.embed import guard
from assent.runtime.run import Run
from assent.runtime.runtime import Runtime
from assent.runtime.testing import Recorder, ScriptedModel, recorded
from assent.schemas.errors import InvalidConfiguration, ModelNeeded, NotAllowed

Door = Callable[..., Runtime]
LOW, HIGH = recorded({"effect": "low", "level": "LOW"}), recorded({"effect": "high", "level": "HIGH"})


class Agent:
    """An agent that exists already, and what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def sync(self, query: Any, *more: Any, mode: str = "fast") -> tuple[str, Any]:
        """Answer."""
        self.calls.append((query, more, mode))
        if query == "break":
            raise KeyError("its own error")
        return ("its own answer", query)

    async def later(self, query: Any, *more: Any, mode: str = "fast") -> tuple[str, Any]:
        """Answer later."""
        return self.sync(query, *more, mode=mode)


async def call(agent: Agent, runtime: Runtime, kind: str, mode: Any, /, *args: Any, **given: Any) -> Any:
    found = guard(agent.sync if kind == "sync" else agent.later, runtime, mode)(*args, **given)
    return await found if kind == "async" else found


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


#        mode         governed  plan   governed?
TABLE = [
    ("opt_in", None, HIGH, False),
    ("opt_in", False, HIGH, False),
    ("opt_in", True, LOW, True),
    ("opt_in", True, HIGH, True),
    ("default", None, LOW, True),
    ("default", None, HIGH, True),
    ("default", False, HIGH, False),
    ("high_risk", None, LOW, False),
    ("high_risk", None, HIGH, True),
    ("high_risk", False, HIGH, False),
    ("high_risk", True, LOW, True),
]


@pytest.mark.parametrize(("mode", "governed", "plan", "is_governed"), TABLE, ids=[f"{m}-{g}-{'high' if p is HIGH else 'low'}" for m, g, p, _ in TABLE])
async def test_who_answers(door: Door, recorder: Recorder, kind: str, mode: str, governed: bool | None, plan: Any, is_governed: bool) -> None:
    agent, runtime = Agent(), door()
    given = {} if governed is None else {"governed": governed}
    found = await call(agent, runtime, kind, mode, plan, **given)
    if not is_governed:
        assert (found, agent.calls, runtime.runs(), recorder.names) == (("its own answer", plan), [(plan, (), "fast")], [], [])
        return
    assert isinstance(found, Run)
    assert (found.status, agent.calls) == ("completed" if plan is LOW else "awaiting_approval", [])


async def test_an_agent_that_is_not_governed_behaves_as_before(door: Door, kind: str) -> None:
    agent, runtime = Agent(), door()
    assert await call(agent, runtime, kind, "opt_in", "q", 1, 2, mode="slow") == ("its own answer", "q")
    with pytest.raises(KeyError, match="its own error"):
        await call(agent, runtime, kind, "opt_in", "break")
    assert agent.calls == [("q", (1, 2), "slow"), ("break", (), "fast")]
    wrapped = guard(agent.sync if kind == "sync" else agent.later, runtime)
    assert (wrapped.__name__, wrapped.__doc__) == (("sync", "Answer.") if kind == "sync" else ("later", "Answer later."))


@pytest.mark.parametrize("mode", ["opt_in", "default", "high_risk"])
async def test_the_configuration_names_the_mode_where_the_program_does_not(door: Door, recorder: Recorder, kind: str, mode: str) -> None:
    agent, runtime = Agent(), door(guard=mode)
    assert isinstance(await call(agent, runtime, kind, None, LOW), Run) == (mode == "default")
    assert isinstance(await call(agent, runtime, kind, None, HIGH), Run) == (mode != "opt_in")
    assert isinstance(await call(agent, runtime, kind, "opt_in", HIGH), tuple)


async def test_without_waiting_the_handle_comes_at_once(door: Door, recorder: Recorder, kind: str) -> None:
    agent, runtime = Agent(), door()
    found = guard(agent.sync if kind == "sync" else agent.later, runtime, "default", wait=False)(LOW)
    run = await found if kind == "async" else found
    assert isinstance(run, Run)
    assert (await run.await_end(30)).status == "completed"


def test_a_mode_that_the_configuration_misspells_is_refused(door: Door) -> None:
    with pytest.raises(InvalidConfiguration, match="guard"):
        door(guard="sometimes")


def test_what_cannot_be_planned_is_not_called_harmless(door: Door) -> None:
    agent = Agent()
    with pytest.raises(ModelNeeded):
        guard(agent.sync, door(), "high_risk")("delete everything")
    assert agent.calls == []


@pytest.mark.parametrize("level", ["LOW", "HIGH"])
def test_plain_words_are_planned_once_and_the_plan_that_was_assessed_runs(home: Path, workspace: Path, recorder: Recorder, level: str) -> None:
    command = {"LOW": "ls", "HIGH": "curl -X POST https://example.com/orders"}[level]
    step = {"description": "do it", "tool": "shell", "args": {"command": command}, "rollback_plan": "nothing to take back", "estimated_time_s": 2, "cost_usd": "0"}
    measure = {"tool": "shell", "args": {"command": "ls"}, "read": "exit_code", "target": "= 0"}
    criteria = [{"text": "exit code = 0", "proposed": True, "measure": measure}]
    reply = {"problem": {"title": "List it", "description": "", "success_criteria": criteria}, "intent": "list", "steps": [step], "alternatives": []}
    agent, model = Agent(), ScriptedModel(reply)
    with Runtime(home, workspace=workspace, model=model) as runtime:
        planner = runtime.planner
        assert planner is not None
        found = guard(agent.sync, runtime, "high_risk")("list the files here")
        assert [prompt.name for prompt in model.asked].count("plan") == 1
        if level == "LOW":
            assert (found, runtime.runs()) == (("its own answer", "list the files here"), [])
        else:
            assert isinstance(found, Run)
            assert found.plan is not None
            assert (found.plan.steps[0].args["command"], found.status, agent.calls) == (command, "awaiting_approval", [])


def test_the_request_may_stand_anywhere(door: Door) -> None:
    def agent(context: dict[str, Any], *, task: Any) -> str:
        return "its own"

    found = guard(agent, door(), "default", request=lambda context, task: task)({"x": 1}, task=LOW)
    assert isinstance(found, Run)
    with pytest.raises(NotAllowed, match="says what is wanted"):
        guard(lambda: 1, door(), "default")()


def test_a_mode_or_an_agent_that_does_not_fit_is_refused(door: Door) -> None:
    with pytest.raises(NotAllowed, match="no mode"):
        guard(print, door(), "sometimes")  # type: ignore[arg-type]
    with pytest.raises(NotAllowed, match="of its own"):
        guard(lambda query, governed: query, door())


@pytest.mark.parametrize(("name", "package", "extra"), [("Governed", "langchain", "agents"), ("server", "mcp", "mcp")])
def test_a_missing_extra_is_named(name: str, package: str, extra: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None\nimport assent.runtime.embed as e\ntry:\n    e.{name}\nexcept Exception as error:\n    print(type(error).__name__, error.hint)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"InvalidConfiguration pip install 'assent[{extra}]'"


def test_the_tool_needs_no_extra_and_importing_the_package_loads_nothing() -> None:
    code = (
        "import sys; sys.modules['langchain'] = None\nimport assent.runtime.embed\n"
        "assert not {'langgraph', 'langchain_core', 'mcp'} & set(sys.modules), 'loaded'\nfrom assent.runtime.embed import as_tool, declared, guard"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
