"""Station `ask`: one question to the model, within the agent's turns, tokens and time. It answers with calls or with its report."""

from __future__ import annotations

from typing import Any

from ..schemas.prompt import Message, Prompt, Usage
from .agent_ports import AgentPorts
from .agent_state import AgentState
from .phase_crew import Exhausted, Late
from .phase_progress import progress


def ask(state: AgentState, *, ports: AgentPorts) -> dict[str, Any]:
    """Ask once.

    Raises:
        Exhausted: no turn or no token is left. Late: no time is. Whatever `ports.ask` raises.
    """
    bounds, turn, spent = ports.bounds, state["turn"] + 1, Usage.model_validate(state["spent"])
    if turn > bounds.turns:
        raise Exhausted(f"it wanted to call tools in the last of its {bounds.turns} turns instead of reporting")
    if ports.now() >= bounds.deadline:
        raise Late(f"its time was up before turn {turn} of {bounds.turns}")
    progress(turn - 1, 0, f"turn {turn} of at most {bounds.turns}: asks the model")
    prompt = Prompt.model_validate(state["prompt"])
    answer, usage = ports.ask(prompt, turn, spent)
    said = Message(role="assistant", text=answer.model_dump_json(exclude_none=True, exclude_defaults=True))
    return {
        "prompt": prompt.model_copy(update={"messages": (*prompt.messages, said)}).as_json(),
        "turn": turn,
        "spent": (spent + usage).as_json(),
        "calls": [call.as_json() for call in answer.calls],
        "report": None if answer.report is None else answer.report.as_json(),
    }
