"""`assent approve`, `reject`, `edit` and `settle`: answer a request, and go on with its run when the answer settles it.

Rules: a request is named, never a run, because a request is about exactly one version of a plan. No option approves without naming one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .begin import watched
from .command import Door

if TYPE_CHECKING:
    from ...schemas.plan import Plan
    from ..run import Run
    from ..runtime import Runtime

_REQUEST = Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the request, or the beginning of it; `assent inbox` lists them.")]
_REASON = Annotated[str, typer.Option(help="Why; recorded with the answer.")]
_NO_RESUME = Annotated[bool, typer.Option("--no-resume", help="Only record the answer; `assent resume RUN` goes on with the run.")]
SETTLED = {"happened": "happened", "did-not-happen": "did_not_happen", "abandon": "abandon"}


def approve(door: Door, request: _REQUEST, reason: _REASON = "", no_resume: _NO_RESUME = False) -> int:
    """Approve a request, and go on with its run when that is enough."""
    return _decide(door, request, "approve", reason=reason, resume=not no_resume)


def reject(door: Door, request: _REQUEST, reason: _REASON = "", no_resume: _NO_RESUME = False) -> int:
    """Reject a request; its run ends."""
    return _decide(door, request, "reject", reason=reason, resume=not no_resume, told=("rejected", "expired", "cancelled"))


def settle(
    door: Door,
    request: _REQUEST,
    answer: Annotated[str, typer.Argument(metavar="happened|did-not-happen|abandon", help="What you found when you looked.")],
    reason: _REASON = "",
    no_resume: _NO_RESUME = False,
) -> int:
    """Say of a step in doubt whether it happened."""
    said = answer.strip().lower().replace("_", "-")
    if said not in SETTLED:
        raise typer.BadParameter(f"expected one of {', '.join(SETTLED)}", param_hint="ANSWER")
    return _decide(door, request, SETTLED[said], reason=reason, resume=not no_resume)


def edit(
    door: Door,
    request: _REQUEST,
    file: Annotated[Path | None, typer.Option(help="The changed plan; without it, $VISUAL or $EDITOR opens.", show_default=False)] = None,
    reason: _REASON = "",
    no_resume: _NO_RESUME = False,
) -> int:
    """Change the plan that a request is about; it is assessed again and needs its own approval."""
    from .change import changes
    from .command import print_json
    from .review import modified, shown_changes

    runtime = door.runtime()
    name = _named(runtime, request)
    asked = runtime.ledger.request(name)
    door.hold(runtime, asked.run_id)
    plan = _plan(runtime, asked.run_id, asked.digest, name)
    changed = _from(file, runtime, plan) if file is not None else modified(runtime, asked, plan, quiet=door.as_json)
    found = changes(plan, changed) if changed is not None else []
    if changed is None or not found:
        from ...schemas.errors import StaleDecision

        raise StaleDecision("the edit changes nothing", hint="change the plan, or approve or reject it as it is")
    old, new = runtime.ledger.risk(plan, asked.run_id).whole, runtime.ledger.risk(changed, asked.run_id).whole
    if file is not None and not door.as_json:
        from .lines import console, put

        screen = console()
        for line in shown_changes(found, old, new, tuple(runtime.settings.environment.values())):
            put(screen, line)
    if not door.as_json:
        return _go(door, runtime, asked.run_id, lambda: runtime.decide(name, "edit", edit=changed, reason=reason, resume=not no_resume))
    from .outcome import exit_code

    run = runtime.decide(name, "edit", edit=changed, reason=reason, resume=not no_resume)
    print_json({**run.as_json(), "changes": [change.as_json() for change in found], "risk_before": old.as_json(), "risk_after": new.as_json()})
    return exit_code(run.status, run.results)


def _decide(door: Door, given: str, verdict: str, *, reason: str, resume: bool, told: tuple[str, ...] = ()) -> int:
    runtime = door.runtime()
    name = _named(runtime, given)
    run_id = runtime.ledger.request(name).run_id
    door.hold(runtime, run_id)
    code = _go(door, runtime, run_id, lambda: runtime.decide(name, verdict, reason=reason, resume=resume))
    # Rejecting is what was asked for, and it was done.
    return 0 if code == 1 and runtime.ledger.run(run_id).status.value in told else code


def _go(door: Door, runtime: Runtime, run_id: str, act: Callable[[], Run]) -> int:
    from .progress import Progress

    with Progress(runtime, run_id=run_id, quiet=door.as_json) as progress:
        return watched(door, runtime, progress, act, asks=False)


def _named(runtime: Runtime, given: str) -> str:
    from .shelf import Shelf

    return Shelf.over(runtime).find_request(given)


def _plan(runtime: Runtime, run_id: str, digest: str, name: str) -> Plan:
    from ...schemas.errors import StaleDecision

    plan = runtime.ledger.plan(run_id)
    if plan is None or plan.digest != digest:
        raise StaleDecision(f"request {name} is about another version of the plan", hint=f"`assent show {run_id}` shows the one in force")
    return plan


def _from(file: Path, runtime: Runtime, plan: Plan) -> Any:
    from .editing import read_file

    return read_file(file, plan, runtime.tools)
