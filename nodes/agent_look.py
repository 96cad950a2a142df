"""Station `look`: make the calls that the model asked for, one after the other, and show it what they gave back, fenced as data.

What the rules let happen at once happens; the first call that a person has to be asked about ends the agent with a question (`AsksPerson`), and
nothing of that call was done. Begun again, it finds what was recorded for the calls before.
"""

from __future__ import annotations

import json
from typing import Any

from ..policies.outside import steering
from ..prompts.load import fill, load
from ..schemas.prompt import Prompt
from .agent_ports import AgentPorts
from .agent_state import AgentState
from .phase_crew import Late
from .phase_progress import progress


def look(state: AgentState, *, ports: AgentPorts) -> dict[str, Any]:
    """Make the calls. Raises: AsksPerson: one of them needs a person. Late: no time is left."""
    answers, steers = [], list(state["steers"])
    for number, call in enumerate(state["calls"], 1):
        if ports.now() >= ports.bounds.deadline:
            raise Late(f"its time was up before call {number} of turn {state['turn']}")
        progress(state["turn"], 0, f"turn {state['turn']} of at most {ports.bounds.turns}: {call['tool']} {json.dumps(call.get('args', {}), ensure_ascii=False)}")
        seen = ports.act(call["tool"], call.get("args", {}), f"{state['turn']}.{number}")
        text = ports.hide(seen.output if isinstance(seen.output, str) else json.dumps(seen.output, ensure_ascii=False))
        steers += [f"{call['tool']}: {one}" for one in steering(text)]
        answers.append({"call": number, "tool": call["tool"], "status": seen.status, "output": _cut(text, ports.bounds.seen_chars)})
    given = {"answers": json.dumps(answers, ensure_ascii=False, indent=1), "left": _left(ports.bounds.turns - state["turn"])}
    prompt = fill(load("phase_answers"), given, after=Prompt.model_validate(state["prompt"]))
    return {"prompt": prompt.as_json(), "calls": [], "made": state["made"] + len(answers), "steers": list(dict.fromkeys(steers))[:20]}


def _left(turns: int) -> str:
    if turns <= 1:
        return "This is your last answer: give the report now, with what you have."
    return f"You have {turns} answers left. Call further tools, or report."


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters are not shown; look at a part)"
