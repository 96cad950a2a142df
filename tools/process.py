"""Starting a command under its supervisor, and reading afterwards how it ended.

Rules:
- One folder in the scratch folder per dispatch key, made exclusively: a key that was used is never started a second time.
- The receipt is built from the supervisor's record alone, so it is the same whether the parent lived or died.

Source: DESIGN §6; reliability notes d.4. Deliberately no sandbox: a command may do what the user may do, which is why it is assessed.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
import os
import re
import select
import subprocess
import sys
import time
import types
from dataclasses import dataclass
from pathlib import Path

from ..schemas.dispatch import Receipt
from . import record, supervisor
from .environment import environment
from .tool import Found, Place, ToolRefused

LONGEST_BYTES = 128 * 1024 - 1
"""The most that the kernel takes as one argument, less its final zero."""
_BOOT = (
    "import marshal, os, sys; code, job = marshal.loads(sys.stdin.buffer.read()); module = {}; exec(code, module); module['main'](job);"
    " os._exit(0)"  # the interpreter's own tidying takes longer than the rest
)
_GRACE_S = 15.0
_TAIL_S = 0.1


@dataclass(frozen=True)
class Command:
    """What is started: the program's absolute path, its arguments (the zeroth included), and its own time limit in seconds, if it has one."""

    program: str
    arguments: tuple[str, ...]
    timeout_s: float | None = None


def passable(text: str) -> str:
    """Return the text if a program can be given it as an argument. Raises: ValueError: it holds a NUL."""
    if "\0" in text:
        raise ValueError("text without NUL characters")
    return text


def check(text: str, place: Place) -> None:
    """Refuse what could not be started.

    Raises:
        ToolRefused: the text is too long for one argument, the workspace is missing, or the configured environment is not acceptable.
    """
    size = len(text.encode())
    if size > LONGEST_BYTES:
        raise ToolRefused(
            f"{size} bytes are more than the operating system takes as one argument ({LONGEST_BYTES}); write a file in an earlier step and run it",
            rule="process.too_long",
        )
    if not place.workspace.is_dir():
        raise ToolRefused(f"the workspace {place.workspace} is not a folder", rule="process.workspace")
    environment(place)


def run(command: Command, place: Place, key: str) -> Receipt:
    """Run a command once and wait for its end.

    Returns:
        The receipt. `not_started` only where no program was executed.

    Side effects: the command's; a folder in the scratch folder.
    """
    began = time.monotonic()
    folder = folder_of(place, key)
    place.scratch.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return recover(place, key) or Receipt(
            status="unknown", summary="this call was started before and left no record of its end"
        )
    time_s = min(place.limits.time_s, command.timeout_s or place.limits.time_s)
    try:
        order = _order(command, place, time_s, folder)
    except (ToolRefused, OSError) as error:
        return Receipt(status="not_started", summary=f"not started: {error}")
    try:
        child = _start(folder, order, place.lock_fd)
    except OSError as error:
        return Receipt(status="not_started", summary=f"the supervisor could not be started: {error}")
    finally:
        os.close(order)
    with child:
        said = _wait(child, folder, place, time_s + _GRACE_S)
    return record.receipt(folder, place.keep) or Receipt(
        status="unknown",
        summary=f"the supervisor left no record of the end{': ' + said[-500:] if said else ''}",
        duration_ms=int((time.monotonic() - began) * 1000),
    )


def recover(place: Place, key: str) -> Receipt | None:
    """Rebuild the receipt from the supervisor's record. None: there is none, or the command was killed.

    Side effects: keeps large output.
    """
    found = record.receipt(folder_of(place, key), place.keep)
    return None if found is None or found.status == "unknown" else found


def probe(place: Place, key: str) -> Found:
    """Read whether the command ran to an end of its own."""
    return record.found(folder_of(place, key))


def folder_of(place: Place, key: str) -> Path:
    """Return the scratch folder of a dispatch."""
    is_name = re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}", key)
    return place.scratch / (key if is_name else hashlib.sha256(key.encode()).hexdigest())


@functools.cache
def _code() -> types.CodeType:
    return compile(Path(supervisor.__file__).read_bytes(), supervisor.__file__, "exec")


def _order(command: Command, place: Place, time_s: float, folder: Path) -> int:
    job = {
        "program": command.program,
        "arguments": list(command.arguments),
        "environment": environment(place),
        "folder": str(place.workspace),
        "time_s": time_s,
        "processor_s": int(time_s * (os.cpu_count() or 1) * place.limits.cpu_share) + 2,
        "memory_bytes": place.limits.memory_bytes,
        "output_bytes": place.limits.output_bytes,
    }
    path = folder / "order"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    path.unlink()  # it may hold secrets, and the descriptor is enough
    try:
        view = memoryview(marshal.dumps((_code(), job)))
        while view:
            view = view[os.write(handle, view) :]
        os.lseek(handle, 0, os.SEEK_SET)
    except OSError:
        os.close(handle)
        raise
    return handle


def _start(folder: Path, order: int, lock_fd: int | None) -> subprocess.Popen[bytes]:
    # The interpreter itself may need its library path; the command does not get it.
    inherited = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return subprocess.Popen(  # noqa: S603 our own interpreter and our own program
        [sys.executable, "-I", "-S", "-c", _BOOT],
        stdin=order,
        stdout=subprocess.PIPE,  # says nothing: its end tells that the supervisor has ended
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=inherited,
        pass_fds=() if lock_fd is None else (lock_fd,),
        start_new_session=True,
    )


def _wait(child: subprocess.Popen[bytes], folder: Path, place: Place, patience_s: float) -> str:
    assert child.stdout is not None
    end = child.stdout.fileno()
    until = time.monotonic() + patience_s
    tail = record.Tail(folder) if place.progress else None
    poll = select.poll()
    poll.register(end, select.POLLIN)
    said = b""
    while True:
        left = until - time.monotonic()
        if left <= 0:
            child.kill()
            said += b" it did not end in time"
            break
        if poll.poll((min(left, _TAIL_S) if tail else left) * 1000 + 1):
            data = os.read(end, 4096)
            said += data
            if not data:
                break
        if tail and place.progress:
            for line in tail.lines():
                place.progress(line)
    child.wait()
    if tail and place.progress:
        for line in tail.lines(last=True):
            place.progress(line)
    return said.decode("utf-8", "replace").strip()
