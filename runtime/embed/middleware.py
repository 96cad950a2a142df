"""Governed: every call of an agent's own tools goes through the ledger.

    agent = create_agent(model, tools, middleware=[Governed(runtime)], checkpointer=…)

- Each call is a run of one step, whose tool is the agent's. It is assessed: LOW flows through a dispatch, for the rest people are asked with
  the same requests, roles and rules as for any plan, and at any door. What runs are the bytes of the plan in force: an edited call is
  assessed again and runs as it was edited.
- A call that waits interrupts the agent; the resume is a doorbell. Calls that are made at once are asked about one by one (`turns.py`).
- A call happens once. Whatever makes LangGraph run the body again finds the run and gets what was recorded.
- What was not allowed goes back to the model as an error that says why.

Put it last in `middleware`: what stands between it and the tool could change a call after it was approved. A tool that pauses the graph by
itself cannot tell how far it came, so it is left to the agent with `leave`. Compared with LangChain's HumanInTheLoopMiddleware: nothing has to
be listed to be asked about, answers are decisions of people with roles, and they hold for these bytes only.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.errors import GraphInterrupt
from langgraph.types import interrupt

from ...schemas.errors import InvalidConfiguration, InvalidDocument, InvalidPlan, NotAllowed, NotFound
from ...schemas.plan import Plan, Step
from ...schemas.problem import Problem
from . import reply
from .bound import BoundCall, in_context, on_loop
from .host import apart, aside, run_id_of, thread_of_host
from .langchain_tool import BOUND, Declaration, OpenToolbox, adapted, call_in_words
from .propose import look, start_or_find, waiting
from .tool import Propose
from .turns import Turns

if TYPE_CHECKING:
    from langchain.agents.middleware.types import ToolCallRequest
    from langchain_core.tools import BaseTool
    from langgraph.types import Command

    from ..run import Run
    from ..runtime import Runtime

_TIERS = range(1, 5)
_LOCK = threading.Lock()


@dataclass(frozen=True)
class _Call:
    """One tool call, on its way: the `at`-th of those that its message makes, each with a run of its own."""

    made: Any
    thread: str
    batch: str
    runs: tuple[str | None, ...]
    at: int
    plan: Plan

    @property
    def run_id(self) -> str | None:
        return self.runs[self.at]


@dataclass(frozen=True)
class _Tried:
    """What came of trying: what the tool said, or what has to be shown to people, and of which call, in which run."""

    said: Any = None  # a ToolMessage, or whatever else the tool answers with
    shown: dict[str, Any] | None = None
    of: Any = None


class Governed(AgentMiddleware[Any, Any, Any]):
    """The middleware. One for each agent; it serves sync and async callers, and any number of threads at once.

    What the host sees:
        a call that flows: the tool's own answer, and whatever the tool raises;
        a call that is asked about: an interrupt whose value is `{"kind": "assent.approval/v1", "request_id", "run_id", "digest", "title", "risk",
        "action_requests": [{"name", "args", "arguments", "description"}], "review_configs": […], …}`, one at a time; any resume looks again;
        a call that was edited: the answer of what ran instead, with a note that says so;
        a call that was not allowed, that the tool does not take, or whose tool is not known: a ToolMessage with status `error`, which says why.

    Raises (from a call):
        NotAllowed: a person has to be asked, and the agent has no checkpointer or no thread, so it could not be resumed; nothing is left open.
            Or two tools of one name are declared differently, and neither may be judged by the other's declaration.
        StoreError: the ledger cannot be written; the tool was not called.
    """

    def __init__(
        self, runtime: Runtime, *, tier: int | None = None, declarations: Mapping[str, Declaration] | None = None, leave: Collection[str] = (),
        prefix: str = "agent",
    ) -> None:  # fmt: skip
        """Make one for an agent.

        Args:
            runtime: the home whose rules and people govern the agent.
            tier: authority of the agent, 1 to 4; what is beyond it is denied and not asked about.
            declarations: what tools of others may touch, by name; `@declared` says it of one's own.
            leave: names of tools that are none of assent's business, for example one that asks the user something by itself.
            prefix: what people see before a tool's name; agents with different tools of one name need different ones.

        Raises:
            InvalidConfiguration: `declarations` holds something that is no `Declaration`, or there is no such tier.
        """
        super().__init__()
        for name, declaration in (declarations or {}).items():
            if not isinstance(declaration, Declaration):
                hint = f'declarations={{"{name}": Declaration(effects=Effects(reads=True))}}'
                raise InvalidConfiguration(f"what is said of {name!r} is no Declaration but {type(declaration).__name__}", hint=hint, key=name)
        if tier is not None and tier not in _TIERS:
            raise InvalidConfiguration(f"there is no tier {tier!r}", hint="1 observes, 2 develops, 3 operates, 4 designs", key="tier")
        self.tools = []
        self._runtime = runtime
        self._tier = tier
        self._declarations = dict(declarations or {})
        self._leave = frozenset(leave)
        self._prefix = prefix
        self._turns = Turns()
        self._known: dict[int, BaseTool] = {}
        with _LOCK:
            if not isinstance(runtime.tools, OpenToolbox):
                runtime.tools = OpenToolbox(runtime.tools.values())
                for made in ("ports", "planner", "_par", "delivery_ports", "_delivery"):  # they hold the toolbox that was there before
                    runtime.__dict__.pop(made, None)

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]) -> ToolMessage | Command[Any]:
        """Let a call happen through the ledger."""
        if self._is_left(request):
            return handler(request)
        with contextlib.ExitStack() as on_its_way:
            tried = apart(self._first, request, thread_of_host(), BoundCall(request, in_context(handler)), on_its_way)
            while tried.shown is not None:
                apart(self._may_ask, tried) or _hold()
                interrupt(tried.shown)
                # What the resume carried is nobody's decision; only the ledger says whether there is one.
                tried = apart(self._again, tried)
            return tried.said  # type: ignore[no-any-return]

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """Do what `wrap_tool_call` does without blocking the event loop."""
        if self._is_left(request):
            return await handler(request)
        with contextlib.ExitStack() as on_its_way:
            tried = await aside(self._first, request, thread_of_host(), BoundCall(request, on_loop(handler)), on_its_way)
            while tried.shown is not None:
                await aside(self._may_ask, tried) or _hold()
                interrupt(tried.shown)
                tried = await aside(self._again, tried)
            return tried.said  # type: ignore[no-any-return]

    # --- before -----------------------------------------------------------------------------------------------------------------------

    def _is_left(self, request: ToolCallRequest) -> bool:
        # The tool that proposes plans is governed by itself.
        return isinstance(request.tool, Propose) or request.tool_call["name"] in self._leave

    def _taken(self, request: ToolCallRequest, thread: str) -> _Call | ToolMessage:
        made = request.tool_call
        if request.tool is None:
            return reply.error(made, f"There is no tool {made['name']!r} that could be governed, so it was not called.")
        for tool in (request.tool, *(getattr(request.runtime, "tools", None) or ())):
            self._register(tool)
        siblings, at, batch = _siblings(request.state, made)
        try:
            plan = self._plan(request.tool, made["args"])
            plan.digest  # noqa: B018 - asked for here, so that what has no canonical form is told to the model and not thrown at the host
        except ValueError as error:
            return reply.error(made, f"The arguments are no plain JSON ({error}), so it was not called.")
        return _Call(made, thread, f"{thread}/{batch}", tuple(self._run_id(thread, one) for one in siblings), at, plan)

    def _run_id(self, thread: str, made: Any) -> str | None:
        try:
            return run_id_of(thread, str(made["id"] or ""), [self._prefix, made["name"], made["args"]])
        except ValueError:
            return None  # it gets its own error, in its own call

    def _register(self, tool: Any) -> None:
        if id(tool) in self._known or isinstance(tool, Propose) or not hasattr(tool, "tool_call_schema"):
            return
        with _LOCK:
            box = self._runtime.tools
            assert isinstance(box, OpenToolbox)
            if box.add(adapted(tool, prefix=self._prefix, declaration=self._declarations.get(tool.name))):
                self._runtime.ledger.look_again()
            self._known[id(tool)] = tool  # held, so that no other tool gets its id

    def _plan(self, tool: BaseTool, args: Mapping[str, Any]) -> Plan:
        name = f"{self._prefix}.{tool.name}"
        # What the model says about its call is no part of what people are shown.
        return Plan(problem=Problem(title=f"An agent calls {name}"), steps=(Step(step=1, description=call_in_words(name, args), tool=name, args=dict(args)),))

    # --- the run ----------------------------------------------------------------------------------------------------------------------

    def _first(self, request: ToolCallRequest, thread: str, bound: BoundCall, on_its_way: contextlib.ExitStack) -> _Tried:
        call = self._taken(request, thread)
        if isinstance(call, ToolMessage):
            return _Tried(said=call)
        on_its_way.enter_context(self._turns.inside(call.batch, call.at))
        return self._tried(request, call, self._begin(call, bound), bound)

    def _again(self, tried: _Tried) -> _Tried:
        request, call, run_id, bound = tried.of
        BOUND.set(bound)
        return self._tried(request, call, look(self._runtime, run_id), bound)

    def _tried(self, request: ToolCallRequest, call: _Call, run: Run | ToolMessage, bound: BoundCall) -> _Tried:
        if isinstance(run, ToolMessage):
            return _Tried(said=run)
        shown = self._shown(call, run)
        return _Tried(said=self._said(request, call, run, bound)) if shown is None else _Tried(shown=shown, of=(request, call, run.id, bound))

    def _begin(self, call: _Call, bound: BoundCall) -> Run | ToolMessage:
        BOUND.set(bound)
        try:
            return start_or_find(self._runtime, call.plan, run_id=call.run_id, tier=self._tier)
        except (InvalidPlan, InvalidDocument) as error:
            return reply.error(call.made, f"It was not called: {error.message}")

    def _shown(self, call: _Call, run: Run) -> dict[str, Any] | None:
        shown = waiting(self._runtime, run)
        if shown is not None and not call.thread:
            self._runtime.cancel(run.id, "the agent cannot be resumed")
            raise NotAllowed(
                f"a person has to be asked about {call.plan.steps[0].tool}, and this agent cannot wait: it has no checkpointer or no thread",
                hint="create_agent(…, checkpointer=…), and a thread_id in the configuration of each call",
            )
        return shown

    def _may_ask(self, tried: _Tried) -> bool:
        call = tried.of[1]

        def is_over(other: int) -> bool:
            run_id = call.runs[other]
            try:
                return run_id is not None and self._runtime.ledger.run(run_id).status.is_over
            except NotFound:
                return False

        return self._turns.may_ask(call.batch, call.at, is_over=is_over)

    # --- after ------------------------------------------------------------------------------------------------------------------------

    def _said(self, request: ToolCallRequest, call: _Call, run: Run, bound: BoundCall) -> ToolMessage | Command[Any]:
        plan = run.plan
        edited = plan is not None and plan.digest != call.plan.digest
        if len(bound.heard_now) == 1 and plan is not None and len(plan.steps) == 1:
            live = bound.heard_now[0]
            if isinstance(live, BaseException):
                raise live
            return reply.noted(live, plan) if edited else live  # type: ignore[no-any-return]
        return reply.kept(self._runtime, run, request.tool_call, was_edited=edited)


def _hold() -> NoReturn:
    # An interrupt that asks nothing: LangGraph runs this call again with the next resume, and no client sees it.
    raise GraphInterrupt(())


def _siblings(state: Any, made: Any) -> tuple[Sequence[Any], int, str]:
    """Return the calls of the message that holds this one, in order, its place, and a name for them; the call alone where no message is known."""
    messages = state.get("messages", []) if isinstance(state, Mapping) else getattr(state, "messages", [])
    for message in reversed(messages):
        if isinstance(message, AIMessage):
            for at, one in enumerate(message.tool_calls):  # not by its id alone: a careless model gives one to several calls
                if (one["id"], one["name"], one["args"]) == (made["id"], made["name"], made["args"]):
                    return message.tool_calls, at, message.id or ",".join(str(one["id"]) for one in message.tool_calls)
    return [made], 0, str(made["id"])
