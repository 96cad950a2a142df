"""Which threads of the server go on with runs that were begun elsewhere. A run's own thread has its id and is not noted.

Rules: one line a thread, at the end of a file, so that several servers over one home can note; a torn line is none. Losing a note costs that an
answer on such a thread has to name its request. It permits nothing: it says what an answer is about, and the ledger holds it against the plan.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path


class Adopted:
    """The notes of one home."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str] = {}
        self._seen = 0
        self._lock = threading.Lock()

    def get(self, thread_id: str) -> str | None:
        """Return the run that a thread goes on with; `None`: none was noted."""
        with self._lock:
            if thread_id not in self._known:
                self._read()
            return self._known.get(thread_id)

    def note(self, thread_id: str, run_id: str) -> None:
        """Note which run a thread goes on with; the later note holds. Raises: OSError."""
        line = b"\n" + json.dumps([thread_id, run_id]).encode() + b"\n"
        with self._lock:
            if self._known.get(thread_id) == run_id:
                return
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
            self._known[thread_id] = run_id

    def _read(self) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._seen)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data.rfind(b"\n") + 1
        self._seen += whole
        for line in data[:whole].splitlines():
            try:
                thread_id, run_id = json.loads(line)
            except (ValueError, TypeError):
                continue
            self._known[str(thread_id)] = str(run_id)
