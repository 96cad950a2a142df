"""The schema of the ledger, and how an older one becomes this one.

Rules: the log and the decisions refuse update and delete; a plan's bytes never change; at most one live dispatch exists for a step and
direction. A store of a newer version is refused, one of an older version is migrated in one transaction.
"""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import cache

from . import dispatches, grants, log, opinions, requests, waiting

VERSION = 3

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE run (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, graph TEXT NOT NULL, tier INTEGER, title TEXT NOT NULL, requester TEXT NOT NULL,
    digest TEXT NOT NULL DEFAULT '', version INTEGER NOT NULL DEFAULT 0, stop_requested INTEGER NOT NULL DEFAULT 0,
    back_to INTEGER, ask BLOB NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, results BLOB, erased INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX run_by_time ON run (created_at DESC);
CREATE INDEX run_by_status ON run (status, created_at DESC);

CREATE TABLE plan (
    run_id TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL, bytes BLOB NOT NULL, editor TEXT NOT NULL, created_at TEXT NOT NULL,
    PRIMARY KEY (run_id, version)
);
CREATE TRIGGER plan_is_frozen BEFORE UPDATE ON plan BEGIN SELECT RAISE(ABORT, 'a plan does not change'); END;

CREATE TABLE request (
    id TEXT PRIMARY KEY, run_id TEXT NOT NULL, kind TEXT NOT NULL, digest TEXT NOT NULL, version INTEGER NOT NULL, risk TEXT NOT NULL,
    title TEXT NOT NULL, subject TEXT NOT NULL, options TEXT NOT NULL, need TEXT NOT NULL, requester TEXT NOT NULL,
    urgency TEXT NOT NULL, required_by TEXT, tags TEXT NOT NULL, opened_at TEXT NOT NULL, decide_by TEXT, status TEXT NOT NULL, settled_at TEXT,
    claimed_by TEXT NOT NULL DEFAULT '', claimed_until TEXT
) WITHOUT ROWID;
CREATE INDEX request_open ON request (opened_at, id) WHERE status = 'open';
CREATE INDEX request_due ON request (decide_by) WHERE status = 'open' AND decide_by IS NOT NULL;
CREATE INDEX request_by_run ON request (run_id, opened_at);

CREATE TABLE decision (
    seq INTEGER PRIMARY KEY, request_id TEXT NOT NULL, run_id TEXT NOT NULL, actor_id TEXT NOT NULL, actor TEXT NOT NULL,
    verdict TEXT NOT NULL, digest TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL
);
CREATE INDEX decision_by_run ON decision (run_id, seq);
CREATE INDEX decision_by_request ON decision (request_id, seq);
CREATE TRIGGER decision_stays BEFORE UPDATE ON decision BEGIN SELECT RAISE(ABORT, 'a decision does not change'); END;
CREATE TRIGGER decision_is_kept BEFORE DELETE ON decision BEGIN SELECT RAISE(ABORT, 'a decision is not deleted'); END;

CREATE TABLE dispatch (
    run_id TEXT NOT NULL, step INTEGER NOT NULL, direction TEXT NOT NULL, attempt INTEGER NOT NULL, digest TEXT NOT NULL,
    state TEXT NOT NULL, effect_class TEXT NOT NULL, key TEXT NOT NULL UNIQUE, before TEXT NOT NULL,
    started_at TEXT NOT NULL, finished_at TEXT, receipt TEXT,
    PRIMARY KEY (run_id, digest, direction, step, attempt)
) WITHOUT ROWID;
CREATE UNIQUE INDEX dispatch_live ON dispatch (run_id, digest, direction, step) WHERE state IN ('dispatched', 'done', 'in_doubt');

CREATE TABLE artifact (
    run_id TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, size_bytes INTEGER NOT NULL, media_type TEXT NOT NULL, created_at TEXT NOT NULL,
    PRIMARY KEY (run_id, name)
) WITHOUT ROWID;

CREATE TABLE outbox (
    id TEXT NOT NULL, channel TEXT NOT NULL, run_id TEXT NOT NULL, notice TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0, at TEXT NOT NULL, next_at TEXT NOT NULL, said TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (id, channel)
) WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (channel, next_at) WHERE state = 'waiting';

CREATE TABLE event (seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL, bytes BLOB NOT NULL, chain BLOB NOT NULL);
CREATE INDEX event_by_run ON event (run_id, seq) WHERE run_id <> '';
CREATE TRIGGER event_stays BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER event_is_kept BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
"""

MIGRATIONS: dict[int, str] = {0: _TABLES + requests.INDEX + grants.TABLES + waiting.TABLES, 1: opinions.TABLES, 2: dispatches.TABLES}
"""From version n to n + 1."""


def migrate(connection: sqlite3.Connection, found: int, now: datetime) -> None:
    """Bring a store of version `found` to `VERSION`, inside the caller's transaction."""
    for version in range(found, VERSION):
        # executescript would commit the caller's transaction, so statements go one by one.
        for statement in _statements(MIGRATIONS[version]):
            connection.execute(statement)
    if found == 0:
        found_ledger(connection, now)
    connection.execute(f"PRAGMA user_version = {VERSION}")


@cache
def schema() -> Mapping[str, str]:
    """Return what every store of this version is made of: each table, index and trigger by name, with the text that makes it."""
    with contextlib.closing(sqlite3.connect(":memory:")) as fresh:
        fresh.deserialize(_empty())
        return {row[0]: row[1] for row in fresh.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")}


def differences(connection: sqlite3.Connection) -> Mapping[str, str]:
    """Return what a store of this version has otherwise than its version makes it: by name, `missing`, `not ours` or `changed`."""
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall())
    wanted = schema()
    if found == wanted:
        return {}
    return {
        name: "missing" if name not in found else "not ours" if name not in wanted else "changed"
        for name in sorted(found.keys() | wanted.keys()) if found.get(name) != wanted.get(name)
    }  # fmt: skip


def damage(connection: sqlite3.Connection) -> list[str]:
    """Return which tables and indexes of a store are missing or changed; none for one of an older version, which is brought up to date first.

    A column of another name is whole in SQLite's eyes, and would be found only by the statement that writes it: after the effect. Triggers only
    guard, and what is more than ours stands in nobody's way: `verify` tells of those.
    """
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        return []
    odd = differences(connection).items()
    return [f"{name} is {how}" for name, how in odd if how != "not ours" and not schema()[name].startswith("CREATE TRIGGER")]


def founded(now: datetime) -> bytes:
    """Return the file of a new ledger: every table, its name, and the first entry of its log; the write-ahead log is switched on in its header."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        fresh.deserialize(_empty())
        found_ledger(fresh, now)
        return with_write_ahead_log(fresh.serialize())


def with_write_ahead_log(file: bytes) -> bytes:
    """Return a database file with the write-ahead log switched on.

    Bytes 18 and 19 of the header say how the file is to be written and read; 2 is the write-ahead log. Source: SQLite's file format, 1.3.3.
    """
    return file[:18] + b"\x02\x02" + file[20:]


@cache
def _empty() -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        for version in range(VERSION):
            for statement in _statements(MIGRATIONS[version]):
                fresh.execute(statement)
        fresh.execute(f"PRAGMA user_version = {VERSION}")
        fresh.execute("VACUUM")  # of the pages of tables that a later version replaced
        return fresh.serialize()


def found_ledger(connection: sqlite3.Connection, now: datetime) -> None:
    """Give a new ledger its name and the first entry of its log."""
    name = uuid.uuid4().hex
    connection.execute("INSERT INTO meta (key, value) VALUES ('deployment', ?)", (name,))
    log.append(connection, "", "ledger.founded", now, "system", {"deployment": name})


def _statements(script: str) -> list[str]:
    found: list[str] = []
    buffer = ""
    for line in script.splitlines(keepends=True):
        buffer += line
        if sqlite3.complete_statement(buffer):
            if buffer.strip():
                found.append(buffer)
            buffer = ""
    return found
