"""Where an action would run, as a value: everything the assessor may know of the world.

The assessor is pure; what it must ask of the file system (where does this path really lead?) comes in as a function, so that a test can
give it any world and the same question has the same answer twice.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any


def lexical(path: str) -> str:
    """Collapse `.` and `..` without asking any file system."""
    return posixpath.normpath(path)


@dataclass(frozen=True)
class Surroundings:
    """The place of an action.

    Args:
        workspace: absolute path of the folder that steps may work in; it is also the working directory of shell and python steps.
        home: absolute path of the home directory that `~` stands for in a step's environment.
        resolve: absolute path in, absolute path with every symbolic link followed out (`os.path.realpath`); must not raise.
        listing: absolute folder in, the names in it out, or `None` when it cannot be read. Used to check every match of a glob.
        is_tracked: absolute path in, true when version control could restore it. Absent knowledge is `False`.
        hosts: hosts that may be read (GET, HEAD) in addition to the shipped table, lower case.
        dialect: SQL dialect of the connection, or `None` when not known.
        own: absolute folders of the runtime itself: its records, its settings and the token of its door.
        overlay: the user's additions to the tables, as read from the configuration (`risk:`), already validated.
    """

    workspace: str
    home: str = "/nonexistent"
    resolve: Callable[[str], str] = lexical
    listing: Callable[[str], tuple[str, ...] | None] = lambda folder: None
    is_tracked: Callable[[str], bool] = lambda path: False
    hosts: frozenset[str] = frozenset()
    dialect: str | None = None
    own: tuple[str, ...] = ()
    overlay: Mapping[str, Any] = field(default_factory=dict)

    def at_once(self) -> Surroundings:
        """Return the same place as it is at one moment: the file system is asked each thing once. For the actions of one plan."""
        return replace(self, resolve=cache(self.resolve), listing=cache(self.listing), is_tracked=cache(self.is_tracked))
