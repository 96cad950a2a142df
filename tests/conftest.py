"""What the tests share: a frozen clock, a home, a workspace, people, and a door that is closed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, Recorder, authenticated
from assent.schemas.approval import Actor
from assent.tools.toolbox import standard

PEOPLE: dict[str, Any] = {
    "dora": ["developer"],
    "lena": ["lead"],
    "lou": ["lead"],
    "ada": ["admin"],
    "amos": ["admin"],
    "guest": [],
    "robot": {"roles": ["developer", "lead", "admin"], "kind": "agent"},
}
"""Who exists in the tests: a developer, two leads, two admins, one without a role, and an agent with every role."""

Door = Callable[..., Runtime]


@pytest.fixture
def clock() -> FrozenClock:
    """A wall clock that stands still."""
    return FrozenClock()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty workspace."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The path of a home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """A tool whose effects can be counted, also those that another door had."""
    return Recorder(tmp_path / "effects.jsonl")


@pytest.fixture
def door(home: Path, workspace: Path, clock: FrozenClock, recorder: Recorder) -> Iterator[Door]:
    """Open the home as somebody: `door("dora")`, `door("dora", preset="team", execute_within="1 hour")`. Each call is a fresh handle."""
    opened: list[Runtime] = []

    def opening(actor: str | Actor = "dora", *, people: Mapping[str, Any] = PEOPLE, tools: Any = None, **config: Any) -> Runtime:
        runtime = Runtime(
            home, workspace=workspace, config={"actors": dict(people), **config}, clock=clock, actor=authenticated(actor) if isinstance(actor, str) else actor,
            tools=tools if tools is not None else standard().plus(recorder),
        )
        opened.append(runtime)
        return runtime

    yield opening
    for runtime in opened:
        runtime.close()
