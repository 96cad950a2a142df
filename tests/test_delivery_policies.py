"""The pure decisions of a delivery: what a change is, what is decided about it, where a run stands, what its indicators are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assent.policies.change import change_of, files_of
from assent.policies.complexity import staffing
from assent.policies.delivery_rules import DeliveryRules
from assent.policies.policy import read_policy
from assent.policies.progress import progress
from assent.policies.release import release_decision, validation_of
from assent.policies.workflow_metrics import workflow_metrics
from assent.schemas.consolidated import CheckpointResult, Consolidated, CriterionResult, RiskAssessment
from assent.schemas.delivery import AgentTime, Decided, PhaseCheck, Rehearsal
from assent.schemas.dispatch import Dispatch, DispatchState, Receipt
from assent.schemas.errors import InvalidConfiguration
from assent.schemas.plan import Plan, Step
from assent.schemas.problem import Context, Problem
from assent.schemas.results import Outcome
from assent.schemas.risk import Level
from assent.schemas.run import RunRow, RunStatus

T0 = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TRIED = Rehearsal(tested=True)
PASSED = CheckpointResult(phase="testing", passed=True, criteria=(), action="go on")


def plan_of(*steps: dict[str, Any], **context: Any) -> Plan:
    numbered = tuple(Step.model_validate({"step": number, **step}) for number, step in enumerate(steps, 1))
    return Plan(problem=Problem(title="x", context=Context(**context)), steps=numbered)


def writes(path: str) -> dict[str, Any]:
    return {"tool": "files", "args": {"operation": "write", "path": path, "content": ""}}


def synthesis(**sections: Any) -> Consolidated:
    good: dict[str, Any] = {
        "tests": {"critical": "pass", "passed": 3, "failed": 0, "warnings": 0}, "performance_security": {"high_risk": 0, "degradations": 0}, "documentation": {"incomplete": 0},
    }
    merged = {name: {**good.get(name, {}), **sections.get(name, {})} for name in {**good, **sections}}
    return Consolidated(timestamp=T0, phase="testing", inputs=(), sections=merged, risk_assessment=RiskAssessment(level=Level.LOW))


# --- the change -------------------------------------------------------------------------------------------------------------------------


def test_a_change_touches_each_file_once_and_a_read_none() -> None:
    move = {"tool": "files", "args": {"operation": "move", "path": "a", "to": "b"}}
    read = {"tool": "files", "args": {"operation": "read", "path": "c"}}
    sql = {"tool": "sql", "args": {"database": "d.db", "statement": "SELECT 1"}}
    assert files_of(plan_of(writes("a"), writes("a"), move, read, sql)) == ("a", "b", "d.db")


def test_what_a_command_touches_counts_unless_it_was_proved_to_read() -> None:
    shell = {"tool": "shell", "args": {"command": "make"}}
    plan = plan_of(writes("a"), shell, shell)
    assert change_of(plan, Level.MEDIUM).files_touched == 3
    assert change_of(plan, Level.MEDIUM, (Level.MEDIUM, Level.LOW, Level.MEDIUM)).files_touched == 2


@pytest.mark.parametrize(
    ("steps", "risk", "context", "agents"),
    [
        ([writes("a")], Level.MEDIUM, {}, 3), ([writes(f"f{n}") for n in range(9)], Level.MEDIUM, {}, 3), ([writes(f"f{n}") for n in range(10)], Level.MEDIUM, {}, 5),
        ([writes("a")], Level.HIGH, {}, 5), ([writes("a")], Level.MEDIUM, {"environment": "production"}, 5), ([writes("a")], Level.LOW, {"environment": "staging"}, 3),
        ([writes("a")], Level.MEDIUM, {"affected_systems": ("one",)}, 3), ([writes("a")], Level.MEDIUM, {"affected_systems": ("one", "two")}, 5),
    ],
)
def test_a_complex_change_takes_five(steps: list[dict[str, Any]], risk: Level, context: dict[str, Any], agents: int) -> None:
    assert staffing(change_of(plan_of(*steps, **context), risk)).agents == agents


# --- the release ------------------------------------------------------------------------------------------------------------------------


def decision(outcomes: tuple[Outcome, ...] = (), rehearsal: Rehearsal = TRIED, checkpoint: CheckpointResult = PASSED, **sections: Any) -> str:
    return release_decision(validation_of(synthesis(**sections), outcomes, rehearsal), checkpoint, synthesis(**sections)).decision


def outcome(**more: Any) -> Outcome:
    return Outcome.model_validate({"criterion": "p95 < 10 ms", "before": 20.0, "after": 5.0, "met": True, "improvement": "75.0 %", **more})


def test_what_is_good_and_measured_proceeds() -> None:
    assert decision() == "PROCEED"


def test_the_way_back_counts_by_the_record_of_the_run_and_not_by_what_an_agent_says() -> None:
    assert decision(rehearsal=Rehearsal(tested=False), deployment={"rollback_tested": True}) == "BLOCK"


def test_measures_of_the_plan_are_the_performance_where_there_is_no_benchmark() -> None:
    assert decision(performance_security={"degradations": None}) == "BLOCK"
    assert decision((outcome(),), performance_security={"degradations": None}) == "PROCEED"
    assert decision((outcome(before=None),), performance_security={"degradations": None}) == "BLOCK"


@pytest.mark.parametrize(("more", "count"), [({}, 0), ({"met": False}, 1), ({"improvement": "-3.0 %"}, 0), ({"improvement": "-30.0 %"}, 1), ({"improvement": ""}, 0)])
def test_a_missed_or_worse_measure_is_a_degradation_and_noise_is_not(more: dict[str, Any], count: int) -> None:
    assert validation_of(synthesis(), (outcome(**more),), TRIED).performance.degradations == count


def test_degradations_of_both_kinds_add_up_to_a_condition() -> None:
    assert decision((outcome(met=False), outcome(met=False)), performance_security={"degradations": 1}) == "CONDITIONAL_PROCEED"


def test_tests_whose_checkpoint_does_not_hold_block_whatever_they_say() -> None:
    failed = CriterionResult(id="all_agents", text="All agents", met=False, reason="agent2 is missing")
    checkpoint = CheckpointResult(phase="testing", passed=False, criteria=(failed,), action="ask")
    found = release_decision(validation_of(synthesis(), (), TRIED), checkpoint, synthesis())
    assert found.decision == "BLOCK" and any("agent2 is missing" in reason for reason in found.reasons)


# --- the rules --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision_", "environment", "asks"),
    [("PROCEED", None, False), ("PROCEED", "staging", False), ("PROCEED", "production", True), ("CONDITIONAL_PROCEED", None, True), ("CONDITIONAL_PROCEED", "production", True)],
)
def test_who_is_asked_about_a_release(decision_: Any, environment: str | None, asks: bool) -> None:
    assert DeliveryRules().asks(decision_, environment) is asks


@pytest.mark.parametrize(
    "bad", [{"ask": []}, {"ask": ["PROCEED"]}, {"ask": ["CONDITIONAL_PROCEED", "BLOCK"]}, {"on_block": "ignore"}, {"ask_in_production": ["PROCEED"]}, {"typo": 1}], ids=str
)
def test_rules_that_would_release_without_a_person_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfiguration, match="delivery"):
        read_policy(("config.yaml", {"delivery": bad}))


# --- progress ---------------------------------------------------------------------------------------------------------------------------


def call(step: int, state: DispatchState = DispatchState.DONE, direction: Any = "do", ms: int = 1000) -> Dispatch:
    plan = THREE
    receipt = Receipt(status="done", duration_ms=ms) if state is DispatchState.DONE else None
    return Dispatch(
        run_id="run_1", digest=plan.digest, step=step, direction=direction, state=state, key=f"{direction}{step}", started_at=T0 + timedelta(minutes=step),
        finished_at=T0 + timedelta(minutes=step, seconds=1) if receipt else None, receipt=receipt,
    )


THREE = plan_of(writes("a"), {**writes("b"), "estimated_time_s": 60}, writes("c"))


def run_row(status: RunStatus = RunStatus.RUNNING, graph: str = "par") -> RunRow:
    return RunRow(id="run_1", status=status, graph=graph, digest=THREE.digest, version=1, created_at=T0, updated_at=T0)


def test_the_tracker_says_what_is_done_what_is_being_done_and_until_when() -> None:
    found = progress(run_row(), THREE, [call(1), call(2, DispatchState.DISPATCHED)], [], now=T0)
    assert (found.phase, found.total_steps, found.completed, found.percent) == ("implementation", 3, 1, 77)
    assert found.current_step is not None
    assert (found.current_step.name, found.current_step.started, found.current_step.estimated_completion) == ("2. files", T0 + timedelta(minutes=2), T0 + timedelta(minutes=3))
    # One step has an estimate; the other takes as long as those that were done.
    assert found.estimated_completion == T0 + timedelta(seconds=61)
    assert [(point.to, point.steps_back) for point in found.rollback_points] == [(0, 1), (1, 0)]


def test_a_step_that_was_taken_back_is_not_completed_and_no_point() -> None:
    found = progress(run_row(RunStatus.FAILED), THREE, [call(1), call(2), call(2, direction="undo")], [], now=T0)
    assert (found.completed, [point.to for point in found.rollback_points], found.phase, found.percent) == (1, [0, 1], "done", 100)


def test_a_run_without_a_plan_is_being_planned() -> None:
    found = progress(run_row(RunStatus.PLANNING).model_copy(update={"version": 0, "digest": ""}), None, [], [], now=T0)
    assert (found.phase, found.total_steps, found.rollback_points) == ("planning", 0, ())


@pytest.mark.parametrize(
    ("passed", "calls", "release", "phase"),
    [(False, [], "open", "analysis"), (True, [], "open", "implementation"), (True, [1], "open", "implementation"), (True, [1, 2, 3], "open", "testing"), (True, [1, 2, 3], "waits", "final consolidation")],
)
def test_a_delivery_is_in_one_of_its_phases(passed: bool, calls: list[int], release: Any, phase: str) -> None:
    found = progress(run_row(graph="delivery"), THREE, [call(n) for n in calls], [], now=T0, passed=passed, release=release, began={"testing": ("agent1",)})
    assert found.phase == phase
    assert found.active_agents == (("agent1",) if phase == "testing" else ())


def test_percents_only_grow_on_the_way() -> None:
    ways: list[tuple[bool, list[int], Any]] = [(False, [], "open"), (True, [], "open"), (True, [1], "open"), (True, [1, 2], "open"), (True, [1, 2, 3], "open"), (True, [1, 2, 3], "waits")]
    found = [progress(run_row(graph="delivery"), THREE, [call(n) for n in calls], [], now=T0, passed=passed, release=release).percent for passed, calls, release in ways]
    assert found == sorted(found) and found[-1] < 100


# --- indicators -------------------------------------------------------------------------------------------------------------------------


def check(phase: str, at: datetime, *agents: AgentTime) -> PhaseCheck:
    return PhaseCheck(phase=phase, consolidated="sha256:x", passed=True, action="go on", agents=agents, at=at)


def test_indicators_are_computed_from_what_was_recorded() -> None:
    began = {"analysis": T0, "testing": T0 + timedelta(minutes=10)}
    checks = {
        "analysis": check("analysis", T0 + timedelta(seconds=50), AgentTime(id="a", outcome="reported", took_ms=40_000), AgentTime(id="b", outcome="reported", took_ms=20_000)),
        "testing": check("testing", T0 + timedelta(minutes=11), AgentTime(id="a", outcome="late", took_ms=30_000), AgentTime(id="b", outcome="reported", took_ms=5_000, reused=True)),
    }
    decided = Decided(id="d", decision="PROCEED", plan="p", consolidated="c", critical_pass=True, at=T0 + timedelta(minutes=12))
    found_tests = synthesis(tests={"coverage_percent": 91}, documentation={"checks": {"a": True, "b": False}})
    found = workflow_metrics(began, checks, [call(1), call(2)], decided, found_tests)
    times = found.phase_durations
    assert (times.analysis, times.consolidation_1, times.implementation, times.testing, times.final_consolidation) == (40.0, 10.0, 61.0, 30.0, 60.0)
    agents = found.agent_performance
    assert (agents.success_rate, agents.average_execution_time, agents.resource_efficiency) == (0.75, 30.0, round(90 / 110, 4))
    quality = found.quality_metrics
    assert (quality.test_coverage, quality.documentation_completeness, quality.error_rate) == (0.91, 0.5, round(1 / 6, 4))


def test_what_nobody_measured_is_absent_and_not_zero() -> None:
    assert workflow_metrics({}, {}, [], None, None).as_json() == {"phase_durations": {}, "agent_performance": {}, "quality_metrics": {}}
