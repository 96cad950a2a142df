"""What a model may know of the workspace: the names of its files, and the beginning of its README. Nothing else is opened.

Rules:
- names that say that a file holds a secret are left out, and so is what version control and package managers keep;
- no symbolic link is followed; the README is a regular file, of a bounded length, and redacted;
- names are shown with every character visible, so that none can act in a prompt or in a terminal;
- bounded: in names, in folders, and in how far down it looks. What is left out is counted.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ..policies.policy import Sees
from ..policies.redact import redact
from ..policies.risk.paths import is_secret
from ..policies.risk.surroundings import Surroundings
from ..policies.show import visible

MOST_FILES = 300
MOST_SEEN = 20_000
DEEPEST = 6
README_CHARS = 4000
_LONGEST_NAME = 200
_SKIPPED = frozenset({
    ".git", ".hg", ".svn", ".assent", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".cache",
    ".idea", ".vscode", "dist", "build", "target",
})  # fmt: skip
_READMES = ("readme.md", "readme", "readme.rst", "readme.txt")


@dataclass(frozen=True)
class WorkspaceFacts:
    """What is told of a workspace.

    Args:
        files: paths from the workspace on, sorted; folders that were not entered end with `/`.
        more: how many names were seen and are not in `files`, secrets among them.
        readme: the beginning of the README, redacted; empty when there is none.
        are_shown: false where the policy keeps the names of files.
    """

    files: tuple[str, ...] = ()
    more: int = 0
    readme: str = ""
    are_shown: bool = True

    @property
    def listing(self) -> str:
        """The files, one a line, and how many are not shown."""
        if not self.are_shown:
            return "(not shown)"
        rest = [f"(and {self.more} more, not shown)"] if self.more else []
        return "\n".join([*self.files, *rest]) or "(empty)"


def look(workspace: Path, around: Surroundings, sees: Sees | None = None) -> WorkspaceFacts:
    """Look at a workspace.

    Args:
        workspace: absolute folder.
        around: tells which names are secret.
        sees: what the policy lets a model see; names and README by default.
    """
    sees = sees or Sees()
    readme = _readme(workspace) if sees.readme else ""
    if not sees.files:
        return WorkspaceFacts(readme=readme, are_shown=False)
    found: list[str] = []
    seen = 0
    for folder, folders, names in os.walk(workspace):
        here = Path(folder).relative_to(workspace)
        deep = len(here.parts) >= DEEPEST
        closed = [name for name in folders if name in _SKIPPED or deep or (Path(folder) / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in closed)
        entries = sorted(names) + [f"{name}/" for name in sorted(closed)]
        seen += len(entries)
        found += [
            _shown(str(here / name)) + ("/" if name.endswith("/") else "")
            for name in entries
            if not is_secret(str(here / name), around) and not _is_hidden((here / name).as_posix(), sees.hide)
        ]
        if seen >= MOST_SEEN:
            break
    found.sort(key=lambda name: (name.count("/"), name))
    kept = tuple(found[:MOST_FILES])
    return WorkspaceFacts(files=tuple(sorted(kept)), more=seen - len(kept), readme=readme)


def _is_hidden(path: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a path, or a folder on the way to it, has a name that is left out."""
    parts = path.rstrip("/").split("/")
    places = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)] + parts
    return any(fnmatchcase(place.lower(), pattern.rstrip("/").lower()) for pattern in patterns for place in places)


def _shown(name: str) -> str:
    text = visible(name, letters=True)
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "…"


def _readme(workspace: Path) -> str:
    try:
        names = {name.lower(): name for name in sorted(os.listdir(workspace), reverse=True)}  # noqa: PTH208 - names, not paths
    except OSError:
        return ""
    for name in _READMES:
        if name in names:
            # Redacted before it is cut: half a private key is no longer recognised. Hidden characters are shown, as in names.
            text = visible(redact(_head(workspace / names[name])), letters=True, multiline=True).strip()
            return text if len(text) <= README_CHARS else text[:README_CHARS].rpartition("\n")[0] + "\n…"
    return ""


def _head(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return os.read(descriptor, README_CHARS * 4).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
