"""`assent resume`, `cancel`, `rollback` and `sweep`: what moves runs along without answering a question."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .begin import ended, watched
from .command import FAILED, SUCCEEDED, WAITING, Door, print_json

if TYPE_CHECKING:
    from ..run import Run
    from ..runtime import Runtime

_RUN = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, or the beginning of it; `assent runs` lists them.")]


def resume(
    door: Door,
    run: _RUN,
    model: Annotated[str | None, typer.Option(help="Model for plain words, for example openai:gpt-…", show_default=False)] = None,
    no_ask: Annotated[bool, typer.Option("--no-ask", help="Do not ask here, even on a terminal.")] = False,
) -> int:
    """Go on with a run from wherever the ledger says it stands; nothing that was done is done again."""
    from .progress import Progress

    runtime = door.runtime(model)
    name = _named(runtime, run)
    door.hold(runtime, name)
    with Progress(runtime, run_id=name, quiet=door.as_json) as progress:
        return watched(door, runtime, progress, lambda: runtime.resume(name), asks=door.is_interactive and not no_ask)


def cancel(door: Door, run: _RUN, reason: Annotated[str, typer.Option(help="Why; recorded with it.")] = "") -> int:
    """End a run: at once while it waits, at the next step while it runs."""
    from .lines import console, put, status, styled

    runtime = door.runtime()
    found = runtime.cancel(_named(runtime, run), reason)
    row = found.row
    if door.as_json:
        print_json(found.as_json())
    elif row.status.is_over:
        put(console(), styled(status(row.status.value), f"  {row.id}"))
    else:
        put(console(), styled(f"asked to stop at the next step; now {row.status.value.replace('_', ' ')}  {row.id}"))
    return SUCCEEDED if row.status.value == "cancelled" or row.stop_requested else FAILED


def rollback(
    door: Door, run: _RUN, to: Annotated[int, typer.Option(min=0, help="Number of the last step that stays; 0 takes everything back.")] = 0
) -> int:
    """Take back what a run did, last step first, and look whether it worked."""
    from .progress import Progress

    runtime = door.runtime()
    name = _named(runtime, run)
    door.hold(runtime, name)
    with Progress(runtime, run_id=name, quiet=door.as_json) as progress:
        try:
            found = runtime.rollback(name, to=to)
        except KeyboardInterrupt:
            from .begin import stopped

            return stopped(door, progress.find())
    if ended(door, runtime, found) == WAITING:
        return WAITING
    return SUCCEEDED if _is_back(runtime, found, to) else FAILED


def sweep(door: Door) -> int:
    """Do what is due: expiry, reminders, backup approvers, escalation, windows that opened, retention, notices. Safe from cron, twice at once."""
    runtime = door.runtime()
    done = runtime.sweep()
    if door.as_json:
        print_json(done)
    else:
        sys.stdout.write(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in done.items()) + "\n")
    return SUCCEEDED


def _is_back(runtime: Runtime, run: Run, to: int) -> bool:
    """Tell whether every step beyond `to` that was done is seen to be taken back."""
    if run.status.value == "rolled_back":
        return True
    rows = [call for call in runtime.ledger.dispatches(run.id) if call.digest == run.row.digest and call.step > to]
    undone = {d.step for d in rows if d.direction == "undo" and d.state.value == "done" and not (d.receipt and d.receipt.verified is False)}
    return to > 0 and all(d.step in undone for d in rows if d.direction == "do" and d.state.value == "done")


def _named(runtime: Runtime, given: str) -> str:
    from .shelf import Shelf

    return Shelf.over(runtime).find_run(given)
