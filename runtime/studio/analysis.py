"""The analysis phase as the Agent Server gets it: a form that asks for a folder, three agents at once, one synthesis.

    START → look → phase → report → END

`phase` is the subgraph of `graphs/phase.py`. Rules: the folder lies in the server's workspace and is only read; nothing of it is run, because nobody
would have assented; reports about a folder that did not change are taken from the store. Files for people are where `assent phase analysis` has them.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from langgraph.config import get_config
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # the server reads schemas of this one on Python 3.11

from ...graphs import phase
from ...nodes.phase_ports import PhasePorts
from ...policies.phases import shipped
from ...schemas.agent_message import AgentMessage
from ...schemas.consolidated import Consolidated
from ...schemas.errors import NotAllowed, NotFound
from ...tools.tool import Place
from ..analysis.analyse import STORE
from ..analysis.architecture import architecture
from ..analysis.code import code
from ..analysis.extras import installed
from ..analysis.infrastructure import infrastructure
from ..analysis.sources import path_of, tree_digest
from ..phases.agent_process import ProcessAgent
from ..phases.files import PhaseFiles
from ..phases.store import PhaseStore, ReportKeep
from ..runtime import Runtime
from ..verification.command import LocalCommands


class AnalysisInput(BaseModel):
    """What starts an analysis."""

    model_config = ConfigDict(title="Analysis", extra="ignore")

    folder: str = Field(default=".", title="Folder", description="A folder of the workspace; it is read, and nothing in it is run.", examples=[".", "src"])


class AnalysisOutput(TypedDict, total=False):
    """What an analysis says: the risk, whether its checkpoint was passed, why not, and where its files are."""

    risk: str
    passed: bool
    summary: str
    question: dict[str, Any] | None
    files: list[str]


class AnalysisState(AnalysisOutput, total=False):
    """Small JSON values."""

    folder: str
    run_id: str
    inputs: dict[str, Any]
    consolidated: str


def build(runtime: Runtime) -> StateGraph[AnalysisState, None, AnalysisInput, AnalysisOutput]:
    """Return the graph, not compiled."""
    out = runtime.home.root / "phases" / "analysis"
    keep = ReportKeep(out / STORE)
    files = PhaseFiles(out)
    place = Place(workspace=runtime.workspace, keep=keep, scratch=runtime.home.scratch)
    agents = {"architecture": partial(_apart, architecture, place), "code": partial(_apart, code, place), "infrastructure": partial(infrastructure, run_command=LocalCommands(place))}
    ports = PhasePorts(keep=keep, agents=agents, store=PhaseStore(out / STORE / "notes"), files=files, clock=runtime.clock)
    graph: StateGraph[AnalysisState, None, AnalysisInput, AnalysisOutput] = StateGraph(AnalysisState, input_schema=AnalysisInput, output_schema=AnalysisOutput)
    graph.add_node("look", partial(look, workspace=runtime.workspace, out=out), input_schema=AnalysisState)
    graph.add_node("phase", phase.build(shipped("analysis"), ports, in_threads=True).compile())
    graph.add_node("report", partial(report, keep=keep, files=files), input_schema=AnalysisState)
    graph.add_edge(START, "look")
    graph.add_edge("look", "phase")
    graph.add_edge("phase", "report")
    graph.add_edge("report", END)
    return graph


def look(state: AnalysisState, *, workspace: Path, out: Path) -> dict[str, Any]:
    """Find the folder and name everything that a report about it rests on.

    Raises:
        NotAllowed: it lies outside the workspace. NotFound: there is no such folder.
    """
    root = (workspace / (state.get("folder") or ".")).resolve()
    if not root.is_relative_to(workspace):
        raise NotAllowed(f"{state.get('folder')!r} lies outside the workspace", hint="name a folder of the server's workspace, `.` for all of it")
    if not root.is_dir():
        raise NotFound(f"there is no folder {state.get('folder')!r} in the workspace", hint="name a folder of the server's workspace, `.` for all of it")
    out.mkdir(parents=True, exist_ok=True)
    without = out.resolve().relative_to(root).as_posix() if out.resolve().is_relative_to(root) else ""
    inputs = {"path": str(root), "tree": tree_digest(root, without), "without": without, "may_run": False, "analysers": installed()}
    return {"run_id": str(get_config()["configurable"]["thread_id"]), "inputs": inputs}


def report(state: AnalysisState, *, keep: ReportKeep, files: PhaseFiles) -> dict[str, Any]:
    """Say in words what was found. Raises: KeyError: the synthesis is not there."""
    found = Consolidated.model_validate_json(keep.get(state["consolidated"]))
    said = [f"{agent}: {words}" for agent, words in found.summaries.items()]
    return {"summary": "\n".join([state.get("summary", ""), *said]).strip()[:8000], "files": [str(file) for file in files.written]}


def _apart(function: Any, place: Place, message: AgentMessage) -> Any:
    """Let an agent read the folder of its task in a process of its own."""
    return ProcessAgent(f"{function.__module__}:{function.__name__}", Place(workspace=path_of(message), keep=place.keep, scratch=place.scratch))(message)
