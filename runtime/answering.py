"""Answers and orders of people: decide, resume, cancel. Taking back is in `taking_back.py`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from ..policies.policy import Policy
from ..schemas.approval import Actor, Question, Request, Verdict
from ..schemas.errors import NotAllowed, RunBusy, StaleDecision
from ..schemas.plan import Plan
from ..tools.toolbox import Toolbox
from . import identity
from .edits import edited
from .intake import said
from .ledger.ledger import Ledger
from .locks import Locks
from .run import Run


class Answering:
    """What people say to runs."""

    ledger: Ledger
    locks: Locks
    actor: Actor
    policy: Policy
    tools: Toolbox
    ports: Any
    run: Callable[[str], Run]
    _drive: Callable[[str], None]
    _take_back: Callable[..., None]
    _hold_workspace: Callable[[str], None]
    _resume_patiently: Callable[[str], None]

    def decide(
        self, request_id: str, verdict: str, *, reason: str = "", edit: Any = None, actor: Actor | str | Mapping[str, Any] | None = None, resume: bool = True,
        holds: Mapping[str, str] | None = None,
    ) -> Run:
        """Answer a request, and go on with its run when the answer settles it.

        Args:
            verdict: `approve`, `reject` or `edit`; for a step in doubt `happened`, `did_not_happen` or `abandon`.
            edit: with `edit`, the changed plan; see `runtime/edits.py` for its forms.
            actor: who answers; the actor at this door by default.
            resume: go on with the run in this process.
            holds: with the approval of a contradiction between agents: its id → the agent whose side holds, empty for neither.

        Raises:
            NotFound: no such request.
            NotAllowed: this actor's answer would not count.
            StaleDecision: the request is settled, expired, or about other bytes.
        """
        self.ledger.look_again()
        who = self.actor if actor is None else identity.named(actor, self.policy)
        try:
            answer = Verdict(verdict)
        except ValueError:
            raise NotAllowed(f"{verdict!r} is not an answer", hint=f"answer with one of {', '.join(v.value for v in Verdict)}") from None
        reason = said(reason)
        request = self.ledger.request(request_id)
        if answer is not Verdict.REJECT:
            self._hold_workspace(request.run_id)
        changed = self._edit(request, edit, who) if answer is Verdict.EDIT else None
        if request.kind is Question.IN_DOUBT:
            # Only while nothing of the run lives can anybody know that the step will not still happen.
            with self.locks.own(request.run_id):
                self.ledger.decide(request_id, answer, who, reason=reason)
                return self.resume(request.run_id) if resume else self.run(request.run_id)
        if not resume:
            self.ledger.decide(request_id, answer, who, reason=reason, edit=changed, holds=holds)
            return self.run(request.run_id)
        try:
            with self.locks.own(request.run_id), self.ledger.together():
                settled = self.ledger.decide(request_id, answer, who, reason=reason, edit=changed, holds=holds, deferred=True)
                if not settled.is_open:
                    self._drive(request.run_id)
        except RunBusy:
            self.ledger.decide(request_id, answer, who, reason=reason, edit=changed, holds=holds)
            self._resume_patiently(request.run_id)
        return self.run(request.run_id)

    def resume(self, run_id: str) -> Run:
        """Go on with a run from wherever the ledger says it stands; a run that is over or waits stays as it is.

        Raises:
            NotFound: no such run.
            RunBusy: another process owns it.
        """
        row = self.ledger.run(run_id)
        if row.status.is_over and self.ledger.results(run_id) is not None:
            if self.ledger.back_to(run_id) is not None:
                self._hold_workspace(run_id)
                with self.locks.own(run_id):
                    self._take_back(run_id)
            return self.run(run_id)
        self.ledger.look_again()
        if not row.status.is_over:
            self._hold_workspace(run_id)
        with self.locks.own(run_id):
            self._drive(run_id)
        return self.run(run_id)

    def cancel(self, run_id: str, reason: str = "") -> Run:
        """End a run at once while it waits, at the next step while it runs. Raises: NotFound, IllegalTransition."""
        self.ledger.cancel(run_id, self.actor, said(reason))
        with contextlib.suppress(RunBusy):
            self.resume(run_id)
        return self.run(run_id)

    async def adecide(self, request_id: str, verdict: str, **given: Any) -> Run:
        """Do what `decide` does without blocking the event loop."""
        return await asyncio.to_thread(self.decide, request_id, verdict, **given)

    async def aresume(self, run_id: str) -> Run:
        """Do what `resume` does without blocking the event loop."""
        return await asyncio.to_thread(self.resume, run_id)

    def _edit(self, request: Request, edit: Any, who: Actor) -> Plan:
        plan = self.ledger.plan(request.run_id)
        if plan is None or plan.digest != request.digest:
            raise StaleDecision(f"request {request.id} is about another version of the plan", hint="`assent inbox` lists what waits")
        return edited(plan, edit, self.tools, author=who.id)
