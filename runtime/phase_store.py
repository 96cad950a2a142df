"""The phase store: which agent of which run reported what about which inputs; and where reports are kept.

Rules: one journal for each phase of each run, one line a report, written in one piece, so readers see all of a line or none; a line that is torn,
unreadable or about something else counts as absent, because the cost of that is running an agent again. For the same reason neither notes nor
reports wait for the disk: a power failure may cost a report, a killed process does not. Reports lie in the artifact folder by their digest.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from ..schemas.canonical import canonical, parse
from ..schemas.phase import Settled
from .keep import Keep


class ReportKeep(Keep):
    """The artifact folder, for what can be made again: whole or not at all, without waiting for the disk."""

    def put(self, data: bytes) -> str:
        """Keep bytes. The same bytes are kept once. Raises: OSError."""
        name = hashlib.sha256(data).hexdigest()
        folder = f"{self.blobs}/{name[:2]}"
        if not os.access(f"{folder}/{name}", os.F_OK):
            _write_new(folder, name, data)
        return "sha256:" + name


class PhaseStore:
    """Journals in a folder. Any number of threads and processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, tuple[int, dict[tuple[str, str], Settled]]] = {}
        self._lock = threading.Lock()

    def get(self, run_id: str, phase: str, agent_id: str, digest: str) -> Settled | None:
        """Return what was noted last; None: nothing, or nothing that can be trusted."""
        path = self._path(run_id, phase)
        with self._lock:
            return self._index(path, run_id, phase).get((agent_id, digest))

    def put(self, run_id: str, phase: str, agent_id: str, digest: str, settled: Settled) -> None:
        """Note a report; the later note holds. Raises: OSError."""
        path = self._path(run_id, phase)
        # It begins with a line feed as well, so that a line which a crash tore does not swallow this one.
        line = b"\n" + canonical({"about": [run_id, phase, agent_id, digest], "settled": _plain(settled)}) + b"\n"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(28, "no space left for the note of a report", str(path))
        finally:
            os.close(descriptor)

    def _path(self, run_id: str, phase: str) -> Path:
        return self.folder / (hashlib.sha256(canonical([run_id, phase])).hexdigest()[:40] + ".jsonl")

    def _index(self, path: Path, run_id: str, phase: str) -> dict[tuple[str, str], Settled]:
        offset, index = self._read.get(path, (0, {}))
        try:
            size = path.stat().st_size
            if size == offset:
                return index
            if size < offset:
                offset, index = 0, {}  # somebody removed it and another was begun
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read()
        except OSError:
            self._read.pop(path, None)
            return {}
        whole = data.rfind(b"\n") + 1
        for line in data[:whole].splitlines():
            try:
                found = parse(line)
                said_run, said_phase, agent_id, digest = found["about"]
                if (said_run, said_phase) == (run_id, phase):
                    index[str(agent_id), str(digest)] = Settled.model_validate(found["settled"])
            except (ValueError, KeyError, TypeError):
                continue
        self._read[path] = (offset + whole, index)
        return index


def _write_new(folder: str, name: str, data: bytes) -> None:
    temporary = f"{folder}/.new-{os.getpid()}-{threading.get_ident()}-{name[:8]}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        descriptor = os.open(temporary, flags, 0o600)
    except FileNotFoundError:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.rename(temporary, f"{folder}/{name}")  # noqa: PTH104 - a path object costs as much as the rest
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _plain(settled: Settled) -> dict[str, object]:
    # Canonical JSON without fractions is twenty times as fast; the time that a report took is of no use to the next run.
    return settled.model_copy(update={"took_s": 0}).as_json() | {"took_s": 0}
