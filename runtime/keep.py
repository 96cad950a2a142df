"""The artifact folder: bytes by their digest, and the named files of each run.

Rules: bytes are on disk before their digest is told; what is read back is checked against its digest; file names of a run are plain names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from ..schemas.canonical import digest
from ..schemas.errors import StoreCorrupt, StoreUnavailable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}\Z")


def is_plain(name: str) -> bool:
    """Tell whether a name is a plain file name, and nothing that leads anywhere."""
    return _PLAIN.match(name) is not None


class Keep:
    """Bytes kept by digest, and files kept by run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = folder / "blobs"

    def put(self, data: bytes) -> str:
        """Keep bytes; durable when this returns. The same bytes are kept once."""
        name = hashlib.sha256(data).hexdigest()
        target = self.blobs / name[:2] / name
        if not target.exists():
            write_whole(target, data)
        return "sha256:" + name

    def get(self, name: str) -> bytes:
        """Return the bytes of a digest.

        Raises:
            KeyError: they are not kept.
            StoreCorrupt: what is kept has another digest.
        """
        hexadecimal = name.removeprefix("sha256:")
        if not re.fullmatch(r"[0-9a-f]{64}", hexadecimal):
            raise KeyError(name)
        try:
            data = (self.blobs / hexadecimal[:2] / hexadecimal).read_bytes()
        except FileNotFoundError:
            raise KeyError(name) from None
        if digest(data) != "sha256:" + hexadecimal:
            raise StoreCorrupt(f"the kept bytes {name} were changed", hint="restore the artifact folder from a backup")
        return data

    def write(self, run_id: str, name: str, data: bytes, *, durable: bool = True) -> Path:
        """Write a named file of a run and return its path; a file of that name is replaced. What can be made again need not be `durable`."""
        self.write_all(run_id, {name: data}, durable=durable)
        return self.folder / run_id / name

    def write_all(self, run_id: str, files: Mapping[str, bytes], *, durable: bool = True) -> None:
        """Write named files of a run, each as `write` does, one after the other."""
        odd = next((name for name in (run_id, *files) if not is_plain(name)), None)
        if odd is not None:
            raise ValueError(f"{odd!r} is not a plain file name")
        _write(self.folder / run_id, files, durable=durable)


def write_whole(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that readers see all of it or none, and, where `durable`, so does a power failure.

    Raises:
        StoreUnavailable: the disk is full or cannot be written.
    """
    _write(path.parent, {path.name: data}, durable=durable)


def place_whole(path: Path, data: bytes) -> None:
    """Put a file where there is none, whole and not durable; one that somebody put there meanwhile stays.

    Raises:
        StoreUnavailable: the disk is full or cannot be written.
    """
    try:
        folder = os.open(path.parent, _FOLDER)
        try:
            temporary = _beside(folder, data, durable=False)
            try:
                with contextlib.suppress(OSError):  # it is there by now, or there are no hard links here; either way the caller goes on
                    os.link(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                os.unlink(temporary, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _unavailable(path, error) from error


def _write(folder: Path, files: Mapping[str, bytes], *, durable: bool) -> None:
    name = ""
    try:
        handle = _opened(folder)
        try:
            for name, data in files.items():
                temporary = _beside(handle, data, durable=durable)
                try:
                    os.rename(temporary, name, src_dir_fd=handle, dst_dir_fd=handle)
                except BaseException:
                    os.unlink(temporary, dir_fd=handle)
                    raise
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise _unavailable(folder / name, error) from error


def _opened(folder: Path) -> int:
    try:
        return os.open(folder, _FOLDER)
    except FileNotFoundError:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(folder, _FOLDER)


def _beside(folder: int, data: bytes, *, durable: bool) -> str:
    """Write a file under a name that nobody looks for into an open folder, and return the name."""
    name = f".new-{os.urandom(8).hex()}"
    handle = os.open(name, _NEW, 0o600, dir_fd=folder)
    try:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(handle, left) :]
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
    except BaseException:
        os.unlink(name, dir_fd=folder)
        raise
    return name


def _unavailable(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"{path} cannot be written: {error.strerror}", hint="free disk space or mend the disk, then resume the run")
