"""File reads and writes as the tools hand them in."""

from __future__ import annotations

import pytest

from assent.policies.risk.files import assess_read, assess_write
from assent.policies.risk.surroundings import Surroundings
from assent.schemas.risk import Level

AROUND = Surroundings(workspace="/projects/shop", home="/home/ada")


def test_project_file_is_read_without_a_question() -> None:
    assert assess_read("src/main.py", AROUND).level == Level.LOW


def test_file_tool_does_not_leave_the_workspace_even_for_public_facts() -> None:
    risk = assess_read("/etc/os-release", AROUND)
    assert risk.level == Level.HIGH
    assert risk.findings[0].lower


@pytest.mark.parametrize("payload", [None, 5, b"a", ["a"], {"path": "a"}])
def test_read_of_something_else_than_a_path_is_high(payload: object) -> None:
    assert assess_read(payload, AROUND).level == Level.HIGH


@pytest.mark.parametrize(
    "payload",
    [
        None, "a.md", {}, {"path": "a.md"}, {"path": "a.md", "content": b"x"}, {"path": 5, "content": "x"}, {"path": None, "content": ""},
        {"path": "a.md", "content": "x", "mode": "0777"},
    ],
)  # fmt: skip
def test_write_of_another_shape_is_high(payload: object) -> None:
    assert assess_write(payload, AROUND).level == Level.HIGH


@pytest.mark.parametrize("path", ["docs/a.md", "/dev/null", "/dev/stdout"])
def test_write_is_never_low(path: str) -> None:
    assert assess_write({"path": path, "content": "x"}, AROUND).level >= Level.MEDIUM


def test_ordinary_write_says_that_it_can_be_taken_back() -> None:
    assert assess_write({"path": "docs/a.md", "content": "x"}, AROUND).rules == ("path.write",)
