"""The home folder: one place for the ledger, the checkpoints, the locks and the artifacts, for its owner only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..schemas.errors import StoreUnavailable


@dataclass(frozen=True)
class Home:
    """The paths in one home."""

    root: Path

    @classmethod
    def make(cls, path: str | Path) -> Home:
        """Return the home at `path`, made where it is missing.

        Raises:
            StoreUnavailable: the folder cannot be made or written, or is somebody else's.
        """
        home = cls(Path(path).expanduser().absolute())
        hold_own(home.root)
        try:
            for folder in (home.root, home.artifacts, home.locks, home.scratch):
                if not folder.is_dir():
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"{home.root} cannot be made: {error}", hint="choose another home with --home, or mend the folder's permissions") from error
        if not os.access(home.root, os.W_OK):
            raise StoreUnavailable(f"{home.root} cannot be written", hint="choose another home with --home, or mend the folder's permissions")
        return home

    @cached_property
    def ledger(self) -> Path:
        """The ledger's database."""
        return self.root / "ledger.db"

    @cached_property
    def checkpoints(self) -> Path:
        """LangGraph's checkpoints."""
        return self.root / "checkpoints.db"

    @cached_property
    def artifacts(self) -> Path:
        """What is kept with runs."""
        return self.root / "artifacts"

    @cached_property
    def locks(self) -> Path:
        """One lock file a run."""
        return self.root / "locks"

    @cached_property
    def scratch(self) -> Path:
        """Where processes record their own end."""
        return self.root / "scratch"

    @cached_property
    def backups(self) -> Path:
        """Where `assent backup` writes."""
        return self.root / "backups"


def hold_own(root: Path) -> None:
    """Pass unless a home is somebody else's: whoever writes there decides, so it is open to one user of the operating system.

    Raises:
        StoreUnavailable: it is another's, and closed.
    """
    owner = of_somebody_else(root)
    if owner and not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise StoreUnavailable(f"{root} is the home of {owner}, and nobody else opens it", hint=ways_in(owner))


def of_somebody_else(root: Path) -> str:
    """Return whose a home is where it is not this process's user's; empty otherwise."""
    try:
        owner = root.stat().st_uid
    except OSError:
        return ""
    if owner == os.getuid():
        return ""
    from .identity import login_name  # loads the policies, which whoever is at home here may not need

    return login_name(owner)


def ways_in(owner: str) -> str:
    """Return how somebody gets to the questions in a home that is another's."""
    from .identity import operating_system_user

    return f"let {owner} invite you to its page, `assent serve --invite {operating_system_user()}`, or use a home of your own with --home"
