"""What may be asked of a run over the server's API, and what an answer given there does.

Rules:
- A run goes from station to station by its edges: `goto`, `update` and other ways around them are refused, whatever they would come to.
- New input on a run that the ledger knows would drop the question that waits; a new problem is a new thread.
- An answer is recorded here, as the decision of whoever the server authenticated, before the graph hears of it. What the graph gets is a
  doorbell.
- An answer that does not say what it is about counts only where it can mean one thing: the open question, while it shows the plan that this
  person was shown last.

Why: inside the graph nobody knows any more who resumed it. Source: `reference/layout-and-server.md` B.3 and B.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...schemas.approval import Actor, Request, RequestStatus, Verdict
from ...schemas.errors import NotAllowed, NotFound, StaleDecision
from ..runtime import Runtime
from .adopted import Adopted
from .answers import Answer, Shown, is_doorbell, read_answer

DOORBELL = "look at the ledger"
_INBOX = "answer it in the page, or name `request_id` and `digest` in the answer"


class Gate:
    """Stands before every run that is created over the API of one server."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._adopted = Adopted(runtime.home.root / "door" / "threads.jsonl")

    def enter(self, actor: Actor, thread_id: str, kwargs: dict[str, Any]) -> None:
        """Let a run begin or go on, or refuse it; record the answer that it carries.

        Args:
            thread_id: empty for a thread that is only made for this run.
            kwargs: what the server was asked to run; the answer in it is replaced by a doorbell.

        Raises:
            NotAllowed: a way around the stations, or an answer that would not count.
            StaleDecision: the question is settled, or the answer is about another plan.
            InvalidDocument: the answer is not understood.
        """
        command = kwargs.get("command") or {}
        given = kwargs.get("input")
        for way in ("goto", "update"):
            if command.get(way):
                raise NotAllowed(f"`{way}` would skip a station", hint="resume the run, cancel it in the page, or start another thread")
        configurable = (kwargs.get("config") or {}).get("configurable") or {}
        inner = [name for name in configurable if str(name).startswith("__pregel")]
        if inner:
            raise NotAllowed(f"the configuration holds {inner[0]}, which is LangGraph's own", hint="leave it out")
        run_id = self.run_of(thread_id)
        known = bool(run_id)
        if given is not None:
            if known:
                raise StaleDecision(f"this thread is the run {run_id}; new input would drop what waits in it", hint="start another thread; to go on, send no input")
            self._adopt(thread_id, given)
        if "resume" in command and command["resume"] is not None:
            if not is_doorbell(command["resume"]):
                self._record(actor, run_id, command["resume"], is_past=bool(configurable.get("checkpoint_id")))
            command["resume"] = _rung(command["resume"])

    def run_of(self, thread_id: str) -> str:
        """Return the run that a thread is a bookmark of; empty: it is none of this home."""
        run_id = self._adopted.get(thread_id) or thread_id
        return run_id if self._is_known(run_id) else ""

    def _is_known(self, run_id: str) -> bool:
        try:
            self._runtime.ledger.run(run_id)
        except NotFound:
            return False
        return True

    def _adopt(self, thread_id: str, given: Any) -> None:
        run_id = given.get("run_id") if isinstance(given, Mapping) else None
        if thread_id and isinstance(run_id, str) and self._is_known(run_id):
            self._adopted.note(thread_id, run_id)

    def _record(self, actor: Actor, run_id: str, value: Any, *, is_past: bool) -> None:
        runtime = self._runtime
        runtime.ledger.look_again()
        request = self._asked(run_id, value)
        plan = runtime.ledger.plan(request.run_id)
        if plan is None or plan.digest != request.digest:
            raise StaleDecision(f"request {request.id} is about another version of the plan", hint="ring once without an answer, then look again")
        models = {name: tool.Arguments for name, tool in runtime.tools.items()}
        answer = read_answer(value, Shown(plan, request.options, models, runtime.known_secrets))
        if answer is None:
            return
        self._hold(answer, request, actor, is_past=is_past)
        runtime.decide(request.id, answer.verdict.value, reason=answer.reason, edit=answer.edit, actor=actor, resume=False)

    def _asked(self, run_id: str, value: Any) -> Request:
        """Return the open question that an answer can be about."""
        named = _named(value)
        if named:
            request = self._runtime.ledger.request(named)
            if run_id and request.run_id != run_id:
                raise NotAllowed(f"request {named} is a question of another run", hint="answer it on its own thread, or in the page")
        elif not run_id:
            raise NotAllowed("this thread is no run of this home, so nobody knows what the answer is about", hint=_INBOX)
        else:
            asked = self._runtime.ledger.requests(run_id)
            waiting = [one for one in asked if self._runtime.ledger.request(one.id).is_open]
            if not waiting:
                raise StaleDecision(_over(asked), hint="ring without an answer to go on; the page tells what was decided")
            request = waiting[0]
        if not request.is_open:
            raise StaleDecision(_over([request]), hint="ring without an answer to go on; the page tells what was decided")
        return request

    def _hold(self, answer: Answer, request: Request, actor: Actor, *, is_past: bool) -> None:
        """Hold an answer against the question that it would settle."""
        if answer.request_id and answer.request_id != request.id:
            raise StaleDecision(f"the answer is to {answer.request_id}; what waits is {request.id}", hint="look at what waits now")
        if answer.digest and answer.digest != request.digest:
            raise StaleDecision("the answer is about another version of the plan", hint="look at what waits now")
        if answer.is_bound:
            return
        if is_past:
            raise StaleDecision("an answer at an earlier checkpoint has to say what it is about", hint=_INBOX)
        if not was_shown(actor, request, self._runtime.ledger.requests(request.run_id)):
            raise StaleDecision("the plan was edited by somebody else meanwhile; the answer may be about the one before", hint=_INBOX)


def was_shown(actor: Actor, request: Request, asked: list[Request]) -> bool:
    """Tell whether an answer that names nothing can only be about this plan: it is the run's first, or this person's own edit."""
    if all(one.digest == request.digest for one in asked):
        return True
    edits = [one for one in asked if one.status is RequestStatus.EDITED]
    last = [decision for decision in edits[-1].decisions if decision.verdict is Verdict.EDIT] if edits else []
    return bool(last) and last[-1].actor.id == actor.id


def _named(value: Any) -> str:
    found = value.get("request_id") if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else ""


def _rung(value: Any) -> Any:
    """Return the doorbell in the place of an answer; what names an interrupt keeps its name."""
    if isinstance(value, Mapping) and value and all(isinstance(key, str) and len(key) == 32 for key in value):
        return dict.fromkeys(value, DOORBELL)
    return DOORBELL


def _over(asked: list[Request]) -> str:
    if not asked:
        return "nothing waits for an answer in this run"
    last = asked[-1]
    people = ", ".join(dict.fromkeys(decision.actor.id for decision in last.decisions if decision.counted))
    return f"request {last.id} is {last.status.value}{f' by {people}' if people else ''}; nothing is left to decide"
