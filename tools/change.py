"""One operation on one file: doing it, telling whether it was done, and taking it back.

Rules:
- Every path goes through `confine`, every content through `content`: no link is followed, only regular files, complete or not at all.
- A file that changed since it was looked at is not overwritten, neither by the operation nor by taking it back.
- Doing what was done already says so and changes nothing, so it may be done again after a crash.

`before` holds `existed digest mode owner size after created_parents`, and for a move `to_existed`. `after` is the digest that the operation
leaves at its place (for a move at the target; empty: no file).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Literal

from ..schemas.canonical import digest
from ..schemas.dispatch import Receipt
from . import confine, content
from .operation import FilesArguments, said
from .output import small_or_kept
from .tool import Place, ToolRefused


def note(args: FilesArguments, place: Place) -> dict[str, Any]:
    """Note and keep the file as it is, and what the operation will leave.

    Raises:
        ToolRefused: outside the workspace, not a regular file, or too large to keep.

    Side effects: keeps the bytes.
    """
    if args.operation == "read":
        # Reading it twice would tell nothing more; what it is, is refused before anything is dispatched.
        with contextlib.suppress(FileNotFoundError), confine.spot(place, args.path) as here:
            content.check(here)
        return {}
    seen, missing = _look_on_the_way(place, args.path)
    noted: dict[str, Any] = {"existed": seen is not None, "after": "", "created_parents": []}
    if seen is not None:
        noted |= {"digest": place.keep.put(seen.data), "mode": seen.mode, "owner": list(seen.owner), "size": seen.size}
    if args.operation == "move":
        assert args.to is not None
        target, missing = _look_on_the_way(place, args.to)
        noted |= {"after": noted.get("digest", ""), "to_existed": target is not None}
    elif args.operation != "delete":
        left = _edited(args, seen)
        noted["after"] = "" if isinstance(left, str) else digest(left)
    if args.operation == "move" or (args.operation == "write" and seen is None):
        noted["created_parents"] = list(missing)
    return noted


def do(args: FilesArguments, place: Place, key: str, before: Mapping[str, Any]) -> Receipt:
    """Do the operation.

    Raises:
        ToolRefused, content.Changed, OSError: nothing was changed.
        content.Unsure: it was changed and may not be durable.

    Side effects: changes the file.
    """
    act = {"read": _read, "write": _write, "edit": _write, "delete": _delete, "move": _move}[args.operation]
    return act(args, place, key, before)


def take_back(args: FilesArguments, place: Place, key: str, before: Mapping[str, Any]) -> Receipt:
    """Restore the exact bytes and mode, if the file is still what the operation left. Raises: as `do`.

    Side effects: changes the file.
    """
    if is_before(args, place, before):
        return _undone(args, place, before, "it was so already")
    if not is_after(args, place, before):
        return Receipt(
            status="failed",
            summary=f"{args.to or args.path!r} changed since: not overwritten",
            before=dict(before),
            verified=False,
        )
    if args.operation == "move":
        assert args.to is not None
        moved = _look(place, args.to)
        assert moved is not None
        _rename(place, args.to, args.path, moved)
    elif before["existed"]:
        try:
            data = place.keep.get(before["digest"])
        except KeyError:
            return Receipt(
                status="failed", summary="the replaced bytes are not kept any more", before=dict(before), verified=False
            )
        seen = _look(place, args.path)
        with confine.spot(place, args.path, create=True) as here:
            content.put(here, data, key=key, over=seen, mode=before["mode"], owner=tuple(before["owner"]))
    else:
        seen = _look(place, args.path)
        assert seen is not None
        with confine.spot(place, args.path) as here:
            content.take(here, seen)
    return _undone(args, place, before, "")


def is_before(args: FilesArguments, place: Place, before: Mapping[str, Any]) -> bool:
    """Tell whether the file is as it was noted."""
    seen = _look(place, args.path)
    if args.operation == "move" and _look(place, args.to or "") is not None and not before.get("to_existed"):
        return False
    if not before.get("existed"):
        return seen is None
    return seen is not None and seen.digest == before["digest"] and (seen.mode == before["mode"] or args.operation == "move")


def is_after(args: FilesArguments, place: Place, before: Mapping[str, Any]) -> bool:
    """Tell whether the file is as the operation leaves it."""
    after = before.get("after", "")
    if args.operation == "delete":
        return bool(before.get("existed")) and _look(place, args.path) is None
    if args.operation == "move" and _look(place, args.path) is not None:
        return False
    seen = _look(place, args.to or args.path)
    return bool(after) and seen is not None and seen.digest == after


def clear(args: FilesArguments, place: Place, key: str, direction: Literal["do", "undo"]) -> None:
    """Remove what a killed call may have left: its temporary file, or the second name of a file that was half moved.

    Side effects: removes these.
    """
    _sweep(place, args.path, key)
    if args.to is not None:
        _unlink_half(place, *((args.path, args.to) if direction == "do" else (args.to, args.path)))


def clear_folders(place: Place, before: Mapping[str, Any]) -> None:
    """Remove the folders that an operation made, where they are empty and its file is not there.

    Side effects: removes these.
    """
    confine.remove_empty(place, tuple(before.get("created_parents", ())))


def _read(args: FilesArguments, place: Place, key: str, before: Mapping[str, Any]) -> Receipt:
    seen = _look(place, args.path, limit=place.limits.output_bytes)
    if seen is None:
        return _no_file(args)
    text, kept = small_or_kept(seen.data, place.keep)
    output: dict[str, Any] = {"path": args.path, "size": seen.size, "digest": seen.digest, "excerpt" if kept else "content": text}
    return Receipt(status="done", summary=f"read {args.path}, {seen.size} bytes", output=output, output_ref=kept)


def _write(args: FilesArguments, place: Place, key: str, before: Mapping[str, Any]) -> Receipt:
    # Folders are made only where no file was: elsewhere a missing one says that the file is not what it was.
    create = args.operation == "write" and not before.get("existed")
    try:
        spot = confine.spot(place, args.path, create=create)
    except FileNotFoundError:
        if create:
            raise
        _unchanged(args.path, None, before)
        return _no_file(args)
    with spot as here:
        try:
            return _put(args, here, key, before)
        except (OSError, content.Changed, ToolRefused):
            confine.remove_empty(place, here.created)
            raise


def _put(args: FilesArguments, here: confine.Spot, key: str, before: Mapping[str, Any]) -> Receipt:
    seen = content.look(here)
    after = before.get("after", "")
    if seen is not None and after and seen.digest == after:
        content.sweep(here, key)
        return _done(args, before, after, seen.size, "already so")
    _unchanged(args.path, seen, before)
    data = _edited(args, seen)
    if isinstance(data, str):
        return Receipt(status="failed", summary=data)
    mode, owner = (seen.mode & 0o777, seen.owner) if seen else (None, None)
    content.put(here, data, key=key, over=seen, mode=mode, owner=owner)
    return _done(args, before, digest(data), len(data), "" if seen else "new")


def _delete(args: FilesArguments, place: Place, key: str, before: Mapping[str, Any]) -> Receipt:
    seen = _look(place, args.path)
    if seen is None:
        return _done(args, before, "", 0, "already so") if before.get("existed") else _no_file(args)
    _unchanged(args.path, seen, before)
    with confine.spot(place, args.path) as here:
        content.take(here, seen)
    return _done(args, before, "", 0, "")


def _move(args: FilesArguments, place: Place, key: str, before: Mapping[str, Any]) -> Receipt:
    assert args.to is not None
    seen, there = _look(place, args.path), _look(place, args.to)
    if seen is None:
        if before.get("existed") and there is not None and there.digest == before.get("after"):
            return _done(args, before, there.digest, there.size, "already so")
        return _no_file(args)
    if there is not None and there.identity != seen.identity:
        return Receipt(status="failed", summary=f"{args.to!r} exists already; a move replaces nothing")
    _unchanged(args.path, seen, before)
    _rename(place, args.path, args.to, seen)
    return _done(args, before, seen.digest, seen.size, "")


def _undone(args: FilesArguments, place: Place, before: Mapping[str, Any], note: str) -> Receipt:
    stayed = confine.remove_empty(place, tuple(before.get("created_parents", ())))
    verified = is_before(args, place, before)
    notes = [note] if note else []
    if stayed:
        notes.append(f"folders that are not empty stayed: {', '.join(stayed)}")
    return Receipt(
        status="done" if verified else "failed",
        summary="; ".join([f"took back: {said(args)}" if verified else f"{args.path!r} is not as it was", *notes]),
        before=dict(before),
        verified=verified,
    )


def _unchanged(path: str, seen: content.State | None, before: Mapping[str, Any]) -> None:
    if (seen.digest if seen else "") != before.get("digest", ""):
        raise content.Changed(f"{path!r} is not what it was")


def _edited(args: FilesArguments, seen: content.State | None) -> bytes | str:
    """Return the bytes that a write or edit leaves, or the sentence that says why it cannot."""
    if args.operation == "write":
        return (args.content or "").encode()
    if seen is None:
        return f"there is no file {args.path!r}"
    old, new = (args.old or "").encode(), (args.new or "").encode()
    found = seen.data.find(old)
    count, at = 0, found
    while at >= 0 and count < 1000:
        count, at = count + 1, seen.data.find(old, at + 1)
    if count != 1:
        return f"the old text occurs {count} times in {args.path!r}, and an edit needs it exactly once"
    return seen.data[:found] + new + seen.data[found + len(old) :]


def _look(place: Place, path: str, limit: int = content.LARGEST_BYTES) -> content.State | None:
    try:
        with confine.spot(place, path) as here:
            return content.look(here, limit)
    except FileNotFoundError:
        return None


def _look_on_the_way(place: Place, path: str) -> tuple[content.State | None, tuple[str, ...]]:
    """Return the file and the folders that are missing on the way to it."""
    try:
        with confine.spot(place, path) as here:
            return content.look(here), ()
    except FileNotFoundError:
        return None, confine.missing_folders(place, path)


def _rename(place: Place, source: str, target: str, seen: content.State) -> None:
    created: tuple[str, ...] = ()
    try:
        with confine.spot(place, source) as here, confine.spot(place, target, create=True) as there:
            created = there.created
            content.move(here, there, seen)
    except (OSError, content.Changed):
        confine.remove_empty(place, created)
        raise


def _sweep(place: Place, path: str, key: str) -> None:
    try:
        with confine.spot(place, path) as here:
            content.sweep(here, key)
    except FileNotFoundError:
        return


def _unlink_half(place: Place, source: str, target: str) -> None:
    seen, there = _look(place, source), _look(place, target)
    if seen is not None and there is not None and seen.identity == there.identity:
        with confine.spot(place, target) as here:
            content.take(here, there)


def _no_file(args: FilesArguments) -> Receipt:
    return Receipt(status="failed", summary=f"there is no file {args.path!r}")


def _done(args: FilesArguments, before: Mapping[str, Any], after: str, size: int, note: str) -> Receipt:
    return Receipt(
        status="done",
        summary=said(args) + (f" ({note})" if note else "") + (f", {size} bytes" if after else ""),
        output={"path": args.to or args.path, "digest": after, "size": size},
        before={**before, "after": after},
    )
