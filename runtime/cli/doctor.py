"""`assent doctor`: what is wrong with this installation, database, workspace or configuration, and the remedy.

Rules: looks and mends nothing; a check that breaks is a finding and not a crash; it works on a damaged ledger, and names the backup to go to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .command import FAILED, SUCCEEDED, Door, print_json

if TYPE_CHECKING:
    from .checks import Check

_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}


def doctor(door: Door) -> int:
    """Say what is wrong here, and the remedy."""
    found = list(_all(door))
    failed = any(check.state == "fail" for check in found)
    if door.as_json:
        print_json({"ok": not failed, "checks": [check.as_json() for check in found]})
        return FAILED if failed else SUCCEEDED
    from .lines import console, one_line, put, styled

    screen = console()
    for check in found:
        sign, style = _SIGNS[check.state]
        put(screen, styled((f"{sign} ", style), (check.name.ljust(15), "bold"), one_line(check.said, 300, prose=True)))
        if check.remedy and check.state != "ok":
            put(screen, styled(("    remedy: ", "dim"), one_line(check.remedy, 400, prose=True)))
    counts = {state: sum(check.state == state for check in found) for state in _SIGNS}
    sys.stdout.write(f"\n{counts['ok']} in order, {counts['warn']} to look at, {counts['fail']} wrong\n")
    return FAILED if failed else SUCCEEDED


def _all(door: Door) -> Iterator[Check]:
    from . import checks, checks_store

    root, workspace = Path(door.home).expanduser().absolute(), Path(door.workspace or ".").resolve()
    groups: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        ("installation", checks.installation),
        ("home", lambda: checks.home(root)),
        ("workspace", lambda: checks.workspace(workspace, root)),
        ("configuration", lambda: checks.configuration(root, door.config)),
        ("editor", checks.editor),
        ("ledger", lambda: checks_store.ledger(root)),
        ("backups", lambda: checks_store.backups(root)),
    ]
    for name, group in groups:
        yield from _guarded(name, group)


def _guarded(name: str, group: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    from .checks import Check

    try:
        yield from group()
    except Exception as error:  # noqa: BLE001 - whatever breaks while looking is what a person came here to learn
        yield Check(name, "fail", f"could not be checked: {type(error).__name__}: {error}", str(getattr(error, "hint", "")) or "mend what it names, then look again")
