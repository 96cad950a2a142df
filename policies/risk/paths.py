"""The one evaluator of paths, for every kind: file tools, shell words, SQL files, Python.

Rules
- A path is judged twice, as it is spelled and as it resolves with every symbolic link followed; the worse answer counts.
- A read is LOW only inside the workspace (or on a short list of public facts about the machine) and when no secret pattern speaks.
- A write is never LOW, except into a sink such as /dev/null. It is MEDIUM for an ordinary file inside the workspace that version control
  can restore or that does not exist yet, and more when the file later runs as code, steers a tool, or decides who may do what.
- A spelling that two readers could understand differently is HIGH (`spelling.py`); it is never corrected.
- Inside the workspace the patterns see the path from the workspace on, so that the folder's own place raises nothing. A system folder
  is no workspace: there, everything lies outside.
- The runtime's own folder is known by where it is, not only by its usual name; who writes there decides, and its door's token signs in.

What it does not do: open anything. Where a path leads and what a folder holds come in with `Surroundings`. Hard links cannot be seen.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from ...schemas.risk import Level, Reason
from .contents import judge_content
from .patterns import Question, meets
from .spelling import misspelt, readings, shown
from .surroundings import Surroundings
from .tables import entries, table

_NO_WORKSPACE = frozenset({"/", "/home", "/usr", "/var", "/opt", "/lib", "/bin", "/sbin", "/run", "/Users"})
_NO_WORKSPACE_BELOW = ("/etc/", "/proc/", "/dev/", "/sys/", "/boot/")
_INSIDE = "name a file inside the workspace"


@dataclass(frozen=True)
class Place:
    """Where a path leads.

    Args:
        spelled: absolute and collapsed, as written.
        real: absolute, every symbolic link followed.
        seen: what the patterns are compared with: both, from the workspace on (`//name`) where they lie inside it.
        inside: both lie inside the workspace.
        leaves_by_link: spelled inside, but it leads outside.
    """

    spelled: str
    real: str
    seen: tuple[str, ...]
    inside: bool
    leaves_by_link: bool


@dataclass(frozen=True)
class _Rule:
    rule: str
    level: Level
    text: str
    meets: Question


@dataclass(frozen=True)
class _Rules:
    """Rules, and whether a path may meet one at all: all of their patterns without the exceptions, asked at once because most paths meet none."""

    each: tuple[_Rule, ...]
    may_meet: Question


def judge_read(path: str, around: Surroundings, *, cwd: str | None = None) -> tuple[Reason, ...]:
    """Judge reading a file, or listing a folder.

    Args:
        path: as the reader will be given it, quotes removed; relative paths start at `cwd`.
        around: the workspace, the home directory and how paths resolve.
        cwd: absolute folder that relative paths start at; the workspace when absent.

    Returns:
        At least one reason. All are LOW only when the read is proved harmless.
    """
    odd = misspelt(path)
    if odd:
        return (*odd, *_secret(readings(path), around, "reads"))
    place = locate(path, around, cwd=cwd)
    if _public()(place.spelled) and _public()(place.real):
        return (Reason(rule="path.public", level=Level.LOW, text=f"{shown(path)} is a public fact about the machine"),)
    found = (*_own(path, place, around, "reads"), *_secret(place.seen, around, "reads"), *_bounds(path, place))
    return found or (Reason(rule="path.read", level=Level.LOW, text=f"reads {shown(path)} inside the workspace"),)


def judge_tree(path: str, around: Surroundings, *, cwd: str | None = None) -> tuple[Reason, ...]:
    """Judge reading everything below a folder, as `grep -r` does: the folder, and the names that it holds directly."""
    found = judge_read(path, around, cwd=cwd)
    if any(reason.level > Level.LOW for reason in found):
        return found
    names = around.listing(locate(path, around, cwd=cwd).real) or ()
    return tuple(_secret((f"//{name}" for name in names), around, "reads")) or found


def judge_search(path: str, around: Surroundings, *, cwd: str | None = None) -> tuple[Reason, ...]:
    """Judge printing what a search finds below a path: as a read, and HIGH where the token of the runtime's own door would be found."""
    real = locate(path, around, cwd=cwd).real
    for own in around.own:
        if _under(_clean(around.resolve(own)), real) and "token" in (around.listing(posixpath.join(own, "door")) or ()):
            text = f"searches {shown(path)}, which holds the token that signs in where people decide"
            return (Reason(rule="path.control.own", level=Level.HIGH, text=text, lower="name the folders to search"),)
    return judge_read(path, around, cwd=cwd)


def judge_write(path: str, around: Surroundings, *, cwd: str | None = None, content: str | None = None) -> tuple[Reason, ...]:
    """Judge creating, changing or removing a file.

    Args:
        path: as the writer will be given it, quotes removed.
        around: the workspace, the home directory, how paths resolve and what version control can restore.
        cwd: absolute folder that relative paths start at; the workspace when absent.
        content: what is written, where known; it can only raise the level.

    Returns:
        At least one reason; none is below MEDIUM unless the path is a sink.
    """
    odd = misspelt(path)
    if odd:
        return (*odd, *_met(_rules("write"), readings(path), "changes"))
    place = locate(path, around, cwd=cwd)
    if _sink()(place.spelled):
        return (Reason(rule="path.sink", level=Level.LOW, text=f"{shown(path)} keeps nothing"),)
    found = (
        *_own(path, place, around, "changes"),
        *_met(_rules("write"), place.seen, "changes"),
        *_secret(place.seen, around, "changes"),
        *_bounds(path, place),
        *(judge_content(content) if content is not None else ()),
    )
    return found or (_ordinary_write(path, place, around),)


def locate(path: str, around: Surroundings, *, cwd: str | None = None) -> Place:
    """Say where a plainly spelled path leads; `~` is the home directory, and another person's `~name` is never inside."""
    workspace = _clean(around.workspace)
    if path == "~" or path.startswith("~/"):
        joined = around.home + path[1:]
    elif path.startswith("~"):
        joined = "/home/" + path[1:]
    else:
        joined = posixpath.join(cwd or workspace, path)
    joined = "/" + joined.lstrip("/")
    spelled, real, root = _clean(joined), _clean(around.resolve(joined)), _clean(around.resolve(workspace))
    below = [_below(spelled, workspace) or _below(spelled, root), _below(real, root)]
    seen = tuple(dict.fromkeys(inner or outer for inner, outer in zip(below, (spelled, real), strict=True)))
    return Place(spelled, real, seen, all(below), bool(below[0]) and not below[1])


def is_secret(path: str, around: Surroundings) -> bool:
    """Answer whether a name alone says that a file holds a secret, wherever it lies."""
    return any(True for _ in _secret(readings(path), around, "reads"))


def is_own(path: str, around: Surroundings) -> bool:
    """Answer whether a path leads into the folder of the runtime itself."""
    return bool(around.own) and any(True for _ in _own(path, locate(path, around), around, "reads"))


def _bounds(path: str, place: Place) -> Iterator[Reason]:
    if place.leaves_by_link:
        text = f"{shown(path)} is or passes a symbolic link that leads outside the workspace"
        yield Reason(rule="path.symlink", level=Level.HIGH, text=text, lower=_INSIDE)
    elif not place.inside:
        yield Reason(rule="path.outside", level=Level.HIGH, text=f"{shown(path)} lies outside the workspace", lower=_INSIDE)


def _own(path: str, place: Place, around: Surroundings, verb: str) -> Iterator[Reason]:
    for own in around.own:
        if _under(place.spelled, _clean(own)) or _under(place.real, _clean(around.resolve(own))):
            level = Level.CRITICAL if verb == "changes" else Level.HIGH
            text = f"{verb} {shown(path)}: the records and settings of the runtime that governs this agent"
            yield Reason(rule="path.control.own", level=level, text=text)
            return


def _ordinary_write(path: str, place: Place, around: Surroundings) -> Reason:
    folder, name = posixpath.split(place.real)
    exists = name in (around.listing(folder) or ())
    if exists and not around.is_tracked(place.real):
        text = f"{shown(path)} exists and version control could not restore it"
        return Reason(rule="path.overwrite", level=Level.HIGH, text=text, lower="commit the file first, or write to a new name")
    how = "changes a tracked file" if exists else "creates a file"
    return Reason(rule="path.write", level=Level.MEDIUM, text=f"{how} inside the workspace: {shown(path)}")


def _secret(seen: Iterable[str], around: Surroundings, verb: str) -> Iterator[Reason]:
    paths = tuple(seen)
    yield from _met(_rules("secret"), paths, verb)
    yours = tuple(str(entry.get("path", "")) for entry in entries(around.overlay, "secrets"))
    if yours and any(meets(yours)(path) for path in paths):
        yield Reason(rule="path.secret.yours", level=Level.HIGH, text=f"{verb} a path that your configuration names as secret")


def _met(rules: _Rules, seen: Iterable[str], verb: str) -> Iterator[Reason]:
    paths = tuple(path for path in seen if rules.may_meet(path))
    for rule in rules.each if paths else ():
        for path in paths:
            if rule.meets(path):
                name = shown(posixpath.basename(path.rstrip("/")) or path)
                yield Reason(rule=rule.rule, level=rule.level, text=f"{verb} {name}: {rule.text}")
                break


def _clean(path: str) -> str:
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def _below(path: str, folder: str) -> str:
    """Return the path from the folder on, as `//name`, or an empty text when it lies elsewhere or the folder is no workspace."""
    if not (path == folder or path.startswith(folder + "/")) or folder in _NO_WORKSPACE or f"{folder}/".startswith(_NO_WORKSPACE_BELOW):
        return ""
    return "//" + path[len(folder) + 1 :]


def _under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


@cache
def _rules(key: str) -> _Rules:
    read = table("paths")
    built = []
    for entry in read[key]:
        unless = (*entry.get("unless", ()), *(read["source"] if entry.get("source") else ()))
        built.append(_Rule(entry["rule"], Level(entry["level"]), entry["text"], meets(tuple(entry["paths"]), unless)))
    return _Rules(tuple(built), meets(tuple(path for entry in read[key] for path in entry["paths"])))


@cache
def _public() -> Question:
    return meets(tuple(table("paths")["public"]))


@cache
def _sink() -> Question:
    return meets(tuple(table("paths")["sink"]))
