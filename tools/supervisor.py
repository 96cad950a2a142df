"""The small program between assent and a command: it runs one command and writes down how that ended, whatever becomes of its parent.

Rules:
- Started as `python -I -S -c …` in the scratch folder of one dispatch. This module's code and the job come through standard input, from a file
  that was complete before this process began: compiling it anew for every command would cost as much as starting the interpreter.
- It holds the run's lock descriptor, and so does the command: nobody takes the run over while either lives.
- The command gets its own session. When it has ended, or at the deadline, everything that it started is killed: a step leaves no process.
- The record `end.json` is complete and durable before this program ends. No record means: not known.

Only modules that load in microseconds are imported, and nothing of assent, because every shell step pays for it. Deliberately not a sandbox:
what the command may do is decided before it starts.

Source: the receipt shim of the reliability notes (d.4), and threat T28 (hung effects).
"""

from __future__ import annotations

import os
import select
import time

FORM = 1
RECORD = "end.json"
_KILL = 9
_CHUNK = 1 << 16
_DRAIN_S = 2.0  # how long output and killed processes may take after the end
_SUBREAPER, _DEATH_SIGNAL = 36, 1  # prctl


def main(job: dict) -> None:  # type: ignore[type-arg]
    """Run the job and write the record.

    Side effects: whatever the command does; `stdout`, `stderr` and `end.json` in the working directory.
    """
    began = time.time()
    home = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(nothing, 0)
    _call_prctl(_SUBREAPER)
    out, err = os.pipe(), os.pipe()
    refusal = os.pipe()
    clock = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(job, nothing, out[1], err[1], refusal[1])
    for end in (out[1], err[1], refusal[1]):
        os.close(end)
    said = _read_all(refusal[0])
    if said:
        os.waitpid(child, 0)
        _record(home, {"form": FORM, "started": False, "reason": said.decode("utf-8", "replace"), "started_at": began})
        return
    streams = {end: _Stream(home, name, job["output_bytes"]) for name, end in (("stdout", out[0]), ("stderr", err[0]))}
    in_time = _watch(child, streams, clock + job["time_s"])
    lasted = time.monotonic() - clock
    status, left_behind = _end_all(child)
    _drain(streams)
    by_signal = status is not None and os.WIFSIGNALED(status)
    record = {
        "form": FORM,
        "started": True,
        "exit_code": None if status is None or by_signal else os.waitstatus_to_exitcode(status),
        "signal": os.WTERMSIG(status) if status is not None and by_signal else None,
        "in_time": in_time,
        "left_behind": left_behind,
        "started_at": began,
        "duration_ms": int(lasted * 1000),
    }
    for stream in streams.values():
        record[f"{stream.name}_bytes"] = stream.kept
        record[f"{stream.name}_dropped"] = stream.dropped
    _record(home, record)


class _Stream:
    """One output stream of the command: a file up to a limit, a count beyond it."""

    def __init__(self, home: int, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.kept = 0
        self.dropped = 0
        self.file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=home)

    def take(self, data: bytes) -> None:
        room = data[: self.limit - self.kept]
        try:
            while room:
                written = os.write(self.file, room)
                self.kept += written
                data, room = data[written:], room[written:]
        except OSError:  # a full disk costs output, not the command and not its record
            self.limit = self.kept
        self.dropped += len(data)


def _become(job: dict, nothing: int, out: int, err: int, refusal: int) -> None:  # type: ignore[type-arg]
    # The child. Only plain system calls from here to exec; whatever fails is told to the supervisor, and nothing has run.
    try:
        import _signal  # type: ignore[import-not-found]  # `signal` builds enumerations and costs 3 ms
        import resource

        os.setsid()
        _call_prctl(_DEATH_SIGNAL, _KILL)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
        # The interpreter ignores the first two, a parent may ignore the others (nohup), and either would be inherited.
        for number in (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGHUP, _signal.SIGINT, _signal.SIGTERM, _signal.SIGQUIT):
            _signal.signal(number, _signal.SIG_DFL)
        limits = ((resource.RLIMIT_AS, job["memory_bytes"]), (resource.RLIMIT_CPU, job["processor_s"]), (resource.RLIMIT_CORE, 0))
        for what, wanted in limits:
            hard = resource.getrlimit(what)[1]
            bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(what, (bound, bound))
        os.chdir(job["folder"])
        os.dup2(nothing, 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.execve(job["program"], job["arguments"], job["environment"])  # noqa: S606 this is the purpose
    except BaseException as error:  # noqa: BLE001 whatever it is, the child of a fork must not return into its parent's code
        os.write(refusal, f"{job['program']}: {error}".encode("utf-8", "replace") or b"?")
    finally:
        os._exit(127)


def _watch(child: int, streams: dict[int, _Stream], deadline: float) -> bool:
    """Move output until the command has ended (true) or its time is up (false). The command itself is not reaped here."""
    poll = select.poll()
    for end in streams:
        os.set_blocking(end, False)
        poll.register(end, select.POLLIN)
    try:
        watcher = os.pidfd_open(child)
    except (AttributeError, OSError):
        watcher = -1
    else:
        poll.register(watcher, select.POLLIN)
    while not _has_ended(child):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        for end, _ in poll.poll(min(left, 0.5 if watcher >= 0 else 0.01) * 1000 + 1):
            if end in streams and not _pump(end, streams[end]):
                poll.unregister(end)
    return True


def _has_ended(child: int) -> bool:
    # The command stays a zombie so that its number, which names its group, cannot become somebody else's. Orphans that became our
    # children (subreaper) are reaped.
    while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if ended.si_pid == child:
            return True
        os.waitpid(ended.si_pid, 0)
    return False


def _pump(end: int, stream: _Stream) -> bool:
    try:
        data = os.read(end, _CHUNK)
    except BlockingIOError:
        return True
    stream.take(data)
    return bool(data)


def _end_all(child: int) -> tuple[int | None, int]:
    """Kill the command's group and everything that it left; return its wait status (None: it would not die) and how many were left."""
    status = None
    left: set[int] = set()
    until = time.monotonic() + _DRAIN_S
    _kill(os.killpg, child)
    while True:
        for pid in _children():
            if pid != child:
                left.add(pid)
            _kill(os.kill, pid)
        try:
            pid, how = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status, len(left)
        if pid == child:
            status = how
        elif pid == 0:
            if time.monotonic() > until:
                return None, len(left)
            time.sleep(0.001)


def _kill(how, pid: int) -> None:  # type: ignore[no-untyped-def]
    try:  # noqa: SIM105 contextlib is not worth its loading
        how(pid, _KILL)
    except (ProcessLookupError, PermissionError):
        pass


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:  # noqa: PTH123 pathlib is not worth its loading
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _drain(streams: dict[int, _Stream]) -> None:
    until = time.monotonic() + _DRAIN_S
    for end, stream in streams.items():
        while time.monotonic() < until:
            try:
                data = os.read(end, _CHUNK)
            except BlockingIOError:
                break  # somebody who would not die still holds the pipe
            if not data:
                break
            stream.take(data)


def _record(home: int, record: dict) -> None:  # type: ignore[type-arg]
    data = ("{" + ", ".join(f'"{name}": {_json(value)}' for name, value in record.items()) + "}").encode()
    handle = os.open(RECORD + ".tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=home)
    os.write(handle, data)
    os.fsync(handle)
    os.close(handle)
    os.rename(RECORD + ".tmp", RECORD, src_dir_fd=home, dst_dir_fd=home)
    os.fsync(home)


def _json(value: object) -> str:
    # By hand, because importing `json` costs as much as the rest of this program.
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return (
            '"'
            + "".join(char if " " <= char <= "~" and char not in '"\\' else f"\\u{min(ord(char), 0xFFFD):04x}" for char in value)
            + '"'
        )
    return repr(value)


def _read_all(end: int) -> bytes:
    parts = []
    while data := os.read(end, _CHUNK):
        parts.append(data)
    return b"".join(parts)


def _call_prctl(option: int, value: int = 1) -> None:
    # Linux only, and a comfort: without it a command that leaves its session outlives its step.
    try:
        import _ctypes

        _ctypes.call_function(_ctypes.dlsym(_ctypes.dlopen(None, 2), "prctl"), (option, value, 0, 0, 0))  # type: ignore[arg-type]
    except (ImportError, AttributeError, OSError):
        pass
