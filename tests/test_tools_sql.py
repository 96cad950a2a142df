"""SQL: one statement, one transaction, on a file inside the workspace and on nothing else."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assent.schemas.canonical import canonical, digest
from assent.schemas.dispatch import EffectClass, Receipt
from assent.schemas.errors import InvalidPlan
from assent.tools import engine, statement
from assent.tools.sql import Sql, undo_verified
from assent.tools.tool import Limits, Place, ToolRefused
from assent.tools.toolbox import standard


class MemoryKeep:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.kept[digest(data)] = data
        return digest(data)

    def get(self, name: str) -> bytes:
        return self.kept[name]


TOOL = Sql()
BOX = standard()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "workspace").mkdir()
    place = Place(
        workspace=tmp_path / "workspace",
        keep=MemoryKeep(),
        scratch=tmp_path / "home" / "scratch",
        limits=Limits(time_s=2.0, output_bytes=1_000_000),
    )
    with _shop(place) as shop:
        shop.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL)")
        shop.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)", [(number, f"c{number % 7}", number / 2) for number in range(1, 101)]
        )
    return place


class _shop:
    def __init__(self, place: Place) -> None:
        self._connection = sqlite3.connect(place.workspace / "shop.db")

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.commit()
        self._connection.close()


def parse(text: str, database: str = "shop.db", **more: Any) -> Any:
    return BOX.parse("sql", {"database": database, "statement": text, **more})


def run(place: Place, text: str, database: str = "shop.db", **more: Any) -> Receipt:
    args = parse(text, database, **more)
    receipt = TOOL.run(args, place, key="k", before=TOOL.prepare(args, place))
    canonical(receipt.as_json())
    return receipt


def count(place: Place) -> int:
    with _shop(place) as shop:
        found: int = shop.execute("SELECT count(*) FROM orders").fetchone()[0]
    return found


READS = [
    "SELECT 1",
    " \n-- comment\n/* DELETE */ select * from orders",
    "VALUES (1), (2)",
    "EXPLAIN QUERY PLAN SELECT * FROM orders",
    "EXPLAIN DELETE FROM orders",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "WITH x AS (SELECT replace('a', 'b', 'c')) SELECT * FROM x",
    "PRAGMA table_info(orders)",
    "SELECT 'INSERT INTO x; DROP TABLE y'",
    'SELECT "DELETE" FROM (SELECT 1 AS "DELETE")',
]
WRITES = [
    "INSERT INTO orders (customer) VALUES ('x')",
    "REPLACE INTO orders (id, customer) VALUES (1, 'x')",
    "UPDATE orders SET total = 0",
    "DELETE FROM orders",
    "WITH x AS (SELECT 1) DELETE FROM orders WHERE id IN (SELECT * FROM x)",
    "WITH x AS (SELECT 1) REPLACE INTO orders (id) SELECT * FROM x",
    "PRAGMA user_version = 3",
    "ANALYZE",
    "REINDEX",
]
SCHEMA = [
    "CREATE INDEX i ON orders (customer)",
    "DROP TABLE orders",
    "ALTER TABLE orders ADD COLUMN x",
    "/* c */ create view v as select 1",
]


@pytest.mark.parametrize(
    ("text", "kind"), [(t, "read") for t in READS] + [(t, "write") for t in WRITES] + [(t, "schema") for t in SCHEMA]
)
def test_what_a_statement_is_and_that_it_runs_as_that(place: Place, text: str, kind: str) -> None:
    args = parse(text)
    assert statement.kind(text) == kind
    assert TOOL.effects(args).writes == (kind != "read")
    classes = {"read": EffectClass.CONDITIONAL, "write": EffectClass.OPAQUE, "schema": EffectClass.READABLE}
    assert TOOL.effect_class(args) == classes[kind]
    file = (place.workspace / "shop.db").read_bytes()
    assert run(place, text).is_done
    assert ((place.workspace / "shop.db").read_bytes() == file) == (kind == "read" or text == "REINDEX")


@pytest.mark.parametrize(
    "text",
    [
        *(text for text in WRITES if text != "REINDEX"),
        *SCHEMA,
        "VACUUM",
        "PRAGMA journal_mode = WAL",
        "PRAGMA writable_schema = ON",
        "ATTACH 'x.db' AS x",
    ],
)
def test_write_that_was_taken_for_a_read_changes_nothing(place: Place, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = (place.workspace / "shop.db").read_bytes()
    monkeypatch.setattr(statement, "kind", lambda text: "read")
    receipt = run(place, text)
    assert receipt.status == "failed"
    assert (place.workspace / "shop.db").read_bytes() == file
    assert sorted(os.listdir(place.workspace)) == ["shop.db"]


@pytest.mark.parametrize(
    "text",
    [
        "ATTACH DATABASE 'other.db' AS other",
        "DETACH DATABASE main",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "PRAGMA journal_mode = WAL",
        "PRAGMA journal_mode(WAL)",
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = OFF",
        "PRAGMA trusted_schema = ON",
        "PRAGMA synchronous = OFF",
        "PRAGMA temp_store_directory = '/tmp'",
        "PRAGMA wal_checkpoint",
        "SELECT load_extension('x')",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "SELECT 1; SELECT 2",
        "DELETE FROM orders; SELECT 1",
        "SELECT writefile('x', 'y')",
        "CREATE TABLE x (a); DROP TABLE orders",
        "SELEC 1",
        "INSERT INTO orders (id) VALUES (1)",
        "INSERT INTO nothing VALUES (1)",
        "SELECT ?",
        ";",
    ],
)
def test_what_is_denied_or_wrong_fails_and_changes_nothing(place: Place, text: str) -> None:
    file = (place.workspace / "shop.db").read_bytes()
    receipt = run(place, text)
    if text == ";":
        assert receipt.output["rows"] == []
    else:
        assert receipt.status == "failed"
        assert "nothing was changed" in receipt.summary
    assert (place.workspace / "shop.db").read_bytes() == file
    assert sorted(os.listdir(place.workspace)) == ["shop.db"]


@pytest.mark.parametrize(
    ("database", "rule"),
    [("../shop.db", "path.climbs"), ("/etc/x.db", "path.outside"), ("link.db", "file.kind"), ("way/shop.db", "path.link"), ("pipe", "file.kind"),
     (":memory:", "sql.missing"), ("file:shop.db?mode=rwc", "sql.missing"), ("none.db", "sql.missing"), ("", "malformed"), (".assent/ledger.db", "path.own")],
)  # fmt: skip
def test_database_elsewhere_or_missing_is_refused(place: Place, tmp_path: Path, database: str, rule: str) -> None:
    (tmp_path / "outside").mkdir()
    with sqlite3.connect(tmp_path / "outside" / "shop.db") as outside:
        outside.execute("CREATE TABLE secret (a)")
    outside.close()
    (place.workspace / "link.db").symlink_to(tmp_path / "outside" / "shop.db")
    (place.workspace / "way").symlink_to(tmp_path / "outside")
    os.mkfifo(place.workspace / "pipe")
    before = sorted(os.listdir(place.workspace))
    if not database:
        with pytest.raises(InvalidPlan, match="database"):
            run(place, "SELECT 1", database)
        return
    for text in ("SELECT * FROM secret", "INSERT INTO secret VALUES (1)"):
        with pytest.raises(ToolRefused) as refusal:
            run(place, text, database)
        assert refusal.value.rule == rule
    assert sorted(os.listdir(place.workspace)) == before


def test_create_makes_a_database_and_a_failed_one_leaves_none(place: Place) -> None:
    assert run(place, "CREATE TABLE bad (", "new.db").status == "failed"
    assert sorted(os.listdir(place.workspace)) == ["shop.db"]
    receipt = run(place, "CREATE TABLE good (a)", "new.db")
    assert receipt.is_done
    assert receipt.before["existed"] is False
    receipt = run(place, "CREATE TABLE good (a)", "no/folder/new.db")
    assert receipt.status == "not_started"
    assert "could not be opened" in receipt.summary


def test_strange_file_names_are_the_file_and_not_an_option(place: Place) -> None:
    for name in ("a?mode=ro&x=1", "a#b", "a%20b", "ü b"):
        assert run(place, "CREATE TABLE t (a)", name).is_done
        assert (place.workspace / name).stat().st_size > 0


def test_database_swapped_with_a_link_is_never_touched(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside.db"
    with sqlite3.connect(outside) as connection:
        connection.execute("CREATE TABLE orders (id, customer, total)")
    connection.close()
    mine, link, real = (place.workspace / name for name in ("shop.db", "link", "real"))
    link.symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            mine.rename(real)
            link.rename(mine)
            mine.rename(link)
            real.rename(mine)

    thread = threading.Thread(target=swap)
    thread.start()
    seen: set[str] = set()
    try:
        for _ in range(400):
            try:
                seen.add(run(place, "INSERT INTO orders (customer) VALUES ('x')").status)
            except ToolRefused:
                seen.add("refused")
    finally:
        stop.set()
        thread.join()
    with sqlite3.connect(outside) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)
    connection.close()
    assert "refused" in seen or "not_started" in seen


def test_database_swapped_between_looking_and_opening_is_refused(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, mine = tmp_path / "outside.db", place.workspace / "shop.db"
    shutil.copy(mine, outside)
    other = place.workspace / "other.db"
    shutil.copy(mine, other)
    args = parse("DELETE FROM orders")
    before = TOOL.prepare(args, place)
    real: Any = sqlite3.connect

    def link_to_outside() -> None:
        mine.rename(tmp_path / "aside")
        mine.symlink_to(outside)

    def another_file() -> None:
        other.rename(mine)

    for swap in (link_to_outside, another_file):

        def connect(*positional: Any, swap: Any = swap, **named: Any) -> Any:
            swap()
            return real(*positional, **named)

        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", connect)
            receipt = TOOL.run(args, place, key="k", before=before)
        assert receipt.status == "not_started"
        mine.unlink(missing_ok=True)
        shutil.copy(outside, mine)
    with real(outside) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (100,)
    connection.close()


def test_rows_come_back_small_and_whole(place: Place) -> None:
    receipt = run(place, "SELECT id, customer FROM orders ORDER BY id")
    assert receipt.output["columns"] == ["id", "customer"]
    assert (len(receipt.output["rows"]), receipt.output["row_count"]) == (50, 100)
    assert receipt.output["rows"][0] == [1, "c1"]
    assert receipt.output["elapsed_ms"] > 0
    assert place.keep.get(receipt.output_ref).startswith(b'[[1,"c1"],[2,"c2"]')
    receipt = run(place, "SELECT hex(zeroblob(3000)) FROM orders LIMIT 20")
    assert len(canonical(receipt.output)) <= 4096
    assert receipt.output["row_count"] == 20


def test_values_that_json_cannot_hold_become_text(place: Place) -> None:
    receipt = run(place, "SELECT 9007199254740993, 9e999, x'ff00', NULL, 1.5, CAST(x'ff' AS TEXT)")
    assert receipt.output["rows"] == [["9007199254740993", "inf", "0xff00", None, 1.5, "�"]]
    assert "value" not in receipt.output
    assert run(place, "SELECT count(*) FROM orders").output["value"] == 100


def test_parameters_are_bound(place: Place) -> None:
    nasty = "x'; DROP TABLE orders; --"
    assert run(place, "INSERT INTO orders (customer) VALUES (?)", parameters=[nasty]).output["rowcount"] == 1
    assert run(place, "SELECT count(*) FROM orders WHERE customer = :name", parameters={"name": nasty}).output["value"] == 1
    assert run(place, "SELECT ?", parameters=[2**53 - 1]).output["value"] == 2**53 - 1
    with pytest.raises(InvalidPlan, match="parameters"):
        parse("SELECT ?", parameters=[[1]])


def test_result_beyond_the_limit_is_cut_and_said(place: Place) -> None:
    receipt = run(place, "WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) SELECT x, hex(zeroblob(500)) FROM n")
    assert receipt.output["cut"] is True
    assert "cut" in receipt.summary
    assert run(place, "SELECT zeroblob(100000000)").status == "failed"


@pytest.mark.parametrize(
    "text",
    [
        "WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
        "INSERT INTO orders (customer) WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
    ],
)
def test_endless_statement_is_stopped_and_rolled_back(place: Place, text: str) -> None:
    short = Place(workspace=place.workspace, keep=place.keep, scratch=place.scratch, limits=Limits(time_s=0.3))
    began = time.monotonic()
    receipt = run(short, text)
    assert (receipt.status, time.monotonic() - began < 3) == ("failed", True)
    assert "time limit" in receipt.summary
    assert count(place) == 100


def test_failure_half_way_rolls_everything_back(place: Place) -> None:
    receipt = run(place, "UPDATE orders SET id = CASE WHEN id < 90 THEN id + 1000 ELSE 5000 END")
    assert receipt.status == "failed"
    with _shop(place) as shop:
        assert shop.execute("SELECT max(id) FROM orders").fetchone() == (100,)


@pytest.fixture
def locked(place: Place) -> Iterator[Place]:
    holder = sqlite3.connect(place.workspace / "shop.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    yield Place(workspace=place.workspace, keep=place.keep, scratch=place.scratch, limits=Limits(time_s=0.2))
    holder.close()


@pytest.mark.parametrize("text", ["INSERT INTO orders (customer) VALUES ('x')", "SELECT * FROM orders", "DROP TABLE orders"])
def test_locked_database_is_not_started(locked: Place, text: str) -> None:
    receipt = run(locked, text)
    assert receipt.status == "not_started"
    assert "locked" in receipt.summary
    assert TOOL.probe(parse(text), locked, key="k", before=receipt.before, direction="do") in ("unknown", "did_not_happen")


def test_reader_that_blocks_the_commit_leaves_nothing_changed(place: Place) -> None:
    short = Place(workspace=place.workspace, keep=place.keep, scratch=place.scratch, limits=Limits(time_s=0.3))
    reader = sqlite3.connect(place.workspace / "shop.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM orders").fetchone()
    receipt = run(short, "INSERT INTO orders (customer) VALUES ('x')")
    reader.close()
    assert receipt.status == "not_started"
    assert count(place) == 100


def test_file_that_is_no_database_is_not_started(place: Place) -> None:
    (place.workspace / "text.db").write_text("this is not a database at all, and it is long enough to be looked at" * 20)
    args = parse("SELECT 1 FROM sqlite_master", "text.db")
    assert TOOL.run(args, place, key="k", before={}).status == "not_started"


def test_schema_tells_whether_a_change_happened(place: Place) -> None:
    for text, database in (("CREATE INDEX i ON orders (customer)", "shop.db"), ("CREATE TABLE first (a)", "new.db")):
        args = parse(text, database)
        before = TOOL.prepare(args, place)
        assert TOOL.probe(args, place, key="k", before=before, direction="do") == "did_not_happen"
        if database == "new.db":
            (place.workspace / database).touch()  # a process killed between making the file and the commit
            assert TOOL.probe(args, place, key="k", before=before, direction="do") == "did_not_happen"
        assert TOOL.recover(args, place, key="k", before=before, direction="do") is None
        TOOL.run(args, place, key="k", before=before)
        assert TOOL.probe(args, place, key="k", before=before, direction="do") == "happened"
        recovered = TOOL.recover(args, place, key="k", before=before, direction="do")
        assert recovered is not None
        assert recovered.is_done


def test_rows_do_not_tell_and_a_read_may_be_repeated(place: Place) -> None:
    write, read = parse("DELETE FROM orders"), parse("SELECT 1")
    before = TOOL.prepare(write, place)
    assert (before["table"], before["rows"]) == ("orders", 100)
    assert TOOL.probe(write, place, key="k", before=before, direction="do") == "unknown"
    assert TOOL.probe(read, place, key="k", before={}, direction="do") == "did_not_happen"


def test_written_undo_is_verified_by_schema_and_row_count(place: Place) -> None:
    index = parse("CREATE INDEX i ON orders (customer)")
    before = TOOL.prepare(index, place)
    TOOL.run(index, place, key="k", before=before)
    assert undo_verified(before, place, index) is False
    run(place, "DROP INDEX i")
    assert undo_verified(before, place, index) is True
    insert = parse("INSERT INTO orders (customer) VALUES ('x')")
    before = TOOL.prepare(insert, place)
    TOOL.run(insert, place, key="k", before=before)
    assert undo_verified(before, place, insert) is False
    run(place, "DELETE FROM orders WHERE customer = 'x'")
    assert undo_verified(before, place, insert) is True
    assert undo_verified({}, place, insert) is None
    first = parse("CREATE TABLE t (a)", "new.db")
    before = TOOL.prepare(first, place)
    TOOL.run(first, place, key="k", before=before)
    run(place, "DROP TABLE t", "new.db")
    assert undo_verified(before, place, first) is True
    (place.workspace / "new.db").unlink()
    assert undo_verified(before, place, first) is True


def test_large_table_is_not_counted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, rows in ((100, 100), (99, None)):
        monkeypatch.setattr(engine, "COUNTED_ROWS", limit)
        assert TOOL.prepare(parse("DELETE FROM orders"), place)["rows"] == rows


KILLED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE orders SET customer = hex(zeroblob(2000))")
os.kill(os.getpid(), 9)
"""


def test_read_after_a_killed_writer_sees_the_state_before_it(place: Place) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(place.workspace / "shop.db")], check=False)
    assert (place.workspace / "shop.db-journal").exists()
    args = parse("CREATE INDEX i ON orders (customer)")
    assert (
        TOOL.probe(args, place, key="k", before={"schema": TOOL.prepare(args, place)["schema"]}, direction="do")
        == "did_not_happen"
    )
    assert run(place, "SELECT count(*) FROM orders WHERE customer LIKE 'c%'").output["value"] == 100


def test_wal_database_is_read_and_written(place: Place) -> None:
    with _shop(place) as shop:
        shop.execute("PRAGMA journal_mode = WAL")
    assert run(place, "SELECT count(*) FROM orders").output["value"] == 100
    assert run(place, "INSERT INTO orders (customer) VALUES ('x')").is_done
    assert count(place) == 101


def test_read_only_file_is_read_and_not_written(place: Place) -> None:
    os.chmod(place.workspace / "shop.db", 0o444)
    assert run(place, "SELECT 1").is_done
    if os.geteuid() != 0:
        assert run(place, "DELETE FROM orders").status in ("failed", "not_started")


def test_other_dialect_names_the_extra(place: Place) -> None:
    with pytest.raises(ToolRefused, match=r"assent\[postgres\]"):
        run(place, "SELECT 1", dialect="postgres")
    assert run(place, "SELECT 1", dialect="SQLite").is_done


@pytest.mark.parametrize(
    ("text", "table"),
    [("INSERT INTO orders VALUES (1)", "orders"), ('INSERT OR IGNORE INTO "or ""d" VALUES (1)', 'or "d'), ("UPDATE [a b] SET x = 1", "a b"),
     ("UPDATE OR FAIL t SET x = 1", "t"), ("DELETE FROM `t` WHERE 1", "t"), ("REPLACE INTO t VALUES (1)", "t"), ("CREATE TABLE t (a)", ""),
     ("", ""), ("DELETE", "")],
)  # fmt: skip
def test_table_of_a_write_is_found(text: str, table: str) -> None:
    assert statement.table(text) == table


@pytest.mark.parametrize(
    ("text", "gone"),
    [("DROP TABLE t", True), ("DROP INDEX i", False), ("DELETE FROM t", True), ("UPDATE t SET a = 1", True), ("INSERT INTO t VALUES (1)", False),
     ("CREATE INDEX i ON t (a)", False), ("ALTER TABLE t DROP COLUMN a", True), ("ALTER TABLE t ADD COLUMN a", False), ("SELECT 1", False)],
)  # fmt: skip
def test_what_cannot_be_had_back_is_declared(text: str, gone: bool) -> None:
    assert TOOL.effects(parse(text)).irreversible is gone


def test_declaration_and_preview(place: Place) -> None:
    read, write = parse("SELECT 1"), parse("DELETE FROM orders WHERE id = ?", parameters=[1])
    assert [kind for kind, _ in TOOL.actions(read)] == ["sql", "file_read"]
    assert [kind for kind, _ in TOOL.actions(write)] == ["sql", "file_write"]
    shown = TOOL.preview(write, place)
    assert shown.headline == "change rows of shop.db: DELETE FROM orders WHERE id = ?"
    assert shown.detail.endswith("parameters: [1]")
    assert not TOOL.can_undo(write)
    assert TOOL.undo(write, place, key="u", receipt=Receipt(status="done")).status == "not_started"
    with pytest.raises(InvalidPlan, match="NUL"):
        parse("SELECT '\0'")
