"""`assent backup`: copy the ledger, check a copy, put one back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .command import FAILED, SUCCEEDED, Door, print_json


def backup(
    door: Door,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="File to write; by default one in the home's backups folder.", show_default=False)] = None,
    check: Annotated[Path | None, typer.Option(help="Check this backup and do nothing else.", show_default=False)] = None,
    restore: Annotated[Path | None, typer.Option(help="Put this backup in the ledger's place; what is there is set aside.", show_default=False)] = None,
) -> int:
    """Copy the ledger while it is in use; check a copy; put one back."""
    from ..home import Home
    from ..ledger import backup as copies

    if sum(given is not None for given in (file, check, restore)) > 1:
        raise typer.BadParameter("give a file to write, --check or --restore, and only one of them")
    if check is not None:
        problems = copies.check(check)
        if door.as_json:
            print_json({"file": str(check), "ok": not problems, "problems": problems})
        else:
            from .lines import clean

            sys.stdout.write(f"✓ {check} is whole\n" if not problems else f"✗ {check} is not whole:\n" + "".join(f"  • {clean(p, prose=True)}\n" for p in problems))
        return FAILED if problems else SUCCEEDED
    root = Path(door.home).expanduser().absolute()
    if restore is not None:
        aside = copies.restore(Home.make(root), restore)
        if door.as_json:
            print_json({"restored": str(restore), "set_aside": str(aside) if aside is not None else None})
        else:
            sys.stdout.write(f"restored {restore}\n" + (f"the ledger that was there is now {aside}\n" if aside is not None else ""))
            sys.stdout.write("what was done after the backup is not in it: look before you resume a run\n")
        return SUCCEEDED
    written = copies.backup(Home(root), file.absolute() if file is not None else None)
    if door.as_json:
        print_json({"file": str(written), "size_bytes": written.stat().st_size})
    else:
        sys.stdout.write(f"wrote {written} ({written.stat().st_size:,} bytes), checked\n")
    return SUCCEEDED
