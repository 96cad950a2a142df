"""Put a copy of the small project `parcel` into a folder: `python prepare.py FOLDER`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def prepare(folder: Path) -> None:
    """Copy the project. Raises: FileExistsError: there is something already."""
    shutil.copytree(Path(__file__).parent / "parcel", folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache", ".ruff_cache"))


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
    print(f"{sys.argv[1]} is a project with a defect; `assent run --graph delivery {Path(__file__).parent / 'fix.yaml'} --workspace {sys.argv[1]}` delivers the remedy")
