"""Path patterns in the tables' own notation, as one question: does this path meet them?

    name        the last part of the path, at any depth
    a/b         these parts at the end, at any depth
    a/          the folder a and everything below it, at any depth
    /a/b        from the root of the file system
    *           any characters but a slash; ** also slashes

Case is ignored, and dots and blanks at the end of a name are too, because some file systems drop them. Both can only find more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

Question = Callable[[str], bool]


@lru_cache(maxsize=128)
def meets(patterns: tuple[str, ...], unless: tuple[str, ...] = ()) -> Question:
    """Build the question for patterns, with the exceptions from them.

    Args:
        patterns: in the notation above.
        unless: in the same notation; a path that meets one of these is not met.

    Returns:
        A function from an absolute path to the answer. It is linear in the path for the lengths that paths may have.
    """
    yes, no = _sorted(patterns), _sorted(unless)

    def question(path: str) -> bool:
        return any(yes.hold(each) and not no.hold(each) for each in _spellings(path))

    return question


@lru_cache(maxsize=1024)
def _spellings(path: str) -> tuple[str, ...]:
    """Return a path as file systems may read it; kept, because many questions are asked about one path in a row."""
    lowered = path.lower()
    if " " not in lowered and "." not in lowered:
        return (lowered,)
    return tuple(dict.fromkeys((lowered, "/".join(name.rstrip(" .").lstrip(" ") or name for name in lowered.split("/")))))


@dataclass(frozen=True)
class _Patterns:
    """Patterns by their shape. Nine in ten are a name, its beginning, its end or a folder; one expression of them all takes twenty times as long."""

    names: frozenset[str]
    beginnings: tuple[str, ...]
    endings: tuple[str, ...]
    folders: frozenset[str]
    others: re.Pattern[str]

    def hold(self, path: str) -> bool:
        """Tell whether one of them holds for a path in lower case."""
        # `$` in an expression also stands before a last line feed; the other shapes follow it.
        folder, slash, name = path.removesuffix("\n").rpartition("/")
        if slash and (name in self.names or name.startswith(self.beginnings) or name.endswith(self.endings) or name in self.folders):
            return True
        if not self.folders.isdisjoint(folder.split("/")[1:]):
            return True
        return self.others.search(path) is not None


def _sorted(patterns: Iterable[str]) -> _Patterns:
    names: set[str] = set()
    folders: set[str] = set()
    beginnings, endings, others = [], [], []
    for pattern in patterns:
        body = pattern.lower().strip("/")
        plain = not pattern.startswith("/") and "/" not in body
        if plain and "*" not in body and body:
            (folders if pattern.endswith("/") else names).add(body)
        elif plain and body.count("*") == 1 and body.endswith("*") and not pattern.endswith("/"):
            beginnings.append(body[:-1])
        elif plain and body.count("*") == 1 and body.startswith("*") and not pattern.endswith("/"):
            endings.append(body[1:])
        else:
            others.append(pattern)
    return _Patterns(frozenset(names), tuple(beginnings), tuple(endings), frozenset(folders), _joined(others))


def _joined(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return one expression for patterns. Behind one slash for all, so that a search goes from slash to slash and not from character to character."""
    free: list[str] = []
    rooted: list[str] = []
    for pattern in patterns:
        (rooted if pattern.startswith("/") else free).append(_behind_slash(pattern))
    ways = [*free, *([rf"(?<=^/)(?:{'|'.join(rooted)})"] if rooted else [])]
    return re.compile(f"/(?:{'|'.join(ways)})" if ways else r"(?!)")


def _behind_slash(pattern: str) -> str:
    body = re.escape(pattern.lower().strip("/")).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return body + ("(?:/|$)" if pattern.endswith("/") else "$")
