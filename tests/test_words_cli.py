"""Plain language on the command line, as the README shows it: each way to name a model, what is printed without one, and a killed process."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import assent
from assent.runtime.testing import FakeOpenAI, ScriptedModel, faults

ROOT = Path(__file__).parents[1]
REPLIES = Path(__file__).parent / "data" / "replies"
WITHIN = {"answer": "within", "confidence": 0.95, "reason": "it was asked for"}
WAITING = 3


def notes() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((REPLIES / "write_notes.yaml").read_text(encoding="utf-8"))
    return found


class Shell:
    """A new user's terminal: a folder, no home yet, a server that speaks OpenAI's protocol."""

    def __init__(self, folder: Path, server: FakeOpenAI | None) -> None:
        self.folder = folder
        self.server = server

    def environment(self, **more: str) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ASSENT_"))}
        return {**plain, **more}

    def __call__(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "assent", *words], cwd=self.folder, env=self.environment(**env), capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    def runs(self) -> list[dict[str, Any]]:
        """Return what the home holds."""
        with assent.open(self.folder / ".assent", workspace=self.folder) as runtime:
            return [run.as_json() for run in runtime.runs()]

    def begin(self, *words: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "assent", *words], cwd=self.folder, env=self.environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, None)


def readme_command() -> list[str]:
    """Return the words of the README's request in plain language."""
    found = re.findall(r"`assent (run \"[^\"`]+\" --model openai:[^`]+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(found) == 1, "the README shows one request in plain language"
    return shlex.split(found[0])


def test_request_of_the_readme_runs_against_a_server_that_speaks_the_protocol(shell: Shell) -> None:
    words = readme_command()
    with FakeOpenAI(notes()["reply"], otherwise=WITHIN) as server:
        key = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": server.url}
        said = shell(*words, **key)
        assert said.returncode == WAITING, said.stderr
        request = re.search(r"req_[0-9a-f]+", said.stdout)
        assert request is not None and "assent approve" in said.stdout
        approved = shell("approve", request[0])
        assert approved.returncode == 0, approved.stderr
        assert (shell.folder / "NOTES-2.1.md").read_text().startswith("# 2.1")
        asked = server.requests[0].body
        assert words[1] in asked["messages"][1]["content"] and asked["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("way", ["--model with an address", "config.yaml", "config.yaml with settings", "assent.open", "assent.open with a mapping", "a LangChain chat model"])
def test_model_is_named_in_each_way(shell: Shell, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    words, reply = notes()["words"], notes()["reply"]
    with FakeOpenAI(reply, otherwise=WITHIN) as server:
        address = f"openai:gpt-fake@{server.url}"
        if way.startswith(("--model", "config.yaml")):
            options = ["--model", address] if way.startswith("--model") else []
            if not options:
                (shell.folder / ".assent").mkdir()
                settings = {"model": "gpt-fake", "base_url": server.url, "key": "MY_KEY", "protocol": "responses", "timeout_s": 20}
                model: Any = settings if way.endswith("settings") else address
                (shell.folder / ".assent" / "config.yaml").write_text(json.dumps({"model": model}))
            said = shell("run", words, *options, OPENAI_API_KEY="any", MY_KEY="other")
            assert said.returncode == WAITING, said.stderr
            expected = "Bearer other" if way.endswith("settings") else "Bearer any"
        else:
            given: Any = {
                "assent.open": address, "assent.open with a mapping": {"model": "gpt-fake", "base_url": server.url},
                "a LangChain chat model": ScriptedModel(reply, otherwise=WITHIN).chat_model(),
            }[way]  # fmt: skip
            with assent.open(shell.folder / ".assent", workspace=shell.folder, model=given) as runtime:
                run = runtime.start(words)
                assert run.status == "awaiting_approval" and run.plan is not None and run.plan.author.startswith("model:")
            if "LangChain" in way:
                return
            expected = "Bearer any"
        assert {one.headers["authorization"] for one in server.requests} == {expected}
        assert {one.path for one in server.requests} == {"/v1/responses" if way.endswith("settings") else "/v1/chat/completions"}


def test_without_a_model_plain_language_says_the_two_ways_to_get_on_and_leaves_nothing(shell: Shell) -> None:
    said = shell("run", "make the orders query faster")
    assert said.returncode == 1 and "needs a model" in said.stderr
    assert "OPENAI_API_KEY" in said.stderr and "--model" in said.stderr and "config.yaml" in said.stderr and "assent new plan.yaml" in said.stderr
    assert shell.runs() == []


def test_model_without_its_key_says_which_variable_to_set(shell: Shell) -> None:
    said = shell("run", "make it faster", "--model", "openai:gpt-5-mini")
    assert said.returncode == 1 and "OPENAI_API_KEY" in said.stderr and "export" in said.stderr
    assert shell.runs() == []


@pytest.mark.parametrize(("model", "hint"), [("gpt-5-mini", "openai:gpt-5-mini"), ("anthropic:x", "LangChain")])
def test_model_that_cannot_be_built_is_an_error_with_a_hint(shell: Shell, model: str, hint: str) -> None:
    said = shell("run", "make it faster", "--model", model)
    assert said.returncode == 1 and "model" in said.stderr and hint in said.stderr.split("hint:")[1]


def test_service_that_fails_is_one_clear_error_and_a_run_that_says_why(shell: Shell) -> None:
    with FakeOpenAI(otherwise=faults.broken(401)) as server:
        said = shell("run", "make it faster", "--model", f"openai:m@{server.url}", OPENAI_API_KEY="any")
    assert said.returncode == 1 and said.stderr.startswith("error: openai:m: HTTP 401") and "hint: check the key in OPENAI_API_KEY" in said.stderr
    assert "Traceback" not in said.stderr
    (run,) = shell.runs()
    assert run["status"] == "failed" and "HTTP 401" in shell("show", run["id"]).stdout


# --- kill -9 in the middle of it --------------------------------------------------------------------------------------------------------


def test_killed_process_neither_loses_nor_doubles_the_answer_that_arrived(shell: Shell) -> None:
    """The first answer arrived and cannot be used; the process is killed while it waits for the mended one."""
    case = notes()
    with FakeOpenAI("not JSON at all", faults.slow(60)) as server:
        env = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": server.url}
        process = shell.begin("run", case["words"], "--model", "openai:m", **env)
        while len(server.requests) < 2:
            assert process.poll() is None, process.communicate()
            server.closing.wait(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
        assert process.returncode == -signal.SIGKILL
        (run,) = shell.runs()
        assert run["status"] == "planning"
        (shell.folder / ".assent" / "config.yaml").write_text(json.dumps({"model": "openai:m"}))
        server.will(case["reply"])
        server.otherwise = WITHIN
        said = shell("resume", run["id"], **env)
        assert said.returncode == WAITING, said.stderr
        plans = [one.body["messages"] for one in server.requests if "You write plans" in one.body["messages"][0]["content"]]
        assert [len(messages) for messages in plans] == [2, 4, 4], "one first question, paid once; the second one again, since its answer never arrived"
        assert plans[1][2]["content"] == "not JSON at all" == plans[2][2]["content"]
        with assent.open(shell.folder / ".assent", workspace=shell.folder) as runtime:
            noted = [event.data for event in runtime.run(run["id"]).events() if event.type == "model.asked"]
            assert runtime.verify().ok
        assert [(note["exchange"], note["unanswered"]) for note in noted[:2]] == [("plan-1", 0), ("plan-2", 1)]


def test_process_killed_after_the_plan_arrived_asks_for_no_plan_again(shell: Shell) -> None:
    """The plan arrived and is frozen; the process is killed while it asks for second opinions."""
    case = notes()
    with FakeOpenAI(case["reply"], otherwise=faults.slow(60)) as server:
        env = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": server.url}
        (shell.folder / ".assent").mkdir()
        (shell.folder / ".assent" / "config.yaml").write_text(json.dumps({"model": "openai:m", "second_opinion": {"time": "60 seconds"}}))
        process = shell.begin("run", case["words"], **env)
        while len(server.requests) < 3:
            assert process.poll() is None, process.communicate()
            server.closing.wait(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
        server.otherwise = WITHIN
        (run,) = shell.runs()
        said = shell("resume", run["id"], **env)
        assert said.returncode == WAITING, said.stderr
        plans = [one for one in server.requests if "You write plans" in one.body["messages"][0]["content"]]
        assert len(plans) == 1 and len(server.requests) == 5
