"""Station `brief`: tell the model who it is, what it is to look at and with what. Everything from outside is fenced as data."""

from __future__ import annotations

import json
from typing import Any

from ..prompts.load import fill, load
from ..schemas.agent_message import AgentMessage
from .agent_ports import AgentPorts
from .agent_state import AgentState


def brief(state: AgentState, *, ports: AgentPorts) -> dict[str, Any]:
    """Write the first prompt. The same task always gives the same question, so that its answer is found again."""
    content = AgentMessage.model_validate(state["message"]).body.content
    given = {
        "role": str(content.get("role", "")),
        "own": str(content.get("prompt", "")),
        "tools": "\n\n".join(ports.tools.values()) or "There is none; report at once.",
        "turns": str(ports.bounds.turns),
        "task": ports.hide(_text({"focus": content.get("focus", []), "inputs": content.get("inputs", {})})),
        "facts": ports.hide(_text(state.get("facts") or {}))[: ports.bounds.seen_chars],
    }
    return {"prompt": fill(load("phase_agent"), given).as_json(), "turn": 0, "spent": {}, "calls": [], "made": 0, "steers": [], "report": None}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
