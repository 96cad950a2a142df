"""`assent consolidate RUN`, `assent validate RUN` and `assent resolve REQUEST`: the phases of a delivery, looked at and answered.

Rules: consolidating and validating change nothing that anybody decides on: they read the record again and write files that can be made again. The
exit code is 0 for what holds, 3 for what waits for a person, 1 for what does not hold. Source: E15, the command templates of the phases document.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...policies.counted import counted
from .command import FAILED, SUCCEEDED, WAITING, Door, print_json

if TYPE_CHECKING:
    from ...schemas.consolidated import Consolidated
    from ...schemas.final_consolidation import FinalConsolidation
    from ..runtime import Runtime

_RUN = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, or the beginning of it; `assent runs` lists them.")]


def consolidate(
    door: Door,
    run: _RUN,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for copies of the files. [default: only with the run]", show_default=False)] = None,
) -> int:
    """Put together again what the phases of a delivery found, and what came of it."""
    from ..delivery.consolidating import consolidated

    runtime = door.runtime()
    name = _named(runtime, run)
    found = consolidated(runtime, name, out)
    if door.as_json:
        print_json({
            "run": name, "phases": {phase: one.document() for phase, one in found.phases.items()}, "final": found.final.as_json() if found.final is not None else None,
            "files": [str(file) for file in found.files],
        })  # fmt: skip
    else:
        for phase, one in found.phases.items():
            _phase(phase, one)
        if found.final is not None:
            _final(found.final)
        for file in found.files:
            _write(f"  {file}")
    return WAITING if runtime.ledger.run(name).status.is_waiting else SUCCEEDED


def validate(
    door: Door,
    run: _RUN,
    checkpoint: Annotated[int | None, typer.Option("--checkpoint", help="1: the analysis, before the work.", show_default=False)] = None,
    final: Annotated[bool, typer.Option("--final", help="The final checkpoint: may the work be released?")] = False,
) -> int:
    """Hold a delivery against one of its checkpoints, as everything stands now."""
    if (checkpoint is None) == (not final):
        raise typer.BadParameter("give --checkpoint 1 or --final")
    if checkpoint not in (None, 1):
        raise typer.BadParameter("the checkpoints are 1 (analysis) and --final", param_hint="--checkpoint")
    runtime = door.runtime()
    name = _named(runtime, run)
    return _validated_final(door, runtime, name) if final else _validated(door, runtime, name)


def resolve(
    door: Door,
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the question, or the beginning of it; `assent inbox` lists them.")],
    holds: Annotated[list[str], typer.Argument(metavar="CONFLICT=AGENT…", help="Which agent's side of a contradiction holds; `none` for neither.")],
    reason: Annotated[str, typer.Option(help="Why; recorded with the answer.")] = "",
    no_resume: Annotated[bool, typer.Option("--no-resume", help="Only record the answer; `assent resume RUN` goes on with the run.")] = False,
) -> int:
    """Say which side holds where agents contradict each other, and go on with the run when that is enough."""
    from .begin import watched
    from .progress import Progress
    from .shelf import Shelf

    sides = {}
    for one in holds:
        conflict, sign, agent = one.partition("=")
        if not sign or not conflict:
            raise typer.BadParameter(f"expected CONFLICT=AGENT, found {one!r}", param_hint="CONFLICT=AGENT")
        sides[conflict] = "" if agent in ("", "none") else agent
    runtime = door.runtime()
    name = Shelf.over(runtime).find_request(request)
    run_id = runtime.ledger.request(name).run_id
    with Progress(runtime, run_id=run_id, quiet=door.as_json) as progress:
        return watched(door, runtime, progress, lambda: runtime.decide(name, "approve", reason=reason, holds=sides, resume=not no_resume), asks=False)


def _validated(door: Door, runtime: Runtime, run_id: str) -> int:
    from ..delivery.consolidating import validated

    check, excepted = validated(runtime, run_id)
    waits = runtime.ledger.run(run_id).status.is_waiting
    code = SUCCEEDED if check.passed or excepted else WAITING if waits else FAILED
    if door.as_json:
        print_json({"run": run_id, "checkpoint": check.as_json(), "exception": list(excepted), "waits": waits and not check.passed and not excepted})
        return code
    for one in check.criteria:
        _write(f"{'✓' if one.met else '✗'} {one.text}" + ("" if one.met else f": {_line(one.reason)}"))
    _write("passed" if check.passed else f"not passed; an exception was made by {', '.join(excepted)}" if excepted else "not passed")
    if code == WAITING:
        _waits(runtime, run_id)
    return code


def _validated_final(door: Door, runtime: Runtime, run_id: str) -> int:
    runtime.delivery(run_id)
    document, _ = runtime.finalise(run_id)
    row, release = runtime.ledger.run(run_id), runtime.ledger.release(run_id)
    # A release that was given and then taken back, cancelled or ran out is no release any more.
    code = SUCCEEDED if release == "released" and row.status.value in ("running", "completed") else WAITING if release == "waits" and row.status.is_waiting else FAILED
    if door.as_json:
        print_json({"run": run_id, "status": row.status.value, "release": release, **document.as_json()})
        return code
    _final(document)
    if code == WAITING:
        _waits(runtime, run_id)
    elif row.status.is_over:
        _write(f"the run is {row.status.value.replace('_', ' ')}")
    return code


def _phase(phase: str, found: Consolidated) -> None:
    _write(f"{phase}: {len(found.agents) - len(found.missing)} of {len(found.agents)} agents reported; risk {found.risk_assessment.level.value}; {counted(len(found.conflicts), 'contradiction')}")
    for agent, said in found.summaries.items():
        _write(f"  {agent}: {_line(said)}")
    if found.decisions.implementation_strategy:
        _write(f"  strategy: {_line(found.decisions.implementation_strategy)}")


def _final(document: FinalConsolidation) -> None:
    _write(_line(document.headline, 600))
    for one in document.criteria:
        sign = {True: "✓", False: "✗", None: "?"}[one.met]
        _write(f"{sign} {one.text}: {_line(one.reason)}" + ("" if one.decides else "  (not counted by the matrix)"))
    for reason in document.reasons:
        _write(f"  • {_line(reason)}")


def _waits(runtime: Runtime, run_id: str) -> None:
    from .lines import console, put
    from .outcome import waits

    screen = console()
    for line in waits(runtime.ledger.requests(run_id)):
        put(screen, line)


def _line(text: Any, limit: int = 300) -> str:
    from .lines import one_line

    return one_line(text, limit, prose=True)


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def _named(runtime: Runtime, given: str) -> str:
    from .shelf import Shelf

    return Shelf.over(runtime).find_run(given)
