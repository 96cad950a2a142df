"""The graphs of a home, their ports and their checkpointer."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

from ..policies.policy import Policy
from ..schemas.approval import Actor
from ..schemas.errors import NotAllowed
from ..tools.toolbox import Toolbox
from .home import Home
from .keep import Keep
from .ledger.ledger import Ledger
from .locks import Locks
from .starting import GRAPHS

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from langgraph.graph.state import CompiledStateGraph

    from ..nodes.ports import Ports
    from .runtime import Runtime


class Wiring:
    """What graphs are made of."""

    home: Home
    ledger: Ledger
    locks: Locks
    keep: Keep
    tools: Toolbox
    actor: Actor
    policy: Policy
    clock: Any
    place: Any
    _where: Any
    author: Any
    claims: Any
    settled: Any
    consider: Any
    metrics_of: Any
    delivery_ports: Any
    known_secrets: tuple[str, ...]

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
        from .collect import collect
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
            report=lambda report: write_report(report, self.keep, self.clock(), plan=self.ledger.plan(report.run_id), known=self.known_secrets),
            collect=lambda run_id: collect(
                run_id, self.ledger.plan(run_id), self.ledger.dispatches(run_id), tools=self.tools, place=self.place(run_id), keep=self.keep,
                now=self.clock(), known=self.known_secrets,
            ),
            workspace=self._where(),
            requester=self.actor.id,
            known_secrets=self.known_secrets,
            metrics=self.metrics_of,
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

        return as_tool(cast("Runtime", self), wait=wait, tier=tier)

    def _compiled(self, name: str) -> CompiledStateGraph[Any, Any, Any, Any]:
        if name not in GRAPHS:
            raise NotAllowed(f"there is no graph {name!r}", hint=f"the graphs are: {', '.join(GRAPHS)}")
        key = f"_{name}"
        cached: CompiledStateGraph[Any, Any, Any, Any] | None = self.__dict__.get(key)
        if cached is None:
            from ..graphs import delivery, par

            graph: Any = par.build(self.ports) if name == "par" else delivery.build(self.delivery_ports)
            cached = self.__dict__[key] = graph.compile(checkpointer=self.checkpoints, name=name)
        return cached
