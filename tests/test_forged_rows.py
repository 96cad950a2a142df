"""Attacks by somebody who writes to the database past the ledger, on what a dispatch, a release and a budget are derived from."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from assent.runtime.runtime import Runtime
from assent.runtime.testing import Recorder, authenticated, recorded
from assent.schemas.dispatch import EffectClass
from assent.schemas.errors import AssentError, StoreCorrupt
from assent.schemas.ruling import Ruling

from .delivery_world import Delivery, document, write
from .test_budget import Home, plan

Door = Callable[..., Runtime]


@pytest.fixture
def delivery(tmp_path: Path) -> Iterator[Delivery]:
    world = Delivery(tmp_path)
    yield world
    world.close()


def sql(home: Path, *statements: tuple[Any, ...]) -> None:
    with contextlib.closing(sqlite3.connect(home / "ledger.db")) as c, c:
        for statement, *values in statements:
            c.execute(statement, values)


def stopped(delivery: Delivery) -> tuple[Runtime, Any]:
    delivery.said["code"] = {"raises": "no"}
    return delivery.start()


def test_a_delivery_that_is_called_another_graph_is_not_done_without_its_checkpoint(delivery: Delivery) -> None:
    runtime, run = stopped(delivery)
    sql(delivery.home, ("UPDATE run SET graph = 'par', status = 'running'",))
    with pytest.raises(StoreCorrupt, match="not what the log says"):
        runtime.ledger.dispatch(run.id, "do", 1, effect_class=EffectClass.OPAQUE, before={})
    with contextlib.suppress(AssentError):
        runtime.graph("par").invoke({"run_id": run.id}, {"configurable": {"thread_id": run.id}})
    assert delivery.recorder.names == []


def test_work_that_waits_for_its_release_does_not_end_as_another_graph_does(delivery: Delivery) -> None:
    runtime, run = delivery.start(environment="production")
    sql(delivery.home, ("UPDATE run SET graph = 'par'",))
    with pytest.raises(StoreCorrupt):
        runtime.ledger.release(run.id)


@pytest.mark.parametrize("forged", ["tier = NULL", "requester = 'somebody'"])
def test_what_bounds_a_run_is_what_it_began_with(door: Door, home: Path, recorder: Recorder, forged: str) -> None:
    runtime = door("dora", preset="team")
    run = runtime.start(recorded({"effect": "a", "level": "MEDIUM"}), tier=3)
    sql(home, (f"UPDATE run SET {forged}, status = 'running'",))
    with pytest.raises(StoreCorrupt, match="not what the log says"):
        runtime.ledger.dispatch(run.id, "do", 1, effect_class=EffectClass.OPAQUE, before={})
    assert recorder.names == []


def test_a_checkpoint_that_another_run_passed_is_not_moved_to_this_one(delivery: Delivery) -> None:
    _, good = delivery.start()
    (delivery.workspace / "notes.txt").write_text("changed, so that it is analysed again\n")
    runtime, run = stopped(delivery)
    passed = next(event for event in good.events() if event.type == "phase.checked")
    # Its place in the chain stays; only the column that says whose it is changes. The later entry of this run goes out of the way.
    own = next(event for event in run.events() if event.type == "phase.checked")
    sql(
        delivery.home, ("DROP TRIGGER event_stays",), ("UPDATE event SET run_id = ? WHERE seq = ?", good.id, own.seq),
        ("UPDATE event SET run_id = ? WHERE seq = ?", run.id, passed.seq), ("UPDATE run SET status = 'running' WHERE id = ?", run.id),
    )  # fmt: skip
    with pytest.raises(StoreCorrupt, match="not what was written about run"):
        runtime.ledger.has_passed(run.id)
    with pytest.raises(StoreCorrupt):
        runtime.ledger.dispatch(run.id, "do", 1, effect_class=EffectClass.OPAQUE, before={})
    assert delivery.recorder.names == ["worked"]


def test_a_wish_to_take_back_that_stands_in_no_chain_takes_nothing_back(door: Door, home: Path, recorder: Recorder) -> None:
    runtime = door("dora")
    run = runtime.start(recorded({"effect": "a", "level": "LOW"}))
    assert run.status == "completed"
    entry = f'{{"actor":"dora","at":"2026-01-05T09:00:00.000000Z","data":{{"to":0}},"run":"{run.id}","seq":999,"type":"rollback.requested","v":1}}'
    sql(home, ("INSERT INTO event (seq, run_id, bytes, chain) VALUES (999, ?, ?, zeroblob(32))", run.id, entry.encode()), ("UPDATE run SET back_to = 0",))
    with pytest.raises(StoreCorrupt):
        run.resume()
    assert recorder.names == ["a"]


def test_a_refusal_that_nobody_gave_takes_no_work_back(delivery: Delivery) -> None:
    delivery.says("documentation", incomplete=3)
    runtime = delivery.open("lena")
    run = runtime.start(document(write("notes.txt", "new\n")), graph="delivery")
    run = runtime.decide(run.requests[0].id, "approve")
    assert run.status == "awaiting_approval"
    sql(delivery.home, ("UPDATE request SET status = 'rejected' WHERE kind = 'review'",), ("UPDATE run SET status = 'rejected'",))
    assert runtime.ledger.release(run.id) == "waits"
    ruling = runtime.ledger.dispatch(run.id, "undo", 1, effect_class=EffectClass.READABLE, before={})
    assert isinstance(ruling, Ruling)
    assert ruling.rules == ("undo.unasked",)
    with contextlib.suppress(AssentError):
        run.resume()
    assert (delivery.workspace / "notes.txt").read_text() == "new\n"


def test_a_budget_is_not_exceeded_on_an_approval_that_nobody_gave(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home(budget={"usd": "0.65"}) as runtime:
        run = runtime.start(plan("0.70 usd", "0.10 usd"))
        assert run.requests[0].kind == "overrun"
        sql(runtime.home.root, ("UPDATE request SET status = 'approved'",), ("UPDATE run SET status = 'running'",))
    with home(budget={"usd": "0.65"}) as runtime:
        with contextlib.suppress(AssentError):
            runtime.run(run.id).resume()
        assert home.tool.names == ["0.70 usd"]


# --- answers that carry no more are asked for again, they do not lead in a circle -------------------------------------------------------


def test_an_exception_whose_maker_lost_their_role_is_asked_for_again(delivery: Delivery) -> None:
    runtime, run = stopped(delivery)
    runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"), resume=False)
    run = delivery.open("dora", actors={"dora": ["developer"], "lena": [], "ada": ["admin"], "amos": ["admin"]}).run(run.id).resume()
    assert (run.status, [one.is_open for one in run.requests], delivery.recorder.names) == ("awaiting_approval", [False, True], [])


def test_a_release_whose_stakeholder_lost_their_role_is_asked_for_again(delivery: Delivery) -> None:
    runtime, run = delivery.start(environment="production")
    runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"), resume=False)
    run = delivery.open("dora", actors={"dora": ["developer"], "lena": [], "ada": ["admin"], "amos": ["admin"]}).run(run.id).resume()
    assert (run.status, [one.is_open for one in run.requests]) == ("awaiting_approval", [False, True])


def test_more_budget_from_somebody_who_lost_their_role_is_asked_for_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home(budget={"usd": "0.10"}) as runtime:
        run = runtime.start(plan("0.70 usd", "0.10 usd"))
        runtime.decide(run.requests[0].id, "approve", actor="lena", resume=False)
    with home(budget={"usd": "0.10"}, actors={"dora": "developer", "lena": "developer", "ada": "admin"}) as runtime:
        run = runtime.run(run.id).resume()
        assert (run.status, [one.is_open for one in run.requests], home.tool.names) == ("awaiting_approval", [False, True], ["0.70 usd"])
