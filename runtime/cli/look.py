"""`assent inbox`, `runs` and `show`: what waits, what there is, and one of them in full. They read, and load nothing that acts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .command import Door, print_json

if TYPE_CHECKING:
    from ...schemas.run import RunRow
    from .lines import Line
    from .panel import Review
    from .shelf import Shelf

_LIMIT = Annotated[int, typer.Option(min=1, max=100_000, help="At most this many.")]


def inbox(
    door: Door,
    limit: _LIMIT = 50,
    mine: Annotated[bool, typer.Option("--mine", help="Only what you could approve now.")] = False,
    risk: Annotated[str, typer.Option(help="Only this level.", show_default=False)] = "",
    tag: Annotated[str, typer.Option(help="Only with this tag: an environment or an affected system.", show_default=False)] = "",
    older_than: Annotated[str, typer.Option(help="Only what is open for longer, for example `4 hours`.", show_default=False)] = "",
    order: Annotated[str, typer.Option(help="oldest or urgency.")] = "oldest",
) -> int:
    """List what waits for a person."""
    shelf = _shelf(door)
    if shelf is not None and (mine or risk or tag or older_than or order != "oldest"):
        found = door.runtime().inbox(limit=limit, mine=mine, risk=risk, tag=tag, older_than=older_than, order=order)
    else:
        found = shelf.inbox(limit=limit) if shelf is not None else []
    if door.as_json:
        print_json([request.as_json() for request in found])
        return 0
    if shelf is None or not found:
        sys.stdout.write("Nothing waits for anybody.\n")
        return 0
    from .lines import LEVEL_STYLES, ago, columns, console, one_line, put

    rows: list[list[str | tuple[str, str]]] = [[("request", "bold"), ("risk", "bold"), ("asks", "bold"), ("opened", "bold"), ("by", "bold"), ("title", "bold")]]
    for request in found:
        level = request.risk.value
        kind = request.kind.value.replace("_", " ")
        rows.append([request.id, (level, LEVEL_STYLES[level]), kind, ago(request.opened_at), one_line(request.requester, 30), one_line(request.title, 120, prose=True)])
    screen = console()
    for line in columns(rows):
        put(screen, line)
    waiting = shelf.waiting()
    if waiting > len(found):
        sys.stdout.write(f"… {waiting - len(found):,} more; --limit shows them\n")
    sys.stdout.write("\nassent show REQUEST   shows all of one;   assent approve | reject | edit REQUEST   answers it\n")
    return 0


def runs(
    door: Door,
    status: Annotated[str | None, typer.Option(help="Only runs in this state, for example awaiting_approval.", show_default=False)] = None,
    limit: _LIMIT = 50,
) -> int:
    """List runs, newest first."""
    from ...schemas.run import RunStatus

    wanted = status.strip().lower().replace("-", "_").replace(" ", "_") if status else None
    if wanted is not None and wanted not in set(RunStatus):
        raise typer.BadParameter(f"expected one of {', '.join(RunStatus)}", param_hint="--status")
    shelf = _shelf(door)
    found = shelf.runs(status=wanted, limit=limit) if shelf is not None else []
    if door.as_json:
        print_json([row.as_json() for row in found])
        return 0
    if not found:
        sys.stdout.write("There are no runs" + (f" that are {wanted.replace('_', ' ')}" if wanted else "") + ".\n")
        return 0
    from .lines import ago, columns, console, one_line, put
    from .lines import status as said

    rows: list[list[str | tuple[str, str]]] = [[("run", "bold"), ("status", "bold"), ("changed", "bold"), ("by", "bold"), ("title", "bold")]]
    rows += [[row.id, said(row.status.value), ago(row.updated_at), one_line(row.requester, 30), one_line(row.title, 120, prose=True)] for row in found]
    screen = console()
    for line in columns(rows):
        put(screen, line)
    return 0


def show(
    door: Door,
    what: Annotated[str, typer.Argument(metavar="RUN_OR_REQUEST", help="Its id, or the beginning of it.")],
    everything: Annotated[bool, typer.Option("--all", help="Of a request: nothing shortened.")] = False,
) -> int:
    """Show a run or a request in full."""
    shelf = door.shelf()
    kind, name = shelf.find(what)
    if kind == "request":
        return _request(door, shelf, name, everything=everything)
    row = shelf.run(name)
    if door.as_json:
        print_json(_as_json(shelf, row))
        return 0
    _run(shelf, row)
    return 0


def _shelf(door: Door) -> Shelf | None:
    """Return the shelf, or `None` where there is no home yet; that nothing waits there is true, and worth a note."""
    from ...schemas.errors import NotFound

    try:
        return door.shelf()
    except NotFound as missing:
        sys.stderr.write(f"note: {missing.message} yet\n")
        return None


def _as_json(shelf: Shelf, row: RunRow) -> dict[str, Any]:
    from .record import risk_of

    plan, results = shelf.plan(row), shelf.results(row.id)
    return {
        **row.as_json(),
        "risk": {"level": risk_of(shelf.events(row.id))},
        "plan": plan.as_json() if plan is not None else None,
        "requests": [request.as_json() for request in shelf.requests(row.id)],
        "results": results.as_json() if results is not None else None,
        "progress": shelf.progress(row.id).as_json(),
        "artifacts": [artifact.as_json() for artifact in shelf.artifacts(row.id)],
    }


def _run(shelf: Shelf, row: RunRow) -> None:
    from ..run import why_of
    from .lines import LEVEL_STYLES, SIGNS, ago, console, moment, one_line, put, status, styled
    from .outcome import report, waits
    from .record import risk_of
    from .tracker import tracked

    screen = console()
    level = risk_of(shelf.events(row.id)) or "not assessed"
    put(screen, styled(("Run       ", "dim"), row.id, "  ", status(row.status.value)))
    put(screen, styled(("Title     ", "dim"), one_line(row.title, prose=True)))
    put(screen, styled(("Risk      ", "dim"), (level, LEVEL_STYLES.get(level, ""))))
    put(screen, styled(("Asked by  ", "dim"), one_line(row.requester), f"  {moment(row.created_at)}, changed {ago(row.updated_at)}"))
    plan = shelf.plan(row)
    why = why_of(shelf.events(row.id))
    if why and plan is None:
        put(screen, styled(("Why       ", "dim"), one_line(why, 400, prose=True)))
    if plan is not None:
        put(screen, styled(("Plan      ", "dim"), f"{row.digest}  (version {row.version})"))
        done = {(d.direction, d.step): d for d in shelf.dispatches(row.id) if d.digest == row.digest}
        for step in plan.steps:
            call = done.get(("undo", step.step)) or done.get(("do", step.step))
            sign, style = SIGNS.get(call.state.value, ("·", "")) if call is not None else ("·", "dim")
            # What a call acts on is short, and what it writes may be long: the line is cut behind the former.
            args = ", ".join(f"{name}: {value}" for name, value in sorted(step.args.items(), key=lambda arg: len(str(arg[1]))))
            took = f"  {call.direction} {call.state.value.replace('_', ' ')}" if call is not None else ""
            put(screen, styled((f"  {sign} ", style), f"{step.step}. {one_line(step.tool, 30)} {one_line(args, 140)}", (took, "dim")))
    for line in tracked(shelf.progress(row.id)):
        put(screen, line)
    results = shelf.results(row.id)
    lines = list(waits(shelf.requests(row.id)))
    if results is not None:
        lines += report(results)
    for line in lines:
        put(screen, line)
    for artifact in shelf.artifacts(row.id):
        put(screen, styled(("kept: ", "dim"), one_line(artifact.path, 300), (f"  {artifact.size_bytes:,} bytes", "dim")))


def _details(review: Review) -> Iterator[Line]:
    from .detail import details

    return details(review)


def _request(door: Door, shelf: Shelf, name: str, *, everything: bool) -> int:
    from .lines import console, moment, one_line, put, styled

    request = shelf.request(name)
    in_force = shelf.run(request.run_id).digest == request.digest
    if request.is_open and in_force and request.digest:
        from .panel import Review, panel

        review = Review.of(door.runtime(), request)
        if door.as_json:
            print_json(review.as_json())
        else:
            from .outcome import waits

            screen = console()
            screen.print(panel(review))
            for line in _details(review) if everything else ():
                put(screen, line)
            for line in waits([request]):
                put(screen, line)
        return 0
    if door.as_json:
        print_json({"request": request.as_json(), "digest": request.digest})
        return 0
    screen = console()
    settled = f" at {moment(request.settled_at)}" if request.settled_at is not None else ""
    put(screen, styled((request.id, "bold"), f"  {request.kind.value.replace('_', ' ')} of {request.run_id}: {request.status.value}{settled}"))
    if request.is_open:
        from .outcome import waits

        for line in waits([request]):
            put(screen, line)
    for decision in request.decisions:
        void = "" if decision.counted else " (replaced by a later answer)"
        reason = f": {one_line(decision.reason, prose=True)}" if decision.reason else ""
        put(screen, styled(f"  {moment(decision.at)}  {one_line(decision.actor.id)} {decision.verdict.value.replace('_', ' ')}{void}{reason}"))
    return 0
