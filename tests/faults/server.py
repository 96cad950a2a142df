"""A server of trials: it imports everything once, and forks for each process that a trial needs. Run with the shim preloaded.

A trial: a fresh home and workspace; a process that is armed and dies, fails or is interrupted at a chosen write while it drives a phase of
a scenario; then a new process that goes on as a person would, tells the truth when it is asked about a step in doubt, and judges the world.

Speaks JSON lines on standard input and output: {"do": name of a method of `Server`, …its arguments}.
Kept free of pytest; `conftest.py` starts it, and it can be run by hand to repeat one trial.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import world  # type: ignore[import-not-found] # a script finds what lies beside it

import assent
import assent.schemas.errors
from assent.runtime.ledger import dispatches
from assent.runtime.ledger.ledger import Ledger
from assent.schemas.dispatch import DispatchState, Receipt
from assent.schemas.errors import NotAllowed, RunBusy, StoreError
from assent.tools import change, process

MODES = {"count": 1, "before": 2, "after": 3, "middle": 4, "fail": 5, "interrupt": 6}
PATIENCE_S = 60.0
# How grave these plans are is judged elsewhere; whatever it is, these two can approve them.
PEOPLE = ("ann", "bob")
CONFIG = {"actors": {name: {"roles": ["developer", "lead", "admin"]} for name in PEOPLE}}
SHIM = ctypes.CDLL(os.environ["LD_PRELOAD"])
LIBRARY = os.environ.pop("LD_PRELOAD")


def start(runtime: Any, scenario: str) -> dict[str, str]:
    """Start the run; it pauses for an approval."""
    run = runtime.start(world.plan_of(scenario))
    return {"run": run.id, "status": run.status.value}


def decide(runtime: Any, scenario: str) -> dict[str, str]:
    """Approve, and drive the run to its end."""
    run = approve(runtime, runtime.inbox()[0].id)
    return {"run": run.id, "status": run.status.value}


def approve(runtime: Any, request: str, **more: Any) -> Any:
    """Approve as many people as it takes."""
    run = None
    for person in PEOPLE:
        if runtime.ledger.request(request).is_open:
            run = runtime.decide(request, "approve", actor=person, reason="reviewed", **more)
    return run


def record(runtime: Any, scenario: str) -> dict[str, str]:
    """Approve and leave the driving to somebody else."""
    run = approve(runtime, runtime.inbox()[0].id, resume=False)
    return {"run": run.id, "status": run.status.value}


def resume(runtime: Any, scenario: str) -> dict[str, str]:
    """Drive an approved run."""
    run = runtime.runs()[0].resume()
    return {"run": run.id, "status": run.status.value}


def rollback(runtime: Any, scenario: str) -> dict[str, str]:
    """Take a finished run back."""
    run = runtime.runs()[0].rollback()
    return {"run": run.id, "status": run.status.value}


PHASES: dict[str, Callable[[Any, str], dict[str, str]]] = {"start": start, "decide": decide, "record": record, "resume": resume, "rollback": rollback}
BEFORE = {"start": [], "decide": ["start"], "record": ["start"], "resume": ["start", "record"], "rollback": ["start", "decide"]}


class Server:
    """One folder of trials."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.here = folder / "t"
        self.home, self.workspace = self.here / "home", self.here / "ws"
        self.ends: dict[str, dict[str, Any]] = {}
        self.later = timedelta(0)

    # --- what a test asks for -------------------------------------------------------------------------------------------------------

    def count(self, scenario: str, phase: str) -> list[list[Any]]:
        """Run a phase unharmed and return its writes as [operation, bytes, path]; also note the world in which it ends."""
        self._restore(scenario, phase)
        log = self.folder / "trace"
        log.write_bytes(b"")
        with open(log, "ab") as file:
            status, said = self._child(lambda: self._drive(scenario, phase, mode="count", n=0, log=file.fileno()))
        assert status == "ended" and said and "error" not in said, (status, said)
        assert self._child(lambda: self._go_on(scenario, phase))[0] == "ended"
        self.ends[f"{scenario}/{phase}"] = world.look(self.workspace)
        return [_entry(line, self.here) for line in log.read_text().splitlines()]

    def count_supervisor(self, scenario: str, phase: str) -> list[list[Any]]:
        """Run a phase unharmed and return the writes of the process between us and the command."""
        self._restore(scenario, phase)
        log = self.folder / "trace.supervisor"
        log.write_bytes(b"")
        status, said = self._child(lambda: self._drive(scenario, phase, mode="count", n=0, supervisor=True))
        assert status == "ended" and said and "error" not in said, (status, said)
        return [_entry(line, self.here) for line in log.read_text().splitlines()]

    def end(self, scenario: str, phase: str) -> dict[str, Any]:
        """Return the world in which an unharmed run ends."""
        if f"{scenario}/{phase}" not in self.ends:
            self.count(scenario, phase)
        return self.ends[f"{scenario}/{phase}"]

    def trial(self, scenario: str, phase: str, n: int, mode: str, **more: Any) -> dict[str, Any]:
        """Break a phase at its n-th write, go on in a new process, and judge.

        Args:
            more: `error` and `sticky` for the mode `fail`; `again`: [n, mode] to break the process that goes on as well; `supervisor`: the
                writes that are counted are those of the supervisor; `after_ms`: interrupt after a time instead; `without`: a guard of
                `GUARDS` that is taken out.

        Returns:
            {"died", "said", "asked", "status", "wrong", "doubts"}; `wrong` is empty when everything is right.
        """
        end = self.end(scenario, phase)
        self._restore(scenario, phase)
        with GUARDS[more["without"]]() if "without" in more else contextlib.nullcontext():
            how, said = self._child(lambda: self._drive(scenario, phase, mode=mode, n=n, **more))
            if again := more.get("again"):
                self._child(lambda: self._arm_and(again[1], again[0], lambda: self._go_on(scenario, phase)))
            ended, judged = self._child(lambda: self._judge(scenario, phase, end, said, exact=mode != "fail"))
        if ended != "ended" or judged is None or "error" in judged:
            judged = {"wrong": [f"going on {ended}: {json.dumps(judged)}"], "asked": [], "status": "?", "doubts": []}
        return {**judged, "died": how, "said": said}

    def as_nobody(self, closed: str) -> dict[str, Any]:
        """Let a process without privileges try to approve while the folder or the ledger is closed to it, then go on with privileges.

        Args:
            closed: `home` or `ledger`.
        """
        end = self.end("completes", "decide")
        self._restore("completes", "decide")
        ledger = self.home / "ledger.db"
        before, mode = ledger.read_bytes(), self.home.stat().st_mode
        somebody = os.getuid()
        nobody = 65534 if somebody == 0 else somebody

        def act() -> dict[str, Any]:
            self.home.chmod(0o555 if closed == "home" else 0o777)
            ledger.chmod(0o444)
            os.setresuid(nobody, nobody, somebody)
            try:
                with self._open() as runtime:
                    return PHASES["decide"](runtime, "completes")
            finally:
                os.setresuid(somebody, somebody, somebody)

        _, said = self._child(act)
        same = ledger.read_bytes() == before
        self.home.chmod(mode)
        ledger.chmod(0o600)
        _, judged = self._child(lambda: self._judge("completes", "decide", end, None, exact=True))
        return {"said": said, "same": same, **(judged or {"wrong": ["going on ended without an answer"]})}

    # --- the processes of a trial ---------------------------------------------------------------------------------------------------

    def _drive(self, scenario: str, phase: str, *, mode: str, n: int, log: int = -1, **more: Any) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            with self._open() as runtime:
                return PHASES[phase](runtime, scenario)

        if more.get("supervisor"):
            _shim_the_supervisor(str(self.here), n, MODES[mode], str(self.folder / "trace.supervisor"))
            return act()
        if after_ms := more.get("after_ms"):
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            signal.setitimer(signal.ITIMER_REAL, after_ms / 1000)
            return act()
        return self._arm_and(mode, n, act, error=more.get("error", 0), sticky=more.get("sticky", False), log=log)

    def _arm_and(self, mode: str, n: int, act: Callable[[], dict[str, Any]], *, error: int = 0, sticky: bool = False, log: int = -1) -> dict[str, Any]:
        # Pipes too: the order to a supervisor goes through one.
        paths = f"{self.here}/\npipe:["
        SHIM.fault_arm(paths.encode(), ctypes.c_long(n), MODES[mode], error, int(sticky), log)
        try:
            return act()
        finally:
            SHIM.fault_disarm()

    def _go_on(self, scenario: str, phase: str) -> dict[str, Any]:
        """Do what a person does who finds the run as it is: start it where it was lost, approve, answer, resume, until it rests."""
        asked: list[list[Any]] = []
        wrong: list[str] = []
        with self._open() as runtime:
            first = runtime.verify()
            wrong += [f"log after the fault: {problem}" for problem in first.problems]
            restarted = not runtime.runs()
            if restarted:
                if phase != "start":
                    wrong.append("the run is lost")
                self._waiting(lambda: runtime.start(world.plan_of(scenario)))
            run = runtime.runs()[0]
            for _ in range(30):
                waiting = [request for request in run.requests if request.is_open]
                if run.status.is_over and run.results is not None and not waiting:
                    if phase == "rollback" and run.status != "rolled_back" and not any(a[0] == "rollback" for a in asked[-1:]):
                        asked.append(["rollback"])
                        self._waiting(run.rollback)
                        continue
                    break
                if waiting:
                    self._waiting(functools.partial(self._answer, runtime, scenario, waiting[0], asked))
                else:
                    self._waiting(run.resume)
            else:
                wrong.append(f"the run does not come to rest: {run.status.value}")
            if len(runtime.runs()) != 1:
                wrong.append(f"there are {len(runtime.runs())} runs")
            wrong += [f"log at the end: {problem}" for problem in runtime.verify().problems]
        return {"asked": asked, "wrong": wrong, "restarted": restarted}

    def _answer(self, runtime: Any, scenario: str, request: Any, asked: list[list[Any]]) -> None:
        if request.kind == "plan":
            if any(earlier.kind == "plan" and earlier.status == "approved" for earlier in runtime.ledger.requests(request.run_id)):
                raise AssertionError("asked a second time to approve the same bytes")
            approve(runtime, request.id)
            asked.append(["plan", request.subject.get("why", "")])
            return
        found = world.happened(self.workspace, scenario, request.subject["step"], request.subject["direction"])
        verdict = "happened" if found else "did_not_happen"
        try:
            runtime.decide(request.id, verdict, actor=PEOPLE[0], reason="looked")
        except NotAllowed as refusal:
            # A command may have talked to a network, so for a while nobody may say that nothing will come of it; we wait as a person would.
            if verdict == "happened" or "could still arrive" not in refusal.message:
                raise
            # The log's time may be ahead of ours, where somebody before us waited too and was killed.
            newest = max(event.at for event in runtime.ledger.events())
            self.later += max(newest - datetime.now(UTC) - self.later, timedelta(0)) + timedelta(hours=1)
            runtime.decide(request.id, verdict, actor=PEOPLE[0], reason="looked")
        asked.append(["in_doubt", request.subject["step"], request.subject["direction"], verdict])

    def _judge(self, scenario: str, phase: str, end: dict[str, Any], said: dict[str, Any] | None, *, exact: bool) -> dict[str, Any]:
        wrong: list[str] = []
        if said and "run" in said:
            with self._open() as runtime:
                kept = [run for run in runtime.runs() if run.id == said["run"]]
                if not kept or kept[0].status.value != said["status"]:
                    wrong.append(f"acknowledged {said['status']}, found {kept}")
        done = self._go_on(scenario, phase)
        wrong += done["wrong"]
        with self._open() as runtime:
            run = runtime.runs()[0]
            rows = runtime.ledger.dispatches(run.id)
            results = run.results
            status = run.status.value
        steps = world.SCENARIOS[scenario]["steps"]
        wrong += world.twice(self.workspace)
        doubts = [[d.step, d.direction] for d in rows if d.state in ("in_doubt", "abandoned")]
        for number, step in enumerate(steps, 1):
            wrong += _untrue(number, step, rows, world.state_of(self.workspace, step))
        for d in rows:
            if d.state == "dispatched":
                wrong.append(f"step {d.step} ({d.direction}) is still dispatched at the end")
        behind = " ".join(results.not_undone) if results else ""
        wrong += [f"step {step} is in doubt and the report does not say so" for step, _ in doubts if f"step {step} " not in behind]
        now = world.look(self.workspace)
        wanted = "rolled_back" if phase == "rollback" else world.SCENARIOS[scenario]["ends"]
        if exact and not doubts:
            wrong += [f"{key}: {now.get(key)} instead of {end.get(key)}" for key in sorted(now.keys() | end.keys()) if now.get(key) != end.get(key)]
            if status != wanted:
                wrong.append(f"the run ended as {status}, not as {wanted}")
        if now.get("whole") != "ok":
            wrong.append(f"the database of the workspace: {now.get('whole')}")
        return {**done, "wrong": wrong, "status": status, "doubts": doubts}

    def _open(self) -> Any:
        return assent.open(self.home, workspace=self.workspace, config=CONFIG, clock=lambda: datetime.now(UTC) + self.later)

    @staticmethod
    def _waiting(act: Callable[[], Any]) -> None:
        # A child of the killed process may still hold the run for some milliseconds.
        until = time.monotonic() + 20
        while True:
            try:
                act()
                return
            except RunBusy:
                if time.monotonic() > until:
                    raise
                time.sleep(0.002)

    # --- folders and children -------------------------------------------------------------------------------------------------------

    def _restore(self, scenario: str, phase: str) -> None:
        shutil.rmtree(self.here, ignore_errors=True)
        base = self.folder / f"{scenario}-before-{phase}"
        if not base.exists():
            world.build(self.workspace)
            for earlier in BEFORE[phase]:
                status, said = self._child(functools.partial(self._drive, scenario, earlier, mode="count", n=0))
                assert status == "ended" and said and "error" not in said, (status, said)
            # Trials always run at the same path, because the ledger may hold it.
            shutil.copytree(self.here, base)
            shutil.rmtree(self.here)
        shutil.copytree(base, self.here)

    def _child(self, act: Callable[[], dict[str, Any] | None]) -> tuple[str, dict[str, Any] | None]:
        """Run `act` in a fork; return how that ended (`killed`, `ended`, `interrupted`, `hung`) and what it returned."""
        out = self.folder / "said"
        out.unlink(missing_ok=True)
        assert threading.active_count() == 1, "a fork would lose these threads"
        pid = os.fork()
        if pid == 0:
            _be_child(act, out)
        watch = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        hung = not poll.poll(PATIENCE_S * 1000)
        if hung:
            os.kill(pid, signal.SIGKILL)
        os.close(watch)
        _, status = os.waitpid(pid, 0)
        said = json.loads(out.read_text()) if out.exists() and out.stat().st_size else None
        if hung:
            return "hung", said
        return {0: "ended", 130: "interrupted"}.get(os.waitstatus_to_exitcode(status), "killed" if os.WIFSIGNALED(status) else "broke"), said


def _dispatching_late() -> Any:
    """The intent is not committed before the effect, but with the receipt after it."""
    real = Ledger.dispatch

    def dispatch(self: Any, *given: Any, **more: Any) -> Any:
        self._write = functools.partial(Ledger._write, self, deferred=True)
        try:
            return real(self, *given, **more)
        finally:
            del self._write

    return patch.object(Ledger, "dispatch", dispatch)


def _deciding_doubts(status: Any) -> Any:
    """A step of which nothing is known is not asked about; it is taken as done, or as not done and run again."""

    def doubt(self: Ledger, dispatch: Any, why: str) -> Any:
        return self.receive(dispatch, Receipt(status=status, summary=why, output={"again": True}))

    return patch.object(Ledger, "doubt", doubt)


GUARDS: dict[str, Callable[[], Any]] = {
    "intent before effect": _dispatching_late,
    "doubt is asked about": lambda: _deciding_doubts("not_started"),
    "doubt is not done": lambda: _deciding_doubts("done"),
    "undo once": lambda: patch.dict(dispatches._STATE, {"unknown": DispatchState.NOT_STARTED}),
    "made folders are cleared": lambda: patch.object(change, "clear_folders", lambda place, before: None),
}
"""Ways to take a guard out of the product, to see that the trials find out."""


def _be_child(act: Callable[[], dict[str, Any] | None], out: Path) -> None:
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            said: dict[str, Any] | None = act()
            code = 0
        except KeyboardInterrupt:
            said, code = {"error": "KeyboardInterrupt"}, 130
        except BaseException as error:  # noqa: BLE001 - the parent judges it
            kind = "StoreError" if isinstance(error, StoreError) else "AssentError" if type(error).__module__.startswith("assent") else "other"
            said, code = {"error": type(error).__name__, "kind": kind, "message": str(error)[:500], "trace": traceback.format_exc()[-3000:]}, 0
        out.write_text(json.dumps(said))
    finally:
        os._exit(code)


def _shim_the_supervisor(paths: str, n: int, mode: int, log: str) -> None:
    extra = {"LD_PRELOAD": LIBRARY, "FAULT_PATHS": paths, "FAULT_N": str(n), "FAULT_MODE": str(mode), "FAULT_LOG": log}

    real: Any = subprocess.Popen

    def popen(*given: Any, env: Any = None, **more: Any) -> Any:
        return real(*given, env={**(env or {}), **extra}, **more)

    seam: Any = process
    seam.subprocess = types.SimpleNamespace(**{**vars(subprocess), "Popen": popen})


def _untrue(number: int, step: dict[str, Any], rows: list[Any], seen: str) -> Iterator[str]:
    """Yield where the ledger and the world disagree about a step."""
    done = [d for d in rows if d.step == number and d.direction == "do"]
    back = [d for d in rows if d.step == number and d.direction == "undo"]
    if sum(d.state == "done" for d in done) > 1 or sum(d.state == "done" for d in back) > 1:
        yield f"step {number} is recorded as done twice"
    if any(d.state in ("in_doubt", "abandoned") for d in done + back):
        return
    is_there = any(d.state == "done" for d in done)
    is_back = any(d.state == "done" for d in back)
    wanted = "absent" if not is_there else "there" if not is_back else "taken back" if step["tool"] == "shell" else "absent"
    if seen != wanted:
        yield f"step {number} ({step['tool']}): the ledger says {wanted}, the world says {seen}"


def _entry(line: str, here: Path) -> list[Any]:
    operation, size, path = line.split(" ", 2)
    return [operation, int(size), path.removeprefix(f"{here}/")]


def main() -> None:
    """Answer requests until the input ends."""
    server = Server(Path(sys.argv[1]))
    # One whole run in this process loads everything that is imported or read late; forks share it.
    warm = Server(server.folder / "warm")
    world.build(warm.workspace)
    with warm._open() as runtime:
        for scenario in world.SCENARIOS:
            run = runtime.start(world.plan_of(scenario))
            with contextlib.suppress(assent.schemas.errors.AssentError):
                approve(runtime, run.requests[0].id)
    shutil.rmtree(warm.folder)
    SHIM.fault_be_lazy()
    gc.collect()
    gc.freeze()  # so that a fork copies less
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"value": getattr(server, asked.pop("do"))(**asked)}
        except Exception:  # noqa: BLE001 - the client fails with it
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
