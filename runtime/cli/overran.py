"""What a person is shown when a run takes more than was estimated or allowed: how much, of what, by which steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .lines import Line, columns, money, one_line, styled

TITLE = " IT TAKES MORE THAN WAS EXPECTED "


def overran(subject: Mapping[str, Any], *, known: Sequence[str] = ()) -> Iterator[Line]:
    """Yield the lines about an overrun question.

    Args:
        subject: of the request; see `nodes/meter.py`.
    """
    about = str(subject.get("about", "estimate"))
    expected = f"estimated {money(str(subject.get('estimated_usd')))}" if about == "estimate" else f"budget {subject.get('budget', '?')}"
    taken = money(str(subject.get("actual_usd"))) if about == "estimate" else str(subject.get("actual", "?"))
    by = f", {subject['variance']}" if subject.get("variance") else ""
    escalated = "  escalated: more than half as much again" if subject.get("kind") == "escalate" else ""
    yield styled(("BEFORE STEP ", "bold"), (one_line(subject.get("before_step", "?")), "bold"))
    yield styled(f"  {one_line(f'{taken}, {expected}{by}', 160, known=known)}", (escalated, "bold red"))
    rows = subject.get("by_step")
    if isinstance(rows, Mapping) and rows:
        head: list[str | tuple[str, str]] = [("  step", "dim"), ("estimated", "dim"), ("took", "dim")]
        table = [[f"  {number}", _usd(row, "estimated_usd"), _usd(row, "actual_usd")] for number, row in rows.items() if isinstance(row, Mapping)]
        yield from columns([head, *table])
    if subject.get("models_tokens"):
        tokens = f"{subject.get('models_tokens', 0)} tokens"
        cost = f", {money(str(subject['models_usd']))}" if subject.get("models_usd") else ""
        yield styled(f"  models took {one_line(tokens, 40)}{cost}")
    for reason in subject.get("reasons") or ():
        yield styled(f"  • {one_line(reason, 160, known=known)}")
    yield styled("  Approve: it goes on, up to the next threshold. Reject: nothing more is done; what was done stays, and `assent rollback` takes it back.")


def _usd(row: Mapping[str, Any], name: str) -> str:
    return money(str(row[name])) if row.get(name) is not None else "–"
