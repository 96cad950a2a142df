"""All that the stations can touch. Bound when the graph is built; nothing here travels in state or in LangGraph's context."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from ..policies.budget import Budget
from ..policies.plan_risk import PlanRisk
from ..schemas.approval import Question, Request
from ..schemas.consolidated import Resolution
from ..schemas.delivery import Decided, PhaseCheck, ReleaseState
from ..schemas.dispatch import Direction, Dispatch, EffectClass, Receipt
from ..schemas.opinion import ModelSpending
from ..schemas.plan import Plan
from ..schemas.results import Artifact, Results
from ..schemas.risk import Level
from ..schemas.ruling import Ruling
from ..schemas.run import RunRow, RunStatus
from ..schemas.workflow_metrics import WorkflowMetrics
from ..tools.tool import Place
from ..tools.toolbox import Toolbox


class Ledger(Protocol):
    """What the stations ask of the ledger; `runtime/ledger/ledger.py` says what each does."""

    def admit(self, run_id: str, ask: Mapping[str, Any], *, graph: str, tier: int | None, title: str, requester: str) -> None: ...
    def run(self, run_id: str) -> RunRow: ...
    def ask(self, run_id: str) -> bytes: ...
    def freeze(self, run_id: str, plan: Plan, *, editor: str) -> None: ...
    def plan(self, run_id: str) -> Plan | None: ...
    def risk(self, plan: Plan, run_id: str = "") -> PlanRisk: ...
    def weigh(self, run_id: str) -> tuple[Literal["low", "needs approval", "denied"], Level, tuple[str, ...]]: ...
    def question(self, run_id: str, kind: Question, subject: Mapping[str, Any], *, again: bool = False) -> str: ...
    def open_request(self, request_id: str, run_id: str, kind: Question, subject: Mapping[str, Any]) -> Request: ...
    def request(self, request_id: str) -> Request: ...
    def requests(self, run_id: str) -> list[Request]: ...
    def dispatch(
        self, run_id: str, direction: Direction, step: int, *, effect_class: EffectClass, before: Mapping[str, Any],
        finishing: tuple[Dispatch, Receipt] | None = None,
    ) -> Dispatch | Ruling: ...
    def opens_at(self, run_id: str) -> datetime | None: ...
    def receive(self, dispatch: Dispatch, receipt: Receipt, *, deferred: bool = False) -> Dispatch: ...
    def doubt(self, dispatch: Dispatch, why: str) -> Dispatch: ...
    def dispatches(self, run_id: str) -> list[Dispatch]: ...
    def move(self, run_id: str, status: RunStatus, *, actor: str = "system", deferred: bool = False, **data: Any) -> RunRow: ...
    def spending(self, run_id: str) -> ModelSpending: ...
    def finish(self, run_id: str, status: RunStatus, results: Results) -> None: ...
    def results(self, run_id: str) -> bytes | None: ...
    def keep(self, run_id: str, artifact: Artifact) -> None: ...
    def artifacts(self, run_id: str) -> list[Artifact]: ...
    def check_phase(self, run_id: str, check: PhaseCheck) -> PhaseCheck: ...
    def check_of(self, run_id: str, phase: str) -> PhaseCheck | None: ...
    def has_passed(self, run_id: str) -> bool: ...
    def is_agreed(self, request_id: str) -> bool: ...
    def resolutions(self, run_id: str, phase: str) -> tuple[Resolution, ...]: ...
    def decide_release(self, run_id: str, decided: Decided) -> Decided: ...
    def decided(self, run_id: str) -> Decided | None: ...
    def release(self, run_id: str) -> ReleaseState: ...
    def note(self, run_id: str, kind: str, *, actor: str = "system", deferred: bool = True, **data: Any) -> None: ...


class Author(Protocol):
    """Turns a request into a plan: reads a written document, or asks a model."""

    def __call__(self, request: Any, run_id: str, /) -> Plan:
        """Return the plan. Raises: InvalidDocument, InvalidPlan, ModelNeeded, ModelFailed."""
        ...


@dataclass(frozen=True)
class Ports:
    """The stations' hands.

    Args:
        ledger: the only authority.
        tools: the tools that steps may name.
        place: run id in, where its calls act out.
        own: holds the kernel lock of a run; raises RunBusy when another process has it. Nested use in one flow is fine.
        author: request and run in, plan out.
        claims: request in; out the tier that a written one claims for its agent, and what would make its problem better.
        settled: called when the plan of a run is frozen.
        consider: asks a model what the rules leave open about the plan in force, and records its answers; may take seconds.
        report: writes the report of a run to its artifact folder and returns what it wrote.
        collect: run id in; gathers what the run left into its artifact folder and returns what it kept.
        requester: id of the actor at the door, who is recorded as asking.
        workspace: where steps of runs act that are admitted here, recorded with each; empty: not recorded.
        graph: name under which runs are admitted.
        rates: decimal USD per hour, `compute` and `human`.
        budget: what one run may take.
        known_secrets: values that no text which leaves may hold.
        metrics: what the phases of a run took and gave, for its report; `None` for a run without phases.
    """

    ledger: Ledger
    tools: Toolbox
    place: Callable[[str], Place]
    own: Callable[[str], AbstractContextManager[None]]
    author: Author
    report: Callable[[Results], list[Artifact]]
    requester: str
    collect: Callable[[str], list[Artifact]] = lambda run_id: []
    workspace: str = ""
    graph: str = "par"
    rates: Mapping[str, str] | None = None
    settled: Callable[[str], None] = lambda run_id: None
    claims: Callable[[Any], tuple[int | None, tuple[str, ...]]] = lambda request: (None, ())
    consider: Callable[[str], None] = lambda run_id: None
    budget: Budget = field(default_factory=Budget)
    known_secrets: tuple[str, ...] = ()
    metrics: Callable[[RunRow], WorkflowMetrics | None] = lambda run: None
