"""The impure door of the assessor: the same judgement as in a run, about the place where this process stands.

Rules: it reads names, links and the index of version control, and nothing else; it starts no process. What cannot be read is not known, and
what is not known is never LOW. `redact` is the same function that the runtime applies where text leaves.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..policies.risk.assess import assess as judge
from ..policies.risk.assess import with_overlay
from ..policies.risk.surroundings import Surroundings
from ..schemas.risk import Risk
from .tracked import is_tracked

_MOST_NAMES = 20_000


def assess(kind: str, payload: object) -> Risk:
    """Judge one action as if it ran in the current folder.

    Args:
        kind: `shell`, `sql`, `http`, `file_read`, `file_write` or `python`.
        payload: text; for http `{"method", "url", "headers"?, "body"?}`, for file_write `{"path", "content"}`.

    Returns:
        The level and its reasons, worst first. It never raises about the payload.
    """
    return judge(kind, payload, surroundings())


def redact(text: str) -> str:
    """Hide every secret that can be told from its form; see `policies.redact`."""
    from ..policies.redact import redact as hide

    return hide(text)


def surroundings(
    workspace: str | None = None,
    *,
    home: str | None = None,
    hosts: frozenset[str] = frozenset(),
    dialect: str | None = None,
    own: tuple[str, ...] = (),
    overlay: Mapping[str, Any] | None = None,
) -> Surroundings:
    """Describe a place of this machine for the assessor.

    Args:
        workspace: absolute folder that steps may work in; the current one when absent.
        home: the home directory of a step; that of this process when absent.
        hosts: hosts that may be read besides the listed ones.
        dialect: SQL dialect of the connection.
        own: absolute folders of the runtime itself.
        overlay: the user's additions (`risk:`); their examples are run here.

    Raises:
        InvalidConfiguration: the additions do not hold.
    """
    around = Surroundings(
        workspace=workspace or _here(),
        home=home or str(Path("~").expanduser()),
        resolve=_resolve,
        listing=_listing,
        is_tracked=is_tracked,
        hosts=hosts,
        dialect=dialect,
        own=own,
    )
    return with_overlay(overlay, around) if overlay else around


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return "/"  # the folder is gone; nothing lies inside the root


def _resolve(path: str) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return "/"  # a loop of links, or no path: outside of everything


def _listing(folder: str) -> tuple[str, ...] | None:
    try:
        with os.scandir(folder) as found:
            names = []
            for entry in found:
                names.append(entry.name)
                if len(names) > _MOST_NAMES:
                    return None
            return tuple(sorted(names))
    except (OSError, ValueError):
        return None
