"""`assent phase analysis PATH`, `assent phase testing PATH`, `assent phase run FILE PATH` and `assent phase go-no-go FILE`: phases of agents on a folder.

A sub-application: `app.add_typer(phase.app, name="phase")`. While a phase runs, `phase_screen.py` shows it. A ledger is needed only where a model
looks around, because its calls are recorded there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .command import FAILED, SUCCEEDED, WAITING, Door, command, print_json

if TYPE_CHECKING:
    from ...schemas.consolidated import CheckpointResult, Consolidated
    from ..runtime import Runtime

app = typer.Typer(name="phase", no_args_is_help=True, help="Phases of three to five agents.", rich_markup_mode=None)

PathArgument = Annotated[str, typer.Argument(metavar="[PATH]", help="Folder of a repository.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Model that reads on and explains, for example openai:gpt-…; `none` for none. [default: model of config.yaml]", show_default=False)
]
OutOption = Annotated[str | None, typer.Option("--out", help="Folder of the reports. [default: HOME/phases/NAME]", show_default=False)]


def analysis(
    door: Door,
    path: PathArgument = ".",
    agents: Annotated[int, typer.Option("--agents", help="How many agents; the analysis has three.")] = 3,
    out: OutOption = None,
    may_run: Annotated[bool, typer.Option("--may-run", help="Let it time the collection of the tests, which runs the repository's code.")] = False,
    model: ModelOption = None,
) -> int:
    """Analyse a repository with three agents; with a model, it reads on and explains what they found."""
    from ...policies.phase_size import check_count
    from ...policies.phases import shipped
    from ...schemas.errors import InvalidPlan
    from ..analysis.analyse import run_analysis

    spec = shipped("analysis")
    if agents != len(spec.agents):
        check_count(spec.name, [f"agent{number}" for number in range(1, agents + 1)])
        raise InvalidPlan(f"the analysis has {len(spec.agents)} agents, not {agents}", hint="write a phase of your own as `examples/own_phase/phase.yaml` does, and `assent phase run FILE PATH`")
    folder = Path(out) if out else Path(door.home) / "phases" / "analysis"
    runtime = _with_model(door, path, model)
    explains = None
    if runtime is not None:
        from ..phases.model_agent import ModelAgent, chosen_model

        explains = ModelAgent(runtime, chosen_model(runtime), phase=spec.name)
    found = _shown(door, lambda notify: run_analysis(path, folder, may_run=may_run, notify=notify, explains=explains))
    return _ended(door, found.consolidated, found.checkpoint, found.files)


def run(
    door: Door,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The phase as YAML.")],
    path: PathArgument = ".",
    out: OutOption = None,
    model: ModelOption = None,
) -> int:
    """Run a phase of your own: three to five agents, each an analyser, a model with a prompt and tools, or both."""
    from ..phases.own import run_phase, spec_of

    spec = spec_of(file)
    folder = Path(out) if out else Path(door.home) / "phases" / spec.name
    runtime = replace(door, workspace=path).runtime(None if model == "none" else model)
    found = _shown(door, lambda notify: run_phase(spec, path, folder, runtime, notify=notify))
    return _ended(door, found.consolidated, found.checkpoint, found.files)


def testing(
    door: Door,
    path: PathArgument = ".",
    out: OutOption = None,
    files: Annotated[int, typer.Option("--files", min=0, help="How many files the change touches.")] = 0,
    risk: Annotated[str, typer.Option("--risk", help="Risk of the change: LOW, MEDIUM, HIGH or CRITICAL.")] = "HIGH",
    in_place: Annotated[bool, typer.Option("--in-place", help="Run in the folder itself instead of a copy.")] = False,
) -> int:
    """Run a project's own tests and checks with three agents, five for a complex change, and decide go or no-go."""
    from ...schemas.go_no_go import Change
    from ...schemas.risk import Level
    from ..verification.verify import verify

    if risk.upper() not in Level.__members__:
        raise typer.BadParameter(f"expected one of {', '.join(Level)}", param_hint="--risk")
    folder = Path(out) if out else Path(door.home) / "phases" / "testing"
    change = Change(files_touched=files, risk=Level(risk.upper()))
    found = _shown(door, lambda notify: verify(path, folder, change, inputs={"in_place": in_place}, notify=notify))
    return _ended(door, found.consolidated, found.checkpoint, found.files, decision=found.decision.as_json())


def go_no_go(door: Door, file: Annotated[str, typer.Argument(metavar="FILE", help="JSON with tests, security, rollback, performance, documentation; `-` reads standard input.")]) -> int:
    """Decide go or no-go: PROCEED, CONDITIONAL_PROCEED or BLOCK."""
    from pydantic import ValidationError

    from ...policies.go_no_go import deployment_decision
    from ...schemas.canonical import parse
    from ...schemas.errors import Complaint, InvalidDocument
    from ...schemas.go_no_go import ValidationResults

    hint = '{"tests": {"critical": "pass", "warnings": 0}, "security": {"high_risk": 0}, "rollback": {"tested": true}, "performance": {"degradations": 0}, "documentation": {"incomplete": 0}}'
    try:
        results = ValidationResults.model_validate(parse(sys.stdin.read() if file == "-" else Path(file).read_bytes()))
    except ValidationError as error:
        complaints = [Complaint(".".join(str(part) for part in one["loc"]), one["msg"], str(one["input"])[:60]) for one in error.errors()]
        raise InvalidDocument(complaints, file=file, hint=hint) from None
    except ValueError as error:
        raise InvalidDocument([Complaint("document", "JSON", str(error))], file=file, hint=hint) from None
    decision = deployment_decision(results)
    if door.as_json:
        print_json(decision.as_json())
    else:
        _say(decision.decision, *decision.reasons)
    return {"PROCEED": SUCCEEDED, "CONDITIONAL_PROCEED": WAITING, "BLOCK": FAILED}[decision.decision]


def _with_model(door: Door, path: str, model: str | None) -> Runtime | None:
    """Open the home for a model, with the repository as the workspace; `None`: there is none, and nothing is opened."""
    config = Path(door.home) / "config.yaml"
    if model == "none" or (model is None and door.config is None and not config.is_file()):
        return None
    runtime = replace(door, workspace=path).runtime(model)  # closed with the door, whose list of cleanups it shares
    return runtime if runtime.model else None


def _shown(door: Door, act: Callable[[Callable[[dict[str, Any]], None]], Any]) -> Any:
    """Do what tells events, and show them."""
    if door.as_json:
        return act(_silent)
    from .phase_screen import PhaseScreen

    with PhaseScreen() as screen:
        return act(screen.take)


def _silent(event: dict[str, Any]) -> None:
    return None


def _ended(door: Door, found: Consolidated, checkpoint: CheckpointResult, files: tuple[Path, ...], decision: dict[str, Any] | None = None) -> int:
    code = SUCCEEDED if checkpoint.passed else WAITING
    if decision is not None and code == SUCCEEDED:
        code = {"PROCEED": SUCCEEDED, "CONDITIONAL_PROCEED": WAITING}.get(decision["decision"], FAILED)
    if door.as_json:
        print_json({**found.document(), "checkpoint": checkpoint.as_json(), "files": [str(file) for file in files], **({"decision": decision} if decision else {})})
        return code
    from .lines import one_line

    for agent, said in found.summaries.items():
        _write(f"{agent}: {one_line(chr(32).join(said.split()), 400, prose=True)}")
    _write(f"risk {found.risk_assessment.level.value}; {len(found.conflicts)} contradictions")
    for one in checkpoint.criteria:
        _write(f"{'✓' if one.met else '✗'} {one.text}" + ("" if one.met else f": {one_line(one.reason)}"))
    if decision is not None:
        _say(decision["decision"], *decision["reasons"])
    for file in files:
        _write(f"  {file}")
    if any(one.outcome.value == "asks" for one in found.agents):
        _write("an agent waits for a person: `assent inbox` lists its question; when that is answered, give this command again")
    return code


def _say(decision: str, *reasons: str) -> None:
    from .lines import one_line

    _write(decision)
    for reason in reasons:
        _write(f"  • {one_line(reason)}")


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


command(app, "analysis", panel="Phases")(analysis)
command(app, "run", panel="Phases")(run)
command(app, "testing", panel="Phases")(testing)
command(app, "go-no-go", panel="Phases")(go_no_go)
