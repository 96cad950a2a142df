"""guard: an agent that exists stays as it is, and is governed where that is asked for.

    ask = assent.guard(my_agent, runtime, mode="high_risk")
    ask("which docs are there?")                  # my_agent's own answer, as before
    ask("drop the old tables")                    # a Run that waits for a person
    ask("drop the old tables", governed=False)    # my_agent's own answer

    opt_in      the agent, unless a call says governed=True
    default     a run, unless a call says governed=False
    high_risk   a plan is made and assessed: HIGH and CRITICAL become a run, the rest is the agent's

Where the program names no mode, `guard:` in config.yaml does: a company can move from one to the next without touching the agent.

Rules: where a call is not governed, arguments, result and errors are the agent's own, and nothing is recorded; a plan that was assessed is the
plan that runs; what cannot be planned cannot be called harmless, so in `high_risk` that error is raised and the agent is not called.
Source: feature B5. What an ungoverned agent does with its own tools is not seen from here; `Governed` is for that.
"""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from ...schemas.errors import NotAllowed
from ...schemas.risk import Level
from ..intake import read, take_in
from .host import apart, aside

if TYPE_CHECKING:
    from ..run import Run
    from ..runtime import Runtime

Mode = Literal["opt_in", "default", "high_risk"]
_MODES = ("opt_in", "default", "high_risk")


def guard(
    agent: Callable[..., Any], runtime: Runtime, mode: Mode | None = None, *, request: Callable[..., Any] | None = None, wait: bool = True,
) -> Callable[..., Any]:
    """Return the agent with a keyword `governed`; governed calls return a `Run`, others what the agent returns.

    Args:
        agent: a function, sync or async, or an object that is called like one.
        mode: which calls are governed when they do not say so; that of the configuration (`guard:`) by default, which is `opt_in`.
        request: the call's arguments in, what the runtime is asked for out; the first argument by default. Plain text takes a model.
        wait: return a run when it is over or waits for a person; otherwise at once, and it goes on in a thread of this process.

    Returns:
        A function with the agent's name and signature, async when the agent is.

    Raises:
        NotAllowed: no such mode, or the agent takes an argument `governed` itself.

    The function raises what the agent raises, and for governed calls what `Runtime.start` raises: `ModelNeeded` for plain text without a model,
    `InvalidDocument` and `InvalidPlan` for what cannot be read.
    """
    mode = mode or runtime.settings.guard
    if mode not in _MODES:
        raise NotAllowed(f"there is no mode {mode!r}", hint=f"one of {', '.join(_MODES)}")
    if "governed" in _parameters(agent):
        raise NotAllowed("the agent has an argument `governed` of its own", hint="wrap it in a function that names it otherwise")
    asked = request or _first

    def decide(governed: bool | None, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, str | None] | None:
        """Return what the runtime is asked for and the run's name, or None where the agent answers."""
        governed = True if governed is None and mode == "default" else governed
        wanted = (asked(*args, **given), None)
        return wanted if governed else _if_high(runtime, wanted[0])

    # An object may be called like a function, and its `__call__` be async.
    if inspect.iscoroutinefunction(agent) or inspect.iscoroutinefunction(type(agent).__call__):

        @functools.wraps(agent)
        async def later(*args: Any, governed: bool | None = None, **given: Any) -> Any:
            wanted = await aside(decide, governed, args, given) if _may_govern(mode, governed) else None
            if wanted is None:
                return await agent(*args, **given)
            return await aside(_start, runtime, wanted, wait)

        return later

    @functools.wraps(agent)
    def now(*args: Any, governed: bool | None = None, **given: Any) -> Any:
        wanted = apart(decide, governed, args, given) if _may_govern(mode, governed) else None
        if wanted is None:
            return agent(*args, **given)
        return apart(_start, runtime, wanted, wait)

    return now


def _if_high(runtime: Runtime, wanted: Any) -> tuple[Any, str | None] | None:
    """Plan and assess; return what to start, or None for what is below HIGH."""
    ask = take_in(wanted)
    planner = runtime.planner if "words" in ask else None
    if planner is None:
        plan = read(ask, runtime.tools).plan
        return (plan, None) if runtime.ledger.risk(plan).whole.level >= Level.HIGH else None
    # What the model said is kept under the run's name, so the run that is started finds this very plan and pays nothing for it.
    run_id = f"run_{uuid.uuid4().hex[:16]}"
    plan = planner.plan(ask["words"], run_id).plan.model_copy(update={"asked": ask["words"]})
    if runtime.ledger.risk(plan).whole.level >= Level.HIGH:
        return ask, run_id
    planner.settled(run_id)
    return None


def _start(runtime: Runtime, wanted: tuple[Any, str | None], wait: bool) -> Run:
    request, run_id = wanted
    return runtime.start(request, run_id=run_id, wait=wait)


def _may_govern(mode: Mode, governed: bool | None) -> bool:
    return governed is True or (governed is None and mode != "opt_in")


def _first(*args: Any, **given: Any) -> Any:
    found = next(iter(args or given.values()), None)
    if found is None:
        raise NotAllowed("the call has no argument that says what is wanted", hint="guard(…, request=…) tells where it stands")
    return found


def _parameters(agent: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(agent).parameters)
    except (TypeError, ValueError):
        return ()  # a builtin without a signature
