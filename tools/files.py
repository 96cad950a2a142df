"""files: read, write, edit, delete and move one text file inside the workspace, each of which can be taken back.

Rules:
- What a step replaces is kept before the step is dispatched; what it will leave is noted with it, so that looking tells later.
- An undo is verified by reading the file again.

Source: DESIGN §6; threats T21 and T26. Deliberately no globs, no folders and no binary content: a plan names each file and shows its text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from ..schemas.dispatch import EffectClass, Effects, Receipt
from . import change, content
from .difference import show
from .operation import FilesArguments, said
from .tool import Arguments, Found, Place, Preview, ToolRefused


class Files:
    """Reads, writes, edits, deletes and moves one file."""

    name: ClassVar[str] = "files"
    Arguments: ClassVar[type[Arguments]] = FilesArguments
    atomic: ClassVar[bool] = True

    def actions(self, args: FilesArguments) -> Sequence[tuple[str, Any]]:
        """Return the path that is read, or each path that changes with what will be there."""
        if args.operation == "read":
            return [("file_read", args.path)]
        if args.operation == "delete":
            return [("file_write", {"path": args.path, "content": "", "operation": "delete"})]
        if args.operation == "move":
            return [
                ("file_write", {"path": args.path, "content": "", "operation": "delete"}),
                ("file_write", {"path": args.to, "content": "", "operation": "move"}),
            ]
        return [("file_write", {"path": args.path, "content": args.content if args.operation == "write" else args.new})]

    def effects(self, args: FilesArguments) -> Effects:
        """Return whether it writes; what it replaces is kept, so nothing is irreversible."""
        return Effects(reads=True, writes=args.operation != "read")

    def effect_class(self, args: FilesArguments) -> EffectClass:
        """Return that doing it twice leaves the same file."""
        return EffectClass.CONDITIONAL

    def preview(self, args: FilesArguments, place: Place) -> Preview:
        """Show the difference to the file as it is now."""
        return show(args, place)

    def prepare(self, args: FilesArguments, place: Place) -> dict[str, Any]:
        """Note and keep the file as it is. Raises: ToolRefused: outside the workspace, not a regular file, or too large to keep."""
        return change.note(args, place)

    def run(self, args: FilesArguments, place: Place, *, key: str, before: Mapping[str, Any]) -> Receipt:
        """Do it, unless the file is no longer what `before` says; where it was done already, say so."""
        return _guarded(change.do, args, place, key, before)

    def can_undo(self, args: FilesArguments) -> bool:
        """Return true: the replaced bytes are kept, and a read leaves nothing to take back."""
        return True

    def undo(self, args: FilesArguments, place: Place, *, key: str, receipt: Receipt) -> Receipt:
        """Restore the exact bytes and mode, if the file is still what the step left."""
        if args.operation == "read":
            return Receipt(status="done", summary="a read left nothing to take back", verified=True)
        return _guarded(change.take_back, args, place, key, receipt.before)

    def probe(
        self, args: FilesArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Found:
        """Compare the file with what was noted. For an undo, `before` is that of the step's receipt.

        Side effects: removes what a killed call may have left: its temporary file, the second name of a file that was half moved, or folders
        that it made and that are empty.
        """
        if args.operation == "read":
            return "did_not_happen"
        try:
            change.clear(args, place, key, direction)
            is_before, is_after = change.is_before(args, place, before), change.is_after(args, place, before)
            if is_before:
                change.clear_folders(place, before)
        except (OSError, ToolRefused):
            return "unknown"
        if is_before == is_after:
            # Both: the step changes nothing, so it may count as done. Neither: somebody else was here.
            return "happened" if is_before else "unknown"
        return "happened" if is_after == (direction == "do") else "did_not_happen"

    def recover(
        self, args: FilesArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Receipt | None:
        """Rebuild the receipt where looking shows that it happened."""
        if self.probe(args, place, key=key, before=before, direction=direction) != "happened":
            return None
        verb = "done" if direction == "do" else "taken back"
        return Receipt(
            status="done",
            summary=f"{said(args)}: found {verb}",
            before=dict(before),
            verified=True if direction == "undo" else None,
        )


def _guarded(
    act: Callable[[FilesArguments, Place, str, Mapping[str, Any]], Receipt],
    args: FilesArguments,
    place: Place,
    key: str,
    before: Mapping[str, Any],
) -> Receipt:
    try:
        return act(args, place, key, before)
    except ToolRefused as refusal:
        return Receipt(status="not_started", summary=refusal.reason)
    except content.Changed as changed:
        return Receipt(status="not_started", summary=f"changed since it was looked at: {changed}")
    except content.Unsure as unsure:
        return Receipt(status="unknown", summary=str(unsure))
    except OSError as error:
        return Receipt(status="failed", summary=f"nothing was changed: {error.strerror or error}")
