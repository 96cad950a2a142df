"""The phase store: which agent of which run reported what about which inputs; and where reports are kept.

Rules:
- Notes are lines of a journal, one for each phase of each run; reports are records of one pack. Both are written in one piece at the end of their
  file, so readers see all of a line or record, or none; what is torn, unreadable or about something else counts as absent.
- What that costs is running an agent again, so neither waits for the disk: a killed process loses nothing, a power failure may lose a report.
- A report is named by its digest and checked against it whenever it is read.

A file of its own for each report would cost as much as everything else that happens to it; a hundred agents that answer at once would notice.
What a run has to keep for years goes to `keep.py` and the ledger.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import threading
import weakref
from pathlib import Path
from typing import Any

from ...schemas.canonical import canonical, parse
from ...schemas.phase import Settled

_RECORD = re.compile(rb"\n@([0-9a-f]{64}) (\d{1,12})\n")


class _Appended:
    """A file that only grows, written in one piece each time, and read from where the last reading ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen = 0
        self._descriptor = -1

    def append(self, data: bytes) -> None:
        """Write at the end. Raises: OSError: not all of it could be written."""
        written = os.write(self._open(), data)
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def news(self) -> tuple[int, bytes]:
        """Return what was written since the last reading, and where it begins. The caller moves `seen`."""
        try:
            size = os.fstat(self._open(create=False)).st_size
        except FileNotFoundError:
            return self.seen, b""
        return self.seen, self.read(self.seen, size - self.seen) if size > self.seen else b""

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes from a place. Raises: OSError."""
        return os.pread(self._open(create=False), size, offset)

    def _open(self, *, create: bool = True) -> int:
        if self._descriptor < 0:
            flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if create else 0)
            if create:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, flags, 0o600)
            weakref.finalize(self, os.close, self._descriptor)
        return self._descriptor


class ReportKeep:
    """Reports by their digest, in one pack. Any number of threads and processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._pack = _Appended(folder / "reports.pack")
        self._places: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def put(self, data: bytes) -> str:
        """Keep bytes and return `sha256:…`. Kept once, unless what is kept was changed. Raises: OSError."""
        name = hashlib.sha256(data).hexdigest()
        with self._lock:
            if self._found(name) != data:
                self._pack.append(b"\n@%b %d\n%b" % (name.encode(), len(data), data))
        return "sha256:" + name

    def get(self, digest: str) -> bytes:
        """Return the bytes of a digest. Raises: KeyError: they are not kept, or not as they were."""
        name = digest.removeprefix("sha256:")
        with self._lock:
            data = self._found(name)
            if data is None:
                self._index()
                data = self._found(name)
        if data is None:
            raise KeyError(digest)
        return data

    def _found(self, name: str) -> bytes | None:
        place = self._places.get(name)
        if place is None:
            return None
        data = self._pack.read(*place)
        return data if hashlib.sha256(data).hexdigest() == name else None

    def _index(self) -> None:
        begin, data = self._pack.news()
        at, end = 0, 0
        while record := _RECORD.search(data, at):
            name, size = record[1].decode(), int(record[2])
            if record.end() + size > len(data):
                # Torn, or still being written: what follows its head may hold whole records.
                at = record.end() - 1
                continue
            if hashlib.sha256(data[record.end() : record.end() + size]).hexdigest() == name:
                self._places[name] = (begin + record.end(), size)
                at = end = record.end() + size
            else:
                at = record.end() - 1
        self._pack.seen = begin + end


class _Journal(_Appended):
    """The notes of one phase of one run: what was reported about what, and how long each agent took the last time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.settled: dict[tuple[str, str], Settled] = {}
        self.took_ms: dict[str, int] = {}

    def look(self, run_id: str, phase: str) -> None:
        """Read what was added since."""
        begin, data = self.news()
        whole = data.rfind(b"\n") + 1
        for line in data[:whole].splitlines():
            self._take(line, run_id, phase)
        self.seen = begin + whole

    def _take(self, line: bytes, run_id: str, phase: str) -> None:
        try:
            found: Any = parse(line)
            said_run, said_phase, agent_id, digest = found["about"]
            if (said_run, said_phase) == (run_id, phase):
                self.settled[str(agent_id), str(digest)] = Settled.model_validate(found["settled"])
                self.took_ms[str(agent_id)] = int(found.get("ms", 0))
        except (ValueError, KeyError, TypeError):
            return


class PhaseStore:
    """Journals in a folder. Any number of threads and processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journals: dict[tuple[str, str], _Journal] = {}
        self._lock = threading.Lock()

    def get(self, run_id: str, phase: str, agent_id: str, digest: str) -> Settled | None:
        """Return what was noted last; None: nothing, or nothing that can be trusted."""
        with self._lock:
            journal = self._journal(run_id, phase)
            journal.look(run_id, phase)
            return journal.settled.get((agent_id, digest))

    def took_s(self, run_id: str, phase: str) -> dict[str, float]:
        """Return how long each agent took the last time, as far as that is known. Raises: OSError."""
        with self._lock:
            journal = self._journal(run_id, phase)
            journal.look(run_id, phase)
            return {agent_id: ms / 1000 for agent_id, ms in journal.took_ms.items() if ms}

    def put(self, run_id: str, phase: str, agent_id: str, digest: str, settled: Settled) -> None:
        """Note a report; the later note holds. Raises: OSError."""
        # Canonical JSON without fractions is twenty times as fast.
        told = {"about": [run_id, phase, agent_id, digest], "settled": {**settled.as_json(), "took_s": 0}, "ms": round(settled.took_s * 1000)}
        with self._lock:
            # It begins with a line feed as well, so that a line which a crash tore does not swallow this one.
            self._journal(run_id, phase).append(b"\n" + canonical(told) + b"\n")

    def _journal(self, run_id: str, phase: str) -> _Journal:
        if (run_id, phase) not in self._journals:
            name = hashlib.sha256(canonical([run_id, phase])).hexdigest()[:40]
            self._journals[run_id, phase] = _Journal(self.folder / f"{name}.jsonl")
        return self._journals[run_id, phase]
