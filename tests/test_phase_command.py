"""`assent phase run` and `assent phase analysis --model`: a phase that somebody wrote, and a model that reads on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from assent.runtime.cli import phase as phase_commands
from assent.runtime.phases.own import spec_of
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FakeOpenAI

SPEC = """
name: docs
time_limit_s: 60
agents:
  - {id: readme, role: README checker, focus: [promises], prompt: Check the README., tools: [files, shell]}
  - {id: tests, role: Test reader, focus: [tests], prompt: Read the tests., tools: [files]}
  - {id: build, role: Architecture, focus: [components], agent: architecture}
criteria: [{id: all, text: All agents completed, check: agents_completed, on_failure: ask}]
"""
READS = {"calls": [{"tool": "files", "args": {"operation": "read", "path": "README.md"}}]}
REPORT = {"report": {"summary": "it is true", "findings": [{"subject": "README.md", "text": "short"}]}}


def reads_and_reports(body: Any) -> Any:
    return REPORT if any(message["role"] == "assistant" for message in body["messages"]) else READS


def cleans(body: Any) -> Any:
    if "keeps one principle" in json.dumps(body):
        # What does more than read is held against the principles that only a model can judge, at the same time as the other agent works.
        return {"answer": "within", "confidence": 0.9, "reason": "it is a build folder"}
    return {"calls": [{"tool": "shell", "args": {"command": "rm -rf build"}}]} if "README checker" in json.dumps(body) else reads_and_reports(body)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "build").mkdir(parents=True)
    (folder / "README.md").write_text("# Shop\n")
    (folder / "shop.py").write_text("import json\n\ndef sell():\n    return json.dumps({})\n")
    return folder


class Shell:
    """A terminal in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app = typer.Typer()
        self.app.add_typer(phase_commands.app, name="phase")
        (folder / "docs.yaml").write_text(SPEC)

    def run(self, *words: str) -> Any:
        return CliRunner().invoke(self.app, ["phase", *words, "--home", str(self.folder / "home")])


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    return Shell(tmp_path)


def test_a_phase_of_ones_own_runs_its_models_and_analysers(shell: Shell, shop: Path) -> None:
    with FakeOpenAI(*[reads_and_reports] * 4) as server:
        words = ("run", str(shell.folder / "docs.yaml"), str(shop), "--model", f"openai:gpt-fake@{server.url}")
        done = shell.run(*words)
        assert done.exit_code == 0, done.output
        assert "✓ All agents completed" in done.stdout and "readme: it is true" in done.stdout and "… docs: 3 agents, at most 1 min" in done.stdout
        again = shell.run(*words)
    assert again.exit_code == 0 and again.stdout.count("unchanged since the last time") == 3
    with Runtime(shell.folder / "home", workspace=shop) as runtime:
        assert [run.status.value for run in runtime.runs()] == ["completed", "completed"] and runtime.verify().ok


def test_a_risky_call_leaves_the_phase_waiting_and_the_answer_leads_on(shell: Shell, shop: Path) -> None:
    with FakeOpenAI(*[cleans] * 5) as server:
        words = ("run", str(shell.folder / "docs.yaml"), str(shop), "--model", f"openai:gpt-fake@{server.url}")
        done = shell.run(*words)
        assert done.exit_code == 3 and (shop / "build").exists()
        assert "? readme asks" in done.stdout and "✓ tests reported" in done.stdout and "needs a person: it wants to call shell(command='rm -rf build'), which is CRITICAL" in done.stdout and "assent inbox" in done.stdout
        with Runtime(shell.folder / "home", workspace=shop) as runtime:
            (request,) = runtime.inbox()
            runtime.decide(request.id, "reject", reason="not in an analysis")
        server.will(REPORT)
        again = shell.run(*words)
        assert again.exit_code == 0, again.output
        assert "not in an analysis" in json.dumps(server.requests[-1].body) and (shop / "build").exists()


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        ("", [], "needs a model"),
        ("files, shell", ["--model", "openai:x"], "a tool 'filez' that is not known"),
        ("agent: architecture", ["--model", "openai:x"], "has no agent 'nosuch'"),
        ("name: docs", ["--model", "openai:x"], "naming: no such field"),
        ("time_limit_s: 60", ["--model", "openai:x"], "time_limit_s"),
    ],
)  # fmt: skip
def test_a_phase_that_cannot_run_is_refused_by_name(shell: Shell, shop: Path, change: str, more: list[str], said: str) -> None:
    changed = {"files, shell": "filez", "agent: architecture": "agent: nosuch", "name: docs": "naming: docs", "time_limit_s: 60": "time_limit_s: never"}
    file = shell.folder / "docs.yaml"
    file.write_text(SPEC.replace(change, changed[change]) if change else SPEC)
    done = shell.run("run", str(file), str(shop), *more)
    assert done.exit_code == 1 and said in done.stderr and "hint: " in done.stderr


@pytest.mark.parametrize(("text", "said"), [("name: [", "flow"), ("- a", "a phase is a mapping"), (None, "there is no file"), (SPEC.replace("- {id: build", "- {id: x, role: r, focus: [f], prompt: p}\n  " * 4 + "- {id: build"), "id of its own")])
def test_a_file_that_is_no_phase_is_refused(shell: Shell, shop: Path, text: str | None, said: str) -> None:
    file = shell.folder / "other.yaml"
    if text is not None:
        file.write_text(text)
    done = shell.run("run", str(file), str(shop))
    assert done.exit_code == 1 and said in done.stderr


def test_the_example_is_a_phase(shop: Path) -> None:
    spec = spec_of(Path(__file__).resolve().parent.parent / "examples" / "own_phase" / "phase.yaml")
    assert [bool(agent.prompt) for agent in spec.agents] == [True, True, False]


def test_six_agents_of_ones_own_are_refused_with_the_split(shell: Shell, shop: Path) -> None:
    more = "".join(f"  - {{id: x{number}, role: r, focus: [f], prompt: p}}\n" for number in range(3))
    file = shell.folder / "six.yaml"
    file.write_text(SPEC.replace("criteria:", more + "criteria:"))
    done = shell.run("run", str(file), str(shop))
    assert done.exit_code == 1 and "docs_1: readme, tests, build; docs_2: x0, x1, x2" in done.stderr


def test_a_model_explains_what_the_analysis_measured(shell: Shell, shop: Path) -> None:
    with FakeOpenAI(*[reads_and_reports] * 6) as server:
        done = shell.run("analysis", str(shop), "--model", f"openai:gpt-fake@{server.url}")
    assert done.exit_code == 0, done.output
    folder = shell.folder / "home" / "phases" / "analysis"
    report = json.loads((folder / "analysis_report_agent1.json").read_text())["body"]["content"]
    assert report["data"]["components"] and report["data"]["model"]["written_by"] == "openai:gpt-fake"
    assert "[openai:gpt-fake] it is true" in (folder / "phase1_consolidated_analysis.md").read_text()
    plain = shell.run("analysis", str(shop), "--model", "none")
    assert plain.exit_code == 0 and "[openai:gpt-fake]" not in plain.stdout
