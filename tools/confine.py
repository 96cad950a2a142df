"""Paths that cannot leave the workspace, whatever is swapped while we look.

Rules:
- A path is walked one component at a time from a descriptor of the workspace (`openat` with `O_NOFOLLOW`), and the last component is only
  ever named relative to the descriptor of its folder. A path that was checked is never looked up a second time by its text.
- No symbolic link is followed, not even one that stays inside: the path that was judged is the path that is used.
- Refused before any look-up: `..`, NUL, an empty path, an absolute path outside the workspace, and assent's own folder.

Source: threat T21 of the reliability notes (swapped files and symlink races). Deliberately does not judge what a path is worth (secrets,
hooks): that is the assessor's; and a folder that somebody moves out of the workspace after it was opened stays the folder that was opened.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import Self

from .tool import Place, ToolRefused

OWN_FOLDER = ".assent"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BELOW = _FOLDER | os.O_NOFOLLOW


@dataclass(slots=True, eq=False)
class Spot:
    """Where a file is or would be: an open folder, closed at the end of the `with`, and a name in it.

    `created` are the folders that had to be made, outermost first.
    """

    folder: int
    name: str
    path: str
    created: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.folder)


def inside(place: Place, path: str) -> tuple[str, ...]:
    """Return the components of a path relative to the workspace, without asking the file system about them.

    Raises:
        ToolRefused: the path is empty, names the workspace itself, holds `..` or NUL, lies outside, or is in assent's own folder.
    """
    if not path or "\0" in path:
        raise ToolRefused(f"the path {path!r} is empty or holds a NUL", rule="path.malformed")
    relative = _relative(place, path) if path.startswith("/") else path
    parts = tuple([part for part in relative.split("/") if part and part != "."])
    if ".." in parts:
        raise ToolRefused(f"{path!r} climbs with `..`; write the path as it is inside the workspace", rule="path.climbs")
    if not parts or relative.endswith(("/", "/.")):
        raise ToolRefused(f"{path!r} names a folder, not a file", rule="path.folder")
    if OWN_FOLDER in map(str.casefold, parts) or _is_own(place, parts):
        raise ToolRefused(f"{path!r} is in assent's own folder, which no step may touch", rule="path.own")
    return parts


def spot(place: Place, path: str, *, create: bool = False) -> Spot:
    """Open the folder that holds `path`; what comes back is used in a `with`, which closes it.

    Args:
        create: make missing folders (mode 0777 less the umask), each durable before the next.

    Raises:
        ToolRefused: `inside` refuses, or a component is a symbolic link or not a folder.
        FileNotFoundError: a folder is missing and `create` is false.
        OSError: the operating system refuses a folder.

    Side effects: folders, when `create` is true; those that were made go again where one of them cannot be.
    """
    parts = inside(place, path)
    made: list[str] = []
    folder = os.open(place.workspace, _FOLDER)
    try:
        for depth, part in enumerate(parts[:-1], start=1):
            below, was_made = _step(folder, part, path, create=create)
            os.close(folder)
            folder = below
            if was_made:
                made.append("/".join(parts[:depth]))
    except BaseException:
        os.close(folder)
        remove_empty(place, tuple(made))
        raise
    return Spot(folder, parts[-1], "/".join(parts), tuple(made))


def missing_folders(place: Place, path: str) -> tuple[str, ...]:
    """Return the folders on the way to `path` that do not exist, outermost first, as paths inside the workspace."""
    parts = inside(place, path)
    for depth in range(1, len(parts)):
        try:
            with spot(place, "/".join(parts[: depth + 1])):
                pass
        except FileNotFoundError:
            return tuple("/".join(parts[:end]) for end in range(depth, len(parts)))
    return ()


def remove_empty(place: Place, folders: tuple[str, ...]) -> tuple[str, ...]:
    """Remove these folders, innermost first, where they are empty; return those that had to stay.

    Side effects: removes folders.
    """
    stayed: list[str] = []
    for path in reversed(folders):
        try:
            with spot(place, path) as here:
                os.rmdir(here.name, dir_fd=here.folder)
                os.fsync(here.folder)
        except FileNotFoundError:
            continue
        except (OSError, ToolRefused):
            stayed.append(path)
    return tuple(stayed)


def _relative(place: Place, path: str) -> str:
    for root in (str(place.workspace), os.path.realpath(place.workspace)):
        prefix = root.rstrip("/") + "/"
        if path.startswith(prefix):
            return path[len(prefix) :]
    raise ToolRefused(f"{path!r} is outside the workspace", rule="path.outside")


def _is_own(place: Place, parts: tuple[str, ...]) -> bool:
    # A home that was put inside the workspace under another name is still ours.
    return bool(place.own) and parts[: len(place.own)] == place.own


def _step(folder: int, part: str, path: str, *, create: bool) -> tuple[int, bool]:
    made = False
    for _ in range(3):
        try:
            return os.open(part, _BELOW, dir_fd=folder), made
        except FileNotFoundError:
            if not create:
                raise
        except OSError as error:
            raise _refusal(folder, part, path, error) from error
        try:
            os.mkdir(part, 0o777, dir_fd=folder)
            os.fsync(folder)
            made = True
        except FileExistsError:
            continue
    raise FileNotFoundError(f"{part!r} on the way to {path!r} comes and goes")


def _refusal(folder: int, part: str, path: str, error: OSError) -> Exception:
    if error.errno not in (errno.ENOTDIR, errno.ELOOP):
        return error
    try:
        is_link = stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        is_link = True  # swapped while we look: nobody needs to know with what
    if is_link:
        return ToolRefused(f"{part!r} on the way to {path!r} is a symbolic link; links are not followed", rule="path.link")
    return ToolRefused(f"{part!r} on the way to {path!r} is not a folder", rule="path.not_folder")
