"""Where the testing agents work: the project as it is, or a copy of it that goes away afterwards; and how a task says so.

Inputs of the testing phase: `path` (absolute), `without` (a folder in it that is left out), `in_place` (false: a copy), `python` (this interpreter), `test_command` (pytest), `workflows` and
`benchmark` (commands as lists), `baseline_s` (seconds of the benchmark before the change), `rollback_tested`. A copy leaves out what the analysis
leaves out. A project that is installed in editable form is tested where it is installed from; test it in place, or install the copy first.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...schemas.agent_message import AgentMessage
from ...schemas.phase import AgentLimits
from ..analysis.sources import path_of, walk, without_of


def inputs_of(message: AgentMessage) -> Mapping[str, Any]:
    """Return the inputs of a task."""
    found = message.body.content.get("inputs")
    return found if isinstance(found, dict) else {}


def limits_of(message: AgentMessage) -> AgentLimits:
    """Return the limits of a task, which hold for what it starts."""
    return AgentLimits.model_validate(message.body.content.get("limits") or {})


def wants(message: AgentMessage, word: str) -> bool:
    """Tell whether a task's focus has a word in it."""
    focus = message.body.content.get("focus")
    return not isinstance(focus, list) or any(word in str(one) for one in focus)


def python_of(message: AgentMessage) -> str:
    """Return the interpreter that runs the project."""
    return str(inputs_of(message).get("python") or sys.executable)


def command_of(message: AgentMessage, name: str) -> list[str]:
    """Return a configured command; empty: none is configured."""
    found = inputs_of(message).get(name)
    return [str(part) for part in found] if isinstance(found, list) else []


@contextlib.contextmanager
def workplace(message: AgentMessage) -> Iterator[Path]:
    """Hold the folder in which commands run. Raises: NotFound: the task names no folder. Side effects: a copy, for as long as it is held."""
    root = path_of(message)
    if inputs_of(message).get("in_place") is True:
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="assent-copy-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / root.name
        copy.mkdir()
        for name in walk(root, without_of(message)):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)
        yield copy
