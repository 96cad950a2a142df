"""Analysis and verification of a small real package: what is there is found, what was not looked at is said, what runs is bounded."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from assent.runtime.analysis.analyse import analyse, run_analysis
from assent.runtime.analysis.sources import read_repository, tree_digest
from assent.runtime.cli import phase as phase_commands
from assent.runtime.phases.store import ReportKeep
from assent.runtime.verification.command import LocalCommands, Ran
from assent.runtime.verification.security import scan
from assent.runtime.verification.tests import read_outcome
from assent.runtime.verification.verify import verify
from assent.schemas.consolidated import Consolidated
from assent.schemas.errors import IllegalTransition
from assent.schemas.go_no_go import Change
from assent.schemas.phase import AgentLimits
from assent.schemas.risk import Level
from assent.tools.tool import Place

FILES = {
    "pyproject.toml": '[project]\nname = "shop"\nrequires-python = ">=3.11"\n[tool.ruff]\nline-length = 100\n[tool.pytest.ini_options]\n',
    "README.md": "# Shop\n\nSee [the notes](docs/notes.md) and [gone](docs/gone.md).\n",
    "CHANGELOG.md": "# Changes\n",
    "docs/notes.md": "notes\n",
    "shop/__init__.py": '"""A shop."""\n',
    "shop/orders.py": '"""Orders."""\nimport os\nimport sqlite3\n\nfrom .web import client\n\n\ndef total(prices: list[int]) -> int:\n    """Return the sum."""\n'
    '    return sum(prices)  # TODO: currencies\n\n\nURL = os.environ.get("SHOP_URL", "")\nDB = os.environ["SHOP_DB"]\n',
    "shop/web/__init__.py": '"""The outside."""\n',
    "shop/web/client.py": "import httpx\n\nfrom ..orders import total\n\n\nclass Client:\n    async def get(self) -> None:\n        httpx.get(str(total([])))\n",
    "tests/test_orders.py": "from shop import __doc__ as said\n\n\ndef test_says():\n    assert said == 'A shop.'\n\n\ndef test_sum():\n    assert sum([1, 2]) == 3\n",
    ".github/workflows/ci.yml": "on: push\n",
    "node_modules/x/evil.py": "def (:\n",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop_project"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def report(out: Path, number: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / f"analysis_report_agent{number}.json").read_text())["body"]["content"]
    return found


# --- analysis ---------------------------------------------------------------------------------------------------------------------------


def test_a_package_is_analysed_without_a_model(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = run_analysis(shop, out)
    assert found.checkpoint.passed, found.checkpoint.reasons
    architecture, code, infrastructure = (report(out, number) for number in (1, 2, 3))
    assert [one["name"] for one in architecture["data"]["components"]] == ["shop", "shop.orders", "shop.web"]
    assert architecture["data"]["imports"]["circles"] == [["shop.orders", "shop.web"]]
    assert architecture["data"]["imports"]["external"] == {"httpx": 1}
    assert {(one["kind"], one["through"]) for one in architecture["data"]["integration_points"]} == {("http client", "httpx"), ("database", "sqlite3")}
    assert architecture["data"]["configuration"]["environment_variables"] == {"SHOP_DB": ["shop/orders.py"], "SHOP_URL": ["shop/orders.py"]}
    assert code["data"]["debt"]["markers"] == [["shop/orders.py:10", "TODO currencies"]]
    assert code["data"]["structure"]["functions"] == 4 and code["data"]["patterns"]["async_functions"] == 1 and "ruff" in code["data"]["style"]["tools"]
    assert infrastructure["data"]["tests"]["functions"] == 2 and infrastructure["data"]["ci"] == [".github/workflows/ci.yml"]
    assert any("may_run" in what for what in infrastructure["not_looked_at"])
    synthesis = json.loads((out / "phase1_synthesis.json").read_text())
    assert synthesis["synthesis"]["architecture_map"]["components"] and synthesis["missing"] == [] and synthesis["synthesis"]["conflicts"] == []
    assert "phase1_synthesis.json" in (out / "SESSION_CONTINUITY.md").read_text()
    assert "shop.orders → shop.web" in (out / "phase1_consolidated_analysis.md").read_text()


def test_an_unchanged_repository_is_not_read_again_and_a_changed_one_is(shop: Path, tmp_path: Path) -> None:
    out = shop / "reports"
    first = analyse(shop, out)
    assert isinstance(first, Consolidated) and not any(agent.reused for agent in first.agents)
    assert all(agent.reused for agent in analyse(shop, out).agents)
    (shop / "shop" / "orders.py").write_text("x = 1\n")
    assert not any(agent.reused for agent in analyse(shop, out).agents)


def test_a_file_that_does_not_parse_is_a_finding_of_two_agents_and_no_crash(shop: Path, tmp_path: Path) -> None:
    (shop / "shop" / "broken.py").write_text("def (:\n")
    (shop / "shop" / "binary.py").write_bytes(b"\0\xff\xfe")
    found = run_analysis(shop, tmp_path / "out", in_processes=False).consolidated
    broken = next(one for one in found.findings if one.subject == "shop/broken.py")
    assert broken.agents == ("agent1", "agent2") and broken.severity == "high" and found.risk_assessment.level is Level.HIGH


def test_links_and_foreign_folders_are_not_followed(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text("x = 1\n")
    (shop / "link.py").symlink_to(tmp_path / "outside.py")
    (shop / "loop").symlink_to(shop)
    (shop / "env" / "lib").mkdir(parents=True)
    (shop / "env" / "pyvenv.cfg").write_text("")
    (shop / "env" / "lib" / "x.py").write_text("")
    names = {source.name for source in read_repository(shop).python}
    assert names == {"shop/__init__.py", "shop/orders.py", "shop/web/__init__.py", "shop/web/client.py", "tests/test_orders.py"}
    before = tree_digest(shop)
    (shop / "docs" / "notes.md").write_text("other\n")
    assert tree_digest(shop) != before


def test_a_secret_in_a_file_is_named_by_place_and_never_shown(shop: Path, tmp_path: Path) -> None:
    token = "ghp_" + "".join(chr(ord("a") + number % 26) + str(number % 10) for number in range(18))
    (shop / "shop" / "settings.py").write_text(f'GITHUB = "{token}"\n')
    out = tmp_path / "out"
    found = run_analysis(shop, out, in_processes=False).consolidated
    assert any(one.subject == "shop/settings.py:1" and one.aspect == "secret" and one.severity == "high" for one in found.findings)
    assert not any(token in path.read_text(errors="replace") for path in out.rglob("*") if path.is_file())


def test_what_is_no_repository_is_refused(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(IllegalTransition, match="not a folder"):
        analyse(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(IllegalTransition, match="part of what is analysed"):
        analyse(shop, shop)


# --- analysers that may be missing -------------------------------------------------------------------------------------------------------


def commands(output: str = "", exit_code: int = 0) -> Any:
    asked: list[list[str]] = []

    def run(arguments: Sequence[str], *, folder: Path, limits: AgentLimits) -> Ran:
        asked.append(list(arguments))
        return Ran(exit_code, output, "", 0.1, f"exit code {exit_code}")

    run.asked = asked  # type: ignore[attr-defined]
    return run


def test_without_bandit_nothing_is_reported_as_zero(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assent.runtime.analysis.extras.find_spec", lambda name: None)
    run = commands()
    found = scan(shop, run, AgentLimits())
    assert found.high_risk is None and run.asked == []
    assert any("assent[analysis]" in what for what in found.not_looked_at)


def test_bandits_findings_are_read_and_its_failure_is_no_zero(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assent.runtime.analysis.extras.find_spec", lambda name: object())
    issue = {"filename": "./shop/orders.py", "line_number": 3, "issue_severity": "HIGH", "issue_text": "bad", "test_id": "B602", "test_name": "shell"}
    found = scan(shop, commands(json.dumps({"results": [issue, {**issue, "issue_severity": "LOW"}]})), AgentLimits())
    assert found.high_risk == 1 and found.counts == {"high": 1, "low": 1}
    assert found.findings[0]["subject"] == "shop/orders.py:3" and found.findings[0]["severity"] == "high"
    assert scan(shop, commands("", 1), AgentLimits()).high_risk is None


# --- verification ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "code", "critical", "numbers"),
    [
        ("..\n2 passed in 0.01s\n", 0, "pass", (2, 0, 0, 0)),
        ("F.\nFAILED tests/t.py::test_x - assert 1\n1 failed, 1 passed, 2 skipped, 3 warnings in 0.01s\n", 1, "fail", (1, 1, 2, 3)),
        ("ERROR tests/t.py - boom\n1 error in 0.01s\n", 2, "fail", (0, 1, 0, 0)),
        ("no tests ran in 0.00s\n", 5, "unknown", (0, 0, 0, 0)),
        ("", None, "unknown", (0, 0, 0, 0)),
        ("/usr/bin/python3: No module named pytest\n", 1, "unknown", (0, 0, 0, 0)),
        ("No module named 'pytest'\n1 failed in 0.1s\n", 1, "fail", (0, 1, 0, 0)),
        ("..", None, "unknown", (0, 0, 0, 0)),
    ],
)
def test_tests_that_did_not_run_are_not_passing_tests(output: str, code: int | None, critical: str, numbers: tuple[int, ...]) -> None:
    found = read_outcome(Ran(code, output, "", 1, "said"))
    assert found["critical"] == critical
    assert (found["passed"], found["failed"], found["skipped"], found["warnings"]) == numbers


def test_an_interpreter_without_pytest_is_named_and_no_failure_of_the_tests(shop: Path, tmp_path: Path) -> None:
    without = Ran(1, "", "/usr/bin/python3: No module named pytest\n", 0.1, "exit code 1 after 0.1 s")
    found = verify(shop, tmp_path / "out", Change(files_touched=1, risk=Level.LOW), run_command=lambda *_, **__: without).consolidated
    assert found.sections["tests"]["critical"] == "unknown"
    assert any("pytest is not installed beside assent; install it there" in finding.text for finding in found.findings)


def test_a_project_is_really_tested_and_its_failure_blocks(shop: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    local = LocalCommands(Place(workspace=shop, keep=ReportKeep(tmp_path / "keep"), scratch=tmp_path / "scratch"))

    def run(arguments: Sequence[str], *, folder: Path, limits: AgentLimits) -> Ran:
        assert limits.memory_mb == 256 and folder != shop
        seen.append(" ".join(arguments))
        return local(arguments, folder=folder, limits=limits)

    change = Change(files_touched=1, risk=Level.LOW)
    good = verify(shop, tmp_path / "good", change, run_command=run)
    tests = good.consolidated.sections["tests"]
    assert good.staffing.agents == 3 and (tests["passed"], tests["failed"], tests["critical"]) == (2, 0, "pass"), tests
    assert any("-m pytest" in one for one in seen)
    assert good.consolidated.sections["documentation"]["broken_links"] == [["README.md:3", "docs/gone.md"]]
    assert good.decision.decision == "BLOCK" and any("rollback" in reason for reason in good.decision.reasons)
    (shop / "tests" / "test_orders.py").write_text("def test_breaks():\n    assert 1 == 2\n")
    bad = verify(shop, tmp_path / "bad", change, run_command=run)
    assert bad.consolidated.sections["tests"]["failures"][0][0] == "tests/test_orders.py::test_breaks"
    assert not bad.checkpoint.passed and bad.checkpoint.action == "ask" and bad.decision.reasons[0] == "the critical tests: fail"
    assert not (shop / ".pytest_cache").exists()


def test_a_complex_change_is_proceeded_with_when_five_agents_find_nothing(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assent.runtime.analysis.extras.find_spec", lambda name: object())
    (shop / "docs" / "gone.md").write_text("found\n")
    (shop / "shop" / "web" / "client.py").write_text('"""Client."""\n')

    def run(arguments: Sequence[str], *, folder: Path, limits: AgentLimits) -> Ran:
        said = '{"results": []}' if "bandit" in arguments else "2 passed in 0.01s\n"
        return Ran(0, said, "", 0.5, "exit code 0")

    inputs = {"rollback_tested": True, "workflows": [["shop", "--help"]], "benchmark": ["shop", "bench"], "baseline_s": 0.5}
    found = verify(shop, tmp_path / "out", Change(files_touched=30, environment="production"), inputs=inputs, run_command=run)
    assert found.staffing.agents == 5 and found.checkpoint.passed, found.checkpoint.reasons
    assert found.decision.decision == "PROCEED", found.decision
    slower = verify(shop, tmp_path / "slow", Change(files_touched=30), inputs={**inputs, "baseline_s": 0.1, "workflows": []}, run_command=run)
    assert slower.decision.warning_count == 1 and slower.decision.decision == "PROCEED"
    assert any("workflows" in what for what in slower.consolidated.risk_assessment.not_assessed)


def test_what_a_command_starts_is_bounded(tmp_path: Path) -> None:
    local = LocalCommands(Place(workspace=tmp_path, keep=ReportKeep(tmp_path / "keep"), scratch=tmp_path / "scratch"))
    python = [sys.executable, "-c"]
    memory = local([*python, "x = bytearray(2 * 1024**3)"], folder=tmp_path, limits=AgentLimits(memory_mb=128, time_s=20))
    assert memory.exit_code == 1 and "MemoryError" in memory.errors
    spun = local([*python, "while True: pass"], folder=tmp_path, limits=AgentLimits(time_s=20, cpu_share=0.05))
    assert spun.exit_code is None and spun.duration_s < 15
    late = local([*python, "import time; time.sleep(30)"], folder=tmp_path, limits=AgentLimits(time_s=0.5))
    assert late.exit_code is None and "time limit" in late.said
    assert list((tmp_path / "scratch").iterdir()) == []


# --- the command line --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def app() -> typer.Typer:
    found = typer.Typer()
    found.add_typer(phase_commands.app, name="phase")
    return found


def test_the_analysis_has_a_command(app: typer.Typer, shop: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["phase", "analysis", str(shop), "--agents", "3", "--out", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["checkpoint"]["passed"] and found["phase"] == "analysis_consolidation" and len(found["files"]) == 6
    told = CliRunner().invoke(app, ["phase", "analysis", str(shop), "--out", str(tmp_path / "out")])
    assert "unchanged since the last time" in told.stdout and "✓ All three agents completed successfully" in told.stdout


@pytest.mark.parametrize(("agents", "said"), [("4", "not 4"), ("9", "analysis_1: agent1, agent2, agent3, agent4, agent5; analysis_2: agent6"), ("2", "the fewest are 3")])
def test_another_number_of_agents_is_refused(app: typer.Typer, shop: Path, tmp_path: Path, agents: str, said: str) -> None:
    done = CliRunner().invoke(app, ["phase", "analysis", str(shop), "--agents", agents, "--out", str(tmp_path / "out")])
    assert done.exit_code == 1 and said in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ('{"tests": {"critical": "pass", "warnings": 0}, "security": {"high_risk": 0}, "rollback": {"tested": true}, "performance": {"degradations": 0}, "documentation": {"incomplete": 0}}', 0, "PROCEED"),
        ('{"tests": {"critical": "pass", "warnings": 4}, "security": {"high_risk": 0}, "rollback": {"tested": true}, "performance": {"degradations": 0}, "documentation": {"incomplete": 0}}', 3, "CONDITIONAL_PROCEED"),
        ("{}", 1, "BLOCK"),
        ('{"tests": {"warnings": -4}}', 1, "tests.warnings"),
        ("[", 1, "JSON"),
    ],
)
def test_go_or_no_go_has_a_command_and_an_exit_code(app: typer.Typer, given: str, code: int, said: str) -> None:
    done = CliRunner().invoke(app, ["phase", "go-no-go", "-"], input=given)
    assert done.exit_code == code and said in done.output
