"""What a model-driven agent of a phase looks at: each of its calls is a run of one step in the ledger, assessed like any other.

- LOW flows: a dispatch, the tool, a receipt. Its output is what the agent sees.
- For everything else the ledger opens a request, and the agent ends with that question (`AsksPerson`); nothing of the call was done. When people
  have answered, at any door, the agent that is begun again finds the answer: the output, or that they refused.
- A call is named by the run of the phase, the agent, what it was to look at and its place in the conversation, so an agent that is begun again
  calls nothing twice. A call that only reads and whose process died in the middle is made anew; what else is in doubt is asked about as ever.
- What the tools refuse to read as a call, and tools that the agent does not have, are told to the model and reach no ledger.

Source: E10. A standing grant of a person is their answer given before; it counts here as it counts everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ...nodes.agent_ports import Seen
from ...nodes.phase_crew import AsksPerson
from ...schemas.errors import IllegalTransition, InvalidDocument, InvalidPlan, NotAllowed, RunBusy
from ...schemas.plan import Plan, Step
from ...schemas.problem import Problem
from ...schemas.risk import Level
from ...schemas.run import RunStatus
from ..embed.host import apart, run_id_of
from ..embed.langchain_tool import call_in_words
from ..embed.propose import look, outputs, why

if TYPE_CHECKING:
    from ..run import Run
    from ..runtime import Runtime

_REFUSALS = {"rejected": "a person rejected it", "denied": "the rules do not allow it", "expired": "nobody decided in time", "cancelled": "it was cancelled"}
_MOST_ANEW = 3


class PhaseCalls:
    """Makes the calls of one agent."""

    def __init__(self, runtime: Runtime, tools: Collection[str], *, who: str, about: str, author: str, beside: str = "") -> None:
        """Make one.

        Args:
            runtime: the home in whose ledger the calls are recorded, and whose rules and people govern them.
            tools: names of the tools that the agent has.
            who: the agent and its phase, as people are shown them.
            about: what names the agent's work: the run, the phase, the agent, what it looks at.
            author: the model.
            beside: the run of the phase; what the agent calls acts where that one acts.
        """
        self._runtime = runtime
        self._tools = tuple(tools)
        self._who = who
        self._about = about
        self._author = author
        self._beside = beside

    def __call__(self, tool: str, args: Mapping[str, Any], place: str) -> Seen:
        """Make a call. Raises: AsksPerson: a person has to be asked first."""
        # Outside of the agent's own graph, of which a run of ours is no part.
        return apart(self._made, tool, args, place)

    def _made(self, tool: str, args: Mapping[str, Any], place: str) -> Seen:
        if tool not in self._tools:
            return Seen("refused", f"you have no tool {tool!r}; yours are: {', '.join(self._tools) or 'none'}")
        try:
            self._runtime.tools.parse(tool, args)
            plan = self._plan(tool, args)
            run = self._run(plan, [tool, dict(args)], place)
        except (InvalidPlan, InvalidDocument, NotAllowed) as error:
            return Seen("refused", f"it was not called: {error.message}")
        except ValueError as error:
            return Seen("refused", f"it was not called: the arguments are no plain JSON ({error})")
        return self._seen(run, tool, args)

    def _plan(self, tool: str, args: Mapping[str, Any]) -> Plan:
        # What the model says about its call is no part of what people are shown.
        step = Step(step=1, description=call_in_words(tool, args), tool=tool, args=dict(args))
        return Plan(problem=Problem(title=f"{self._who} wants to call {tool}"), steps=(step,), author=self._author)

    def _run(self, plan: Plan, asked: Any, place: str) -> Run:
        for number in range(_MOST_ANEW + 1):
            run_id = run_id_of(self._about, f"{place}.{number}" if number else place, asked)
            assert run_id is not None
            run = self._begun(plan, run_id)
            if run.status is not RunStatus.IN_DOUBT or self._runtime.ledger.risk(plan, run.id).whole.level is not Level.LOW or number == _MOST_ANEW:
                return run
            # It only reads, so whether it happened makes no difference to anybody.
            self._runtime.cancel(run.id, "the agent that wanted to look was stopped; it looks anew")
        raise AssertionError("unreachable")

    def _begun(self, plan: Plan, run_id: str) -> Run:
        try:
            return self._runtime.start(plan, run_id=run_id, beside=self._beside)
        except (RunBusy, IllegalTransition):
            return look(self._runtime, run_id)

    def _seen(self, run: Run, tool: str, args: Mapping[str, Any]) -> Seen:
        status = run.status
        if not status.is_over:
            request = next((one for one in reversed(run.requests) if one.is_open), None)
            waits = f"request {request.id}" if request is not None else f"run {run.id} is {status.value}"
            level = run.risk.level.value if run.risk is not None else "unknown"
            raise AsksPerson(f"{waits} needs a person: it wants to call {call_in_words(tool, args)[:200]}, which is {level}")
        got = outputs(self._runtime, run).get(1)
        if got is not None:
            return Seen("done" if status is RunStatus.COMPLETED else "failed", got)
        reason = why(run)
        return Seen(status.value, _REFUSALS.get(status.value, f"the run is {status.value}") + (f": {reason}" if reason else ""))
