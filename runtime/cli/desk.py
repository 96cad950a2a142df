"""`assent claim`, `grant`, `grants`, `revoke`, `decisions` and `prune`: the approver's desk beside answering."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Annotated, Any

import typer

from ...policies.counted import counted
from .command import SUCCEEDED, Door, print_json

_OPTIONAL = {"show_default": False}


def claim(
    door: Door,
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="Id of the request; `assent inbox` lists them.")],
    release: Annotated[bool, typer.Option("--release", help="Give the claim back.")] = False,
) -> int:
    """Tell the other approvers that you look at a request. Keeps nobody from deciding."""
    from .lines import moment

    found = door.runtime().claim(request, release=release)
    if door.as_json:
        print_json(found.as_json())
    elif found.claimed_until is None:
        sys.stdout.write(f"{found.id} is free again\n")
    else:
        sys.stdout.write(f"{found.id} is yours to look at until {moment(found.claimed_until)}\n")
    return SUCCEEDED


def grant(
    door: Door,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="shell, files, sql, http, python, or one of your own.")],
    command: Annotated[str, typer.Option(help="Exactly this command, statement or code.", **_OPTIONAL)] = "",
    path: Annotated[str, typer.Option(help="This path and what is below it, relative to the workspace.", **_OPTIONAL)] = "",
    host: Annotated[str, typer.Option(help="This host.", **_OPTIONAL)] = "",
    valid_for: Annotated[str, typer.Option("--for", help="How long, for example `1 hour`.")] = "1 hour",
    uses: Annotated[int, typer.Option(min=1, max=1000, help="How many calls.")] = 5,
    budget: Annotated[str | None, typer.Option(help="Sum of estimated costs in USD, for example 2.", **_OPTIONAL)] = None,
    highest: Annotated[str, typer.Option(help="Highest risk that it covers; never CRITICAL.")] = "HIGH",
    requester: Annotated[str, typer.Option(help="Only for runs of this actor.", **_OPTIONAL)] = "",
    reason: Annotated[str, typer.Option(help="Why.", **_OPTIONAL)] = "",
) -> int:
    """Allow a narrow kind of call in advance, for a while, a few times. Each use is an entry of the log."""
    fields: dict[str, Any] = {"command": command, "path": path, "host": host, "uses": uses, "highest": highest.upper(), "requester": requester, "reason": reason}
    if budget is not None:
        fields["budget_usd"] = budget.lstrip("$")
    found = door.runtime().grant(tool, valid_for=valid_for, **fields)
    if door.as_json:
        print_json(found.as_json())
    else:
        from .lines import moment

        sys.stdout.write(f"{found.id}  {_covers(found)}  {found.uses} uses until {moment(found.expires_at)};   assent revoke {found.id}   ends it\n")
    return SUCCEEDED


def grants(door: Door, all_: Annotated[bool, typer.Option("--all", help="Also those that are used up, expired or revoked.")] = False) -> int:
    """List standing grants."""
    from .lines import moment, one_line

    found = door.runtime().grants(live=not all_)
    if door.as_json:
        print_json([one.as_json() for one in found])
        return SUCCEEDED
    for one in found:
        state = f"revoked by {one.revoked_by}" if one.revoked_at else f"{one.uses_left} of {one.uses} uses left until {moment(one.expires_at)}"
        sys.stdout.write(f"{one.id}  {_covers(one)}  up to {one.highest.value}  by {one_line(one.by.id, 40)}  {state}\n")
    if not found:
        sys.stdout.write("No standing grants.\n")
    return SUCCEEDED


def revoke(door: Door, grant: Annotated[str, typer.Argument(metavar="GRANT", help="Id of the grant; `assent grants` lists them.")]) -> int:
    """End a standing grant at once."""
    found = door.runtime().revoke(grant)
    if door.as_json:
        print_json(found.as_json())
    else:
        sys.stdout.write(f"{found.id} is revoked; it was used {found.used} times\n")
    return SUCCEEDED


def decisions(
    door: Door,
    search: Annotated[str, typer.Argument(help="Only records that hold this text.", **_OPTIONAL)] = "",
    due: Annotated[bool, typer.Option("--due", help="Only those whose review is due within 30 days.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Whole records as markdown.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
) -> int:
    """List decision records: what was decided, by whom, why, and when to look at it again."""
    runtime = door.runtime()
    found = runtime.decisions(search, due_by=runtime.clock() + timedelta(days=30) if due else None, limit=limit)
    if door.as_json:
        print_json([record.as_json() for record in found])
        return SUCCEEDED
    from .lines import block, moment, one_line

    for record in found:
        if markdown:
            sys.stdout.write("\n".join(block(record.markdown(), most=200)) + "\n\n")
            continue
        review = f"  review {record.next_review_at:%Y-%m-%d}" if record.next_review_at else ""
        people = one_line(", ".join(record.decided_by) or "nobody", 60)
        sys.stdout.write(f"{record.id}  {moment(record.decided_at)}  {record.decision:9} {people}  {one_line(record.question, 100, prose=True)}{review}\n")
    if not found:
        sys.stdout.write("No such decisions.\n")
    return SUCCEEDED


def prune(door: Door, dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False) -> int:
    """Remove the details of runs that ended long ago. The log and the decisions stay."""
    found = door.runtime().prune(dry_run=dry_run)
    if door.as_json:
        print_json({"dry_run": dry_run, "runs": found})
        return SUCCEEDED
    for run_id in found:
        sys.stdout.write(f"{run_id}\n")
    what = "would lose" if dry_run else "lost"
    sys.stdout.write(f"{counted(len(found), 'run')} {what} plan, receipts, results, artifacts and checkpoints; the entries in the log stay\n")
    return SUCCEEDED


def _covers(grant: Any) -> str:
    from .lines import one_line

    bound = [f"{name} {one_line(value, 80)}" for name, value in (("command", grant.command), ("path", grant.path), ("host", grant.host)) if value]
    where = f" in {one_line(grant.workspace, 120)}" if grant.workspace not in ("", ".") else ""
    return f"{one_line(grant.tool, 40)}: {', '.join(bound)}{where}"
