"""`assent log` and `verify`: the story of a run, its audit record, and whether the whole log is what it was."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...policies.counted import counted
from .command import FAILED, SUCCEEDED, Door, print_json, to_json

if TYPE_CHECKING:
    from ...schemas.event import Anchor
    from .shelf import Shelf

_POLL_S = 0.2


def log(
    door: Door,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, or the beginning of it.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over or waits; with --json, one object a line.")] = False,
) -> int:
    """Tell the story of a run; with --json, its audit record."""
    shelf = door.shelf()
    name = shelf.find_run(run)
    if follow:
        _follow(door, shelf, name)
    elif door.as_json:
        from .record import record

        print_json(record(shelf, name))
    else:
        from .lines import console, one_line, put, status, styled
        from .story import story

        screen = console()
        row = shelf.run(name)
        put(screen, styled((name, "bold"), "  ", status(row.status.value), f"  {one_line(row.title, prose=True)}"))
        for line in story(shelf.events(name)):
            put(screen, line)
    return SUCCEEDED


def verify(
    door: Door,
    anchor: Annotated[Path | None, typer.Option(help="An earlier head of the log, kept elsewhere; shows truncation and roll-back.", show_default=False)] = None,
    export_anchor: Annotated[Path | None, typer.Option(help="Write the head of the log to this file, to keep elsewhere.", show_default=False)] = None,
) -> int:
    """Recompute the whole log and hold every table against it."""
    shelf = door.shelf()
    earlier = _anchor(anchor) if anchor is not None else None
    from ..ledger import verify as verifying

    with shelf.store.read() as c:
        found = verifying.verify(c, anchor=earlier)
    if export_anchor is not None and found.ok:
        _export(shelf, export_anchor)
    if door.as_json:
        print_json(found.as_json())
    elif found.ok:
        against = f", and holds the anchor of {counted(earlier.entries, 'entry', 'entries')}" if earlier is not None else ""
        gone = f"; the details of {counted(found.erased, 'run')} were erased by retention" if found.erased else ""
        sys.stdout.write(f"✓ the log is whole: {counted(found.entries, 'entry', 'entries')}{against}, head {found.head[:16]}…{gone}\n")
        if export_anchor is not None:
            sys.stdout.write(f"anchor written to {export_anchor}; keep it where nobody who can change the home can change it\n")
    else:
        from .lines import clean

        sys.stdout.write(f"✗ the log is not whole: {counted(len(found.problems), 'problem')} in {counted(found.entries, 'entry', 'entries')}\n")
        sys.stdout.write("".join(f"  • {clean(problem, prose=True)}\n" for problem in found.problems))
        sys.stdout.write("`assent doctor` names the last good backup\n")
    return SUCCEEDED if found.ok else FAILED


def _follow(door: Door, shelf: Shelf, name: str) -> None:
    from .lines import console, put
    from .story import line

    screen = console()
    seen = 0
    while True:
        status = shelf.run(name).status
        for event in shelf.events(name, after=seen):
            seen = event.seq
            if door.as_json:
                sys.stdout.write(to_json(event.as_json()) + "\n")
            else:
                put(screen, line(event))
        sys.stdout.flush()
        if status.is_over or status.is_waiting:
            return
        time.sleep(_POLL_S)


def _anchor(path: Path) -> Anchor:
    from pydantic import ValidationError

    from ...schemas.errors import InvalidDocument
    from ...schemas.event import Anchor

    try:
        return Anchor.model_validate_json(path.read_bytes())
    except ValidationError as error:
        from ...schemas.errors import Complaint

        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise InvalidDocument(
            [Complaint(where=where, expected="an anchor", found=first["msg"], file=str(path))], file=str(path), hint="`assent verify --export-anchor FILE` writes one"
        ) from error


def _export(shelf: Shelf, path: Path) -> None:
    from datetime import UTC, datetime

    from ...schemas.event import Anchor
    from ..ledger import log as entries

    with shelf.store.read() as c:
        seq, chain, at = entries.head(c)
        deployment = str(c.execute("SELECT value FROM meta WHERE key = 'deployment'").fetchone()[0])
    found = Anchor(deployment=deployment, entries=seq, head=chain.hex(), at=at or datetime.now(UTC))
    path.write_text(json.dumps(found.as_json(), indent=2) + "\n", encoding="utf-8")
