"""Run a phase that somebody wrote: its agents are analysers of ours by their names, models with a prompt and tools, or both. Files as for the others.

    agents:
      - {id: docs, role: …, focus: […], prompt: "Is the README true?", tools: [files, shell]}      # a model
      - {id: build, role: …, focus: […], agent: architecture}                                       # an analyser
      - {id: code, role: …, focus: […], agent: code, prompt: "…", tools: [files]}                   # an analyser, explained by a model

Reports about an unchanged folder are taken from the store beside the files. Source: E1 (a phase is data).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ...policies.phase_size import check_size
from ...policies.phases import read_spec
from ...schemas.consolidated import CheckpointResult, Consolidated
from ...schemas.errors import IllegalTransition, InvalidConfiguration, NotFound
from ...schemas.phase import PhaseSpec
from ..analysis.analyse import STORE, Analysis, analysis_agents
from ..analysis.sources import tree_digest
from .explained import Explained
from .files import PhaseFiles
from .model_agent import model_agents
from .store import PhaseStore, ReportKeep

if TYPE_CHECKING:
    from ..runtime import Runtime

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def spec_of(file: str | Path) -> PhaseSpec:
    """Read a phase from a file. Raises: NotFound: no file. InvalidConfiguration: names file, key and what was expected. InvalidPlan: its size."""
    path = Path(file)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader
    except (FileNotFoundError, IsADirectoryError):
        raise NotFound(f"there is no file {path}", hint="give a phase as YAML; policies/phases/analysis.yaml shows every field in use") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"{path}: {' '.join(str(error).split())[:300]}", hint="write YAML; policies/phases/analysis.yaml shows every field in use") from None
    if not isinstance(data, Mapping):
        raise InvalidConfiguration(f"{path}: a phase is a mapping, found {type(data).__name__}", hint="policies/phases/analysis.yaml shows every field in use")
    spec = read_spec(data, file=str(path))
    check_size(spec)
    return spec


def run_phase(
    spec: PhaseSpec, path: str | Path, out_folder: str | Path, runtime: Runtime, *, model: Any = None, notify: Callable[[dict[str, Any]], None] = lambda event: None,
    run_id: str = "",
) -> Analysis:  # fmt: skip
    """Run a phase on a folder.

    Args:
        path: folder that the agents look at; the runtime's workspace.
        out_folder: folder for the files; made where it is missing, and left out of what is looked at.
        runtime: the home whose rules govern the calls of its models.
        model: instead of the runtime's own.
        run_id: name under which it is resumed; the phase's own by default.

    Raises:
        IllegalTransition: `path` is not a folder, or `out_folder`. NotFound: an agent is neither an analyser nor has a prompt.
        InvalidConfiguration: an agent needs a model and there is none.
    """
    from ...graphs import phase
    from ...nodes.phase_ports import PhasePorts

    root, out = Path(path).resolve(), Path(out_folder).absolute()
    if not root.is_dir() or root == out.resolve():
        raise IllegalTransition(f"{root} is not a folder" if not root.is_dir() else "the reports would become part of what is looked at", hint="give two folders")
    out.mkdir(parents=True, exist_ok=True)
    driven = model_agents(spec, runtime, model)
    files, checked = PhaseFiles(out), list[CheckpointResult]()
    with analysis_agents(root, keep := ReportKeep(out / STORE)) as measuring:
        agents: dict[str, Any] = {**measuring, **{name: Explained(measuring[name], agent) if name in measuring else agent for name, agent in driven.items()}}
        missing = [agent.callable for agent in spec.agents if agent.callable not in agents]
        if missing:
            raise NotFound(f"phase {spec.name!r} has no agent {missing[0]!r}", hint=f"give it a `prompt`, or name an analyser: {', '.join(measuring)}")
        ports = PhasePorts(
            keep=keep, agents=agents, store=PhaseStore(out / STORE / "notes"), files=files, record=lambda _, result: checked.append(result), notify=notify,
            clock=runtime.clock,
        )  # fmt: skip
        within = out.resolve().relative_to(root).as_posix() if out.resolve().is_relative_to(root) else ""
        names = sorted({agent.model.name for agent in driven.values()})
        asked: Any = {"run_id": run_id or spec.name, "inputs": {"path": str(root), "tree": tree_digest(root, within), "without": within, "models": names}}
        found = phase.build(spec, ports).compile(name=spec.name).invoke(asked, {"recursion_limit": 50})
    return Analysis(Consolidated.model_validate_json(keep.get(found["consolidated"])), checked[-1], tuple(files.written))
