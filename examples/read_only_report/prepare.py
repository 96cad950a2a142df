"""Build a folder with a few documents to report on. Usage: prepare.py FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path


def prepare(folder: Path) -> Path:
    """Make the folder and return its path."""
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    (folder / "docs" / "guide.md").write_text("# Guide\n\nFirst the door, then the inbox.\n", encoding="utf-8")
    (folder / "docs" / "faq.md").write_text("# Questions\n\nWho approves? Somebody else.\n", encoding="utf-8")
    return folder


if __name__ == "__main__":
    print(prepare(Path(sys.argv[1] if len(sys.argv) > 1 else "report")))
