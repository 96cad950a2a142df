"""What somebody with a database shell can do to the ledger, and that `verify` tells it: bytes, entries, rows, triggers, and whole stores."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from assent.runtime.ledger import log, tables
from assent.runtime.ledger.verify import verify
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, Recorder, authenticated, recorded
from assent.schemas.canonical import canonical, parse
from assent.schemas.event import Anchor
from assent.tools.toolbox import standard


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in which everything has happened once: approvals, an edit, a rejection, a failure with its rollback, a doubt, reports."""
    folder = tmp_path_factory.mktemp("story")
    (folder / "workspace").mkdir()
    clock = FrozenClock()
    people = {"dora": ["developer"], "lena": ["lead"], "ada": ["admin"], "amos": ["admin"]}
    runtime = Runtime(
        folder / "home", workspace=folder / "workspace", config={"actors": people}, clock=clock, actor=authenticated("dora"),
        tools=standard().plus(Recorder(folder / "effects")),
    )

    def decide(run: Any, verdict: str, name: str, **more: Any) -> None:
        clock.advance(1)
        runtime.decide([r for r in run.requests if r.is_open][-1].id, verdict, actor=authenticated(name), reason="seen", **more)

    with runtime:
        done = runtime.start(recorded("a", "b", title="two steps"))
        decide(done, "approve", "lena")
        edited = runtime.start(recorded("c"))
        decide(edited, "edit", "lena", edit={"steps": {1: {"args": {"effect": "d"}}}})
        decide(edited, "approve", "lena")
        decide(runtime.start(recorded("e")), "reject", "lena")
        failed = runtime.start(recorded("f", {"effect": "g", "outcome": "failed"}))
        decide(failed, "approve", "lena")
        doubted = runtime.start(recorded({"effect": "h", "outcome": "unknown"}))
        decide(doubted, "approve", "lena")
        decide(doubted, "happened", "lena")
        done.rollback()
        decide(runtime.start(recorded({"effect": "i", "level": "CRITICAL"}), tier=3), "approve", "ada")
        desk = Runtime(folder / "home", workspace=folder / "workspace", config={"actors": people}, clock=clock, actor=authenticated("ada"), tools=runtime.tools)
        with desk:
            kept, revoked = (desk.grant("recorder", path=path, uses=2, reason="often", highest="MEDIUM") for path in ("here", "there"))
            desk.revoke(revoked.id)
            assert runtime.start(recorded({"effect": "l", "level": "MEDIUM", "path": "here"})).status == "completed"
            assert [grant.used for grant in desk.grants() if grant.id == kept.id] == [1]
            desk.claim(desk.inbox()[0].id)
        runtime.start(recorded("m"))
        clock.advance(hours=5)
        assert runtime.sweep()["reminded"] >= 1
        runtime.start(recorded("j")).cancel("no")
        runtime.start(recorded({"effect": "k", "level": "LOW"}))
        assert [run.status.value for run in (done, edited, failed, doubted)] == ["rolled_back", "completed", "rolled_back", "completed"]
        found = runtime.verify()
        assert found.ok, found.problems
    return folder / "home" / "ledger.db"


@pytest.fixture
def copy(story: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copy(story, tmp_path / "ledger.db"))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database with its triggers out of the way; they are put back at the end."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as c:
        triggers = c.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            c.execute(f"DROP TRIGGER {name}")
        yield c
        for _, sql in triggers:
            c.execute(sql)


def problems(path: Path, anchor: Anchor | None = None) -> tuple[str, ...]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as c:
        return verify(c, anchor=anchor).problems


def told(c: sqlite3.Connection) -> list[str]:
    """Return what is found besides the triggers that `opened` took away."""
    return [problem for problem in verify(c).problems if not problem.startswith("schema: ")]


@contextlib.contextmanager
def undone(c: sqlite3.Connection) -> Iterator[None]:
    """Take back at the end whatever was changed in between."""
    c.execute("BEGIN")
    try:
        yield
    finally:
        c.execute("ROLLBACK")


def anchor_of(path: Path) -> Anchor:
    with contextlib.closing(sqlite3.connect(path)) as c:
        seq, chain, at = log.head(c)
        name = c.execute("SELECT value FROM meta").fetchone()[0]
    assert at is not None
    return Anchor(deployment=name, entries=seq, head=chain.hex(), at=at)


def test_the_unharmed_story_verifies(copy: Path) -> None:
    assert problems(copy) == ()
    assert problems(copy, anchor_of(copy)) == ()


# --- bytes of the log -------------------------------------------------------------------------------------------------------------------


def _every_byte_is_found(path: Path, values: Callable[[int, int], Iterable[int]]) -> int:
    """Change each byte of every entry and of every chain value; one change at a time, and each has to be found."""
    tried = 0
    with opened(path) as c:
        rows = c.execute("SELECT seq, bytes, chain FROM event ORDER BY seq").fetchall()
        chain = log.GENESIS
        for _seq, raw, kept in rows:
            for column, held in (("bytes", raw), ("chain", kept)):
                for place, old in enumerate(held):
                    for new in values(place, old):
                        if new == old:
                            continue
                        changed = held[:place] + bytes([new]) + held[place + 1 :]
                        tried += 1
                        # What `verify` computes of this entry, without reading the other entries again each time …
                        if column == "bytes":
                            assert log.link(chain, changed) != kept
                        else:
                            assert log.link(chain, raw) != changed
            chain = log.link(chain, raw)
            assert chain == kept
        # … and `verify` itself, on one byte of every other entry and on every byte of one.
        for seq, raw, kept in rows:
            for column, held in (("bytes", raw), ("chain", kept)):
                for place in range(len(held)) if seq == 2 else [(seq * 37) % len(held)] if seq % 2 else []:
                    _found_by_verify(c, seq, column, held, place)
    return tried


def _found_by_verify(c: sqlite3.Connection, seq: int, column: str, held: bytes, place: int) -> None:
    changed = held[:place] + bytes([held[place] ^ (1 << (place % 8))]) + held[place + 1 :]
    with undone(c):
        c.execute(f"UPDATE event SET {column} = ? WHERE seq = ?", (changed, seq))
        assert any(f"entry {seq}:" in problem for problem in told(c)), (seq, column, place, changed)


def test_every_changed_byte_of_the_log_is_found(copy: Path) -> None:
    tried = _every_byte_is_found(copy, lambda place, old: (old ^ (1 << (place % 8)),))
    assert tried > 20_000
    assert problems(copy) == ()


@pytest.mark.slow
def test_every_changed_byte_of_the_log_is_found_for_all_255_values(copy: Path) -> None:
    tried = _every_byte_is_found(copy, lambda place, old: range(256))
    assert tried > 20_000 * 255


@pytest.mark.slow
def test_every_changed_byte_of_the_log_is_found_by_the_whole_verification(copy: Path) -> None:
    with opened(copy) as c:
        rows = c.execute("SELECT seq, bytes, chain FROM event ORDER BY seq").fetchall()
        for seq, raw, kept in rows:
            for column, held in (("bytes", raw), ("chain", kept)):
                for place in range(0, len(held), 3):
                    _found_by_verify(c, seq, column, held, place)


def test_changed_place_or_run_of_an_entry_is_found(copy: Path) -> None:
    with opened(copy) as c:
        for statement in (
            "UPDATE event SET run_id = 'run_other' WHERE seq = 9",
            "UPDATE event SET seq = -9 WHERE seq = 9",
            "UPDATE event SET bytes = CAST(bytes AS TEXT) || ' ' WHERE seq = 9",
            "UPDATE event SET bytes = x'ff' WHERE seq = 9",
            "UPDATE event SET chain = CAST(hex(chain) AS TEXT) WHERE seq = 9",
        ):
            with undone(c):
                c.execute(statement)
                assert told(c), statement


# --- whole entries ----------------------------------------------------------------------------------------------------------------------


def _rewrite(c: sqlite3.Connection, entries: list[tuple[str, bytes]], *, rechain: bool) -> None:
    """Put other entries in the place of the log, renumbered; with a chain that holds, or with the old one."""
    old = [row[0] for row in c.execute("SELECT chain FROM event ORDER BY seq").fetchall()]
    c.execute("DELETE FROM event")
    chain = log.GENESIS
    for seq, (run_id, raw) in enumerate(entries, 1):
        chain = log.link(chain, raw) if rechain else old[min(seq, len(old)) - 1]
        c.execute("INSERT INTO event (seq, run_id, bytes, chain) VALUES (?,?,?,?)", (seq, run_id, raw, chain))


def _entries(c: sqlite3.Connection) -> list[tuple[str, bytes]]:
    return c.execute("SELECT run_id, bytes FROM event ORDER BY seq").fetchall()


def _renumbered(entries: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return the entries as a careful forger would write them: each says the number at which it stands."""
    return [(run, canonical({**parse(raw), "seq": seq})) for seq, (run, raw) in enumerate(entries, 1)]


CARE = pytest.mark.parametrize("care", ["none", "chain made anew", "chain and numbers made anew"])


def _forged(c: sqlite3.Connection, entries: list[tuple[str, bytes]], care: str) -> list[str]:
    with undone(c):
        _rewrite(c, _renumbered(entries) if "numbers" in care else entries, rechain=care != "none")
        return told(c)


@CARE
def test_every_dropped_entry_is_found(copy: Path, care: str) -> None:
    with opened(copy) as c:
        whole = _entries(c)
        unnoticed = [n + 1 for n in range(len(whole) - 1) if not _forged(c, whole[:n] + whole[n + 1 :], care)]
    # Who can write the whole chain anew can leave out what no table depends on; an anchor shows that too.
    assert {parse(whole[n - 1][1])["type"] for n in unnoticed} <= ({"risk.assessed", "problem.vague", "run.granted", "decision.refused", "step.refused"} if "numbers" in care else set())


@CARE
def test_every_doubled_entry_is_found(copy: Path, care: str) -> None:
    with opened(copy) as c:
        whole = _entries(c)
        unnoticed = [n + 1 for n in range(len(whole)) if not _forged(c, [*whole[: n + 1], whole[n], *whole[n + 1 :]], care)]
    if "numbers" not in care:
        assert unnoticed == []


@CARE
def test_every_pair_of_swapped_neighbours_is_found(copy: Path, care: str) -> None:
    with opened(copy) as c:
        whole = _entries(c)
        unnoticed = [n + 1 for n in range(len(whole) - 1) if not _forged(c, [*whole[:n], whole[n + 1], whole[n], *whole[n + 2 :]], care)]
    if "numbers" not in care:
        assert unnoticed == []


@pytest.mark.parametrize("what", ["dropped", "doubled", "swapped"])
def test_a_log_written_anew_with_all_care_is_found_with_an_anchor(copy: Path, what: str) -> None:
    anchor = anchor_of(copy)
    with opened(copy) as c:
        whole = _entries(c)
        for n in range(0, len(whole) - 1, 5):
            changed = {
                "dropped": [*whole[:n], *whole[n + 1 :]], "doubled": [*whole[: n + 1], *whole[n:]], "swapped": [*whole[:n], whole[n + 1], whole[n], *whole[n + 2 :]],
            }[what]
            with undone(c):
                _rewrite(c, _renumbered(changed), rechain=True)
                assert verify(c, anchor=anchor).problems


def test_an_entry_added_with_a_chain_that_holds_is_found_when_it_speaks_of_what_is_not_there(copy: Path) -> None:
    with opened(copy) as c:
        for kind, data in (
            ("decision.recorded", {}), ("run.status", {"from": "running", "to": "completed"}), ("step.done", {"key": "k", "state": "done", "receipt": ""}),
            ("request.settled", {"request": "req_none", "status": "approved"}), ("plan.frozen", {"digest": "sha256:0", "version": 9, "title": ""}),
            ("artifact.kept", {"name": "x", "digest": "d", "size": 1, "type": "t"}), ("run.started", {"ask": "", "graph": "par", "requester": "x"}),
        ):
            with undone(c):
                log.append(c, "run_forged", kind, FrozenClock().at, "forger", data)
                assert told(c), kind


# --- truncation and roll-back -----------------------------------------------------------------------------------------------------------


def test_truncation_of_the_whole_store_is_found_with_an_anchor_and_only_so(story: Path, tmp_path: Path, door: Callable[..., Runtime], home: Path) -> None:
    runtime = door()
    runtime.start(recorded("a"))
    old = Path(shutil.copytree(home, tmp_path / "old"))
    runtime.close()
    runtime = door()
    anchor = runtime.anchor()
    runtime.start(recorded("b"))
    later = runtime.anchor()
    assert runtime.verify(anchor).ok
    assert runtime.verify(later).ok
    runtime.close()
    shutil.rmtree(home)
    shutil.copytree(old, home)
    rolled_back = door()
    assert rolled_back.verify().ok, "an older honest copy is whole in itself"
    assert rolled_back.verify(anchor).ok
    found = rolled_back.verify(later)
    assert not found.ok
    assert "cut short or rolled back" in found.problems[0]
    # Going on from the old copy makes a log that is longer than the anchor, and another one.
    for name in "cdef":
        rolled_back.start(recorded(name))
    found = rolled_back.verify(later)
    assert not found.ok
    assert "not the one that the anchor saw" in found.problems[0]


def test_a_log_cut_short_together_with_its_tables_is_found_with_an_anchor(copy: Path) -> None:
    anchor = anchor_of(copy)
    with opened(copy) as c:
        last = c.execute("SELECT run_id FROM event ORDER BY seq DESC LIMIT 1").fetchone()[0]
        first = c.execute("SELECT min(seq) FROM event WHERE run_id = ?", (last,)).fetchone()[0]
        for table, column in (("run", "id"), ("plan", "run_id"), ("request", "run_id"), ("decision", "run_id"), ("dispatch", "run_id"), ("artifact", "run_id")):
            c.execute(f"DELETE FROM {table} WHERE {column} = ?", (last,))
        c.execute("DELETE FROM event WHERE seq >= ?", (first,))
    assert problems(copy) == (), "without an anchor, a run that was forgotten altogether leaves no trace"
    assert any("cut short" in problem for problem in problems(copy, anchor))


def test_an_anchor_of_another_ledger_is_told_apart(copy: Path) -> None:
    anchor = anchor_of(copy).model_copy(update={"deployment": "0" * 32})
    assert any("another ledger" in problem for problem in problems(copy, anchor))


def test_an_anchor_with_another_head_is_told_apart(copy: Path) -> None:
    for entries in (1, anchor_of(copy).entries):
        anchor = anchor_of(copy).model_copy(update={"head": "0" * 64, "entries": entries})
        assert any("another chain value" in problem for problem in problems(copy, anchor))


# --- rows -------------------------------------------------------------------------------------------------------------------------------


def _columns(path: Path) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(path)) as c:
        names = ["run", "plan", "request", "decision", "dispatch", "artifact", "standing_grant", "grant_use", "due_done", "meta"]
        return [(name, row[1]) for name in names for row in c.execute(f"PRAGMA table_info({name})")]


def test_every_column_of_every_row_is_held_against_the_log(copy: Path) -> None:
    """Change each column of each table in several rows, one at a time: to a text, a number, nothing, and bytes that are no text."""
    tried: dict[str, int] = {}
    with opened(copy) as c:
        for table, column in _columns(copy):
            key = ", ".join(row[1] for row in c.execute(f"PRAGMA table_info({table})") if row[5])
            rows = c.execute(f"SELECT {key} FROM {table}").fetchall()
            for row in rows[:: max(1, len(rows) // 4)]:
                where = " AND ".join(f"{name} = ?" for name in key.split(", "))
                for changed in ("forged", 41, b"\xff\xfe", None):
                    with undone(c):
                        (held,) = c.execute(f"SELECT {column} FROM {table} WHERE {where}", row).fetchone()
                        try:
                            c.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (changed, *row))
                            after = c.execute(f"SELECT CAST({column} AS BLOB) FROM {table} WHERE {where}", row).fetchone()
                        except sqlite3.IntegrityError:
                            continue
                        if after is not None and changed == held:
                            continue
                        tried[f"{table}.{column}"] = tried.get(f"{table}.{column}", 0) + 1
                        assert any(problem.startswith(table) for problem in told(c)), (table, column, row, held, changed)
    assert {f"{table}.{column}" for table, column in _columns(copy)} == set(tried)


@pytest.mark.parametrize("table", ["run", "plan", "request", "decision", "dispatch", "artifact"])
def test_a_row_too_many_or_too_few_is_found(copy: Path, table: str) -> None:
    own = {"run": "id", "request": "id", "dispatch": "key", "decision": "seq", "plan": "version", "artifact": "name"}[table]
    with opened(copy) as c:
        with undone(c):
            c.execute(f"DELETE FROM {table} WHERE {own} = (SELECT {own} FROM {table} LIMIT 1)")
            assert any(problem.startswith(table) and "the table does not" in problem for problem in told(c))
        with undone(c):
            c.execute(f"CREATE TEMP TABLE more AS SELECT * FROM {table} LIMIT 1")
            c.execute(f"UPDATE more SET {own} = CASE typeof({own}) WHEN 'integer' THEN {own} + 5000 ELSE {own} || '-forged' END")
            if table == "dispatch":
                c.execute("UPDATE more SET digest = 'sha256:forged'")
            c.execute(f"INSERT INTO {table} SELECT * FROM more")
            assert any(problem.startswith(table) and "does not know" in problem for problem in told(c))


def test_a_call_that_lies_beside_another_of_the_same_key_is_found(copy: Path) -> None:
    with opened(copy) as c:
        c.execute("CREATE TEMP TABLE more AS SELECT * FROM dispatch WHERE state = 'done' LIMIT 1")
        c.execute("UPDATE more SET step = 99")
        for order in ("step", "step DESC"):
            with undone(c):
                c.execute("INSERT INTO dispatch SELECT * FROM more")
                c.execute("CREATE TEMP TABLE all_of_it AS SELECT * FROM dispatch")
                c.execute("DELETE FROM dispatch")
                c.execute(f"INSERT INTO dispatch SELECT * FROM all_of_it ORDER BY {order}")
                assert any(problem.startswith("dispatch") and "twice" in problem for problem in told(c))


@pytest.mark.parametrize("name", sorted(name for name, sql in tables.schema().items() if not sql.startswith("CREATE TABLE")))
def test_a_table_index_or_trigger_that_is_missing_or_changed_is_found(copy: Path, name: str) -> None:
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as c:
        kind, sql = c.execute("SELECT type, sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        c.execute(f"DROP {kind} {name}")
        assert f"schema: {name} is missing" in verify(c).problems
        c.execute(sql.replace("ABORT, '", "ABORT, 'really, ") if kind == "trigger" else sql.split(" WHERE ")[0].replace("UNIQUE ", "") + " WHERE 1")
        assert f"schema: {name} is changed" in verify(c).problems


def test_a_trigger_of_somebody_else_is_found(copy: Path) -> None:
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as c:
        c.execute("CREATE TRIGGER quiet BEFORE INSERT ON decision BEGIN SELECT RAISE(IGNORE); END")
        assert "schema: quiet is not ours" in verify(c).problems


def test_the_log_refuses_update_and_delete_while_its_triggers_stand(copy: Path) -> None:
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as c:
        for statement in (
            "UPDATE event SET bytes = x'00' WHERE seq = 1", "DELETE FROM event WHERE seq = 1", "UPDATE decision SET verdict = 'approve'",
            "DELETE FROM decision", "UPDATE plan SET bytes = x'00'",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                c.execute(statement)


# --- the file ---------------------------------------------------------------------------------------------------------------------------


def test_a_changed_byte_of_the_file_is_found_or_changes_nothing_that_is_read(copy: Path, tmp_path: Path) -> None:
    """One byte in 997 of the database file: `verify` reports it, SQLite reports it, or every row is as it was."""
    before = _rows(copy)
    data = copy.read_bytes()
    spoilt = tmp_path / "spoilt.db"
    counts = {"reported": 0, "unreadable": 0, "without effect": 0}
    for place in range(0, len(data), 997):
        spoilt.write_bytes(data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :])
        for side in ("-wal", "-shm"):
            Path(f"{spoilt}{side}").unlink(missing_ok=True)
        try:
            if problems(spoilt):
                counts["reported"] += 1
                continue
        except (sqlite3.Error, ValueError, OverflowError):
            counts["unreadable"] += 1
            continue
        assert _rows(spoilt) == before, f"byte {place} changed a row and nothing was said"
        counts["without effect"] += 1
    assert counts["reported"] > 50, counts


def _rows(path: Path) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as c:
        names = [row[0] for row in c.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return [(name, sorted(c.execute(f"SELECT * FROM {name}").fetchall(), key=repr)) for name in names]


def test_the_home_is_for_its_owner_only(door: Callable[..., Runtime], home: Path) -> None:
    runtime = door()
    runtime.start(recorded("a"))
    loose = [str(path) for path in [home, *home.rglob("*")] if os.stat(path).st_mode & 0o077]
    assert loose == []
