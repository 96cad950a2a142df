"""The one door: never raises, always says which tables it used, and a user's additions carry their own tests."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import assent
from assent.policies.risk import assess as door
from assent.policies.risk.assess import KINDS, MOST_FINDINGS, assess, with_overlay
from assent.policies.risk.surroundings import Surroundings
from assent.policies.risk.tables import digest, table
from assent.runtime.assess import surroundings
from assent.runtime.tracked import is_tracked
from assent.schemas.errors import InvalidConfiguration
from assent.schemas.risk import Level, Reason, Risk

AROUND = Surroundings(workspace="/srv/shop", home="/home/ada")


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("sql", "SELECT 1"),
        ("http", {"method": "GET", "url": "https://docs.python.org/3/"}),
        ("file_read", "README.md"),
        ("python", "print(1)"),
    ],
)
def test_each_kind_has_something_that_flows(kind: str, payload: object) -> None:
    assert assess(kind, payload, AROUND).level == Level.LOW


@pytest.mark.parametrize("kind", ["", "SQL", "sh", "bash", "file", "exec", None, 5])
def test_unknown_kind_is_high(kind: Any) -> None:
    risk = assess(kind, "SELECT 1", AROUND)
    assert risk.level == Level.HIGH
    assert risk.rules == ("risk.kind",)


class _Hostile:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __hash__(self) -> int:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "payload",
    [None, 0, b"x", [], {}, _Hostile(), {"path": _Hostile(), "content": _Hostile()}, {"method": _Hostile(), "url": "x"}, object],
)
def test_payload_of_any_shape_is_at_least_high(kind: str, payload: object) -> None:
    assert assess(kind, payload, AROUND).level >= Level.HIGH


@pytest.mark.parametrize("error", [RecursionError, MemoryError, ValueError, AttributeError])
def test_judge_that_fails_has_proved_nothing(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail(payload: object, around: Surroundings) -> Risk:
        raise error("inside")

    monkeypatch.setattr(door, "_assessor", lambda kind: fail)
    risk = assess("sql", "SELECT 1", AROUND)
    assert risk.level == Level.HIGH
    assert risk.rules == ("risk.failed",)
    assert risk.tables


def test_resolver_that_fails_has_proved_nothing() -> None:
    def resolve(path: str) -> str:
        raise OSError(path)

    assert assess("file_read", "README.md", Surroundings(workspace="/srv/shop", resolve=resolve)).level == Level.HIGH


def test_findings_are_bounded_told_once_and_worst_first(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [Reason(rule=f"r{number}", level=Level.HIGH, text="x") for number in range(100)]
    worst = Reason(rule="worst", level=Level.CRITICAL, text="y")
    monkeypatch.setattr(door, "_assessor", lambda kind: lambda payload, around: Risk.of([*many, *many, worst]))
    risk = assess("sql", "x", AROUND)
    assert len(risk.findings) == MOST_FINDINGS
    assert risk.findings[0] == worst
    assert risk.findings[-1].rule == "risk.more"


def test_every_answer_carries_the_digest_of_its_tables() -> None:
    plain = assess("sql", "SELECT 1", AROUND).tables
    added = assess("sql", "SELECT 1", Surroundings(workspace="/srv/shop", overlay={"secrets": [{"path": "x"}]})).tables
    assert plain == digest({}) and plain.startswith("sha256:")
    assert added != plain


@pytest.mark.parametrize("name", ["paths", "sql", "http", "python", "sequence"])
def test_every_table_has_a_version(name: str) -> None:
    assert table(name)["version"] >= 1


def test_unknown_table_is_an_error() -> None:
    with pytest.raises(InvalidConfiguration):
        table("nothing")


def test_additions_are_in_force_when_their_examples_hold() -> None:
    document = {
        "hosts": [
            {
                "host": "docs.shop.example",
                "match": ["https://docs.shop.example/a"],
                "no_match": ["https://docs.shop.example/?token=1"],
            }
        ],
        "functions": [
            {"function": "shop_price", "match": ["SELECT shop_price(1)"], "no_match": ["SELECT shop_price(1); DROP TABLE x"]}
        ],
        "secrets": [{"path": "*.ledger", "match": ["a.ledger"], "no_match": ["a.md"]}],
    }
    around = with_overlay(document, AROUND)
    assert assess("http", {"method": "GET", "url": "https://docs.shop.example/b"}, around).level == Level.LOW
    assert assess("sql", "SELECT shop_price(2)", around).level == Level.LOW
    assert assess("file_read", "b.ledger", around).level == Level.HIGH
    assert assess("file_read", "b.ledger", AROUND).level == Level.LOW


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"host": []},
        {"hosts": {}},
        {"hosts": ["x.example"]},
        {"hosts": [{"host": "", "match": ["x"]}]},
        {"hosts": [{"host": "x.example"}]},
        {"hosts": [{"host": "x.example", "match": "https://x.example/"}]},
        {"hosts": [{"host": "x.example", "match": ["https://y.example/"]}]},
        {"hosts": [{"host": "x.example", "match": ["https://x.example/"], "no_match": ["https://x.example/b"]}]},
        {"hosts": [{"host": "127.0.0.1", "match": ["https://127.0.0.1/"]}]},
        {"functions": [{"function": "f", "match": ["DELETE FROM t WHERE f(1)"]}]},
        {"secrets": [{"path": "*.ledger", "match": ["a.md"]}]},
    ],
)
def test_addition_that_does_not_hold_is_refused_with_every_problem(document: object) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        with_overlay(document, AROUND, file="assent.yaml")
    assert "risk" in str(refused.value)
    assert refused.value.fields["problems"]
    assert refused.value.hint


def test_user_may_add_a_command_with_its_own_tests() -> None:
    entry = {
        "command": "shoptool",
        "args": "path*",
        "match": ["shoptool a.txt"],
        "no_match": ["shoptool --x", "shoptool a > b", "shoptool .env"],
    }
    assert assess("shell", "shoptool a.txt", AROUND).level >= Level.HIGH
    assert assess("shell", "shoptool a.txt", with_overlay({"commands": [entry]}, AROUND)).level == Level.LOW
    with pytest.raises(InvalidConfiguration):
        with_overlay({"commands": [{**entry, "no_match": ["shoptool b.txt"]}]}, AROUND)


def test_no_additions_change_nothing() -> None:
    assert with_overlay(None, AROUND).overlay == {}


def test_door_of_the_package_judges_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.md").write_text("x")
    (tmp_path / "link").symlink_to("/etc")
    monkeypatch.chdir(tmp_path)
    assert assent.assess("file_read", "a.md").level == Level.LOW
    assert assent.assess("file_read", "link/passwd").level >= Level.HIGH
    assert assent.assess("file_read", "../a.md").level >= Level.HIGH
    assert assent.assess("file_write", {"path": "a.md", "content": "y"}).rules == ("path.overwrite",)
    assert assent.assess("file_write", {"path": "b.md", "content": "y"}).level == Level.MEDIUM


def test_place_that_cannot_be_read_is_outside(tmp_path: Path) -> None:
    around = surroundings(str(tmp_path))
    assert around.listing(str(tmp_path / "nothing")) is None
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert assess("file_read", "a\0b", around).level == Level.HIGH


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_tracked_files_are_read_from_every_version_of_the_index(tmp_path: Path, version: str) -> None:
    names = ["a.md", "src/a.py", "src/deeper/ü.py", "src/deeper/a-rather-long-name.txt", "z"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "add", ".")
    if version == "3":
        _git(tmp_path, "update-index", "--skip-worktree", "z")
    _git(tmp_path, "update-index", "--index-version", version)
    (tmp_path / "new.md").write_text("x")
    assert [is_tracked(str(tmp_path / name)) for name in names] == [True] * len(names)
    assert not is_tracked(str(tmp_path / "new.md"))
    assert not is_tracked(str(tmp_path / "src"))


@pytest.mark.parametrize(
    "content", [b"", b"DIRC", b"DIRC\x00\x00\x00\x02\xff\xff\xff\xff", b"x" * 100, b"DIRC\x00\x00\x00\x09\x00\x00\x00\x00"]
)
def test_index_that_cannot_be_read_tracks_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_bytes(content)
    assert not is_tracked(str(tmp_path / "a.md"))


_TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.binary(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["method", "url", "headers", "body", "path", "content", "x"]), inner, max_size=4),
    ),
    max_leaves=8,
)


@given(st.sampled_from([kind for kind in KINDS if kind != "shell"]), _TREES)
@settings(max_examples=400, deadline=None)
def test_never_raises(kind: str, payload: Any) -> None:
    risk = assess(kind, payload, AROUND)
    assert risk.findings and risk.tables
    assert risk.level == risk.findings[0].level
