"""What the model is told about its call: an answer that was edited or recorded, or an error that says why there is none.

Rules: a person's answer is told in their words, what the rules found in the report's; an error says that the call was not made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import ToolMessage

from ...schemas.plan import Plan
from .langchain_tool import call_in_words
from .propose import answer, outputs, said_by_people, why

if TYPE_CHECKING:
    from ..run import Run
    from ..runtime import Runtime

_REFUSALS = {"rejected": "A person rejected it", "denied": "The rules do not allow it", "expired": "Nobody decided in time", "cancelled": "It was cancelled"}
_BY_PEOPLE = ("rejected", "expired", "cancelled")
_FINAL = "It was not run. Do not try it again in another form; say what you needed it for, or go another way."


def error(made: Mapping[str, Any], told: str) -> ToolMessage:
    """Return an error about a tool call."""
    return _message(made, told, "error")


def kept(runtime: Runtime, run: Run, made: Mapping[str, Any], *, was_edited: bool) -> ToolMessage:
    """Return what the ledger has of a call whose answer this process did not hear: the recorded message, the results, or why there are none."""
    got, plan = outputs(runtime, run), run.plan
    if not got:
        refused = _REFUSALS.get(run.status.value, f"The run is {run.status.value}")
        reasons = said_by_people(run) if run.status.value in _BY_PEOPLE else why(run)
        return error(made, f"{refused}{f': {reasons}' if reasons else ''}. {_FINAL}")
    recorded = got.get(1, {}).get("message") if plan is not None and len(plan.steps) == 1 else None
    if isinstance(recorded, Mapping):
        found = _message(made, recorded["content"], recorded["status"])
    else:
        found = _message(made, json.dumps(answer(runtime, run), ensure_ascii=False), "success" if run.status.value == "completed" else "error")
    return noted(found, plan) if was_edited and plan is not None else found


def noted(response: Any, plan: Plan) -> Any:
    """Tell the model that a person changed its call; a response that is no message stays as it is."""
    if not isinstance(response, ToolMessage):
        return response
    ran = "; ".join(call_in_words(step.tool, step.args) for step in plan.steps)
    note = f"[A person changed this call before it ran. What ran instead: {ran}. That was meant; do not repeat the call that you wrote.]\n"
    content = note + response.content if isinstance(response.content, str) else [{"type": "text", "text": note}, *response.content]
    return response.model_copy(update={"content": content})


def _message(made: Mapping[str, Any], content: Any, status: Literal["success", "error"]) -> ToolMessage:
    return ToolMessage(content=content, status=status, name=made["name"], tool_call_id=made["id"])
