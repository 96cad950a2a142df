"""The checkpoints: LangGraph's bookmark of where a run is. They may be lost, forked or forged without harm, so comfort decides here.

Rules:
- Strict deserialisation, whatever the environment says: loading a checkpoint never imports or calls anything.
- One saver serves sync and async callers; SQLite answers faster than a hand-over to another thread takes.
- `synchronous` OFF: a killed process loses nothing; a power failure may cost bookmarks, after which stations run again and ask the ledger.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from .keep import place_whole
from .ledger.tables import with_write_ahead_log

_SET_UP = 1


class Checkpoints(SqliteSaver):
    """LangGraph's SQLite saver, strict, for sync and async callers."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; one that is damaged is set aside, because the ledger can do without it."""
        connection = _open(path)
        super().__init__(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None, pickle_fallback=False))

    def setup(self) -> None:
        """Make the tables where they are missing; a file that was set up before is not set up again at every opening."""
        if not self.is_setup and self.conn.execute("PRAGMA user_version").fetchone()[0] == _SET_UP:
            self.is_setup = True
        if not self.is_setup:
            super().setup()
            self.conn.execute(f"PRAGMA user_version = {_SET_UP}")

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return what `get_tuple` returns."""
        return self.get_tuple(config)

    async def alist(
        self, config: RunnableConfig | None, *, filter: dict[str, Any] | None = None, before: RunnableConfig | None = None, limit: int | None = None
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield what `list` yields; read at once, because the generator would hold the saver's lock between items."""
        for found in tuple(self.list(config, filter=filter, before=before, limit=limit)):
            yield found

    async def aput(self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions) -> RunnableConfig:
        """Do what `put` does."""
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """Do what `put_writes` does."""
        self.put_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Do what `delete_thread` does."""
        self.delete_thread(thread_id)

    def threads(self) -> Iterator[str]:
        """Yield the ids of all threads that have a checkpoint."""
        with self.cursor(transaction=False) as cursor:
            yield from [row[0] for row in cursor.execute("SELECT DISTINCT thread_id FROM checkpoints").fetchall()]


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        set_aside(path)
        return _connect(path)


def set_aside(path: Path) -> None:
    """Rename a damaged file, so that a new one can take its place; nothing needs what is in it."""
    path.replace(path.with_suffix(".damaged.db"))
    for beside in ("-wal", "-shm"):
        Path(f"{path}{beside}").unlink(missing_ok=True)


@cache
def _empty() -> bytes:
    """Return the file of a new store, set up by the saver's own statements, with the write-ahead log switched on in its header."""
    with contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)) as fresh:
        SqliteSaver(fresh).setup()
        fresh.execute(f"PRAGMA user_version = {_SET_UP}")
        fresh.commit()
        return with_write_ahead_log(fresh.serialize())


def _connect(path: Path) -> sqlite3.Connection:
    if not path.exists():
        # Whole, so that nobody ever sees half of it; making the tables in place takes ten times as long.
        place_whole(path, _empty())
    connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    path.chmod(0o600)
    return connection
