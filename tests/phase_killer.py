"""Kill a phase with -9 at every point, and resume it in a fresh process: `python -m tests.phase_killer FOLDER sync|async EACH`.

A point is the moment before or after anything that a phase does to the world outside of it (an agent's call, a report or synthesis kept or read, a
note, the files, the record of the checkpoint, an event, LangGraph's own checkpoint), and the middle of each write to a file that only grows. Every
process is a fork of this one, which has no threads, so that what is imported is imported once. Prints one JSON line for each point.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver

from assent.graphs import phase
from assent.runtime.phases import store as phase_store

from .phase_world import World, finding, says

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class Points:
    """Counts points, and dies at one."""

    def __init__(self, deadly: int) -> None:
        self.deadly = deadly
        self.count = 0
        self.name = ""
        self._lock = threading.Lock()

    def reached(self, name: str) -> bool:
        """Count a point; tell whether it is the deadly one."""
        with self._lock:
            self.count += 1
            return self.count == self.deadly

    def pass_by(self, name: str, folder: Path) -> None:
        """Count a point, and die at the deadly one."""
        if self.reached(name):
            die(name, folder)

    def around(self, name: str, act: Callable[..., Any], folder: Path) -> Callable[..., Any]:
        """Return the same action with a point before and one after."""

        def acted(*args: Any, **more: Any) -> Any:
            self.pass_by(f"before {name}", folder)
            found = act(*args, **more)
            self.pass_by(f"after {name}", folder)
            return found

        return acted


def die(name: str, folder: Path) -> None:
    """Say where, and end as a power cut of this process would."""
    (folder / "died").write_text(name)
    os.kill(os.getpid(), signal.SIGKILL)


class Wrapped:
    """A thing with points around its methods."""

    def __init__(self, thing: Any, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> None:
        for name in ("put", "get", "took_s"):
            if hasattr(thing, name):
                setattr(self, name, wrap(name, getattr(thing, name)))


def live(folder: Path, deadly: int, kind: str) -> None:
    """Run the phase, or go on with it, dying at a point."""
    points = Points(deadly)
    world = World(folder)

    def agent(name: str) -> Any:
        def call(message: Any) -> Any:
            descriptor = os.open(folder / "calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(descriptor, f"{name}\n".encode())
            os.close(descriptor)
            points.pass_by(f"in agent {name}", folder)
            return says(finding(name, "seen", True))

        return call

    def wrap(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        return points.around(name, act, folder)

    whole = phase_store._Appended.append

    def torn(self: Any, data: bytes) -> None:
        if points.reached("write"):
            whole(self, data[: len(data) // 2])
            die(f"in the middle of a write to {self.path.name}", folder)
        whole(self, data)

    phase_store._Appended.append = torn  # type: ignore[method-assign]
    plain = world.ports(agents={name: agent(name) for name in "abc"})
    keep: Any = Wrapped(plain.keep, lambda n, act: wrap(f"keep.{n}", act))
    store: Any = Wrapped(plain.store, lambda n, act: wrap(f"store.{n}", act))
    ports = dataclasses.replace(
        plain, keep=keep, store=store, files=wrap("files", plain.files), record=wrap("record", plain.record), notify=wrap("notify", plain.notify), resolutions=wrap("resolutions", plain.resolutions),
    )  # fmt: skip
    if kind == "async":
        bare: Any = phase.build(world.spec, ports).compile()
        found = asyncio.run(bare.ainvoke({"run_id": "r"}))
    else:
        saver = SqliteSaver(sqlite3.connect(folder / "checkpoints.db", check_same_thread=False))
        saver.put = wrap("checkpoint", saver.put)  # type: ignore[method-assign]
        saver.put_writes = wrap("writes", saver.put_writes)  # type: ignore[method-assign]
        graph: Any = phase.build(world.spec, ports).compile(checkpointer=saver)
        known = graph.get_state(CONFIG).values
        found = graph.invoke(None if known else {"run_id": "r"}, CONFIG, durability="sync")
        found = {**graph.get_state(CONFIG).values, **(found or {})}
    synthesis = world.consolidated(found)
    told = {"passed": found["passed"], "findings": sorted(one.subject for one in synthesis.findings), "missing": list(synthesis.missing), "points": points.count}
    (folder / "told").write_text(json.dumps(told))


def forked(act: Callable[[], None]) -> int:
    """Do something in a process of its own, and return how that ended."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def noted(folder: Path) -> list[str]:
    """Return whose reports a process that starts now can know of."""
    store = phase_store.PhaseStore(folder / "notes")
    journal = store._journal("r", "trial")
    journal.look("r", "trial")
    return sorted({agent for agent, _ in journal.settled})


def main() -> None:
    """Go through the points, each or each second one."""
    top, kind, each = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    for deadly in range(1, 500, each):
        folder = top / str(deadly)
        folder.mkdir(parents=True)
        ended = forked(lambda folder=folder, deadly=deadly: live(folder, deadly, kind))  # type: ignore[misc]
        if ended != -signal.SIGKILL:
            print(json.dumps({"unharmed": ended, "points": deadly - 1}), flush=True)
            return
        before = (folder / "calls").read_text().split() if (folder / "calls").exists() else []
        known = noted(folder)
        resumed = forked(lambda folder=folder: live(folder, 0, kind))  # type: ignore[misc]
        calls = (folder / "calls").read_text().split()
        told = json.loads((folder / "told").read_text()) if (folder / "told").exists() else {}
        files = sorted(path.name for path in (folder / "files").glob("*"))
        print(json.dumps({"at": (folder / "died").read_text(), "before": before, "noted": known, "resumed": resumed, "again": calls[len(before):], "files": files, **told}), flush=True)


if __name__ == "__main__":
    main()
