"""One door for every kind of action: kind and payload in, Risk out.

Rules
- It never raises. What goes wrong inside is HIGH with the name of what went wrong: a judge that fails has proved nothing.
- The budget is one of size, not of time: policies have no clock. Every kind refuses what is longer than its bound before it parses (shell
  8 KiB, SQL 16 KiB and 1,000 tokens, Python 12 KiB and 5,000 nodes, an address 600 characters, a path 4 KiB, written content 128 KiB), bounds
  nesting, and is linear in what is left; so the worst input stays below 50 ms. The benchmark holds that number.
- Every answer carries the digest of the tables that were consulted, and findings are bounded so that an answer stays readable.

What it does not do: run anything, ask a model, or know the plan. What several steps do together is in `sequence.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ...schemas.risk import Level, Reason, Risk
from .surroundings import Surroundings
from .tables import digest, read_overlay

KINDS = ("shell", "sql", "http", "file_read", "file_write", "python")
MOST_FINDINGS = 20
_Assessor = Callable[[Any, Surroundings], Risk]


def assess(kind: str, payload: object, around: Surroundings) -> Risk:
    """Judge one action.

    Args:
        kind: one of `KINDS`.
        payload: text for shell, sql, python and file_read; `{"method", "url", "headers"?, "body"?}` for http; `{"path", "content"}` for
            file_write. Exactly the bytes that would run.
        around: where it would run, and what is known about that place.

    Returns:
        The level and every reason, worst first. LOW only when the action is proved to read and nothing else.
    """
    tables = ""
    try:
        tables = digest(around.overlay)
        risk = _assessor(kind)(payload, around)
        return Risk(level=risk.level, findings=_bounded(risk.findings), tables=tables)
    except Exception as error:  # noqa: BLE001 - a judge that fails has proved nothing, and must not stop the run: the answer is HIGH
        return _failed(error, tables)


def with_overlay(document: object, around: Surroundings, *, file: str = "") -> Surroundings:
    """Lay a user's additions over the shipped tables, after running the examples beside them.

    Args:
        document: the value of `risk:` in the configuration.
        around: the place in which the examples are judged.
        file: where the document was read, for the error.

    Raises:
        InvalidConfiguration: a wrong shape, or an example that does not hold.
    """

    def judge(kind: str, payload: object, overlay: Mapping[str, Any]) -> Risk:
        return assess(kind, payload, replace(around, overlay=overlay))

    return replace(around, overlay=read_overlay(document, judge, file=file))


def _assessor(kind: str) -> _Assessor:
    """Find the judge of a kind; imported here, so that a step pays only for the parser that it needs."""
    if kind == "shell":
        from .shell import assess_shell

        return assess_shell
    if kind == "sql":
        from .sql import assess_sql

        return assess_sql
    if kind == "http":
        from .http import assess_http

        return assess_http
    if kind == "python":
        from .python import assess_python

        return assess_python
    if kind in ("file_read", "file_write"):
        from .files import assess_read, assess_write

        return assess_read if kind == "file_read" else assess_write
    return _unknown


def _unknown(payload: object, around: Surroundings) -> Risk:
    text = "this kind of action is not known"
    return Risk.of([Reason(rule="risk.kind", level=Level.HIGH, text=text, lower=f"one of {', '.join(KINDS)}")])


def _bounded(findings: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """Keep each finding once, the worst first, and not more than a person reads."""
    once = tuple(dict.fromkeys(findings))
    if len(once) <= MOST_FINDINGS:
        return once
    more = Reason(rule="risk.more", level=once[-1].level, text=f"and {len(once) - MOST_FINDINGS + 1} more findings")
    return (*once[: MOST_FINDINGS - 1], more)


def _failed(error: Exception, tables: str) -> Risk:
    name = type(error).__name__
    reason = Reason(
        rule="risk.failed", level=Level.HIGH, text=f"the action could not be judged ({name})", lower="write it more simply"
    )
    return Risk(level=Level.HIGH, findings=(reason,), tables=tables)
