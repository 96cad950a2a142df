"""Verify a project: the testing phase on a folder, with three or five agents, its files, and the go / no-go that follows from them. No ledger.

Source: E5, E7, E15. A caller that governs what runs gives `run_command`; without one, commands run on this machine at once, under the limits.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...policies.complexity import staffing
from ...policies.go_no_go import deployment_decision, known_results, why_unscanned
from ...policies.phases import for_testing
from ...schemas.agent_message import AgentMessage
from ...schemas.consolidated import CheckpointResult, Consolidated
from ...schemas.errors import IllegalTransition
from ...schemas.go_no_go import Change, GoNoGo, Staffing
from ...schemas.phase import PhaseSpec
from ...tools.tool import Place
from ..phases.files import PhaseFiles
from ..phases.store import PhaseStore, ReportKeep
from .command import LocalCommands, RunCommand
from .deployment import deployment
from .documentation import documentation
from .end_to_end import end_to_end
from .performance_security import performance_security
from .tests import tests


def _nothing(event: dict[str, Any]) -> None:
    return None


@dataclass(frozen=True)
class Verification:
    """What a testing phase gave."""

    consolidated: Consolidated
    checkpoint: CheckpointResult
    staffing: Staffing
    decision: GoNoGo
    files: tuple[Path, ...]


def verify(
    path: str | Path, out_folder: str | Path, change: Change, *, inputs: Mapping[str, Any] | None = None, run_command: RunCommand | None = None,
    spec: PhaseSpec | None = None, notify: Callable[[dict[str, Any]], None] = _nothing, run_id: str = "testing",
) -> Verification:
    """Test a project.

    Args:
        change: what is known of the change; decides between three and five agents.
        inputs: further inputs of the phase; `workplace.py` lists them.
        run_command: runs every command of the agents.

    Raises:
        IllegalTransition: `path` is not a folder. OSError: the files cannot be written.

    Side effects: runs the project's tests, by default in a copy; the files of the phase in `out_folder`.
    """
    from ...graphs import phase
    from ...nodes.phase_ports import PhasePorts

    root, out = Path(path).resolve(), Path(out_folder).absolute()
    if not root.is_dir():
        raise IllegalTransition(f"{root} is not a folder", hint="give the folder of a project")
    out.mkdir(parents=True, exist_ok=True)
    staffed = staffing(change)
    files = PhaseFiles(out)
    checked: list[CheckpointResult] = []
    keep = ReportKeep(out / ".phases")
    with verification_agents(root, keep, run_command) as agents:
        ports = PhasePorts(
            keep=keep, agents=agents, store=PhaseStore(out / ".phases" / "notes"), files=files, record=lambda _, result: checked.append(result),
            notify=notify,
        )
        graph = phase.build(spec or for_testing(staffed.agents), ports).compile(name="testing")
        asked: Any = {"run_id": run_id, "inputs": {**(inputs or {}), "path": str(root)}}
        found = graph.invoke(asked, {"recursion_limit": 50})
    consolidated = Consolidated.model_validate_json(keep.get(found["consolidated"]))
    return Verification(consolidated, checked[-1], staffed, deployment_decision(known_results(consolidated), unscanned=why_unscanned(consolidated)), tuple(files.written))


@contextlib.contextmanager
def verification_agents(root: Path, keep: ReportKeep, run_command: RunCommand | None = None) -> Iterator[Mapping[str, Callable[[AgentMessage], Any]]]:
    """Hold the five agents of the testing phase, by the names that the shipped phase uses."""
    with tempfile.TemporaryDirectory(prefix="assent-", ignore_cleanup_errors=True) as scratch:
        run = run_command or LocalCommands(Place(workspace=root, keep=keep, scratch=Path(scratch)))
        yield {
            "tests": partial(tests, run_command=run),
            "performance_security": partial(performance_security, run_command=run),
            "documentation": documentation,
            "end_to_end": partial(end_to_end, run_command=run),
            "deployment": deployment,
        }
