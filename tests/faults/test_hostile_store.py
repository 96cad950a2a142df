"""A store that is locked, read-only, full, broken, damaged, too new or lying: nothing acknowledged is lost, nothing happens twice.

What must hold: an error says what is wrong and what to do; before it nothing was changed; and when the store is well again, the run goes on
as if nothing had happened. The checkpoints are a bookmark: whatever becomes of them, the run ends as planned and each effect is there once.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

import assent
from assent.runtime.ledger.store import Store
from assent.runtime.runtime import Runtime
from assent.schemas.dispatch import EffectClass, Effects, Receipt
from assent.schemas.errors import AssentError, RunBusy, StoreCorrupt, StoreNewer, StoreUnavailable, StoreUnsafe
from assent.tools.tool import Arguments, Found, Place, Preview
from assent.tools.toolbox import standard

PEOPLE = ("ann", "bob")
CONFIG = {"actors": {name: {"roles": ["developer", "lead", "admin"]} for name in PEOPLE}}


class Site:
    """A home and a workspace on disk, with a run of the scenario `completes` that waits for its approval."""

    def __init__(self, folder: Path, world: Any) -> None:
        self.folder, self.world = folder, world
        self.home, self.workspace = folder / "home", folder / "ws"
        self.ledger, self.checkpoints = self.home / "ledger.db", self.home / "checkpoints.db"
        world.build(self.workspace)
        with self.open() as runtime:
            self.run_id = runtime.start(world.plan_of("completes")).id
        self.untouched = world.look(self.workspace)

    def open(self) -> Runtime:
        """Open the home."""
        return assent.open(self.home, workspace=self.workspace, config=CONFIG)

    def approve(self) -> str:
        """Approve as many people as it takes, drive the run to its end, and return its status."""
        with self.open() as runtime:
            (request,) = [request for request in runtime.run(self.run_id).requests if request.is_open]
            for person in PEOPLE:
                if runtime.ledger.request(request.id).is_open:
                    runtime.decide(request.id, "approve", actor=person, reason="reviewed")
            return runtime.run(self.run_id).status.value

    def changed(self) -> bool:
        """Tell whether anything happened in the workspace."""
        return bool(self.world.look(self.workspace) != self.untouched)

    def check_done(self) -> None:
        """Hold the end against what was planned: every effect once, and a log that verifies."""
        assert self.world.orders(self.workspace) == ["a", "b", "x"]
        assert self.world.letters(self.workspace) == "x"
        assert self.world.twice(self.workspace) == []
        for number, step in enumerate(self.world.SCENARIOS["completes"]["steps"], 1):
            assert self.world.state_of(self.workspace, step) == "there", number
        with self.open() as runtime:
            assert runtime.verify().problems == ()
            assert runtime.run(self.run_id).status == "completed"

    def copied(self, to: Path) -> Site:
        """Return the same site somewhere else."""
        shutil.copytree(self.folder, to)
        twin = object.__new__(Site)
        twin.__dict__.update(self.__dict__, folder=to, home=to / "home", workspace=to / "ws")
        twin.ledger, twin.checkpoints = twin.home / "ledger.db", twin.home / "checkpoints.db"
        return twin


@pytest.fixture
def site(tmp_path: Path, world: Any) -> Site:
    return Site(tmp_path / "site", world)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a lock for a fifth of a second instead of thirty."""
    assert Store.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(Store.__init__.__kwdefaults__, "busy_s", 0.2)


# --- locked -----------------------------------------------------------------------------------------------------------------------------

_HOLD = {
    "gate": "import fcntl; file = open(sys.argv[1][:-3] + '.lock', 'r+'); fcntl.flock(file, fcntl.LOCK_EX)",
    "database": "import sqlite3; held = sqlite3.connect(sys.argv[1], isolation_level=None); held.execute('BEGIN IMMEDIATE')",
}


@contextmanager
def held_by_another_process(ledger: Path, what: str) -> Iterator[None]:
    """Let a process of its own hold the queue of writers, or SQLite's own lock."""
    code = f"import sys; {_HOLD[what]}; print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, str(ledger)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.communicate()


@pytest.mark.parametrize("what", ["gate", "database"])
def test_locked_ledger_is_a_clear_error_and_nothing_is_lost(site: Site, impatient: None, what: str) -> None:
    with held_by_another_process(site.ledger, what):
        with pytest.raises(StoreUnavailable, match="locked by another process") as refused:
            site.approve()
        assert "wait for it" in refused.value.hint
        assert not site.changed()
    assert site.approve() == "completed"
    site.check_done()


@pytest.mark.parametrize("what", ["gate", "database"])
def test_locked_ledger_leaves_no_descriptor_behind(site: Site, impatient: None, what: str) -> None:
    """A home that could not be closed in order is closed all the same; a descriptor that stays would keep the queue of writers shut."""
    before = len(os.listdir("/proc/self/fd"))
    with held_by_another_process(site.ledger, what), pytest.raises(StoreUnavailable):
        site.approve()
    assert len(os.listdir("/proc/self/fd")) <= before


class Counting:
    """A tool whose effect nobody can look up: it appends a letter to a file, and then does what a test wants."""

    name: ClassVar[str] = "counting"
    Arguments: ClassVar[type[Arguments]] = Arguments
    atomic: ClassVar[bool] = False

    def __init__(self, path: Path, then: Callable[[], None] = lambda: None) -> None:
        self.path, self.then = path, then

    def actions(self, args: Any) -> list[tuple[str, Any]]:
        return []

    def effects(self, args: Any) -> Effects:
        return Effects(writes=True)

    def effect_class(self, args: Any) -> EffectClass:
        return EffectClass.OPAQUE

    def preview(self, args: Any, place: Place) -> Preview:
        return Preview(headline="count")

    def prepare(self, args: Any, place: Place) -> dict[str, Any]:
        return {}

    def run(self, args: Any, place: Place, *, key: str, before: Mapping[str, Any]) -> Receipt:
        with self.path.open("a") as file:
            file.write("x")
        self.then()
        return Receipt(status="done", summary="counted")

    def can_undo(self, args: Any) -> bool:
        return False

    def undo(self, args: Any, place: Place, *, key: str, receipt: Receipt) -> Receipt:
        return Receipt(status="not_started")

    def probe(self, args: Any, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]) -> Found:
        return "unknown"

    def recover(self, args: Any, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]) -> Receipt | None:
        return None


def test_ledger_locked_when_the_receipt_is_due_leaves_a_doubt_and_no_second_effect(tmp_path: Path, impatient: None) -> None:
    home, effects = tmp_path / "home", tmp_path / "effects"
    held: list[sqlite3.Connection] = []

    def lock() -> None:
        connection = sqlite3.connect(home / "ledger.db", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        held.append(connection)

    def door(then: Callable[[], None]) -> Runtime:
        return Runtime(home, workspace=tmp_path, config=CONFIG, tools=standard().plus(Counting(effects, then)))

    plan = {"form": "assent.plan/1", "problem": {"title": "count"}, "steps": [{"step": 1, "tool": "counting", "args": {}}]}
    runtime = door(lock)
    run = runtime.start(plan)
    with pytest.raises(StoreUnavailable, match="locked"):
        runtime.decide(run.requests[0].id, "approve", actor="ann")
    held[0].close()
    runtime.close()
    with door(lambda: None) as later:
        found = later.run(run.id).resume()
        assert found.status == "in_doubt"
        (doubt,) = [request for request in found.requests if request.is_open]
        assert later.decide(doubt.id, "happened", actor="ann").status == "completed"
        assert later.verify().problems == ()
    assert effects.read_text() == "x"


# --- read-only, full, broken -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["home", "ledger"])
def test_read_only_home_is_a_clear_error_and_nothing_is_changed(trials: Any, closed: str) -> None:
    result = trials("as_nobody", closed=closed)
    assert result["said"]["error"] == "StoreUnavailable"
    assert result["same"]
    assert result["wrong"] == []


def test_read_only_file_system_is_a_clear_error_and_nothing_is_changed(trials: Any) -> None:
    result = trials("trial", scenario="completes", phase="decide", n=1, mode="fail", error=errno.EROFS, sticky=True)
    assert result["said"]["error"] == "StoreUnavailable"
    assert result["wrong"] == []
    assert result["status"] == "completed"


IO_PHASES = [("completes", "start"), ("completes", "decide"), ("completes", "rollback"), ("undone", "decide")]
io_ids = [f"{scenario}-{phase}" for scenario, phase in IO_PHASES]


def broken_at(trials: Any, scenario: str, phase: str, calls: list[int], writes: list[list[Any]]) -> Counter[str]:
    """Let these calls fail with a full disk and with a broken one, once and from then on; then go on with a disk that is well.

    What the phase said must be found again (`_judge` of the server does that), no effect may be there twice, and of each step the ledger must
    say what the world shows. The run may have failed and been taken back, because its own files were on that disk.
    """
    counts: Counter[str] = Counter()
    for n in calls:
        for error in (errno.ENOSPC, errno.EIO):
            for sticky in (False, True):
                result = trials("trial", scenario=scenario, phase=phase, n=n, mode="fail", error=error, sticky=sticky)
                said = result["said"] or {}
                at = f"call {n} {writes[n - 1]} {errno.errorcode[error]} {'from then on' if sticky else 'once'}"
                assert result["wrong"] == [], at
                assert result["died"] == "ended", at
                if writes[n - 1][2].startswith("home/ledger.db") and not sticky:
                    assert said.get("kind", "StoreError") == "StoreError", f"{at}: {said}"
                counts["trials"] += 1
                counts["an error was told"] += "error" in said
                counts[f"ended as {result['status']}"] += 1
    return counts


@pytest.mark.parametrize(("scenario", "phase"), IO_PHASES, ids=io_ids)
def test_disk_full_or_broken_at_a_sample_of_writes_loses_nothing_acknowledged(trials: Any, scenario: str, phase: str) -> None:
    writes = trials("count", scenario=scenario, phase=phase)
    calls = sorted(random.Random(f"disk/{scenario}/{phase}").sample(range(1, len(writes) + 1), 4))
    counts = broken_at(trials, scenario, phase, calls, writes)
    assert counts["an error was told"] > counts["trials"] / 3


@pytest.mark.parametrize("sticky", [False, True])
def test_move_whose_old_name_cannot_be_removed_does_not_claim_that_nothing_happened(trials: Any, sticky: bool) -> None:
    """A move gives a second name before it takes the first; a disk that fails in between must not leave both behind a receipt `failed`."""
    writes = trials("count", scenario="completes", phase="decide")
    (n,) = [n for n, (operation, _, path) in enumerate(writes, 1) if operation == "unlink" and path == "ws/draft.txt"]
    result = trials("trial", scenario="completes", phase="decide", n=n, mode="fail", error=errno.EIO, sticky=sticky)
    assert result["wrong"] == []
    assert result["status"] == ("completed" if sticky else "rolled_back")


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "phase"), IO_PHASES, ids=io_ids)
def test_disk_full_or_broken_at_every_write_loses_nothing_acknowledged(trials: Any, scenario: str, phase: str) -> None:
    writes = trials("count", scenario=scenario, phase=phase)
    print(f"{scenario}/{phase}: {dict(broken_at(trials, scenario, phase, list(range(1, len(writes) + 1)), writes))}")


# --- damaged, too new, lying -------------------------------------------------------------------------------------------------------------


def outcome_of(site: Site) -> str:
    """Try to approve and drive a run out of a store that may be damaged. Returns what came of it: `refused` or `completed`."""
    try:
        with site.open() as runtime:
            if not any(request.run_id == site.run_id for request in runtime.inbox()):
                return "refused"  # its question cannot be found, so nobody can answer it
        status = site.approve()
    except AssentError as refusal:
        assert refusal.hint
        assert not isinstance(refusal, StoreCorrupt) or "backup" in refusal.hint or "assent verify" in refusal.hint
        assert not site.changed(), "something ran out of a store that was then found damaged"
        return "refused"
    assert status == "completed"
    assert site.world.twice(site.workspace) == []
    return status


def test_ledger_with_a_damaged_page_is_refused_before_anything_runs(site: Site, tmp_path: Path) -> None:
    whole = site.ledger.read_bytes()
    size = int.from_bytes(whole[16:18], "big")
    outcomes: Counter[str] = Counter()
    for page in range(len(whole) // size):
        twin = site.copied(tmp_path / f"page{page}")
        damaged = bytearray(whole)
        damaged[page * size : (page + 1) * size] = os.urandom(size) if page % 2 else bytes(size)
        if bytes(damaged) == whole:
            continue
        twin.ledger.write_bytes(damaged)
        outcomes[outcome_of(twin)] += 1
        shutil.rmtree(twin.folder)
    assert outcomes["refused"] >= 0.9 * outcomes.total()  # the others were pages that hold nothing


def test_ledger_with_flipped_bytes_is_refused_or_does_only_what_was_approved(site: Site, tmp_path: Path) -> None:
    """A byte inside a value changes nothing in SQLite's eyes. The plan's digest, the chain and the decisions' proofs are what notice."""
    whole = site.ledger.read_bytes()
    chance = random.Random("flips")
    filled = [at for at, byte in enumerate(whole) if byte]
    outcomes: Counter[str] = Counter()
    for number in range(60):
        twin = site.copied(tmp_path / f"flip{number}")
        damaged = bytearray(whole)
        damaged[chance.choice(filled)] ^= 1 << chance.randrange(8)
        twin.ledger.write_bytes(damaged)
        outcomes[outcome_of(twin)] += 1
        shutil.rmtree(twin.folder)
    assert outcomes["refused"] > 0


@pytest.mark.parametrize("name", [b"media_type TEXT", b"finished_at TEXT", b"outbox_due ON"])
def test_ledger_whose_tables_are_made_otherwise_is_refused_before_anything_runs(site: Site, name: bytes) -> None:
    """SQLite takes a column of another name for whole; only the statement that writes it would find out, and that may come after the effect."""
    whole = site.ledger.read_bytes()
    assert name in whole
    site.ledger.write_bytes(whole.replace(name, bytes([name[0] ^ 2]) + name[1:]))
    with pytest.raises(StoreCorrupt, match="damaged") as refused:
        site.approve()
    assert "backup" in refused.value.hint
    assert not site.changed()


@pytest.mark.parametrize("bit", [1, 2])
def test_ledger_of_another_version_than_it_says_is_refused_or_does_only_what_was_approved(site: Site, bit: int) -> None:
    """One bit of the schema's version makes a store look older, and it is migrated from there."""
    with closing(sqlite3.connect(site.ledger)) as connection:
        connection.execute(f"PRAGMA user_version = {connection.execute('PRAGMA user_version').fetchone()[0] ^ bit}")
    assert outcome_of(site) in ("refused", "completed")


def test_plan_whose_bytes_were_changed_does_not_run(site: Site) -> None:
    with closing(sqlite3.connect(site.ledger)) as connection:
        connection.execute("DROP TRIGGER plan_is_frozen")
        (raw,) = connection.execute("SELECT bytes FROM plan").fetchone()
        connection.execute("UPDATE plan SET bytes = ?", (bytes(raw).replace(b"printf x", b"printf z"),))
        connection.commit()
    with pytest.raises(StoreCorrupt, match="digest"):
        site.approve()
    assert not site.changed()


def test_question_that_lies_under_another_run_is_not_asked_beside_that_run(site: Site) -> None:
    with closing(sqlite3.connect(site.ledger)) as connection:
        connection.execute("UPDATE request SET run_id = 'run_0000000000000000'")
        connection.commit()
    with site.open() as runtime, pytest.raises(StoreCorrupt, match="under another run") as refused:
        runtime.run(site.run_id).resume()
    assert "backup" in refused.value.hint
    assert not site.changed()


def test_ledger_that_lost_its_name_is_refused(site: Site) -> None:
    with closing(sqlite3.connect(site.ledger)) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'deployment'")
        connection.commit()
    with pytest.raises(StoreCorrupt, match="lost its name") as refused:
        site.open()
    assert "backup" in refused.value.hint


def test_newer_ledger_is_refused_and_left_alone(site: Site) -> None:
    with closing(sqlite3.connect(site.ledger)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = site.ledger.read_bytes()
    with pytest.raises(StoreNewer, match="schema 99") as refused:
        site.open()
    assert "newer" in refused.value.hint
    assert site.ledger.read_bytes() == before


def test_durable_settings_are_in_force(site: Site) -> None:
    with site.open() as runtime:
        read = runtime.ledger.store.connection.execute
        settings = {name: read(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "mmap_size", "wal_autocheckpoint")}
    assert settings == {"journal_mode": "wal", "synchronous": 2, "mmap_size": 0, "wal_autocheckpoint": 0}


@pytest.mark.parametrize(("setting", "answer"), [("journal_mode", "delete"), ("synchronous", 1)])
def test_database_that_does_not_take_the_durable_settings_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch, setting: str, answer: Any) -> None:
    """As on a file system that has no shared memory, where SQLite answers with another journal mode and goes on."""

    class Lying(sqlite3.Connection):
        def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
            is_asked = sql.startswith(f"PRAGMA {setting}")
            return super().execute(f"SELECT {answer!r}" if is_asked else sql, *given)

    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: real(*given, **{**more, "factory": Lying}))
    with pytest.raises(StoreUnsafe, match=str(answer)) as refused:
        site.open()
    assert "local disk" in refused.value.hint
    assert not site.changed()


# --- the checkpoints are a bookmark ------------------------------------------------------------------------------------------------------


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random("garbage").randbytes(20_000))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _zeros_within(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[4096:] = bytes(len(whole) - 4096)
    path.write_bytes(whole)


def _other_tables(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE checkpoints (something TEXT); CREATE TABLE writes (something TEXT);")


def _rows(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute(statement).rowcount > 0
            connection.commit()

    return change


SPOILED: dict[str, Callable[[Path], None]] = {
    "deleted": Path.unlink,
    "empty": _empty,
    "garbage": _garbage,
    "cut": _cut,
    "zeros inside": _zeros_within,
    "other tables": _other_tables,
    "no checkpoints": _rows("DELETE FROM checkpoints"),
    "no pending writes": _rows("DELETE FROM writes"),
    "checkpoint not readable": _rows("UPDATE checkpoints SET checkpoint = x'c1c1c1'"),
    "write not readable": _rows("UPDATE writes SET value = x'c1c1c1'"),
    "another thread's": _rows("UPDATE checkpoints SET thread_id = 'run_0000000000000000'"),
}


@pytest.mark.parametrize("how", SPOILED)
def test_run_completes_once_whatever_became_of_its_checkpoints_while_it_waited(site: Site, how: str) -> None:
    SPOILED[how](site.checkpoints)
    assert site.approve() == "completed"
    site.check_done()


def test_checkpoint_forged_past_the_approval_reaches_no_effect(site: Site) -> None:
    with site.open() as runtime:
        graph = runtime.graph("par")
        config: Any = {"configurable": {"thread_id": site.run_id}}
        graph.update_state(config, {"route": "approved"}, as_node="approval")
        runtime.run(site.run_id).resume()
        assert runtime.run(site.run_id).status == "awaiting_approval"
    assert not site.changed()
    assert site.approve() == "completed"
    site.check_done()


def test_checkpoints_put_back_to_before_the_approval_repeat_nothing(site: Site, tmp_path: Path) -> None:
    shutil.copy(site.checkpoints, tmp_path / "old.db")
    assert site.approve() == "completed"
    shutil.copy(tmp_path / "old.db", site.checkpoints)
    with site.open() as runtime:
        runtime.graph("par").invoke(None, {"configurable": {"thread_id": site.run_id}})
        runtime.run(site.run_id).resume()
    site.check_done()


def test_checkpoint_is_never_code(site: Site, tmp_path: Path) -> None:
    """A row that names a callable is data, whatever the environment says about strictness."""
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    trap = tmp_path / "trap"
    kind, _ = JsonPlusSerializer().dumps_typed({})
    import ormsgpack

    # Extension 0 of LangGraph's format: call `module.name(argument)`.
    inner = ormsgpack.packb(["os", "mkdir", str(trap)])
    payload = ormsgpack.packb(ormsgpack.Ext(0, inner))
    with closing(sqlite3.connect(site.checkpoints)) as connection:
        connection.execute("UPDATE writes SET type = ?, value = ?", (kind, payload))
        connection.commit()
    assert JsonPlusSerializer(allowed_msgpack_modules=True).loads_typed((kind, payload)) is None and trap.is_dir(), "the trap does not spring"
    trap.rmdir()
    with suppress(Exception):  # whether such a row stops the run is asked above; here only that nothing is called
        site.approve()
    assert not trap.exists()


# --- one owner ---------------------------------------------------------------------------------------------------------------------------


def test_run_whose_step_still_runs_cannot_be_taken_over_after_its_owner_was_killed(tmp_path: Path) -> None:
    """The command holds the run's lock as long as it lives. Without that, the person who looks too early says that it did not happen."""
    (tmp_path / "ws").mkdir()
    plan = {"form": "assent.plan/1", "problem": {"title": "slow"}, "steps": [{"step": 1, "tool": "shell", "args": {"command": "touch began; sleep 1; printf x >> effects.log"}}]}
    site: dict[str, Any] = {"home": str(tmp_path / "home"), "workspace": str(tmp_path / "ws"), "config": CONFIG}
    code = (
        "import sys, json, assent; plan, site = json.loads(sys.argv[1])\n"
        "with assent.open(**site) as runtime:\n"
        "    run = runtime.start(plan)\n"
        "    for person in ('ann', 'bob'):\n"
        "        if run.requests[0].is_open: runtime.decide(run.requests[0].id, 'approve', actor=person, reason='reviewed')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, json.dumps([plan, site])]) as owner:
        until = time.monotonic() + 30
        while not (tmp_path / "ws" / "began").exists() and time.monotonic() < until:
            time.sleep(0.005)
        owner.kill()
    with assent.open(**site) as runtime:
        run = runtime.runs()[0]
        with pytest.raises(RunBusy):
            run.resume()
        lock = os.open(tmp_path / "home" / "locks" / run.id, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # returns when the command has ended and its supervisor has written down how
        finally:
            os.close(lock)
        assert run.resume().status == "completed"
        assert runtime.verify().problems == ()
    assert (tmp_path / "ws" / "effects.log").read_text() == "x"
