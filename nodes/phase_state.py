"""What travels through a phase: names and digests of what is kept, never a report itself."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from pydantic import BaseModel, ConfigDict, Field

AGAIN = "narrower scope"
"""The route that runs agents again."""


def latest(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Join what became of agents: for each the latest round and attempt. The order of joining makes no difference."""
    found = dict(one)
    for agent_id, entry in other.items():
        if agent_id not in found or _age(entry) >= _age(found[agent_id]):
            found[agent_id] = entry
    return found


def _age(entry: dict[str, Any]) -> tuple[int, int, bool]:
    return int(entry.get("round", 0)), int(entry.get("attempt", 0)), "outcome" in entry


class PhaseState(TypedDict, total=False):
    """Small JSON values."""

    run_id: str
    inputs: dict[str, Any]
    round: int
    attempt: int
    focus: dict[str, list[str]]
    settled: Annotated[dict[str, dict[str, Any]], latest]
    consolidated: str
    risk: str
    passed: bool
    route: str
    question: dict[str, Any] | None
    summary: str


class AgentTask(TypedDict):
    """What one `Send` carries: whom to wait for."""

    run_id: str
    inputs: dict[str, Any]
    round: int
    attempt: int
    agent_id: str
    focus: list[str]
    was: str


class PhaseInput(BaseModel):
    """What starts a phase."""

    model_config = ConfigDict(title="Phase", extra="ignore")

    run_id: str = Field(default="", title="Run", description="The run that the phase belongs to; the thread's id where it is empty.")
    inputs: dict[str, Any] = Field(
        default_factory=dict, title="Inputs", description="What the agents are to look at: paths and digests, small. Equal inputs are not looked at twice."
    )


class PhaseOutput(TypedDict, total=False):
    """What a finished phase says: references, the combined risk, and whether its checkpoint was passed."""

    run_id: str
    settled: dict[str, dict[str, Any]]
    consolidated: str
    risk: str
    passed: bool
    route: str
    question: dict[str, Any] | None
    summary: str


def tasks(state: PhaseState) -> list[AgentTask]:
    """Return whom to wait for in this attempt."""
    settled = state.get("settled") or {}
    return [
        AgentTask(
            run_id=state["run_id"], inputs=state.get("inputs") or {}, round=state["round"], attempt=state["attempt"], agent_id=agent_id, focus=focus,
            was=_category(settled, agent_id, state),
        )
        for agent_id, focus in state["focus"].items()
    ]


def _category(settled: dict[str, dict[str, Any]], agent_id: str, state: PhaseState) -> str:
    known = settled.get(agent_id) or {}
    return str(known.get("category") or "") if known.get("round") == state["round"] and known.get("attempt", 0) < state["attempt"] else ""
