"""The phase store: which agent of which run reported what about which inputs, one small file each.

Rules: a file is there whole or not at all; it says itself what it is about, and one that says something else, cannot be read or is not JSON
counts as absent, because the cost of that is running an agent again. Not durable, for the same reason. Reports themselves are artifacts.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ..schemas.canonical import canonical, parse
from ..schemas.phase import Settled
from .keep import write_whole


class PhaseStore:
    """Notes of reports in a folder. Any number of processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, run_id: str, phase: str, agent_id: str, digest: str) -> Settled | None:
        """Return what was noted; None: nothing, or nothing that can be trusted."""
        about = _about(run_id, phase, agent_id, digest)
        try:
            found = parse(self._path(about).read_bytes())
            if found["about"] != about:
                return None
            return Settled.model_validate(found["settled"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, run_id: str, phase: str, agent_id: str, digest: str, settled: Settled) -> None:
        """Note a report; the later note holds. Raises: OSError."""
        about = _about(run_id, phase, agent_id, digest)
        write_whole(self._path(about), canonical({"about": about, "settled": settled.as_json()}), durable=False)

    def _path(self, about: list[str]) -> Path:
        name = hashlib.sha256(canonical(about)).hexdigest()
        return self.folder / name[:2] / f"{name}.json"


def _about(*parts: Any) -> list[str]:
    return [str(part) for part in parts]
