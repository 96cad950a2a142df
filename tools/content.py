"""The content of one file at a confined spot: look, put in place, take away.

Rules:
- Only regular files: a link, device, pipe, socket or folder is refused, and opening never blocks on one.
- Content changes by a complete temporary file that is durable before it is renamed; a reader sees the old bytes or the new ones.
- A file that must not exist yet is put in place with a link, which fails when something appeared meanwhile; nothing is overwritten unseen.
- The temporary name comes from the dispatch key, so what a killed process left behind is found and removed.

A file that is replaced must still be the one that was looked at; between that last look and the rename lie some microseconds in which another
program's in-place write would be lost. Modification times, extended attributes and access lists are not preserved; mode and owner are.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from typing import NamedTuple

from ..schemas.canonical import digest
from .confine import Spot
from .tool import ToolRefused

LARGEST_BYTES = 64 * 1024**2
_CHUNK_BYTES = 64 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_KINDS = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))


class Changed(Exception):
    """The file is not the one that was looked at; nothing was done."""


class Unsure(Exception):
    """The change was made, and its durability could not be confirmed."""


class State(NamedTuple):
    """A regular file as it was seen: bytes, digest, and what `stat` says."""

    data: bytes
    digest: str
    mode: int
    owner: tuple[int, int]
    identity: tuple[int, int, int, int]
    """Device, inode, size and time of the last change: whether it is still the same file with the same content."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)


def check(here: Spot) -> None:
    """Refuse what is there and no regular file. Raises: ToolRefused; FileNotFoundError."""
    _regular(os.stat(here.name, dir_fd=here.folder, follow_symlinks=False), here.path)


def look(here: Spot, limit: int = LARGEST_BYTES) -> State | None:
    """Read the file; None when there is none.

    Raises:
        ToolRefused: not a regular file, or larger than `limit` bytes.
        OSError: it cannot be read.
    """
    try:
        _regular(os.stat(here.name, dir_fd=here.folder, follow_symlinks=False), here.path)
        handle = os.open(here.name, _READ, dir_fd=here.folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise ToolRefused(f"{here.path!r} is not a regular file", rule="file.kind") from error
        raise
    try:
        found = os.fstat(handle)
        _regular(found, here.path)
        # As much as it says it holds and one byte more, whose absence is the end; another size than it says, and it is read on.
        data = os.read(handle, min(found.st_size, limit) + 1)
        if len(data) != found.st_size:
            while len(data) <= limit and (more := os.read(handle, min(limit + 1 - len(data), _CHUNK_BYTES))):
                data += more
    finally:
        os.close(handle)
    if len(data) > limit:
        raise ToolRefused(f"{here.path!r} has more than {limit} bytes, the most this tool takes", rule="file.size")
    return State(data, digest(data), stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid), _identity(found))


def put(
    here: Spot, data: bytes, *, key: str, over: State | None, mode: int | None = None, owner: tuple[int, int] | None = None
) -> None:
    """Put a file with these bytes in place, durable when it returns.

    Args:
        over: the file that it replaces, as it was seen; None: there must be none.
        mode: permission bits; None: 0644 less the umask.
        owner: user and group to keep, where the operating system lets us.

    Raises:
        Changed: the spot does not hold `over` any more. Nothing was done.
        Unsure: it is in place and the folder could not be made durable.
        OSError: nothing was done.

    Side effects: writes the file.
    """
    temporary = name_of(key)
    handle = _new(here, temporary, key)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            if owner is not None and owner != (os.geteuid(), os.getegid()):
                with contextlib.suppress(OSError):  # only a privileged process may give files away; the bytes matter more
                    os.fchown(handle, *owner)
            if mode is not None:
                os.fchmod(handle, mode)
            os.fsync(handle)
        finally:
            os.close(handle)
        if over is None:
            _link(here, temporary, here)
        else:
            _expect(here, over)
            os.rename(temporary, here.name, src_dir_fd=here.folder, dst_dir_fd=here.folder)
    except BaseException:
        sweep(here, key)
        raise
    if over is None:
        with contextlib.suppress(OSError):  # the content is in place; a second name of it does no harm and is swept later
            os.unlink(temporary, dir_fd=here.folder)
    _settle(here)


def take(here: Spot, seen: State) -> None:
    """Remove the file that was seen.

    Raises:
        Changed: another file is there now. Nothing was done.
        Unsure: it is gone and the folder could not be made durable.

    Side effects: removes the file.
    """
    _expect(here, seen)
    os.unlink(here.name, dir_fd=here.folder)
    _settle(here)


def move(source: Spot, target: Spot, seen: State) -> None:
    """Give the file that was seen another name, where nothing has that name yet.

    Raises:
        Changed: the source is another file now, or the target exists. Nothing was done.
        Unsure: it moved and a folder could not be made durable, or it has both names and neither can be removed.
        OSError: nothing was done.

    Side effects: moves the file. A process killed in between leaves the file under both names, and calling this again completes it.
    """
    _expect(source, seen)
    if not _same_file(target, seen):
        _link(source, source.name, target)
        if not _same_file(target, seen):
            os.unlink(target.name, dir_fd=target.folder)
            raise Changed(f"{source.path!r} was swapped while it was moved")
    try:
        os.unlink(source.name, dir_fd=source.folder)
    except FileNotFoundError:
        pass
    except OSError:
        _drop_second_name(target, seen)
        raise
    _settle(target)
    if source.folder != target.folder:
        _settle(source)


def sweep(here: Spot, key: str) -> None:
    """Remove the temporary file that a killed process of this dispatch may have left.

    Side effects: removes that file.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name_of(key), dir_fd=here.folder)


def name_of(key: str) -> str:
    """Return the name of the temporary file of a dispatch."""
    return ".assent-" + hashlib.sha256(key.encode()).hexdigest()[:24]


def _new(here: Spot, temporary: str, key: str) -> int:
    try:
        return os.open(temporary, _NEW, 0o644, dir_fd=here.folder)
    except FileExistsError:
        sweep(here, key)  # a killed process of this dispatch left it
        return os.open(temporary, _NEW, 0o644, dir_fd=here.folder)


def _regular(found: os.stat_result, path: str) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    kind = next((name for test, name in _KINDS if test(found.st_mode)), "a device")
    raise ToolRefused(f"{path!r} is {kind}; only regular files are touched", rule="file.kind")


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _present(here: Spot) -> tuple[int, int, int, int] | None:
    try:
        return _identity(os.stat(here.name, dir_fd=here.folder, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _same_file(here: Spot, seen: State) -> bool:
    present = _present(here)
    return present is not None and present[:2] == seen.identity[:2]


def _expect(here: Spot, seen: State | None) -> None:
    if _present(here) != (seen.identity if seen else None):
        raise Changed(f"{here.path!r} is not what it was a moment ago")


def _drop_second_name(here: Spot, seen: State) -> None:
    # "Nothing was done" may be said only when the file has one name again.
    try:
        if _same_file(here, seen):
            os.unlink(here.name, dir_fd=here.folder)
    except OSError as error:
        raise Unsure(f"{here.path!r} is a second name of the file, and neither name could be removed: {error.strerror}") from error


def _link(source: Spot, name: str, target: Spot) -> None:
    try:
        os.link(name, target.name, src_dir_fd=source.folder, dst_dir_fd=target.folder, follow_symlinks=False)
    except FileExistsError as error:
        raise Changed(f"{target.path!r} exists already") from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: this look is all the protection there is.
        _expect(target, None)
        os.rename(name, target.name, src_dir_fd=source.folder, dst_dir_fd=target.folder)


def _settle(here: Spot) -> None:
    try:
        os.fsync(here.folder)
    except OSError as error:
        raise Unsure(f"{here.path!r} is changed, and its folder could not be made durable: {error.strerror}") from error
