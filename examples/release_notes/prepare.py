"""Build a small git repository with untidy release notes. Usage: prepare.py FOLDER"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOTES = """\
# Release notes

## 1.2.0
- added: export of orders as CSV
- fixd: totals were rounded twice

## 1.1.0
- added: search by customer
"""


def prepare(folder: Path) -> Path:
    """Make the repository and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / "release-notes.md").write_text(NOTES, encoding="utf-8")
    (folder / "VERSION").write_text("1.2.0\n", encoding="utf-8")
    git = ["git", "-c", "user.name=example", "-c", "user.email=example@example.invalid", "-c", "init.defaultBranch=main"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--allow-empty", "--message", "Release notes"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


if __name__ == "__main__":
    print(prepare(Path(sys.argv[1] if len(sys.argv) > 1 else "notes")))
