"""What every command shares: the options of its door, `--json`, errors with a hint, exit codes.

Rules: 0 only for what succeeded, 1 for what did not, 2 for a command that was not understood, 3 when a person has to speak, 130 for Ctrl-C.
An error goes to standard error as `error: …` and `hint: …`, or as one JSON object under `--json`; a traceback only under ASSENT_DEBUG=1.
Options of the door stand before or after the command's name; the later one counts.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..runtime import Runtime
    from .shelf import Shelf

SUCCEEDED, FAILED, MISUSED, WAITING, INTERRUPTED = 0, 1, 2, 3, 130

HomeOption = Annotated[str | None, typer.Option("--home", help="Folder of the ledger. [env: ASSENT_HOME; default: .assent]", show_default=False)]
WorkspaceOption = Annotated[str | None, typer.Option("--workspace", help="Folder in which the steps of a new run act; a run that exists keeps its own. [default: .]", show_default=False)]
ConfigOption = Annotated[str | None, typer.Option("--config", help="File laid over config.yaml of the home.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value.", show_default=False)]
DOOR_OPTIONS: dict[str, tuple[Any, Any]] = {
    "home": (HomeOption, None),
    "workspace": (WorkspaceOption, None),
    "config": (ConfigOption, None),
    "as_json": (JsonOption, False),
}


@dataclass(frozen=True)
class Door:
    """Where a command acts, and how it answers."""

    home: str = ".assent"
    workspace: str | None = None
    config: str | None = None
    as_json: bool = False
    cleanup: list[Callable[[], None]] = field(default_factory=list)

    def runtime(self, model: str | None = None) -> Runtime:
        """Open the home for acting; closed when the command ends."""
        from ..runtime import open as open_runtime

        found = open_runtime(self.home, workspace=self.workspace or ".", config=self.config, model=model)
        self.cleanup.append(found.close)
        return found

    def hold(self, runtime: Runtime, run_id: str) -> None:
        """Refuse a workspace that was given and is not the run's own. Raises: NotAllowed."""
        from ...schemas.errors import NotAllowed

        own = runtime.workspace_of(run_id)
        if self.workspace is not None and Path(self.workspace).resolve() != own:
            raise NotAllowed(f"run {run_id} acts in {own}, not in {Path(self.workspace).resolve()}", hint="leave --workspace out; a run keeps the folder in which it was started")

    def shelf(self) -> Shelf:
        """Open the home for reading; closed when the command ends. Raises: NotFound: there is no home."""
        from .shelf import Shelf

        found = Shelf.at(Path(self.home).expanduser().absolute())
        self.cleanup.append(found.close)
        return found

    @property
    def is_interactive(self) -> bool:
        """Whether a person is there to be asked."""
        return not self.as_json and sys.stdin.isatty() and sys.stdout.isatty()

    def close(self) -> None:
        """Close what the command opened, last first."""
        while self.cleanup:
            self.cleanup.pop()()


def command(app: typer.Typer, name: str, *, panel: str) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Register a function `(door, …) -> exit code` as a command; the door's options are added to its own.

    Args:
        panel: heading under which `--help` lists it.
    """

    def register(function: Callable[..., int | None]) -> Callable[..., int | None]:
        signature = inspect.signature(function, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.name != "door"]
        shared = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default) for key, (kind, default) in DOOR_OPTIONS.items()]
        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

        def call(context: typer.Context, **given: Any) -> None:
            door = door_of(context.obj or {}, {key: given.pop(key) for key in DOOR_OPTIONS})
            raise typer.Exit(guarded(door, lambda: function(door, **given)))

        keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        call.__signature__ = inspect.Signature([context, *keywords, *shared])  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in [context, *keywords, *shared]}
        call.__name__, call.__doc__ = function.__name__, function.__doc__
        app.command(name, rich_help_panel=panel)(call)
        return function

    return register


def door_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> Door:
    """Return the door that options before and after the command's name describe."""
    given = {**{key: value for key, value in before.items() if value}, **{key: value for key, value in after.items() if value}}
    return Door(
        home=given.get("home") or os.environ.get("ASSENT_HOME") or ".assent",
        workspace=given.get("workspace") or None,
        config=given.get("config"),
        as_json=bool(given.get("as_json")),
    )


def guarded(door: Door, act: Callable[[], int | None]) -> int:
    """Run a command and return its exit code; errors are told, not thrown."""
    from ...schemas.errors import AssentError, StoreCorrupt

    try:
        try:
            return act() or SUCCEEDED
        finally:
            door.close()
    except AssentError as error:
        _debug()
        if isinstance(error, StoreCorrupt):
            from ..ledger.backup import with_remedy

            with_remedy(error, Path(door.home).expanduser().absolute())
        tell(door, error.message, error.hint, data=error.data())
        return FAILED
    except KeyboardInterrupt:
        tell(door, "interrupted", "`assent runs` shows where each run stands; `assent resume RUN` goes on with one")
        return INTERRUPTED
    except BrokenPipeError:
        unread()
        return FAILED
    except OSError as error:
        _debug()
        tell(door, f"{error.filename or 'the system'}: {error.strerror or error}", "check the path, its permissions and the free space")
        return FAILED
    except Exception as defect:
        # `typer.Exit` and wrong command lines pass; everything else is a defect, and a person is owed more than a traceback.
        if hasattr(defect, "format_message") or isinstance(defect, typer.Exit | typer.Abort):
            raise
        _debug()
        tell(door, f"a defect of assent: {type(defect).__name__}: {defect}", "nothing that was recorded is lost; ASSENT_DEBUG=1 shows where it happened")
        return FAILED


def unread() -> None:
    """Drop what is still to be written: whoever read it has left (`assent runs | head`), and the interpreter must not complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _debug() -> None:
    if os.environ.get("ASSENT_DEBUG") == "1":
        import traceback

        traceback.print_exc()


def tell(door: Door, message: str, hint: str = "", *, data: Mapping[str, Any] | None = None, word: str = "error") -> None:
    """Write an error, or what `word` says, to standard error."""
    from .lines import clean

    if door.as_json:
        found = dict(data) if data else {"error": "Error", "message": message, "hint": hint}
        sys.stderr.write(to_json(found) + "\n")
        return
    # Further lines are indented, so that no text from outside can begin one with `hint:`.
    told = [f"{label}: " + clean(text, prose=True).replace("\n", "\n  ") + "\n" for label, text in ((word, message), ("hint", hint)) if text]
    sys.stderr.write("".join(told))


def print_json(value: Any) -> None:
    """Write one JSON value to standard output."""
    sys.stdout.write(to_json(value) + "\n")


def to_json(value: Any) -> str:
    """Return JSON with secrets hidden. Beyond ASCII everything is escaped: exact for programs, harmless on a terminal."""
    return json.dumps(_redacted(value), ensure_ascii=True, default=str)


def _redacted(value: Any, name: str = "") -> Any:
    from ...policies.redact import redact

    if isinstance(value, Mapping):
        return {str(key): _redacted(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(inner, name) for inner in value]
    if not isinstance(value, str) or not value:
        return value
    # The name decides about some values (`password: hunter2`), so it is read along and taken off again.
    prefix = f"{name}: "
    found = redact(prefix + value) if name else redact(value)
    return found.removeprefix(prefix) if found.startswith(prefix) else redact(value)
