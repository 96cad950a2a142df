"""assent for agents that speak the Model Context Protocol: propose, status, results; how a plan is written, and which tools it may name.

Rules: there is no tool that decides, claims, grants, cancels or takes back, and nothing that reads other people's runs; a proposal is a document
or a goal, never a path; an argument that is not known is an error; standard output belongs to the protocol. Needs the extra `mcp`.
Source: the official SDK.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from ...policies.redact import redact_value
from ...prompts.templates import template
from ...schemas.errors import AssentError, Complaint, InvalidDocument
from .elsewhere import acts_alone
from .host import aside, run_id_of
from .propose import answer, asked, begin, look_until, own, tools_in_words

if TYPE_CHECKING:
    from ..runtime import Runtime

_ABOUT = (
    "Plans are assessed, low risk runs at once, people are asked about the rest, and results are measured. You can propose and look; only people "
    "decide, at doors that are not here. assent://format shows how a plan is written, assent://tools which tools it may name."
)
_PROPOSE = """Propose a plan, or a goal in plain words. Low risk runs at once and its results come back; for the rest a person is asked, and the answer
names the run to come back to with `status` or `results`. Asking again changes nothing.
A plan is {{"problem": {{"title": …, "success_criteria": […]}}, "action": {{"steps": [{{"step": 1, "description": …, "tool": …, "args": {{…}}}}]}}}}.
Tools of steps and their arguments (? may be left out): {tools}."""
_PLAN = """Write a plan for this goal, and propose it with the tool `propose`:

{goal}

Tools of steps and their arguments (? may be left out): {tools}.
Prefer steps that can be taken back, and give each a `rollback_plan`. Give success criteria with a number, and say how each is measured.
When the answer says that a person decides, tell your user the request's id and come back later with `results`; do not propose it in another form.

How a plan is written:

{format}"""
_LOOKS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_MOST_RUNS = 50

_Plan = Annotated[dict[str, Any] | str | None, Field(description="A document with `problem` and `action`, as an object or as YAML text; never a path.")]
_Goal = Annotated[str | None, Field(description="What is wanted, in plain words; a plan is made from it where a model is configured.")]
_Key = Annotated[str | None, Field(description="A word of yours: proposing the same again with the same key finds the same run.")]
_RunId = Annotated[str, Field(description="The run_id that an answer to you named.")]
_Wait = Annotated[float, Field(ge=0, le=300, description="Wait at most this many seconds for people and for the run to end.")]


def server(runtime: Runtime, *, tier: int | None = None) -> MCPServer[Any]:
    """Return the server of a home, for any transport; `.run()` serves standard input and output.

    Args:
        tier: authority of the agents that speak to it, 1 to 4.
    """
    from ... import __version__

    made: MCPServer[Any] = MCPServer(name="assent", title="assent", version=__version__, instructions=_ABOUT, log_level="WARNING")
    _tools(made, runtime, tier)
    _texts(made, runtime)
    for tool in made._tool_manager.list_tools():
        # The SDK drops what it does not know; an agent that says `approve: true` has to hear that there is no such thing.
        tool.fn_metadata.arg_model.model_config["extra"] = "forbid"
        tool.fn_metadata.arg_model.model_rebuild(force=True)
        tool.parameters["additionalProperties"] = False
    return made


def _tools(made: MCPServer[Any], runtime: Runtime, tier: int | None) -> None:
    writes = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=True)

    @made.tool(title="Propose a plan", description=_PROPOSE.format(tools=tools_in_words(runtime)), annotations=writes)
    async def propose(plan: _Plan = None, goal: _Goal = None, key: _Key = None) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            ask = asked(plan, goal)
            try:
                run_id = run_id_of(f"mcp:{runtime.actor.id}", key or "", ask)
            except ValueError as error:
                raise InvalidDocument([Complaint(where="plan", expected="plain JSON", found=str(error))]) from error
            return answer(runtime, begin(runtime, ask, run_id=run_id, tier=tier))

        return await _told(act)

    @made.tool(title="Status of a run", annotations=_LOOKS)
    async def status(run_id: _RunId) -> dict[str, Any]:
        """Tell how a proposal of yours stands: what it waits for, or how it ended."""

        def act() -> dict[str, Any]:
            found = answer(runtime, runtime.run(own(runtime, run_id)))
            return {name: found[name] for name in ("run_id", "status", "success", "waits_for", "opens_at", "why", "next") if name in found}

        return await _told(act)

    @made.tool(title="Results of a run", annotations=writes.model_copy(update={"idempotent_hint": True}))
    async def results(run_id: _RunId, wait_s: _Wait = 0) -> dict[str, Any]:
        """Give the results of a proposal of yours: every step with its output, every criterion as it was measured. Goes on with a run that can."""
        return await _told(lambda: answer(runtime, look_until(runtime, own(runtime, run_id), wait_s)))


def _texts(made: MCPServer[Any], runtime: Runtime) -> None:
    @made.resource("assent://format", name="format", title="How a plan is written", mime_type="application/yaml")
    def format_() -> str:
        """A document with every field, explained."""
        return template("basic")

    @made.resource("assent://tools", name="tools", title="Tools that a plan may name", mime_type="application/json")
    def tools() -> str:
        """The JSON Schema of each tool's arguments, by the tool's name."""
        return json.dumps({name: tool.Arguments.model_json_schema() for name, tool in runtime.tools.items() if acts_alone(tool)}, ensure_ascii=False)

    @made.resource("assent://runs", name="runs", title="Your latest proposals", mime_type="application/json")
    def runs() -> str:
        """Run, title and status of what was proposed at this door, newest first."""
        mine = [row for row in runtime.ledger.runs(limit=10 * _MOST_RUNS) if row.requester == runtime.actor.id][:_MOST_RUNS]
        told = [{"run_id": row.id, "title": row.title, "status": row.status.value} for row in mine]
        return json.dumps(redact_value(told, known=runtime.known_secrets), ensure_ascii=False)

    @made.prompt(title="Write a plan and propose it")
    def plan(goal: Annotated[str, Field(description="What is wanted, in plain words.")]) -> str:
        """What an agent has to know to turn a goal into a plan that people can judge."""
        return _PLAN.format(goal=goal, tools=tools_in_words(runtime), format=template("basic"))


async def _told(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return await aside(act)
    except AssentError as error:
        # Hints speak to the person at the command line; an agent has the texts of this server.
        hint = "read assent://format" if isinstance(error, InvalidDocument) else error.hint
        raise ToolError(f"{error.message}{f' ({hint})' if hint else ''}") from error
