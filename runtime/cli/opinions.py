"""`assent opinions`: how the rules of intent and a model's second opinion judged, and what people made of it; for the monthly review."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ...policies.counted import counted
from .command import SUCCEEDED, Door, print_json


def opinions(
    door: Door, since: Annotated[str, typer.Option(help="Only what was judged within this time, for example `30 days`.", show_default=False)] = ""
) -> int:
    """Show how often a doubt about the intent was settled by a model, went to a person, and was overridden there."""
    from ...policies.durations import seconds
    from ...schemas.noun import stamp
    from ..ledger.opinion_review import review

    try:
        span_s = seconds(since) if since else 0
    except ValueError as error:
        raise typer.BadParameter(f"{error}, found {since!r}", param_hint="--since") from error
    with door.shelf().store.read() as c:
        found = review(c, datetime.now(UTC) - timedelta(seconds=span_s) if span_s else None)
    if door.as_json:
        print_json(found.as_json())
        return SUCCEEDED
    if found.since is not None:
        sys.stdout.write(f"since {stamp(found.since)[:16].replace('T', ' ')}\n")
    share = "" if found.escalation_pct is None else f", {found.escalation_pct:g} % of them to a person"
    sys.stdout.write(f"{counted(found.steps, 'step')} of {counted(found.plans, 'plan')} from plain language{share}\n")
    sys.stdout.write(f"  by rules       {found.within_by_rules} within, {found.outside_by_rules} outside\n")
    sys.stdout.write(f"  left open      {found.asked}: {found.allowed} settled by a model, {found.escalated} to a person")
    sys.stdout.write(f" ({found.failed} without an answer, {found.kept} from an earlier answer)\n")
    sys.stdout.write(f"  then people    approved {found.overridden} such plans as they stood, rejected or edited {found.upheld}\n")
    if found.average_ms is not None:
        sys.stdout.write(f"  an answer took {found.average_ms} ms on average, p95 {found.p95_ms} ms\n")
    sys.stdout.write(f"{counted(found.violations, 'plan')} violated a principle; people overrode {found.violations_overridden}, upheld {found.violations_upheld}\n")
    return SUCCEEDED
