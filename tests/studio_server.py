"""A real `langgraph dev` over one home, for the tests that drive it: on a free port of the loopback address, without key and network."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from assent.runtime.runtime import Runtime

ROOT = Path(__file__).resolve().parent.parent
PEOPLE = "actors: {lena: [lead], dora: [developer], guest: [], robot: {roles: [developer, lead, admin], kind: agent}}\n"


@dataclass
class Server:
    """One `langgraph dev`, which can be ended and started again over the same home."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def token(self) -> str:
        return (self.folder / "home" / "door" / "token").read_text().strip()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LANGSMITH", "LANGCHAIN", "OPENAI"))},
            "ASSENT_HOME": str(self.folder / "home"), "ASSENT_WORKSPACE": str(self.workspace), "LANGGRAPH_CLI_NO_ANALYTICS": "1", "LANGGRAPH_NO_VERSION_CHECK": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload", "--port", str(self.port), "--n-jobs-per-worker", "8"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, "--config", str(ROOT / "langgraph.json")], cwd=self.folder, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/ok", timeout=2).status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"the server did not start:\n{self.log[-4000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
            self.process = None

    def client(self, token: str | None = None) -> LangGraphClient:
        return get_client(url=self.url, api_key=None, headers={"authorization": f"Bearer {token or self.token}"})


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Hold a server over a fresh home."""
    found = Server(folder)
    found.workspace.mkdir()
    (found.folder / "home").mkdir()
    (found.folder / "home" / "config.yaml").write_text(PEOPLE)
    found.start()
    try:
        yield found
    finally:
        found.stop()


@contextlib.contextmanager
def beside(server: Server) -> Iterator[Runtime]:
    """Hold another process's view of the same home."""
    with Runtime(server.folder / "home", workspace=server.workspace) as runtime:
        yield runtime


async def assistant(client: LangGraphClient) -> str:
    return str((await client.assistants.search(graph_id="par"))[0]["assistant_id"])


def document(*commands: str, title: str = "Write a file") -> dict[str, Any]:
    steps = [{"step": n, "description": "write", "tool": "shell", "args": {"command": command}} for n, command in enumerate(commands, 1)]
    return {"problem": {"title": title}, "action": {"steps": steps}}


def fresh(text: str = "x") -> tuple[str, str]:
    """Return a command that leaves one line in a new file, and the file's name."""
    name = f"{uuid.uuid4().hex[:12]}.txt"
    return f"echo {text} >> {name}", name


def lines(server: Server, name: str) -> list[str]:
    path = server.workspace / name
    return path.read_text().split() if path.exists() else []


async def waiting(client: LangGraphClient, *commands: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Start a run that waits, as Studio does; returns its thread and the payload of its interrupt."""
    thread = (await client.threads.create())["thread_id"]
    found: Any = await client.runs.wait(thread, await assistant(client), input={"request": document(*commands)}, **more)
    return thread, found["__interrupt__"][0]["value"]


async def go(client: LangGraphClient, thread: str, **how: Any) -> dict[str, Any]:
    found: Any = await client.runs.wait(thread, await assistant(client), **how)
    return dict(found)


async def refused(call: Any, *statuses: int) -> str:
    """Expect a refusal and return what it says."""
    with pytest.raises(Exception, match=r"\S") as error:
        await call
    response = getattr(error.value, "response", None)
    assert response is not None, error.value
    assert response.status_code in statuses, response.text
    return str(response.text)


async def until(client: LangGraphClient, thread: str) -> None:
    """Wait until a thread rests."""
    for _ in range(100):
        if (await client.threads.get(thread))["status"] not in ("busy",):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the thread stays busy")
