"""`assent assess`: how risky one action is, why, and what would make it lower. Makes no home and starts nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .command import SUCCEEDED, Door, print_json

KINDS = ("shell", "sql", "http", "file_read", "file_write", "python")
_MAPPINGS = {"http": '{"method": "GET", "url": "https://…"}', "file_write": '{"path": "…", "content": "…"}'}


def assess(
    door: Door,
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")],
    payload: Annotated[str, typer.Argument(metavar="PAYLOAD", help="The action as text, JSON for http and file_write; `-` reads standard input.")],
) -> int:
    """Assess one action without running it."""
    if kind not in KINDS:
        raise typer.BadParameter(f"expected one of {', '.join(KINDS)}", param_hint="KIND")
    action = _payload(kind, sys.stdin.read() if payload == "-" else payload)
    from ...policies.risk.assess import assess as judge
    from ...schemas.errors import IllegalTransition
    from ..assess import surroundings
    from ..settings import read_settings

    workspace = Path(door.workspace or ".").resolve()
    if not workspace.is_dir():
        raise IllegalTransition(f"the workspace {workspace} is not a folder", hint="give a folder that exists with --workspace")
    home = Path(door.home).expanduser().absolute()
    _, policy = read_settings(home, door.config)
    risk = judge(kind, action, surroundings(str(workspace), own=(str(home),), overlay=policy.risk))
    if door.as_json:
        print_json({**risk.as_json(), "reasons": list(risk.reasons), "rules": list(risk.rules)})
        return SUCCEEDED
    from .lines import console, level, one_line, put, styled

    screen = console()
    put(screen, styled(level(risk.level.value)))
    for finding in risk.findings:
        put(screen, styled("  • ", level(finding.level.value), f" {one_line(finding.text)} ", (f"({one_line(finding.rule)})", "dim")))
        if finding.lower:
            put(screen, styled((f"      lower: {one_line(finding.lower)}", "green")))
    return SUCCEEDED


def _payload(kind: str, text: str) -> Any:
    if kind not in _MAPPINGS:
        return text
    from ...schemas.canonical import parse
    from ...schemas.errors import Complaint, InvalidDocument

    hint = f"for example: assent assess {kind} '{_MAPPINGS[kind]}'"
    try:
        found = parse(text)
    except ValueError as error:
        raise InvalidDocument([Complaint(where="payload", expected=f"JSON for {kind}", found=str(error))], file="the payload", hint=hint) from error
    if not isinstance(found, dict):
        raise InvalidDocument([Complaint(where="payload", expected="a JSON object", found=type(found).__name__)], file="the payload", hint=hint)
    return found
