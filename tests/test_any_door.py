"""One request, any door: started in a terminal, looked at in the page, approved in a notebook, seen to end in Studio, told of in the terminal.

Four programs that share nothing but the home: `python -m assent run` (which ends), `assent serve`, a Jupyter kernel, and `langgraph dev`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from .studio_server import Server, assistant, document, serving

if not os.environ.get("CI") and any(importlib.util.find_spec(name) is None for name in ("langgraph_api", "nbclient", "ipykernel", "uvicorn")):
    pytest.skip("the Agent Server, the page or notebooks are not installed", allow_module_level=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "shop"
    folder.mkdir()
    with serving(folder) as found:
        yield found


def terminal(server: Server, *command: str) -> tuple[int, dict[str, Any]]:
    """Run `assent …` as a person does, and return its exit code and what it says."""
    at = ["--home", str(server.folder / "home"), "--workspace", str(server.workspace), "--json"]
    done = subprocess.run([sys.executable, "-m", "assent", *command, *at], capture_output=True, text=True, timeout=60, check=False, cwd=server.folder)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def page(server: Server, path: str) -> str:
    """Serve the page, sign in with the address that it prints, and return what stands at a path."""
    command = [sys.executable, "-m", "assent", "serve", "--port", "0", "--json", "--home", str(server.folder / "home"), "--workspace", str(server.workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=server.folder) as serving_it:
        try:
            assert serving_it.stdout is not None
            address = json.loads(serving_it.stdout.readline())["url"]
            with httpx.Client(follow_redirects=True) as browser:
                assert "Inbox" in browser.get(address).text
                return browser.get(address.split("/assent/")[0] + path).text
        finally:
            serving_it.send_signal(signal.SIGINT)


def notebook(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> str:
    """Execute one cell in a kernel of this interpreter, and return what it prints."""
    import nbformat
    from ipykernel.kernelspec import write_kernel_spec
    from nbclient import NotebookClient
    from traitlets.config import Config

    argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    write_kernel_spec(folder / "jupyter" / "kernels" / "here", overrides={"argv": argv})
    monkeypatch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
    v4: Any = nbformat.v4
    cells = v4.new_notebook(cells=[v4.new_code_cell(code)])
    local = Config({"KernelManager": {"transport": "ipc", "ip": str(folder / "k")}})
    NotebookClient(cells, timeout=60, kernel_name="here", resources={"metadata": {"path": str(folder)}}, config=local).execute()
    return "".join(output.text for output in cells.cells[0].outputs if output.output_type == "stream" and output.name == "stdout")


async def test_one_request_goes_through_every_door(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (server.folder / "plan.yaml").write_text(yaml.safe_dump(document("echo first >> out.txt", "echo second >> out.txt", title="One request, any door")))

    # A terminal: it asks, and the process is gone.
    code, said = terminal(server, "run", "plan.yaml")
    assert (code, said["status"]) == (3, "awaiting_approval")
    run_id, request = said["id"], said["requests"][0]["id"]

    # The page: the same question, with the plan.
    shown = page(server, f"/assent/requests/{request}")
    assert "One request, any door" in shown and "echo second" in shown and "Approve" in shown

    # Studio: a thread that goes on with the run, and waits like everybody else.
    client = server.client()
    thread = (await client.threads.create())["thread_id"]
    watched: Any = await client.runs.wait(thread, await assistant(client), input={"run_id": run_id})
    assert watched["__interrupt__"][0]["value"]["request_id"] == request

    # A notebook: it approves, and leaves the rest to whoever is at it.
    home, workspace = str(server.folder / "home"), str(server.workspace)
    cell = f"import assent\nwith assent.open({home!r}, workspace={workspace!r}) as runtime:\n    print(runtime.decide(runtime.inbox()[0].id, 'approve', reason='looks right', resume=False).status)"
    assert notebook(tmp_path, monkeypatch, cell).strip() == "running"
    assert not (server.workspace / "out.txt").exists()

    # Studio again: it rings, and sees it end, station by station.
    stations = []
    async for part in client.runs.stream(thread, await assistant(client), command={"resume": "continue"}, stream_mode="updates", context={"stepwise": True}):
        stations += list(part.data) if part.event == "updates" else []
    assert stations == ["approval", "execute", "execute", "consolidate", "results"]
    assert (server.workspace / "out.txt").read_text().split() == ["first", "second"]
    await client.aclose()

    # And the terminal tells how it went: one question, one answer, each step once.
    code, told = terminal(server, "show", run_id)
    assert (code, told["status"]) == (0, "completed")
    assert [(one["actor"]["id"], one["verdict"], one["reason"]) for one in told["requests"][0]["decisions"]] == [(said["requester"], "approve", "looks right")]
    assert terminal(server, "verify")[0] == 0
