"""One process at a time owns a run: a kernel lock on a file, inherited by every child that runs an effect.

The kernel releases it when the last descriptor closes, so a killed owner's lock lasts exactly as long as something of it still acts. No
timer is involved: a paused owner cannot be overtaken.
"""

from __future__ import annotations

import contextlib
import contextvars
import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..schemas.errors import RunBusy, StoreUnavailable
from .keep import is_plain

_HELD: contextvars.ContextVar[Mapping[str, int]] = contextvars.ContextVar("held", default={})  # noqa: B039 - never mutated, only replaced
_OWNER_BYTES = 20


class Locks:
    """The lock files of one home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._name = str(folder)

    @contextlib.contextmanager
    def own(self, run_id: str) -> Iterator[None]:
        """Own a run for the length of the block. A flow that owns it already owns it again.

        Raises:
            RunBusy: another process, or another flow of this one, owns the run.
        """
        key = f"{self._name}/{run_id}"
        if key in _HELD.get():
            yield
            return
        descriptor = self._take(run_id)
        token = _HELD.set({**_HELD.get(), key: descriptor})
        try:
            yield
        finally:
            _HELD.reset(token)
            os.close(descriptor)

    def descriptor(self, run_id: str) -> int | None:
        """Return the descriptor of the lock that this flow holds, for a child to inherit."""
        return _HELD.get().get(f"{self._name}/{run_id}")

    def is_free(self, run_id: str) -> bool:
        """Tell whether nobody owns a run at this moment."""
        try:
            with self.own(run_id):
                return True
        except RunBusy:
            return False

    def forget(self, run_id: str) -> None:
        """Remove the lock file of a run that is over; the caller owns the run."""
        with contextlib.suppress(FileNotFoundError):
            self._path(run_id).unlink()

    def _path(self, run_id: str) -> Path:
        # An id may come from a client as the name of a thread. Whatever is no plain file name must not become a path.
        return self.folder / (run_id if is_plain(run_id) else "x" + hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest())

    def _take(self, run_id: str) -> int:
        path = self._path(run_id)
        while True:
            descriptor = _open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The file may have been removed and made anew between open and lock; only a lock on the file that is there now counts.
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    # Overwritten whole: file systems write a file out at once that was cut to nothing and filled again.
                    os.pwrite(descriptor, f"{os.getpid():<{_OWNER_BYTES}}".encode(), 0)
                    return descriptor
            except BlockingIOError:
                owner = os.pread(descriptor, _OWNER_BYTES, 0).decode(errors="replace").strip()
                os.close(descriptor)
                raise RunBusy(
                    f"run {run_id} is owned by {'process ' + owner if owner else 'another process'} (or by a step of it that still runs)",
                    hint="wait for it, or end that process; then resume the run", owner=owner,
                ) from None
            except FileNotFoundError:
                pass
            os.close(descriptor)


def _open(path: Path, flags: int, mode: int) -> int:
    try:
        return os.open(path, flags, mode)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be opened: {error.strerror}", hint="free disk space or mend the folder, then resume the run") from error
