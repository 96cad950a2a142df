"""Analyse a repository: the analysis phase on a folder, with files for people and machines, without a ledger and without a model.

The first two agents run in processes of their own under the limits of the phase; the third starts only bounded commands. Reports about an
unchanged repository are taken from the store beside the files. Source: E1, E2, E12, E13, E15.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...policies.phases import shipped
from ...schemas.agent_message import AgentMessage
from ...schemas.consolidated import CheckpointResult, Consolidated
from ...schemas.errors import IllegalTransition
from ...schemas.phase import PhaseSpec
from ...tools.tool import Place
from ..phases.agent_process import ProcessAgent
from ..phases.explained import Explained
from ..phases.files import PhaseFiles
from ..phases.model_agent import ModelAgent
from ..phases.store import PhaseStore, ReportKeep
from ..verification.command import LocalCommands
from .architecture import architecture
from .code import code
from .extras import installed
from .infrastructure import infrastructure
from .sources import tree_digest

STORE = ".phases"
"""Folder beside the files in which reports and the synthesis are kept by digest."""


def _nothing(event: dict[str, Any]) -> None:
    return None


@dataclass(frozen=True)
class Analysis:
    """What an analysis gave: the synthesis, what its checkpoint said, and the files that were written."""

    consolidated: Consolidated
    checkpoint: CheckpointResult
    files: tuple[Path, ...]


def analyse(path: str | Path, out_folder: str | Path) -> Consolidated:
    """Analyse a repository and return the synthesis.

    Args:
        path: folder of the repository.
        out_folder: folder for the reports; made where it is missing, and left out of the analysis when it lies inside.

    Raises:
        IllegalTransition: `path` is not a folder. OSError: the files cannot be written.

    Side effects: the files of the phase in `out_folder`, and `.phases` beside them.
    """
    return run_analysis(path, out_folder).consolidated


def run_analysis(
    path: str | Path, out_folder: str | Path, *, spec: PhaseSpec | None = None, may_run: bool = False, in_processes: bool = True,
    notify: Callable[[dict[str, Any]], None] = _nothing, run_id: str = "analysis", explains: ModelAgent | None = None,
) -> Analysis:
    """Do what `analyse` does, and say more.

    Args:
        spec: another phase with the same agents.
        may_run: let the third agent time the collection of the repository's tests, which runs its code.
        in_processes: false runs the first two agents in threads, where their memory and processor limits cannot be enforced.
        notify: told what happens, as it happens.
        explains: reads on where the analysers end and explains what they found; its words are marked as the model's.
    """
    from ...graphs import phase
    from ...nodes.phase_ports import PhasePorts

    root, out = Path(path).resolve(), Path(out_folder).absolute()
    if not root.is_dir():
        raise IllegalTransition(f"{root} is not a folder", hint="give the folder of a repository")
    if root == out.resolve():
        raise IllegalTransition("the reports would become part of what is analysed", hint="give another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    chosen = spec or shipped("analysis")
    files = PhaseFiles(out)
    checked: list[CheckpointResult] = []
    with analysis_agents(root, keep := ReportKeep(out / STORE), in_processes=in_processes) as measuring:
        agents = measuring if explains is None else {name: Explained(agent, explains) for name, agent in measuring.items()}
        ports = PhasePorts(
            keep=keep, agents=agents, store=PhaseStore(out / STORE / "notes"), files=files, record=lambda _, result: checked.append(result),
            notify=notify,
        )
        within = out.resolve().relative_to(root).as_posix() if out.resolve().is_relative_to(root) else ""
        # Everything that a report rests on is an input, so that an old one is never taken for a new question.
        inputs: dict[str, Any] = {"path": str(root), "tree": tree_digest(root, within), "without": within, "may_run": may_run, "analysers": installed()}
        if explains is not None:
            inputs["model"] = explains.model.name
        asked: Any = {"run_id": run_id, "inputs": inputs}
        found = phase.build(chosen, ports).compile(name="analysis").invoke(asked, {"recursion_limit": 50})
    return Analysis(Consolidated.model_validate_json(keep.get(found["consolidated"])), checked[-1], tuple(files.written))


@contextlib.contextmanager
def analysis_agents(root: Path, keep: ReportKeep, *, in_processes: bool = True) -> Iterator[Mapping[str, Callable[[AgentMessage], Any]]]:
    """Hold the three agents of the analysis, by the names that the shipped phase uses, with a scratch folder that goes with them."""
    with tempfile.TemporaryDirectory(prefix="assent-", ignore_cleanup_errors=True) as scratch:
        place = Place(workspace=root, keep=keep, scratch=Path(scratch))
        yield {
            "architecture": ProcessAgent(f"{architecture.__module__}:architecture", place) if in_processes else architecture,
            "code": ProcessAgent(f"{code.__module__}:code", place) if in_processes else code,
            "infrastructure": partial(infrastructure, run_command=LocalCommands(place)),
        }
