"""The door: `assent.open()` gives a Runtime, and a Runtime starts, finds, decides, resumes and verifies runs in one home."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from ..policies.plan_risk import PlanRisk, plan_risk
from ..policies.risk.surroundings import Surroundings
from ..schemas.approval import Actor, Question, Request, Verdict
from ..schemas.canonical import canonical
from ..schemas.errors import (
    AssentError,
    Complaint,
    IllegalTransition,
    InvalidDocument,
    NotAllowed,
    NotFound,
    RunBusy,
    StaleDecision,
)
from ..schemas.event import Anchor, Verification
from ..schemas.plan import Plan
from ..schemas.run import RunStatus
from ..tools.tool import Limits, Place
from ..tools.toolbox import Toolbox, standard
from . import identity
from .authoring import Authoring, governed
from .desk import Desk
from .driving import Driving
from .edits import edited
from .embed.elsewhere import actions_of
from .home import Home
from .intake import Reading, read, said, take_in
from .keep import Keep
from .ledger.ledger import Ledger
from .locks import Locks
from .run import Run
from .settings import read_settings
from .upkeep import Upkeep, read_channels

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from langgraph.graph.state import CompiledStateGraph

    from ..nodes.ports import Ports
    from .notify.deliver import Background

_GRAPHS = ("par",)
_PATIENCE_S = 10.0


class Runtime(Authoring, Driving, Desk, Upkeep):
    """One home, seen by one actor. A context manager; every method can be called from any thread."""

    def __init__(
        self,
        home: str | Path = ".assent",
        *,
        workspace: str | Path = ".",
        config: str | Path | Mapping[str, Any] | None = None,
        model: Any = None,
        actor: Actor | str | Mapping[str, Any] | None = None,
        clock: Callable[[], datetime] | None = None,
        tools: Toolbox | None = None,
    ) -> None:
        self.workspace = Path(workspace).resolve()
        if not self.workspace.is_dir():
            raise IllegalTransition(f"the workspace {self.workspace} is not a folder", hint="give a folder that exists with --workspace")
        self.home = Home.make(home)
        self.settings, self.policy = read_settings(self.home.root, config)
        self.model = model if model is not None else self.settings.model
        self._actor = identity.at_the_door(actor, self.policy)
        self.clock = _clock(clock)
        self.tools = tools if tools is not None else standard()
        self.keep = Keep(self.home.artifacts)
        self.locks = Locks(self.home.locks)
        self.channels, routes = read_channels(self.settings, self.policy)
        self.ledger = Ledger(self.home.ledger, policy=self.policy, assess=self._assess, clock=self.clock, routes=routes)
        self._threads: dict[str, threading.Thread] = {}
        self._telling: Background | None = None
        self._stuck: list[AssentError] = []

    @property
    def actor(self) -> Actor:
        """Who stands at this door; no person while an agent's tool has it in hand."""
        return identity.as_marked(self._actor)

    @actor.setter
    def actor(self, actor: Actor) -> None:
        self._actor = actor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for runs that were started with `wait=False`, then close the databases."""
        for thread in list(self._threads.values()):
            thread.join()
        self._finish_telling()
        if "checkpoints" in self.__dict__:
            self.checkpoints.conn.close()
        self.ledger.close()

    # --- runs -----------------------------------------------------------------------------------------------------------------------

    def start(self, request: Any, *, graph: str = "par", tier: int | None = None, wait: bool = True, run_id: str | None = None) -> Run:
        """Start a run.

        Args:
            request: plain text (with a model), path of a YAML document, a mapping, a Problem or a Plan.
            tier: authority of the asking agent, 1 to 4; `None` takes the document's own, or no limit.
            wait: return when the run is over or waits for a person; otherwise at once, and the run goes on in a thread of this process.
            run_id: name of the run, for a caller who may call twice: a run of that name that was started for the same is found again.

        Raises:
            InvalidDocument, InvalidPlan, ModelNeeded, NotFound: nothing was started.
            NotAllowed: `run_id` is no plain name, or names a run that was started for something else.
            RunBusy: the run of that name is on its way in another flow.
        """
        if graph not in _GRAPHS:
            raise NotAllowed(f"there is no graph {graph!r}", hint=f"the graphs are: {', '.join(_GRAPHS)}")
        ask = take_in(request)
        if run_id is not None and self._is_admitted(run_id, ask):
            return self.resume(run_id) if wait else self.run(run_id)
        run_id = run_id or "run_" + uuid.uuid4().hex[:16]
        if "words" in ask and self.planner is not None:
            return self._start_with_words(run_id, ask, graph, tier, wait=wait)
        reading = self._read(ask)
        plan, own_tier = reading.plan, tier if tier is not None else reading.tier
        with self.locks.own(run_id), self.ledger.together():
            self.ledger.admit(run_id, {"request": ask}, graph=graph, tier=own_tier, title=plan.problem.title, requester=self.actor.id)
            self.ledger.freeze(run_id, plan, editor=plan.author or self.actor.id)
            if reading.hints:
                self.ledger.note(run_id, "problem.vague", hints=[str(hint) for hint in reading.hints])
            if wait:
                self._drive(run_id)
        if not wait:
            self._in_background(run_id)
        return Run(run_id, self)

    def _is_admitted(self, run_id: str, ask: Mapping[str, Any]) -> bool:
        try:
            known = self.ledger.ask(run_id)
        except NotFound:
            return False
        if known != canonical({"request": ask}):
            raise NotAllowed(f"run {run_id} was started for something else", hint="give another run_id, or none")
        return True

    def _start_with_words(self, run_id: str, ask: Mapping[str, Any], graph: str, tier: int | None, *, wait: bool) -> Run:
        # Admitted before the model is asked: a reply costs money, and a run that is admitted can go on after a crash.
        with self.locks.own(run_id):
            self.ledger.admit(run_id, {"request": ask}, graph=graph, tier=tier, title=str(ask["words"])[:80], requester=self.actor.id)
            if wait:
                self._drive(run_id)
        if not wait:
            self._in_background(run_id)
        return Run(run_id, self)

    def run(self, run_id: str) -> Run:
        """Return the handle of a run. Raises: NotFound."""
        self.ledger.run(run_id)
        return Run(run_id, self)

    def runs(self, status: str | None = None, limit: int = 50) -> list[Run]:
        """Return handles of runs, newest first, of one status or of all."""
        wanted = None if status is None else RunStatus(status).value
        return [Run(row.id, self) for row in self.ledger.runs(status=wanted, limit=limit)]

    def decide(
        self, request_id: str, verdict: str, *, reason: str = "", edit: Any = None, actor: Actor | str | Mapping[str, Any] | None = None, resume: bool = True,
    ) -> Run:
        """Answer a request, and go on with its run when the answer settles it.

        Args:
            verdict: `approve`, `reject` or `edit`; for a step in doubt `happened`, `did_not_happen` or `abandon`.
            edit: with `edit`, the changed plan; see `runtime/edits.py` for its forms.
            actor: who answers; the actor at this door by default.
            resume: go on with the run in this process.

        Raises:
            NotFound: no such request.
            NotAllowed: this actor's answer would not count.
            StaleDecision: the request is settled, expired, or about other bytes.
        """
        who = self.actor if actor is None else identity.named(actor, self.policy)
        try:
            answer = Verdict(verdict)
        except ValueError:
            raise NotAllowed(f"{verdict!r} is not an answer", hint=f"answer with one of {', '.join(v.value for v in Verdict)}") from None
        reason = said(reason)
        self.ledger.look_again()
        request = self.ledger.request(request_id)
        changed = self._edit(request, edit, who) if answer is Verdict.EDIT else None
        if request.kind is Question.IN_DOUBT:
            # Only while nothing of the run lives can anybody know that the step will not still happen.
            with self.locks.own(request.run_id):
                self.ledger.decide(request_id, answer, who, reason=reason)
                return self.resume(request.run_id) if resume else Run(request.run_id, self)
        if not resume:
            self.ledger.decide(request_id, answer, who, reason=reason, edit=changed)
            return Run(request.run_id, self)
        try:
            with self.locks.own(request.run_id), self.ledger.together():
                settled = self.ledger.decide(request_id, answer, who, reason=reason, edit=changed, deferred=True)
                if not settled.is_open:
                    self._drive(request.run_id)
        except RunBusy:
            self.ledger.decide(request_id, answer, who, reason=reason, edit=changed)
            self._resume_patiently(request.run_id)
        return Run(request.run_id, self)

    def resume(self, run_id: str) -> Run:
        """Go on with a run from wherever the ledger says it stands; a run that is over or waits stays as it is.

        Raises:
            NotFound: no such run.
            RunBusy: another process owns it.
        """
        row = self.ledger.run(run_id)
        if row.status.is_over and self.ledger.results(run_id) is not None:
            return Run(run_id, self)
        self.ledger.look_again()
        with self.locks.own(run_id):
            self._drive(run_id)
        return Run(run_id, self)

    def cancel(self, run_id: str, reason: str = "") -> Run:
        """End a run at once while it waits, at the next step while it runs. Raises: NotFound, IllegalTransition."""
        self.ledger.cancel(run_id, self.actor, said(reason))
        with contextlib.suppress(RunBusy):
            self.resume(run_id)
        return Run(run_id, self)

    def rollback(self, run_id: str, *, to: int = 0) -> Run:
        """Take back what a run did, last step first. See `Run.rollback`."""
        from ..nodes.endings import left_behind
        from ..nodes.results import compose
        from ..nodes.rollback import take_back

        row = self.ledger.run(run_id)
        plan = self.ledger.plan(run_id)
        rows = [d for d in self.ledger.dispatches(run_id) if d.digest == row.digest]
        if not row.status.is_over or row.status is RunStatus.ROLLED_BACK or plan is None or not any(d.direction == "do" for d in rows):
            raise IllegalTransition(f"run {run_id} is {row.status.value}; there is nothing to take back", hint=f"`assent show {run_id}` tells what it did")
        self._may_take_back(row.requester)
        with self.locks.own(run_id):
            self.ledger.ask_back(run_id, self.actor, to)
            take_back(run_id, self.ports, to=to)
            rows = [d for d in self.ledger.dispatches(run_id) if d.digest == row.digest]
            whole = to == 0 and not left_behind(plan, rows, self.ports)
            status = RunStatus.ROLLED_BACK if whole else row.status
            report = compose(row, status, self.ports, back_to=to)
            for artifact in self.ports.report(report):
                self.ledger.keep(run_id, artifact)
            self.ledger.finish(run_id, status, report)
        return Run(run_id, self)

    def verify(self, anchor: Anchor | None = None) -> Verification:
        """Recompute the whole log and hold every table against it; `.ok` and `.problems` tell.

        Args:
            anchor: an earlier head, from `anchor()`, kept somewhere else; shows truncation and roll-back of the whole store.
        """
        return self.ledger.verify(anchor)

    def anchor(self) -> Anchor:
        """Return the head of the log, to be kept somewhere else and given to `verify` later."""
        return self.ledger.anchor()

    # --- sync and async -------------------------------------------------------------------------------------------------------------

    async def astart(self, request: Any, *, graph: str = "par", tier: int | None = None) -> Run:
        """Do what `start` does without blocking the event loop."""
        return await asyncio.to_thread(self.start, request, graph=graph, tier=tier)

    async def adecide(self, request_id: str, verdict: str, **given: Any) -> Run:
        """Do what `decide` does without blocking the event loop."""
        return await asyncio.to_thread(self.decide, request_id, verdict, **given)

    async def aresume(self, run_id: str) -> Run:
        """Do what `resume` does without blocking the event loop."""
        return await asyncio.to_thread(self.resume, run_id)

    # --- the graph ------------------------------------------------------------------------------------------------------------------

    def graph(self, name: str = "par") -> CompiledStateGraph[Any, Any, Any, Any]:
        """Return a graph compiled with this home's checkpointer. Its thread id is the run's id; resuming it only makes it look at the ledger."""
        # Durable checkpoints and strict resumes are comfort here; what a checkpoint says permits nothing.
        return self._compiled(name).with_config(configurable={"__pregel_durability": "sync", "__pregel_strict_resume": True})

    @cached_property
    def checkpoints(self) -> Any:
        """LangGraph's checkpointer of this home."""
        from .checkpoints import Checkpoints

        return Checkpoints(self.home.checkpoints)

    @cached_property
    def ports(self) -> Ports:
        """What the stations of this home can touch; for embedding `graphs.par.build(ports)` in another graph."""
        from ..nodes.ports import Ports
        from .report import write_report

        return Ports(
            ledger=self.ledger,
            tools=self.tools,
            place=self.place,
            own=self.locks.own,
            author=self.author,
            claims=self.claims,
            settled=self.settled,
            report=lambda report: write_report(report, self.keep, self.clock(), known=self.known_secrets),
            requester=self.actor.id,
            known_secrets=self.known_secrets,
            rates={"compute": self.policy.costs.compute_usd_per_hour, "human": self.policy.costs.human_usd_per_hour},
        )

    def as_tool(self, *, wait: Literal["interrupt", "pending"] = "interrupt", tier: int | None = None) -> BaseTool:
        """Return a LangChain tool with which an agent proposes plans and gets their results. It can decide nothing.

        Args:
            wait: what a call does while a person has to speak: `interrupt` the agent's own graph (where that has a checkpointer), or answer
                `pending` at once; either way the agent can come back with the run's id.
            tier: authority of the agent, 1 to 4.
        """
        from .embed.tool import as_tool

        return as_tool(self, wait=wait, tier=tier)

    def _compiled(self, name: str) -> CompiledStateGraph[Any, Any, Any, Any]:
        if name not in _GRAPHS:
            raise NotAllowed(f"there is no graph {name!r}", hint=f"the graphs are: {', '.join(_GRAPHS)}")
        cached: CompiledStateGraph[Any, Any, Any, Any] | None = self.__dict__.get("_par")
        if cached is None:
            from ..graphs import par

            cached = self.__dict__["_par"] = par.build(self.ports).compile(checkpointer=self.checkpoints, name="par")
        return cached

    def _in_background(self, run_id: str) -> None:
        def go() -> None:
            try:
                self._resume_patiently(run_id)
            finally:
                self._threads.pop(run_id, None)

        # Not a daemon: a process that ends normally lets its runs come to rest.
        thread = self._threads[run_id] = threading.Thread(target=go, name=f"assent {run_id}")
        thread.start()

    def _resume_patiently(self, run_id: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self.resume(run_id)
                return
            except RunBusy:
                if time.monotonic() >= deadline:
                    return  # whoever owns it goes on with it
                time.sleep(0.02)

    def is_driving(self, run_id: str) -> bool:
        """Tell whether a thread of this runtime is driving the run."""
        return run_id in self._threads

    # --- inside ---------------------------------------------------------------------------------------------------------------------

    def place(self, run_id: str) -> Place:
        """Return where calls of a run act out."""
        bounds = self.policy.limits
        return Place(
            workspace=self.workspace,
            keep=self.keep,
            scratch=self.home.scratch,
            limits=Limits(time_s=float(bounds.time_s), memory_bytes=bounds.memory_mb * 1024**2, output_bytes=bounds.output_mb * 1024**2),
            environment=self.settings.environment,
            lock_fd=self.locks.descriptor(run_id),
            hosts=frozenset(host.lower() for host in self.settings.private_hosts),
            sleep=time.sleep,
        )

    def _around(self) -> Surroundings:
        return self.surroundings

    @cached_property
    def surroundings(self) -> Surroundings:
        """What the assessor may know of this workspace."""
        from ..tools.environment import environment
        from .assess import surroundings

        home = environment(self.place(""))["HOME"]
        # The sql tool speaks to SQLite; what another program is given says its own dialect.
        return surroundings(str(self.workspace), home=home, dialect="sqlite", own=(str(self.home.root),), overlay=self.policy.risk)

    def _assess(self, plan: Plan) -> PlanRisk:
        from ..policies.risk.assess import assess
        from ..policies.risk.sequence import assess_sequence

        around = self.surroundings
        weighed = plan_risk(
            plan, actions=lambda call: actions_of(self.tools, call), judge=lambda k, p: assess(k, p, around), together=assess_sequence,
        )
        return governed(plan, weighed)

    def _read(self, ask: Any) -> Reading:
        reading = read(ask, self.tools)
        if reading.hints and self.policy.strict_problems:
            complaints = [Complaint(where=hint.field, expected=hint.write_instead, found=hint.missing, line=hint.line) for hint in reading.hints]
            raise InvalidDocument(complaints, hint="make the problem measurable, or set `strict_problems: false`")
        return reading

    def _edit(self, request: Request, edit: Any, who: Actor) -> Plan:
        plan = self.ledger.plan(request.run_id)
        if plan is None or plan.digest != request.digest:
            raise StaleDecision(f"request {request.id} is about another version of the plan", hint="`assent inbox` lists what waits")
        return edited(plan, edit, self.tools, author=who.id)

    def _may_take_back(self, requester: str) -> None:
        from ..policies.approvals import roles_of

        if self.actor.kind != "human" or not (roles_of(self.actor, self.policy) or self.actor.id == requester):
            raise NotAllowed(f"{self.actor.id} may not take this back", hint="the requester may, and anybody who holds a role")


def open(
    home: str | Path = ".assent",
    *,
    workspace: str | Path = ".",
    config: str | Path | Mapping[str, Any] | None = None,
    model: Any = None,
    actor: Actor | str | Mapping[str, Any] | None = None,
    clock: Callable[[], datetime] | None = None,
) -> Runtime:
    """Open a home; a context manager.

    Args:
        home: folder for ledger.db, checkpoints.db, artifacts/ and config.yaml; made where it is missing.
        workspace: folder to which steps are confined and in which they start.
        config: path or mapping laid over config.yaml.
        model: "openai:gpt-…", a LangChain chat model, or None.
        actor: who stands at this door; the operating-system user by default.
        clock: returns the wall time, aware; for tests.

    Raises:
        InvalidConfiguration, StoreError: see the tree of errors.
    """
    return Runtime(home, workspace=workspace, config=config, model=model, actor=actor, clock=clock)


def _clock(clock: Any) -> Callable[[], datetime]:
    if clock is None:
        return lambda: datetime.now(UTC)
    read = clock if callable(clock) else clock.now

    def aware() -> datetime:
        found: datetime | float = read()
        if isinstance(found, int | float):
            return datetime.fromtimestamp(found, UTC)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

    return aware
