"""Whether version control could restore a file: the index of git, read without starting a process.

Rules: a file is tracked when the nearest `.git` above it has an index that names it. Versions 2 to 4 of the format are read (gitformat-index);
what cannot be read, is larger than 64 MiB or is split is not known, and not known is `False`. An index is read once per change of its file.

What it does not do: compare contents. A tracked file with changes that were never committed counts as tracked.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path

_MOST_BYTES = 64 * 1024 * 1024
_HEADER = struct.Struct(">4sII")
_FIXED = 62  # bytes of an entry before its name: stat data, the SHA-1 and the flags


def is_tracked(path: str) -> bool:
    """Answer whether the index of the enclosing repository names an absolute path."""
    try:
        place = Path(path)
        for root in place.parents:
            entry = root / ".git"
            if entry.exists():
                index = _git_folder(entry) / "index"
                stat = index.stat()
                return place.relative_to(root).as_posix().encode() in _names(str(index), stat.st_mtime_ns, stat.st_size)
    except (OSError, ValueError, struct.error, IndexError):
        return False
    return False


def _git_folder(entry: Path) -> Path:
    """Follow the file that a worktree or a submodule has in place of the folder."""
    if entry.is_dir():
        return entry
    text = entry.read_text(encoding="utf-8")[:4_096]
    return (entry.parent / text.removeprefix("gitdir:").strip()).resolve()


@lru_cache(maxsize=4)
def _names(index: str, changed_ns: int, size_bytes: int) -> frozenset[bytes]:
    """Read the names in an index; the time and size of the file are arguments so that a change is seen."""
    if size_bytes > _MOST_BYTES:
        return frozenset()
    data = Path(index).read_bytes()
    magic, version, count = _HEADER.unpack_from(data)
    if magic != b"DIRC" or version not in (2, 3, 4):
        return frozenset()
    names: set[bytes] = set()
    at, previous = _HEADER.size, b""
    for _ in range(count):
        flags = int.from_bytes(data[at + 60 : at + 62], "big")
        start = at + _FIXED + (2 if version >= 3 and flags & 0x4000 else 0)
        if version == 4:
            stripped, start = _varint(data, start)
            end = data.index(b"\0", start)
            previous = previous[: len(previous) - stripped] + data[start:end]
            at = end + 1
        else:
            end = data.index(b"\0", start)
            previous = data[start:end]
            at += (end - at + 8) & ~7
        names.add(previous)
    return frozenset(names)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read the variable width number of version 4: each continued byte adds one before it shifts."""
    byte = data[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = data[at]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, at + 1
