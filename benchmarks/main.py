"""Speed and size against hand-written peers, in one run. Ratios count; absolute times are this machine's.

    python benchmarks/main.py [--rounds 30] [--json]

1. One workflow: five trivial steps, start → paused → approved in a fresh handle → done, against a hand-written LangGraph graph of the same
   steps with `SqliteSaver` in `sync` durability. The ledger runs at full durability.
2. One durable step in plans of 10, 100 and 1,000 steps, against one plain SQLite commit of the same bytes at the same durability; and the
   size of what lies on disk.

3. `assent --help` and `assent inbox` in a process of their own, against a program that only imports what every such command line needs.

The inbox has its own: `benchmarks/inbox.py`; fan-out too: `benchmarks/fanout.py`.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

import assent
from assent.runtime.keep import write_whole
from assent.schemas.plan import Plan

STEPS = 5


def plan_of(steps: int, content: str) -> Plan:
    """Return a plan that writes one small file a step."""
    return Plan.model_validate(
        {
            "problem": {"title": "write files"},
            "steps": [
                {"step": n, "tool": "files", "args": {"operation": "write", "path": f"out/f{n}.txt", "content": content}} for n in range(1, steps + 1)
            ],
        }
    )


class Seen(TypedDict):
    """State of the hand-written graph."""

    log: Annotated[list[str], operator.add]


def raw_graph(folder: Path, saver: SqliteSaver) -> Any:
    """Return a hand-written graph: plan, risk, approval, five steps, results."""
    graph: Any = StateGraph(Seen)

    def station(name: str) -> Callable[[Seen], Seen]:
        return lambda state: {"log": [name]}

    def approval(state: Seen) -> Seen:
        return {"log": [f"approval {interrupt({'question': 'run it?'})}"]}

    def step(n: int) -> Callable[[Seen], Seen]:
        def run(state: Seen) -> Seen:
            write_whole(folder / f"f{n}.txt", b"hello")  # the same effect, as durable as the `files` tool makes it
            return {"log": [f"step {n} wrote f{n}.txt"]}

        return run

    names = ["plan", "risk", "approval", *[f"step{n}" for n in range(1, STEPS + 1)], "results"]
    nodes = [station("plan"), station("risk"), approval, *[step(n) for n in range(1, STEPS + 1)], station("results")]
    for name, node in zip(names, nodes, strict=True):
        graph.add_node(name, node)
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    return graph.compile(checkpointer=saver)


def raw_workflow(folder: Path) -> float:
    """Time the hand-written workflow once, in seconds."""
    (folder / "out").mkdir()
    began = time.perf_counter()
    config: Any = {"configurable": {"thread_id": "1"}}
    with SqliteSaver.from_conn_string(str(folder / "raw.db")) as saver:
        raw_graph(folder / "out", saver).invoke({"log": []}, config, durability="sync")
    with SqliteSaver.from_conn_string(str(folder / "raw.db")) as saver:
        raw_graph(folder / "out", saver).invoke(Command(resume="yes"), config, durability="sync")
    return time.perf_counter() - began


def our_workflow(folder: Path) -> float:
    """Time the same workflow through assent once, in seconds."""
    plan = plan_of(STEPS, "hello")
    (folder / "out").mkdir()
    began = time.perf_counter()
    with assent.open(folder / "home", workspace=folder) as door:
        door.start(plan)
    with assent.open(folder / "home", workspace=folder) as door:
        run = door.decide(door.inbox()[0].id, "approve")
        assert run.status == "completed", run
    return time.perf_counter() - began


def workflows(rounds: int) -> dict[str, Any]:
    """Compare both workflows, interleaved."""
    times: dict[str, list[float]] = {"raw": [], "ours": []}
    for number in range(rounds + 2):
        for name, workflow in (("raw", raw_workflow), ("ours", our_workflow)):
            with tempfile.TemporaryDirectory() as folder:
                took = workflow(Path(folder))
            if number >= 2:  # the first rounds import and warm
                times[name].append(took)
    raw, ours = (statistics.median(times[name]) * 1000 for name in ("raw", "ours"))
    return {"raw_ms": raw, "ours_ms": ours, "ratio": ours / raw, "bar": 0.67}


def reading_plan(steps: int) -> Plan:
    """Return a plan each of whose steps reads a file of 1 KB, so that its result is 1 KB; a dual sign-off makes it wait."""
    call = {"tool": "files", "args": {"operation": "read", "path": "one-kilobyte.txt"}}
    return Plan.model_validate(
        {
            "problem": {"title": "read a file"}, "required_approvals": [{"type": "pre_approval"}],
            "steps": [{"step": n, **call} for n in range(1, steps + 1)],
        }
    )


def long_plan(steps: int) -> dict[str, Any]:
    """Time one step of a long plan with 1 KB results against a plain commit of the same bytes at the same durability."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one-kilobyte.txt").write_text("x" * 1000)
        with assent.open(folder / "home", workspace=folder) as door:
            run = door.start(reading_plan(steps))
            before = stored(folder / "home")
            began = time.perf_counter()
            door.decide(run.requests[0].id, "approve")
            took = time.perf_counter() - began
            assert run.status == "completed", run
            bytes_each = (stored(folder / "home") - before) // steps
            journal = door.ledger.store.connection.execute("PRAGMA journal_mode").fetchone()[0]
            synchronous = door.ledger.store.connection.execute("PRAGMA synchronous").fetchone()[0]
        size = sum((folder / "home" / file).stat().st_size for file in ("ledger.db", "checkpoints.db"))
        plain = plain_commits(folder / "plain.db", min(max(steps, 100), 300), journal, synchronous, bytes_each=bytes_each)
    per_step = took / steps * 1000
    return {"steps": steps, "ms_per_step": per_step, "plain_commit_ms": plain, "bytes": bytes_each, "ratio": per_step / plain, "bar": 2.0, "mb": size / 1e6}


def stored(home: Path) -> int:
    """Return the bytes that the ledger's database and its write-ahead log hold."""
    with sqlite3.connect(home / "ledger.db") as c:
        pages, size = c.execute("PRAGMA page_count").fetchone()[0], c.execute("PRAGMA page_size").fetchone()[0]
    c.close()
    return int(pages * size)


def plain_commits(path: Path, count: int, journal: str, synchronous: int, *, bytes_each: int) -> float:
    """Return the time of one plain commit, in milliseconds."""
    with sqlite3.connect(path, isolation_level=None) as c:
        c.execute(f"PRAGMA journal_mode = {journal}")
        c.execute(f"PRAGMA synchronous = {synchronous}")
        c.execute("PRAGMA wal_autocheckpoint = 0")
        c.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB)")
        began = time.perf_counter()
        for number in range(count):
            c.execute("BEGIN IMMEDIATE")
            c.execute("INSERT INTO t VALUES (?, ?)", (number, bytes(bytes_each)))
            c.execute("COMMIT")
        return (time.perf_counter() - began) / count * 1000


def start_up(rounds: int = 7) -> dict[str, Any]:
    """Time commands that a person types most, each in a process of its own; the best of some rounds, in seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one-kilobyte.txt").write_text("x" * 1000)
        with assent.open(folder / "home", workspace=folder) as door:
            door.start(reading_plan(1))
        ours = [sys.executable, "-m", "assent"]
        commands = {
            "python -c 'import typer, rich.console'": [sys.executable, "-c", "import typer, rich.console"],
            "assent --help": [*ours, "--help"],
            "assent inbox": [*ours, "inbox", "--home", str(folder / "home")],
        }
        best = dict.fromkeys(commands, 99.0)
        # An installed package has its bytecode beside it; here the first round writes it.
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        for _ in range(rounds):
            for label, words in commands.items():
                began = time.perf_counter()
                subprocess.run(words, check=True, capture_output=True, cwd=folder, env=env)
                best[label] = min(best[label], time.perf_counter() - began)
    return {"seconds": best, "bar_s": 0.3}


def main() -> None:
    """Run everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: dict[str, Any] = {"workflow": workflows(given.rounds), "steps": [long_plan(n) for n in (10, 100, 1000)], "start_up": start_up()}
    if given.json:
        print(json.dumps(found))
        return
    w = found["workflow"]
    print(f"five steps, paused and approved   {w['ours_ms']:8.2f} ms   raw LangGraph {w['raw_ms']:8.2f} ms   ratio {w['ratio']:.2f} (bar {w['bar']})")
    for s in found["steps"]:
        print(
            f"plan of {s['steps']:5d} steps               {s['ms_per_step']:8.2f} ms a step   plain commit of {s['bytes']} bytes {s['plain_commit_ms']:8.2f} ms   ratio {s['ratio']:.2f} (bar {s['bar']})   {s['mb']:.2f} MB"
        )
    for label, seconds in found["start_up"]["seconds"].items():
        print(f"{label:40s} {seconds:8.2f} s" + ("" if label.startswith("python") else f"   (bar {found['start_up']['bar_s']})"))


if __name__ == "__main__":
    main()
