"""The commands by name, and the process around them. Importing it loads typer and nothing that acts."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer

from . import (
    answer,
    audit,
    begin,
    delivery,
    desk,
    doctor,
    draw,
    keep,
    look,
    mcp,
    new,
    notify,
    opinions,
    phase,
    serve,
    steer,
    weigh,
)
from .command import MISUSED, ConfigOption, Door, HomeOption, JsonOption, WorkspaceOption, command, print_json, unread

_EPILOG = "Exit codes: 0 succeeded, 1 did not, 2 not understood, 3 a person has to speak. ASSENT_DEBUG=1 shows where an error came from."

app = typer.Typer(
    name="assent", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


@app.callback()
def door(
    context: typer.Context, home: HomeOption = None, workspace: WorkspaceOption = None, config: ConfigOption = None, as_json: JsonOption = False,
    _version: Annotated[bool, typer.Option("--version", "-V", is_eager=True, callback=lambda asked: _tell_version(asked), help="Print the version.")] = False,
) -> None:
    """Plans are assessed, risky ones ask a person, and what runs is exactly what was approved."""
    context.obj = {"home": home, "workspace": workspace, "config": config, "as_json": as_json}


def _tell_version(asked: bool) -> None:
    if asked:
        version(Door(as_json="--json" in sys.argv))
        raise typer.Exit


def version(door: Door) -> int:
    """Print the version."""
    from ... import __version__

    if door.as_json:
        print_json({"version": __version__})
    else:
        sys.stdout.write(f"assent {__version__}\n")
    return 0


_COMMANDS: dict[str, dict[str, Any]] = {
    "Runs": {
        "run": begin.run, "runs": look.runs, "show": look.show, "resume": steer.resume, "cancel": steer.cancel, "rollback": steer.rollback,
        "consolidate": delivery.consolidate, "validate": delivery.validate,
    },
    "People": {
        "inbox": look.inbox, "approve": answer.approve, "reject": answer.reject, "edit": answer.edit, "settle": answer.settle, "resolve": delivery.resolve,
        "claim": desk.claim, "grant": desk.grant, "grants": desk.grants, "revoke": desk.revoke, "decisions": desk.decisions, "sweep": steer.sweep,
    },
    "Record": {"log": audit.log, "verify": audit.verify, "backup": keep.backup, "prune": desk.prune, "opinions": opinions.opinions},
    "Doors": {"serve": serve.serve, "mcp": mcp.mcp},
    "Help": {"new": new.new, "assess": weigh.assess, "graph": draw.graph, "doctor": doctor.doctor, "version": version},
}  # fmt: skip
for _panel, _functions in _COMMANDS.items():
    for _name, _function in _functions.items():
        command(app, _name, panel=_panel)(_function)

app.add_typer(notify.app, rich_help_panel="People")
app.add_typer(phase.app, rich_help_panel="Runs")


def run() -> None:
    """Run the command line; the process ends with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets its escape, not an error.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        # Both the click that typer carries and the one beside it name a wrong command line like this.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(str(error.format_message()) + "\n")
            sys.exit(MISUSED)
        _misused(str(error.format_message()))
    _leave(code if isinstance(code, int) else 0)


def _misused(message: str) -> None:
    from .command import tell

    asked = "--json" in sys.argv
    known = {name for functions in _COMMANDS.values() for name in functions} | {"notify", "phase"}
    name = next((word for word in sys.argv[1:] if word in known), "")
    hint = f"`assent {name} --help` explains it" if name else "`assent --help` lists the commands, `assent COMMAND --help` explains one"
    tell(Door(as_json=asked), message, hint, data={"error": "UsageError", "message": message, "hint": hint})
    sys.exit(MISUSED)


def _leave(code: int) -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        unread()
    sys.exit(code)
