"""`assent run`: start a run, show what it does, and on a terminal ask about what waits for a person."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...policies.counted import counted
from .command import INTERRUPTED, WAITING, Door, print_json, tell, unread

if TYPE_CHECKING:
    from ..run import Run
    from ..runtime import Runtime
    from .lines import Line
    from .progress import Progress

_NAMED = 8


def run(
    door: Door,
    request: Annotated[str, typer.Argument(help="Path of a document (YAML or JSON), `-` for standard input, or plain words (with a model).")],
    graph: Annotated[str, typer.Option(help="The graph that the run follows.")] = "par",
    tier: Annotated[int | None, typer.Option(min=1, max=4, help="Authority of the asking agent, 1 to 4.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(help="Model for plain words, for example openai:gpt-…", show_default=False)] = None,
    no_ask: Annotated[bool, typer.Option("--no-ask", help="Do not ask here, even on a terminal; leave it waiting.")] = False,
) -> int:
    """Start a run: assess the plan, ask about what needs a person, execute, measure."""
    from ...schemas.canonical import canonical, digest
    from ..intake import take_in
    from .progress import Progress

    runtime = door.runtime(model)
    if graph == "delivery" and not door.as_json and (missing := runtime.lacks()):
        tell(door, f"{missing.message}: what is not measured is not released, so this delivery will end with BLOCK", missing.hint, word="warning")
    ask = take_in(sys.stdin.read() if request == "-" else request)
    with Progress(runtime, ask=digest(canonical(runtime.asking(ask))), quiet=door.as_json) as progress:
        return watched(door, runtime, progress, lambda: runtime.start(ask, graph=graph, tier=tier), asks=door.is_interactive and not no_ask)


def watched(door: Door, runtime: Runtime, progress: Progress, act: Callable[[], Run], *, asks: bool) -> int:
    """Do something that drives a run, go on with a person where one is there, tell the outcome, and return the exit code.

    Args:
        act: drives the run until it is over or waits.
        asks: whether a person is there to be asked.
    """
    try:
        found = act()
        if asks and found.status.is_waiting:
            from .review import converse

            found = converse(runtime, found)
    except KeyboardInterrupt:
        return stopped(door, progress.find())
    return ended(door, runtime, found)


def stopped(door: Door, run_id: str) -> int:
    """Tell how an interrupted run goes on."""
    if door.is_interactive:
        sys.stdout.write("\n")  # the terminal shows ^C in the line of the question
        sys.stdout.flush()
    if run_id:
        tell(door, f"interrupted; run {run_id} stays where it is", f"`assent resume {run_id}` goes on with it, `assent cancel {run_id}` ends it",
             data={"error": "Interrupted", "message": "interrupted", "hint": f"assent resume {run_id}", "run": run_id})  # fmt: skip
    else:
        tell(door, "interrupted before anything was recorded", "start it again")
    return INTERRUPTED


def ended(door: Door, runtime: Runtime, found: Run) -> int:
    """Tell how a run stands, and return the exit code."""
    from .outcome import exit_code

    results, status = found.results, found.status
    # A run that is over waits too, when a person takes back what it did and nobody knows how one of its calls ended.
    code = WAITING if any(request.is_open for request in found.requests) else exit_code(status, results)
    try:
        _tell_end(door, runtime, found)
    except BrokenPipeError:
        # The run is what it is, whoever stopped reading about it.
        unread()
    return code


def _tell_end(door: Door, runtime: Runtime, found: Run) -> None:
    from .lines import console, put
    from .outcome import report, waits

    results, status = found.results, found.status
    if door.as_json:
        print_json(found.as_json())
        sys.stdout.flush()
        return
    screen = console()
    known = tuple(runtime.settings.environment.values())
    if status.is_waiting or any(request.is_open for request in found.requests):
        lines = list(waits(found.requests))
    elif results is not None:
        lines = list(report(results, known=known))
        folder = runtime.keep.folder / found.id
        if folder.is_dir():
            lines.append(_artifacts(str(folder), [artifact.name for artifact in found.artifacts()]))
    else:
        lines = [_standing(found)]
    for line in lines:
        put(screen, line)
    sys.stdout.flush()


def _artifacts(folder: str, names: list[str]) -> Line:
    from .lines import one_line, styled

    return styled((f"kept in {one_line(folder, 300)}: {one_line(_grouped(names), 300)}", "dim"))


def _grouped(names: list[str]) -> str:
    """Return names as words; many of them as how many there are of each kind, so that none is cut in two."""
    if len(names) <= _NAMED:
        return ", ".join(names)
    kinds = Counter(Path(name).suffix or "other" for name in names)
    return f"{counted(len(names), 'file')}, " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _standing(found: Run) -> Line:
    from .lines import status, styled

    return styled(status(found.status.value), f"  {found.id}")
