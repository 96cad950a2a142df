"""The files of a repository, found once and read once: what is there, and the syntax tree of what is Python.

Rules: links are not followed, folders of tools and installed packages are not entered, and no more is read than the bounds of `tables.yaml`; what
was left out is said. Deliberately parses only: nothing of the repository is imported or run.
"""

from __future__ import annotations

import ast
import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ...schemas.agent_message import AgentMessage
from ...schemas.errors import NotFound

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def tables() -> dict[str, Any]:
    """Return what the analysis knows by name."""
    text = resources.files(__package__ or "assent.runtime.analysis").joinpath("tables.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, in C where there is one
    return found


@dataclass
class Source:
    """One Python file."""

    name: str
    text: str
    tree: ast.Module | None = None
    error: str = ""

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return self.text.count("\n") + (1 if self.text and not self.text.endswith("\n") else 0)

    @property
    def is_test(self) -> bool:
        """Whether it is a test by name or place."""
        *folders, file = self.name.split("/")
        return file.startswith("test_") or file.endswith("_test.py") or file == "conftest.py" or any(f in ("tests", "test", "testing") for f in folders[:-1] or folders)

    @property
    def module(self) -> str:
        """Its dotted name from the root; a folder `src` does not count."""
        parts = self.name.removesuffix(".py").split("/")
        parts = parts[1:] if parts[0] == "src" and len(parts) > 1 else parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass
class Repository:
    """What a repository holds."""

    root: Path
    files: list[str] = field(default_factory=list)
    python: list[Source] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        return (self.root / name).is_file()

    def text(self, name: str) -> str:
        """Return a small file as text; empty when it is not there."""
        try:
            with (self.root / name).open("rb") as file:
                return file.read(tables()["bounds"]["file_bytes"]).decode("utf-8", "replace")
        except OSError:
            return ""


def path_of(message: AgentMessage) -> Path:
    """Return the folder that a task names. Raises: NotFound: it is no folder."""
    inputs = message.body.content.get("inputs")
    path = Path(str(inputs.get("path", ""))) if isinstance(inputs, Mapping) else Path()
    if not path.is_absolute() or not path.is_dir():
        raise NotFound(f"{path} is not a folder", hint="give the absolute path of a repository as the input `path`")
    return path


def without_of(message: AgentMessage) -> str:
    """Return the folder inside of the repository that is left out, by its name from the root; empty: none."""
    inputs = message.body.content.get("inputs")
    return str(inputs.get("without") or "") if isinstance(inputs, Mapping) else ""


def focus_of(message: AgentMessage) -> frozenset[str]:
    """Return what a task wants to be looked at."""
    focus = message.body.content.get("focus")
    return frozenset(str(one) for one in focus) if isinstance(focus, list) else frozenset()


def read_repository(root: Path, without: str = "") -> Repository:
    """Read a repository, except for one folder in it."""
    bounds = tables()["bounds"]
    found = Repository(root)
    for name in walk(root, without):
        if len(found.files) >= bounds["files"]:
            found.left_out.append(f"more than {bounds['files']:,} files: the rest was not looked at")
            break
        found.files.append(name)
        if name.endswith(".py"):
            _add(found, name, bounds["file_bytes"])
    return found


def walk(root: Path, without: str = "") -> Iterator[str]:
    """Yield the files of a repository by their names from its root, in a steady order, except for one folder in it."""
    skip = frozenset(tables()["skip"])
    for folder, folders, files in os.walk(root, followlinks=False):
        here = Path(folder)
        folders[:] = sorted(
            one for one in folders
            if one not in skip and (here / one).relative_to(root).as_posix() != without and not one.endswith(".egg-info") and not (here / one / "pyvenv.cfg").exists()
        )
        for file in sorted(files):
            path = here / file
            if not path.is_symlink() and path.is_file():
                yield path.relative_to(root).as_posix()


def tree_digest(root: Path, without: str = "") -> str:
    """Return one digest of everything that `walk` yields: names and contents. Equal digests: nothing to look at again."""
    whole = hashlib.sha256()
    for name in walk(root, without):
        content = hashlib.sha256()
        try:
            with (root / name).open("rb") as file:
                while chunk := file.read(1 << 20):
                    content.update(chunk)
        except OSError as error:
            content.update(str(error.errno).encode())
        whole.update(f"{name}\0{content.hexdigest()}\n".encode("utf-8", "surrogateescape"))
    return "sha256:" + whole.hexdigest()


def _add(found: Repository, name: str, most_bytes: int) -> None:
    path = found.root / name
    try:
        if path.stat().st_size > most_bytes:
            found.left_out.append(f"{name} is larger than {most_bytes:,} bytes")
            return
        source = Source(name, path.read_bytes().decode("utf-8", "replace"))
    except OSError as error:
        found.left_out.append(f"{name} cannot be read: {error.strerror}")
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the repository's odd escapes are its own matter
            source.tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        source.error = f"{type(error).__name__}: {getattr(error, 'msg', error)} (line {getattr(error, 'lineno', '?')})"
    found.python.append(source)
