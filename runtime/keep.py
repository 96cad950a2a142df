"""The artifact folder: bytes by their digest, and the named files of each run.

Rules: bytes are on disk before their digest is told; what is read back is checked against its digest; file names of a run are plain names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path

from ..schemas.canonical import digest
from ..schemas.errors import StoreCorrupt, StoreUnavailable

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
        if not is_plain(name) or not is_plain(run_id):
            raise ValueError(f"{name!r} is not a plain file name")
        path = self.folder.joinpath(run_id, name)
        write_whole(path, data, durable=durable)
        return path


def write_whole(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that readers see all of it or none, and, where `durable`, so does a power failure.

    Raises:
        StoreUnavailable: the disk is full or cannot be written.
    """
    try:
        _write_whole(path, data, durable=durable)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be written: {error.strerror}", hint="free disk space or mend the disk, then resume the run") from error


def place_whole(path: Path, data: bytes) -> None:
    """Put a file where there is none, whole and not durable; one that somebody put there meanwhile stays.

    Raises:
        StoreUnavailable: the disk is full or cannot be written.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            with contextlib.suppress(OSError):  # it is there by now, or there are no hard links here; either way the caller goes on
                os.link(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be written: {error.strerror}", hint="free disk space or mend the disk, then resume the run") from error


def _write_whole(path: Path, data: bytes, *, durable: bool) -> None:
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - a Path of the name takes longer than the renaming
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if not durable:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
