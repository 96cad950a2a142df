"""What a file operation will change, as a unified difference, for the person who decides.

Rules: computed from the arguments and the file as it is now, never from anybody's words about it; a file that cannot be read is said to be so,
because a preview never raises. Deliberately does not colour, shorten or redact: the display does.
"""

from __future__ import annotations

import difflib

from . import confine, content
from .operation import FilesArguments
from .tool import Place, Preview, ToolRefused

_MOST_LINES = 4000
_AROUND = 2
"""Unchanged lines that are shown before and after a change; a screen that shortens shall hold the change."""


def show(args: FilesArguments, place: Place) -> Preview:
    """Return the preview of a file operation. Reads the file."""
    try:
        with confine.spot(place, args.path) as here:
            seen = content.look(here)
    except FileNotFoundError:
        seen = None
    except (ToolRefused, OSError) as error:
        return Preview(headline=f"{args.operation} {args.path}", detail=f"this will be refused: {error}")
    present = "" if seen is None else f"{seen.size} bytes"
    missing = "" if seen else "\nthere is no such file now"
    if args.operation == "read":
        return Preview(headline=f"read {args.path} ({present or 'missing'})", detail=args.path + missing)
    if args.operation == "move":
        return Preview(
            headline=f"move {args.path} to {args.to} ({present or 'missing'})",
            detail=f"{args.path}\n→ {args.to}{missing}",
            undo="moved back",
        )
    if args.operation == "delete":
        detail = _difference(args.path, seen.data, b"") if seen else missing.strip()
        return Preview(
            headline=f"delete {args.path} ({present or 'missing'})", detail=detail, undo="the kept bytes and mode are restored"
        )
    return _rewrite(args, seen)


def _rewrite(args: FilesArguments, seen: content.State | None) -> Preview:
    old = seen.data if seen else b""
    if args.operation == "write":
        new = (args.content or "").encode()
        verb = "replace" if seen else "create"
    else:
        before, after = (args.old or "").encode(), (args.new or "").encode()
        if old.count(before) != 1:
            return Preview(
                headline=f"edit {args.path}",
                detail=f"the old text occurs {old.count(before)} times now, and an edit needs it exactly once\n-{args.old}\n+{args.new}",
                undo="the kept bytes and mode are restored",
            )
        new = old.replace(before, after)
        verb = "edit"
    sizes = f"{len(old)} → {len(new)} bytes" if seen else f"{len(new)} bytes"
    return Preview(
        headline=f"{verb} {args.path} ({sizes})",
        detail=_difference(args.path, old, new),
        undo="the kept bytes and mode are restored" if seen else "the file is removed, and folders made for it",
    )


def _difference(path: str, old: bytes, new: bytes) -> str:
    try:
        before, after = _lines(old.decode("utf-8")), _lines(new.decode("utf-8"))
    except UnicodeDecodeError:
        return f"not text: {len(old)} bytes become {len(new)} bytes"
    if len(before) + len(after) > _MOST_LINES:  # difflib is quadratic; the whole new text says all that is needed
        return f"{len(before)} lines become these {len(after)}:\n" + "".join(after)
    found = difflib.unified_diff(before, after, f"a/{path}", f"b/{path}", n=_AROUND)
    return "".join(line if line.endswith("\n") else line + "\n\\ no newline at the end\n" for line in found)


def _lines(text: str) -> list[str]:
    # Not `splitlines`, which also ends lines at form feeds and Unicode separators that an editor would not.
    *whole, rest = text.split("\n")
    return [line + "\n" for line in whole] + ([rest] if rest else [])
