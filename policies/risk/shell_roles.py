"""What a word may be in the place where it stands: the role of a positional, or of the value of a flag.

    text    any text, known or not                       meta    a path of which only names, kinds and sizes are shown
    path    a file whose content is shown                search  the same, through a filter that people point at whole folders
    write   a file or folder that is made or changed     rev     a revision, `revision:path`, or a path inside the repository
    sed awk jq gitformat                                 program text, judged by its own small list
    =a|b    exactly one of these words                   NAME    a form of text from the table (`shapes`)

Paths go to the one evaluator of paths for every folder the command may run in. A wildcard stands for every name that it can match: those
that the surroundings list, or, where nothing can be listed, the names that secrets usually have.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...schemas.risk import Level, Reason
from . import paths, programs
from .shell_table import Table
from .shell_values import HOLES, NUMBER, PATHS, TOKEN, UNKNOWN, WILD, Unproved, Word
from .surroundings import Surroundings

_MAX_MATCHES = 200
_MAX_PATHS = 400
_MAX_LISTINGS = 64
_PROGRAMS = {"sed": programs.why_not_sed, "awk": programs.why_not_awk, "jq": programs.why_not_jq}
ROLES = frozenset(
    {
        "text",
        "number",
        "pattern",
        "path",
        "search",
        "meta",
        "write",
        "rev",
        "linerange",
        "filter",
        "sed",
        "awk",
        "jq",
        "gitformat",
    }
    | {"sql", "url", "header", "method"}
)
_FREE = frozenset({"text", "number", "pattern"})


@dataclass(slots=True)
class Place:
    """Where a command stands: the world, the table, and the folders it may run in."""

    around: Surroundings
    table: Table
    cwds: tuple[str, ...]
    seen: dict[tuple[str, str, str], tuple[Reason, ...]] = field(default_factory=dict)


def judge(role: str, word: Word, place: Place) -> list[Reason]:
    """Return what speaks against `word` in `role`; nothing when it is harmless.

    Raises:
        Unproved: it is not known well enough for this role.
    """
    if role in _FREE:
        return []
    if "|" in role or role.startswith("="):
        if word.literal and word.text in role.lstrip("=").split("|"):
            return []
        raise Unproved("argument.value", f"{word.shown()} is not one of {role.replace('|', ', ')}")
    shape = place.table.shapes.get(role)
    if shape is not None:
        if word.literal and shape.fullmatch(word.text):
            return []
        raise Unproved("argument.shape", f"{word.shown()} is not a {role} that is known to be harmless")
    if role in _PROGRAMS:
        return _program(role, word)
    if role == "gitformat":
        if word.literal and "%G" not in word.text and "%(signature" not in word.text:
            return []
        raise Unproved("argument.format", "a format that could verify signatures runs another program")
    if role == "filter":  # --include, --glob: a search pointed at the names of secrets is no everyday search
        shown = word.pattern or word.text
        if not shown.startswith("!") and shown.strip("*/"):
            _unlisted(shown, "path", place)
        return []
    if role == "linerange":  # -L 1,5:file
        if not word.literal:
            raise Unproved("argument.range", "a range of lines that is only known while it runs")
        return judge_path("path", word.text.rpartition(":")[2], place)
    if role == "rev":
        return _rev(word, place)
    if role in ("path", "search", "meta", "write"):
        return _path(role, word, place)
    raise Unproved("table.role", f"the table names a role that does not exist: {role}")


def judge_path(role: str, path: str, place: Place) -> list[Reason]:
    """Return what speaks against reading or writing one literal path, in each folder the command may run in."""
    found: list[Reason] = []
    for cwd in place.cwds:
        key = (role, path, cwd)
        if key not in place.seen:
            if len(place.seen) >= _MAX_PATHS:
                raise Unproved("paths", f"names more than {_MAX_PATHS} paths", "split it into smaller steps")
            place.seen[key] = tuple(_one_path(role, path, cwd, place.around))
        found.extend(place.seen[key])
    return list(dict.fromkeys(found))


def could_be_flag(word: Word, place: Place) -> bool:
    """Could a wildcard at the start of a word match a name that begins with a dash?"""
    names = _matches(word, place)
    return names is None or any(name.startswith("-") for name in names)


def _one_path(role: str, path: str, cwd: str, around: Surroundings) -> Iterable[Reason]:
    if not path:
        return ()
    if role == "write":
        return paths.judge_write(path, around, cwd=cwd)
    look = paths.judge_search if role == "search" else paths.judge_read
    found = [reason for reason in look(path, around, cwd=cwd) if reason.level > Level.LOW]
    if role != "meta" or not found:
        return found
    where = posixpath.normpath(posixpath.join(cwd, path))
    inside = where == around.workspace or where.startswith(around.workspace.rstrip("/") + "/")
    secret = any(reason.level >= Level.CRITICAL or "secret" in reason.rule for reason in found)
    return found if secret and not inside else ()


def _program(role: str, word: Word) -> list[Reason]:
    text = word.text.replace(NUMBER, "1")
    if word.many or any(c in HOLES or c in WILD for c in text):
        raise Unproved(
            "program.unknown", f"the {role} program is only known while it runs", "write the program out in single quotes"
        )
    why = _PROGRAMS[role](text)
    if why:
        raise Unproved(f"program.{role}", f"the {role} program {why}")
    return []


def _rev(word: Word, place: Place) -> list[Reason]:
    text = word.text.replace(NUMBER, "1").replace(TOKEN, "x")
    if any(c in HOLES for c in text) or word.wild:
        return _path("path", word, place)
    if text.startswith((":!", ":^", ":(exclude)")):
        return []
    if text.startswith((":(", "^{/")):
        raise Unproved("argument.revision", f"{text} uses path magic that is not understood")
    head, colon, tail = text.lstrip("^").partition(":")
    found: list[Reason] = []
    for part in filter(None, dict.fromkeys((head, tail.lstrip("/") if colon else head))):
        if any(c in part for c in "*?["):
            found.extend(_unlisted(part, "search", place))
        else:
            found.extend(judge_path("path", part, place))
    return found


def _path(role: str, word: Word, place: Place) -> list[Reason]:
    text = word.text.replace(NUMBER, "1")
    if text == "-" and role != "write":
        return []
    if text.startswith("+") or (text.startswith("@") and role != "meta"):
        raise Unproved("argument.plus", f"{word.shown()} is more than a file name to some tools", "write ./ in front")
    if word.wild:
        return _glob(role, word, place)
    if text == PATHS and word.source is not None and role != "write":
        pattern = word.source.pattern
        if role in ("meta", "search") or (
            pattern is not None and not any(_unlisted(p, "path", place) for p in pattern.split("\n"))
        ):
            return []
        raise Unproved(
            "path.listed",
            "shows the content of files that another command names",
            "name the files, or filter them by a name pattern",
        )
    if any(c in HOLES for c in text):
        if role == "meta" and text in (TOKEN, UNKNOWN) and word.source is not None:
            return []
        raise Unproved("path.unknown", f"{word.shown()} is a path that is only known while it runs", "write the path out")
    return judge_path(role, text, place)


def _glob(role: str, word: Word, place: Place) -> list[Reason]:
    if role == "write":
        raise Unproved("path.glob", f"{word.shown()} writes to every match of a wildcard", "name the files")
    base = _base(word.text)
    found = judge_path(role, base or ".", place)
    names = _matches(word, place)
    if names is None:
        return found + _unlisted(word.pattern, role, place)
    if role != "meta":
        for name in names:
            found.extend(judge_path(role, name, place))
    return found


def _base(text: str) -> str:
    """The folder before the first component with a wildcard."""
    kept = []
    for part in text.split("/"):
        if any(c in WILD for c in part):
            break
        kept.append(part)
    return "/".join(kept) if kept != [""] else "/"


def _matches(word: Word, place: Place) -> list[str] | None:
    """Every path that the wildcard matches in every folder, or `None` when that is not known or is too much."""
    pattern = word.pattern
    if not pattern or any(c in HOLES for c in word.text):
        return None
    found: list[str] = []
    asked = 0
    for cwd in place.cwds:
        names = [""] if not pattern.startswith("/") else ["/"]
        for part in [p for p in pattern.split("/") if p]:
            grown: list[str] = []
            for name in names:
                if not any(c in part for c in "*?["):
                    grown.append(posixpath.join(name, part))
                    continue
                asked += 1
                if asked > _MAX_LISTINGS:
                    return None
                listed = place.around.listing(posixpath.normpath(posixpath.join(cwd, name)))
                if listed is None:
                    if len(names) == 1:
                        return None
                    continue
                grown.extend(
                    posixpath.join(name, n) for n in listed if fnmatch.fnmatchcase(n, part) and (part[0] == "." or n[:1] != ".")
                )
                if len(grown) > _MAX_MATCHES:
                    return None
            names = grown
        found.extend(names)
    return found


def _unlisted(pattern: str, role: str, place: Place) -> list[Reason]:
    """Judge a pattern whose matches cannot be listed by the names that secrets have."""
    if role == "meta":
        return []
    parts = [part for part in pattern.split("/") if part]
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if not any(c in part for c in "*?["):
            if _sample_hit(part, place):
                raise Unproved("path.glob-secret", f"{pattern} reaches into {part}")
            continue
        if part.strip("*") == "" and (not last or role == "search"):
            continue
        stem, dot, ending = part.rpartition(".")
        if dot and ending in place.table.common_endings and (stem.strip("*?") == "" or not _sample_hit(part, place)):
            continue
        if part.startswith(".") or _sample_hit(part, place):
            raise Unproved(
                "path.glob-secret",
                f"{pattern} could match a file that holds secrets",
                "name the files, or a kind of file such as *.py",
            )
    return []


def _sample_hit(pattern: str, place: Place) -> bool:
    lowered = pattern.lower()
    return any(fnmatch.fnmatchcase(sample, lowered) for sample in place.table.secret_samples)
