"""The MCP server, as a real client sees it over standard input and output: propose, status, results, and nothing that decides."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from assent.runtime.runtime import Runtime

from .agents import extra

extra("mcp")

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

LOW = {"problem": {"title": "Say it"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "echo hello"}}]}}
HIGH = {"problem": {"title": "Leave a mark"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "python3 mark.py"}}]}}


@pytest.fixture
def connect(home: Path, workspace: Path) -> Callable[..., Any]:
    (workspace / "mark.py").write_text("open('mark', 'a').write('x')")

    @asynccontextmanager
    async def connecting(*more: str) -> AsyncIterator[Client]:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "assent", "mcp", "--home", str(home), "--workspace", str(workspace), *more], env={**os.environ},
        )
        async with Client(stdio_client(server)) as client:
            yield client

    return connecting


async def say(client: Client, tool: str, **given: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, given)
    assert not answer.is_error, answer.content
    found: dict[str, Any] = json.loads(answer.content[0].text)  # type: ignore[union-attr]
    return found


async def refusal(client: Client, tool: str, **given: Any) -> str:
    answer = await client.call_tool(tool, given)
    assert answer.is_error
    return str(answer.content[0].text)  # type: ignore[union-attr]


async def test_there_is_no_tool_that_decides(connect: Callable[..., Any]) -> None:
    async with connect() as client:
        tools = (await client.list_tools()).tools
        assert sorted(tool.name for tool in tools) == ["propose", "results", "status"]
        fields = {name for tool in tools for name in tool.input_schema["properties"]}
        assert fields == {"plan", "goal", "key", "run_id", "wait_s"}
        for name in ("approve", "decide", "edit", "grant"):
            assert "unknown" in (await refusal(client, name, request_id="req_x")).lower()
        # What is not known is refused and not left out, so that nobody believes to have been heard.
        for tool, given in (("propose", {"plan": LOW, "approve": True}), ("results", {"run_id": "run_x", "decision": "approve"}), ("status", {"run_id": "x", "actor": "ann"})):
            assert "not permitted" in await refusal(client, tool, **given)
        assert not (await client.list_resource_templates()).resource_templates


async def test_the_server_tells_how_a_plan_is_written(connect: Callable[..., Any]) -> None:
    """An agent elsewhere has no other documentation."""
    async with connect() as client:
        async def read(name: str) -> str:
            return str((await client.read_resource(f"assent://{name}")).contents[0].text)

        assert sorted(str(one.uri) for one in (await client.list_resources()).resources) == ["assent://format", "assent://runs", "assent://tools"]
        tools = json.loads(await read("tools"))
        assert {"command", "timeout_s"} == set(tools["shell"]["properties"])
        (propose,) = [tool for tool in (await client.list_tools()).tools if tool.name == "propose"]
        assert propose.description is not None
        for name in tools:
            assert f"{name}(" in propose.description
        # The document that it shows is one that it takes.
        document = (await read("format")).replace('"<path inside the workspace>"', "mark.py").replace('"<command>"', "ls")
        assert (await say(client, "propose", plan=document))["status"] == "awaiting_approval"
        (run,) = json.loads(await read("runs"))
        assert run["status"] == "awaiting_approval"
        asked = (await client.get_prompt("plan", {"goal": "tidy up"})).messages[0].content.text
        assert "tidy up" in asked
        assert "assent://" not in asked  # everything is in it


async def test_low_risk_runs_at_once_and_gives_its_output(connect: Callable[..., Any]) -> None:
    async with connect() as client:
        done = await say(client, "propose", plan=LOW)
        assert (done["status"], done["steps"][0]["output"]["stdout"]) == ("completed", "hello\n")
        assert (await say(client, "status", run_id=done["run_id"])) == {"run_id": done["run_id"], "status": "completed", "success": None}
        assert await say(client, "results", run_id=done["run_id"]) == done


async def test_the_rest_waits_for_a_person_at_another_door(connect: Callable[..., Any], home: Path, workspace: Path) -> None:
    async with connect() as client:
        waits = await say(client, "propose", plan=HIGH, key="once")
        assert waits["status"] == "awaiting_approval"
        (asked,) = waits["waits_for"]
        assert (await say(client, "results", run_id=waits["run_id"]))["status"] == "awaiting_approval"
        assert not (workspace / "mark").exists()
        with Runtime(home, workspace=workspace) as person:
            person.decide(asked["request_id"], "approve", reason="seen")
        assert (await say(client, "status", run_id=waits["run_id"]))["status"] == "completed"
        # The same proposal with the same key is the same run.
        assert (await say(client, "propose", plan=HIGH, key="once"))["run_id"] == waits["run_id"]
        assert (workspace / "mark").read_text() == "x"


async def test_waiting_for_the_answer_goes_on_with_the_run(connect: Callable[..., Any], home: Path, workspace: Path) -> None:
    """The person only records the answer; the server, which was asked to wait, executes."""
    async with connect() as client:
        waits = await say(client, "propose", plan=HIGH)
        assert (await say(client, "results", run_id=waits["run_id"], wait_s=0.1))["status"] == "awaiting_approval"
        waiting = asyncio.create_task(say(client, "results", run_id=waits["run_id"], wait_s=60))
        assert (await say(client, "status", run_id=waits["run_id"]))["status"] == "awaiting_approval"  # it still answers while one call waits
        with Runtime(home, workspace=workspace) as person:
            await person.adecide(waits["waits_for"][0]["request_id"], "approve", resume=False)
        assert (await waiting)["status"] == "completed"
        assert (workspace / "mark").read_text() == "x"


async def test_a_rejection_is_told_with_its_reason(connect: Callable[..., Any], home: Path, workspace: Path) -> None:
    async with connect() as client:
        waits = await say(client, "propose", plan=HIGH)
        with Runtime(home, workspace=workspace) as person:
            person.decide(waits["waits_for"][0]["request_id"], "reject", reason="not on a Friday")
        told = await say(client, "status", run_id=waits["run_id"])
        assert told["status"] == "rejected"
        assert "not on a Friday" in told["why"]


async def test_what_cannot_be_read_is_an_error_that_says_what_to_mend(connect: Callable[..., Any]) -> None:
    async with connect() as client:
        assert "steps" in await refusal(client, "propose", plan={"steps": []})
        assert "either a plan or a goal" in await refusal(client, "propose")
        assert "needs a model" in await refusal(client, "propose", goal="tidy up")
        assert "there is no run" in await refusal(client, "status", run_id="run_none")


async def test_a_path_is_never_read(connect: Callable[..., Any], workspace: Path, tmp_path: Path) -> None:
    """A proposal that names a file must not make the server, which may read more than the agent, open it."""
    secret = tmp_path / "secret.yaml"
    secret.write_text("problem: {title: found it}\naction: {steps: [{step: 1, tool: shell, args: {command: ls}}]}\n")
    async with connect() as client:
        for given in ({"plan": str(secret)}, {"goal": str(secret)}, {"plan": {"file": str(secret)}}, {"plan": {"text": "x", "file": str(secret)}}):
            assert "found it" not in await refusal(client, "propose", **given)


async def test_other_peoples_runs_are_not_told_of(connect: Callable[..., Any], home: Path, workspace: Path) -> None:
    with Runtime(home, workspace=workspace, actor="somebody") as other:
        run = other.start(LOW)
    async with connect() as client:
        for tool in ("status", "results"):
            said = await refusal(client, tool, run_id=run.id)
            assert said.replace(run.id, "run_none") == await refusal(client, tool, run_id="run_none")  # not even that it exists
        assert json.loads((await client.read_resource("assent://runs")).contents[0].text) == []


async def test_the_tier_of_the_server_binds_its_agents(connect: Callable[..., Any], workspace: Path) -> None:
    async with connect("--tier", "1") as client:
        assert (await say(client, "propose", plan=HIGH))["status"] == "denied"
        assert not (workspace / "mark").exists()
