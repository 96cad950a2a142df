"""The door: `assent.open()` gives a Runtime, and a Runtime starts, finds, decides, resumes and verifies runs in one home."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..schemas.agent_message import AgentMessage
from ..schemas.approval import Actor
from ..schemas.errors import AssentError, IllegalTransition
from ..schemas.event import Anchor, Verification
from ..schemas.run import RunStatus
from ..tools.toolbox import Toolbox, standard
from . import identity
from .answering import Answering
from .considering import Considering
from .delivering import Delivering
from .desk import Desk
from .driving import Driving
from .home import Home
from .keep import Keep
from .ledger.ledger import Ledger
from .locks import Locks
from .run import Run
from .settings import read_settings
from .starting import Starting
from .upkeep import Upkeep, read_channels
from .weighing import Weighing
from .wiring import Wiring

if TYPE_CHECKING:
    from .notify.deliver import Background


class Runtime(Starting, Answering, Considering, Delivering, Driving, Desk, Upkeep, Wiring, Weighing):
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
        agents: Mapping[str, Callable[[AgentMessage], Any]] | None = None,
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
        self.agents = dict(agents or {})
        self.on_phase: Callable[[dict[str, Any]], None] = _nothing
        self._threads: dict[str, threading.Thread] = {}
        self._failures: dict[str, AssentError] = {}
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

    def run(self, run_id: str) -> Run:
        """Return the handle of a run. Raises: NotFound."""
        self.ledger.run(run_id)
        return Run(run_id, self)

    def runs(self, status: str | None = None, limit: int = 50) -> list[Run]:
        """Return handles of runs, newest first, of one status or of all."""
        wanted = None if status is None else RunStatus(status).value
        return [Run(row.id, self) for row in self.ledger.runs(status=wanted, limit=limit)]

    def verify(self, anchor: Anchor | None = None) -> Verification:
        """Recompute the whole log and hold every table against it; `.ok` and `.problems` tell.

        Args:
            anchor: an earlier head, from `anchor()`, kept somewhere else; shows truncation and roll-back of the whole store.
        """
        return self.ledger.verify(anchor)

    def anchor(self) -> Anchor:
        """Return the head of the log, to be kept somewhere else and given to `verify` later."""
        return self.ledger.anchor()

<<<<<<< HEAD
=======
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
            consider=self.consider,
            report=lambda report: write_report(report, self.keep, self.clock(), known=self.known_secrets),
            requester=self.actor.id,
            known_secrets=self.known_secrets,
            budget=self.policy.budget,
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
            except AssentError as error:
                # Nobody here waits for it: who asks for the run finds it, and the ledger says how the run stands.
                self._failures[run_id] = error
            finally:
                self._threads.pop(run_id, None)

        self._failures.pop(run_id, None)
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

    def failure(self, run_id: str) -> AssentError | None:
        """Return what stopped the thread of this runtime that drove the run, if anything did."""
        return self._failures.get(run_id)

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
        return governed(plan, self._weighed(plan), self.policy, self.ledger.opinions if self.ledger.has_opinions() else None)

    def _weighed(self, plan: Plan) -> PlanRisk:
        from ..policies.risk.assess import assess
        from ..policies.risk.sequence import assess_sequence

        around = self.surroundings
        return plan_risk(
            plan, actions=lambda call: actions_of(self.tools, call), judge=lambda k, p: assess(k, p, around), together=assess_sequence,
        )

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

>>>>>>> be57a92 (A model's second opinion is asked where the rules leave doubt, recorded, and derived again from the record)

def open(
    home: str | Path = ".assent",
    *,
    workspace: str | Path = ".",
    config: str | Path | Mapping[str, Any] | None = None,
    model: Any = None,
    actor: Actor | str | Mapping[str, Any] | None = None,
    clock: Callable[[], datetime] | None = None,
    agents: Mapping[str, Callable[[AgentMessage], Any]] | None = None,
) -> Runtime:
    """Open a home; a context manager.

    Args:
        home: folder for ledger.db, checkpoints.db, artifacts/ and config.yaml; made where it is missing.
        workspace: folder to which steps are confined and in which they start.
        config: path or mapping laid over config.yaml.
        model: "openai:gpt-…", a LangChain chat model, or None.
        actor: who stands at this door; the operating-system user by default.
        clock: returns the wall time, aware; for tests.
        agents: agents of phases by the names that the phases use (`architecture`, `tests` …), in the place of the shipped ones.

    Raises:
        InvalidConfiguration, StoreError: see the tree of errors.
    """
    return Runtime(home, workspace=workspace, config=config, model=model, actor=actor, clock=clock, agents=agents)


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


def _nothing(event: dict[str, Any]) -> None:
    return None
