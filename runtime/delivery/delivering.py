"""Deliveries, for the runtime: the ports of their graph, over this home and workspace.

What the agents look at comes from the run's workspace, the record and the configuration (`delivery_inputs.py`); the commands that they start come from the configuration alone.
Starting a delivery is asking for the project's own tests to be run, in a copy, before the work (for the baseline) and after it.
Source: E1–E8, E11–E14.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...policies.change import change_of
from ...policies.complexity import staffing
from ...policies.policy import Policy
from ...policies.redact import redact
from ...policies.workflow_metrics import workflow_metrics
from ...schemas.canonical import digest
from ...schemas.consolidated import Consolidated
from ...schemas.delivery import ANALYSIS, TESTING, Rehearsal
from ...schemas.errors import IllegalTransition, NotFound, StoreCorrupt
from ...schemas.go_no_go import Staffing
from ...schemas.plan import Plan
from ...schemas.progress import Progress
from ...schemas.results import Artifact
from ...schemas.risk import Level
from ...schemas.run import RunRow
from ...schemas.workflow_metrics import WorkflowMetrics
from ...tools.tool import Place
from ...tools.toolbox import Toolbox
from ..home import Home
from ..keep import Keep, is_plain
from ..ledger.ledger import Ledger
from ..settings import Settings
from ..tracking import track
from .inputs import analysis_inputs, home_within, testing_inputs

if TYPE_CHECKING:
    from ...nodes.delivery_ports import DeliveryPorts
    from ...nodes.ports import Ports
    from ...schemas.agent_message import AgentMessage
    from ...schemas.final_consolidation import FinalConsolidation
    from ...schemas.phase import PhaseSpec
    from ..phases.model_agent import ModelAgent
    from ..phases.store import ReportKeep
    from ..runtime import Runtime

_MOST_CHARS = 6000
_TYPES = {".json": "application/json", ".md": "text/markdown"}


class Delivering:
    """What a delivery needs of its home."""

    home: Home
    ledger: Ledger
    keep: Keep
    tools: Toolbox
    policy: Policy
    settings: Settings
    model: Any
    workspace: Path
    clock: Callable[[], Any]
    place: Callable[[str], Place]
    workspace_of: Callable[[str], Path]
    ports: Ports
    agents: dict[str, Any]
    on_phase: Callable[[dict[str, Any]], None]
    known_secrets: tuple[str, ...]

    @cached_property
    def delivery_ports(self) -> DeliveryPorts:
        """What the stations of a delivery can touch; for embedding `graphs.delivery.build(ports)` in another graph."""
        from ...nodes.delivery_ports import DeliveryPorts
        from ...nodes.phase_ports import PhasePorts
        from ...policies.phases import for_testing, shipped
        from ..phases.store import PhaseStore
        from .agents import analysts, bound, testers

        folder = self.home.root / "phases"
        # Scratch of the home, environment of the configuration; what they start may be many, so its output goes where reports go.
        where = Place(workspace=self.workspace, keep=self.reports, scratch=self.home.scratch, environment=self.settings.environment)
        shared: dict[str, Any] = {
            "keep": self.reports, "store": PhaseStore(folder / "notes"), "resolutions": self.ledger.resolutions, "files": self._phase_files,
            "clock": self.clock, "notify": self._phase_event,
        }
        found = analysts(where)
        if self.reads_on is not None:
            from ..phases.explained import Explained

            found = {name: Explained(agent, self.reads_on) for name, agent in found.items()}
        before = bound({**found, **self.agents}, partial(analysis_inputs, self))
        after = bound({**testers(where), **self.agents}, lambda run_id: testing_inputs(self, run_id, None))
        return DeliveryPorts(
            ports=replace(self.ports, graph="delivery", place=self._bounded_place), analysis=PhasePorts(agents=before, **shared), testing=PhasePorts(agents=after, **shared),
            analysed=shipped(ANALYSIS), tested={number: for_testing(number) for number in (3, 5)}, rules=self.policy.delivery,
            analysis_inputs=partial(analysis_inputs, self), testing_inputs=partial(testing_inputs, self), staff=self.staffing_of, rehearse=self.rehearse,
            consolidated=self._consolidated, finalise=self.finalise,
        )

    @cached_property
    def reports(self) -> ReportKeep:
        """Where reports and syntheses of phases lie, by their digest."""
        from ..phases.store import ReportKeep

        return ReportKeep(self.home.root / "phases")

    def lacks(self) -> NotFound | None:
        """Return what is missing here without which every delivery is blocked, known before anything runs; `None`: nothing."""
        from ..analysis.extras import need_bandit

        if "performance_security" not in self.agents:
            try:
                need_bandit()
            except NotFound as missing:
                return missing
        return None

    def staffing_of(self, run_id: str) -> Staffing:
        """Return how many agents test the work of a run, and why: as it was decided when they were called, otherwise as the plan was assessed.

        After the work the world is another, and an assessment of the plan in it would be one of something else.

        Raises:
            IllegalTransition: it has no plan yet.
        """
        plan = self._planned(run_id)
        events = self.ledger.events(run_id)
        called = next((e.data for e in reversed(events) if e.type == "phase.began" and e.data.get("plan") == plan.digest), None)
        if called is not None:
            return Staffing.model_validate({**called["staffing"], "agents": len(called["agents"])})
        risk = self.ledger.risk(plan, run_id)
        assessed = next((e.data["level"] for e in reversed(events) if e.type == "risk.assessed" and e.data["digest"] == plan.digest), risk.whole.level)
        return staffing(change_of(plan, Level(assessed), tuple(one.level for one in risk.steps)))

    def rehearse(self, run_id: str) -> Rehearsal:
        """Take the work of a run back in a copy of the workspace, and say how that went. Raises: IllegalTransition: it has no plan yet."""
        from .rehearsal import rehearse

        plan = self._planned(run_id)
        rows = [one for one in self.ledger.dispatches(run_id) if one.digest == plan.digest]
        place, how = self.place(run_id), self.policy.delivery.rehearse
        return rehearse(plan, rows, self.ledger.risk(plan, run_id).steps, self.tools, place, without=home_within(self.home.root, place.workspace), how=how)

    def finalise(self, run_id: str) -> tuple[FinalConsolidation, Any]:
        """Write the final consolidation of a run with what is known now, and return it with its decision.

        Raises:
            IllegalTransition: its work was not tested yet.
        """
        from .final_files import write_final
        from .finalising import finalised

        document, decided = finalised(self, run_id)
        self._index(run_id, write_final(document, self.keep.folder / run_id, known=self.known_secrets))
        return document, decided

    def synthesis(self, run_id: str, phase: str, *, resolved: bool = False) -> Consolidated | None:
        """Return what a phase of a run found, as its checkpoint judged it; `None`: nothing yet.

        Args:
            resolved: with what people say about its contradictions now.

        Raises:
            StoreCorrupt: it is not kept any more.
        """
        check = self.ledger.check_of(run_id, phase)
        found = None if check is None else Consolidated.model_validate_json(self._bytes(check.consolidated))
        return found.with_resolutions(self.ledger.resolutions(run_id, phase)) if found is not None and resolved else found

    def found_before(self, run_id: str) -> str:
        """Return in words what the analysis of a run found, for whoever plans its work; empty where there is none."""
        found = self.synthesis(run_id, ANALYSIS, resolved=True)
        if found is None:
            return ""
        lines = [f"strategy: {found.decisions.implementation_strategy}", f"risk: {found.risk_assessment.level.value}", *found.summaries.values()]
        lines += [f"to do: {work.action}" for work in found.decisions.priority_order]
        lines += [f"{one.severity}: {one.subject}: {one.text or f'{one.aspect} {one.value}'}" for one in found.findings if one.severity != "info"]
        return "\n".join(lines)[:_MOST_CHARS]

    def progress(self, run_id: str) -> Progress:
        """Return where a run stands. Raises: NotFound."""
        with self.ledger.store.read() as c:
            return track(c, run_id, self.clock())

    def metrics_of(self, run: RunRow) -> WorkflowMetrics | None:
        """Return the indicators of a delivery; `None` for a run without phases."""
        if run.graph != "delivery":
            return None
        began = {str(event.data["phase"]): event.at for event in self.ledger.events(run.id) if event.type == "phase.began"}
        checks = {phase: check for phase in (ANALYSIS, TESTING) if (check := self.ledger.check_of(run.id, phase)) is not None}
        return workflow_metrics(began, checks, self.ledger.dispatches(run.id), self.ledger.decided(run.id), self.synthesis(run.id, TESTING))

    # --- what the stations are given ------------------------------------------------------------------------------------------------

    @cached_property
    def reads_on(self) -> ModelAgent | None:
        """The model that reads on where the analysts end; `None` where none is configured."""
        if self.model is None:
            return None
        from ..phases.model_agent import ModelAgent, chosen_model

        runtime = cast("Runtime", self)
        return ModelAgent(runtime, chosen_model(runtime), phase=ANALYSIS)

    def _phase_event(self, event: dict[str, Any]) -> None:
        """Show what happens in a phase, and note how its agents ended: the rest of it is in the log by the hands of the stations."""
        if event["type"] == "phase.agent" and event.get("run_id"):
            noted = {name: event[name] for name in ("phase", "attempt", "agent", "outcome", "reused")}
            reason = redact(str(event.get("reason", "")), known=self.known_secrets)
            self.ledger.note(event["run_id"], event["type"], **noted, reason=reason, ms=int(float(event.get("took_s", 0)) * 1000))
        self.on_phase(event)

    def _bounded_place(self, run_id: str) -> Place:
        """Return where the work of a delivery acts: under the bounds that the analysis sets for it, where those are the narrower ones."""
        from ...policies.phases import shipped

        place, bounds = self.place(run_id), shipped(ANALYSIS).consolidate.resources
        memory_mb, share = bounds.get("memory_mb"), bounds.get("cpu_share")
        limits = place.limits
        if isinstance(memory_mb, int):
            limits = replace(limits, memory_bytes=min(limits.memory_bytes, memory_mb * 1024**2))
        if isinstance(share, float):
            limits = replace(limits, cpu_share=min(limits.cpu_share, share))
        return replace(place, limits=limits)

    def rehearsal_of(self, run_id: str) -> Rehearsal | None:
        """Return what the record says of the newest rehearsal; `None`: nobody tried."""
        data = next((event.data for event in reversed(self.ledger.events(run_id)) if event.type == "rollback.rehearsed"), None)
        return None if data is None else Rehearsal.model_validate(data)

    def _consolidated(self, run_id: str, reference: str) -> Consolidated:
        data = self.reports.get(reference)
        found = Consolidated.model_validate_json(data)
        # From here on the run rests on it: it has to be there as long as the run is.
        self.keep.put(data)
        spec = self._spec(found)
        names = [agent.report for agent in spec.agents] + [spec.consolidate.synthesis, spec.consolidate.report, "SESSION_CONTINUITY.md"]
        self._index(run_id, [name for name in names if name])
        return found

    def _spec(self, found: Consolidated) -> PhaseSpec:
        from ...policies.phases import for_testing, shipped

        return shipped(ANALYSIS) if found.phase == ANALYSIS else for_testing(max(3, len(found.agents)))

    def _phase_files(self, spec: PhaseSpec, found: Consolidated, messages: Mapping[str, AgentMessage]) -> None:
        from ..phases.files import PhaseFiles

        if not is_plain(found.run_id):
            raise ValueError(f"{found.run_id!r} is not the id of a run")
        PhaseFiles(self.keep.folder / found.run_id)(spec, found, messages)

    def _index(self, run_id: str, names: Any) -> None:
        """Record files of a run in the ledger, those that are new or have changed."""
        known = {one.name: one.digest for one in self.ledger.artifacts(run_id)}
        for name in names:
            path = self.keep.folder / run_id / name
            if not path.is_file():
                continue
            data = path.read_bytes()
            if known.get(name) != digest(data):
                kind = _TYPES.get(path.suffix, "application/octet-stream")
                self.ledger.keep(run_id, Artifact(name=name, digest=digest(data), size_bytes=len(data), media_type=kind, created_at=self.clock()))

    def _bytes(self, reference: str) -> bytes:
        try:
            return self.keep.get(reference)
        except KeyError:
            raise StoreCorrupt(f"the synthesis {reference} is not kept any more", hint="restore the artifact folder from a backup") from None

    def _planned(self, run_id: str) -> Plan:
        plan = self.ledger.plan(run_id)
        if plan is None:
            raise IllegalTransition(f"run {run_id} has no plan yet", hint=f"`assent show {run_id}` tells where it stands")
        return plan

    def delivery(self, run_id: str) -> RunRow:
        """Return a run that is a delivery. Raises: NotFound: there is none of that id, or it follows another graph."""
        row = self.ledger.run(run_id)
        if row.graph != "delivery":
            raise NotFound(f"run {run_id} follows the graph {row.graph}, which has no phases", hint="`assent run --graph delivery …` starts one that has")
        return row
