"""assent as a tool of an agent: it proposes a plan or a goal, and gets the results, or an answer that it can come back to.

Rules:
- Inside a graph with a checkpointer a call that waits for a person interrupts that graph, with the payload of the `approval` station; the
  value of the resume is a doorbell, which makes the call look at the ledger again.
- Each call has a run of its own, named by the host's thread and the call, so a body that runs again finds it; runs keep their checkpoints in
  assent's home and never in the host's thread, so parallel calls cannot mix.
- Errors of the proposal go back to the model as errors, with what to mend.

Deliberately absent: anything that decides. The tool has no argument for it.
"""

from __future__ import annotations

import contextvars
import json
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from ...schemas.errors import AssentError, Complaint, InvalidConfiguration, InvalidDocument
from .host import apart, aside, run_id_of, thread_of_host
from .propose import answer, asked, begin, look, own, tools_in_words, waiting

if TYPE_CHECKING:
    from ..run import Run
    from ..runtime import Runtime

Waits = Literal["interrupt", "pending"]
_CALL: contextvars.ContextVar[str] = contextvars.ContextVar("assent_tool_call", default="")
_ABOUT = """Propose a plan of steps, which is assessed, shown to people where it is risky, executed and measured. Low risk runs at once. \
For the rest a person is asked; you cannot approve anything, and asking again changes nothing.
Give exactly one of: `plan`, `goal`, or `run_id` to look how an earlier proposal stands.
A plan is {{"problem": {{"title": …, "success_criteria": […]}}, "action": {{"steps": [{{"step": 1, "description": …, "tool": …, "args": {{…}}}}]}}}}.
Tools of steps and their arguments (? may be left out): {tools}."""


class Proposal(BaseModel):
    """What the agent gives: one of the three."""

    model_config = ConfigDict(extra="forbid")

    plan: dict[str, Any] | str | None = Field(default=None, description="A document with `problem` and `action`, as an object or as YAML text.")
    goal: str | None = Field(default=None, description="What is wanted, in plain words; a plan is made from it where a model is configured.")
    run_id: str | None = Field(default=None, description="The run of an earlier answer, to see how it stands.")


class Propose(BaseTool):
    """The tool. Made by `Runtime.as_tool()`."""

    name: str = "propose_plan"
    args_schema: Any = Proposal
    handle_tool_error: Any = True
    _door: Any = PrivateAttr()
    _wait: Waits = PrivateAttr(default="interrupt")
    _tier: int | None = PrivateAttr(default=None)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run it; the id of a tool call is noted, because it names the run."""
        with _noted(input):
            return super().invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Do what `invoke` does without blocking the event loop."""
        with _noted(input):
            return await super().ainvoke(input, config, **kwargs)

    def _run(self, plan: Any = None, goal: str | None = None, run_id: str | None = None) -> str:
        from langgraph.types import interrupt

        thread = thread_of_host()
        run = apart(self._first, _CALL.get(), thread, plan, goal, run_id)
        while (shown := apart(self._shown, run, thread)) is not None:
            interrupt(shown)
            # What the resume carried is nobody's decision; only the ledger says whether there is one.
            run = apart(look, self._door, run.id)
        return apart(self._told, run)

    async def _arun(self, plan: Any = None, goal: str | None = None, run_id: str | None = None) -> str:
        from langgraph.types import interrupt

        thread = thread_of_host()
        run = await aside(self._first, _CALL.get(), thread, plan, goal, run_id)
        while (shown := await aside(self._shown, run, thread)) is not None:
            interrupt(shown)
            run = await aside(look, self._door, run.id)
        return await aside(self._told, run)

    def _first(self, call: str, thread: str, plan: Any, goal: str | None, run_id: str | None) -> Run:
        try:
            if run_id is not None:
                if plan is not None or goal is not None:
                    raise InvalidDocument([Complaint(where="run_id", expected="nothing else beside it")])
                return look(self._door, own(self._door, run_id))
            ask = asked(plan, goal)
            try:
                name = run_id_of(thread, call, ask)
            except ValueError as error:
                raise InvalidDocument([Complaint(where="plan", expected="plain JSON", found=str(error))]) from error
            return begin(self._door, ask, run_id=name, tier=self._tier)
        except AssentError as error:
            raise _for_the_model(error) from error

    def _shown(self, run: Run, thread: str) -> dict[str, Any] | None:
        return waiting(self._door, run) if thread and self._wait == "interrupt" else None

    def _told(self, run: Run) -> str:
        return json.dumps(answer(self._door, run), ensure_ascii=False)


def as_tool(runtime: Runtime, *, wait: Waits = "interrupt", tier: int | None = None) -> BaseTool:
    """Return the tool with which an agent proposes (`Runtime.as_tool`).

    The model gives one of `plan` (a document, as an object or YAML text), `goal` (plain words, with a model) or `run_id` (of an earlier answer).
    It gets JSON text: `{"run_id", "status"}`, and with it
        while people decide: `waits_for` ([{request_id, question, risk, title, needs, decide_by}]), `next` (what to do), `opens_at` (a window);
        when it is over: `success` (true, false or null), `steps` ([{step, tool, status, summary, output}]), `outcomes`, `not_undone`, `why`;
        when nothing was started: an error with `"status": "not started"`, `message` and `hint`.

    Args:
        wait: `interrupt` the agent's own graph while people decide, where that has a checkpointer; or answer `pending` at once.
        tier: authority of the agent, 1 to 4; what is beyond it is denied and not asked about.

    Raises:
        InvalidConfiguration: no such way to wait, or no such tier.
    """
    if wait not in ("interrupt", "pending"):
        raise InvalidConfiguration(f"wait is `interrupt` or `pending`, not {wait!r}", hint='runtime.as_tool(wait="pending")', key="wait")
    if tier is not None and tier not in range(1, 5):
        raise InvalidConfiguration(f"there is no tier {tier!r}", hint="1 observes, 2 develops, 3 operates, 4 designs", key="tier")
    made = Propose(description=_ABOUT.format(tools=tools_in_words(runtime)))
    made._door, made._wait, made._tier = runtime, wait, tier
    return made


def _for_the_model(error: AssentError) -> ToolException:
    told = {"status": "not started", **error.data()}
    return ToolException(json.dumps(told, ensure_ascii=False, default=str))


class _noted:
    """Note the id of the tool call in hand; nothing where the tool is called by hand."""

    def __init__(self, given: Any) -> None:
        self._id = str(given.get("id") or "") if isinstance(given, dict) and given.get("type") == "tool_call" else ""

    def __enter__(self) -> None:
        self._token = _CALL.set(self._id)

    def __exit__(self, *exc: object) -> None:
        _CALL.reset(self._token)
