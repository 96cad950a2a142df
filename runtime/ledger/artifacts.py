"""The index of what is kept with a run; the bytes lie in the artifact folder under their digest."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

from ...schemas.noun import stamp
from ...schemas.results import Artifact
from . import log


def index(c: sqlite3.Connection, run_id: str, artifact: Artifact, at: datetime) -> None:
    """Record a file of a run; the same name again replaces the entry, and the log keeps both."""
    c.execute(
        "INSERT OR REPLACE INTO artifact (run_id, name, digest, size_bytes, media_type, created_at) VALUES (?,?,?,?,?,?)",
        (run_id, artifact.name, artifact.digest, artifact.size_bytes, artifact.media_type, stamp(at)),
    )
    log.append(c, run_id, "artifact.kept", at, "system", {"digest": artifact.digest, "name": artifact.name, "size": artifact.size_bytes, "type": artifact.media_type})


def of_run(c: sqlite3.Connection, run_id: str) -> list[Artifact]:
    """Return what is kept with a run, by name."""
    rows: list[tuple[Any, ...]] = c.execute(
        "SELECT name, digest, size_bytes, media_type, created_at FROM artifact WHERE run_id = ? ORDER BY name", (run_id,)
    ).fetchall()
    return [Artifact(name=r[0], digest=r[1], size_bytes=r[2], media_type=r[3], created_at=r[4]) for r in rows]
