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
    yes, no = _joined(patterns), _joined(unless)

    def question(path: str) -> bool:
        return any(yes.search(each) and not no.search(each) for each in _spellings(path))

    return question


@lru_cache(maxsize=1024)
def _spellings(path: str) -> tuple[str, ...]:
    """Return a path as file systems may read it; kept, because many questions are asked about one path in a row."""
    lowered = path.lower()
    if " " not in lowered and "." not in lowered:
        return (lowered,)
    return tuple(dict.fromkeys((lowered, "/".join(name.rstrip(" .").lstrip(" ") or name for name in lowered.split("/")))))


def _joined(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(_expression(pattern) for pattern in patterns) or r"(?!)")


def _expression(pattern: str) -> str:
    body = re.escape(pattern.lower().strip("/")).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return ("^/" if pattern.startswith("/") else "/") + body + ("(?:/|$)" if pattern.endswith("/") else "$")
