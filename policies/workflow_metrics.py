"""The key performance indicators of a run with phases, from what its checkpoints recorded and its dispatches took. Pure. Source: E14, seed 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..schemas.consolidated import Consolidated
from ..schemas.delivery import Decided, PhaseCheck
from ..schemas.dispatch import Dispatch, DispatchState
from ..schemas.workflow_metrics import AgentPerformance, PhaseDurations, QualityMetrics, WorkflowMetrics

_WELL = frozenset({DispatchState.DONE, DispatchState.NOT_STARTED, DispatchState.DISPATCHED})


def workflow_metrics(
    began: Mapping[str, datetime], checks: Mapping[str, PhaseCheck], rows: Sequence[Dispatch], decided: Decided | None, tests: Consolidated | None
) -> WorkflowMetrics:
    """Return the indicators.

    Args:
        began: phase → when it began last.
        checks: phase → what its checkpoint said last.
        rows: every dispatch of the run.
        tests: the synthesis of the testing phase, where there is one.
    """
    analysis, consolidation = _phase("analysis", began, checks)
    testing, _ = _phase("testing", began, checks)
    steps = [d for d in rows if d.direction == "do"]
    tested = checks.get("testing")
    return WorkflowMetrics(
        phase_durations=PhaseDurations(
            analysis=analysis, consolidation_1=consolidation, implementation=_seconds(min((d.started_at for d in steps), default=None), max((d.finished_at for d in steps if d.finished_at), default=None)),
            testing=testing, final_consolidation=_seconds(tested.at, decided.at) if tested is not None and decided is not None else None,
        ),
        agent_performance=_agents(checks),
        quality_metrics=_quality(checks, steps, tests),
    )


def _phase(name: str, began: Mapping[str, datetime], checks: Mapping[str, PhaseCheck]) -> tuple[float | None, float | None]:
    """Return the seconds until the slowest agent had reported, and those from there to the checkpoint."""
    check = checks.get(name)
    whole = _seconds(began.get(name), check.at if check is not None else None)
    if check is None or whole is None:
        return None, None
    slowest = min(whole, max((one.took_ms for one in check.agents if not one.reused), default=0) / 1000)
    return round(slowest, 3), round(whole - slowest, 3)


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else round(max(0.0, (end - begin).total_seconds()), 3)


def _agents(checks: Mapping[str, PhaseCheck]) -> AgentPerformance:
    every = [one for check in checks.values() for one in check.agents]
    if not every:
        return AgentPerformance()
    ran = [one.took_ms / 1000 for one in every if not one.reused]
    busy, held = 0, 0
    for check in checks.values():
        times = [one.took_ms for one in check.agents if not one.reused]
        busy, held = busy + sum(times), held + len(times) * max(times, default=0)
    return AgentPerformance(
        success_rate=round(sum(one.outcome == "reported" for one in every) / len(every), 4),
        average_execution_time=round(sum(ran) / len(ran), 3) if ran else None,
        resource_efficiency=round(busy / held, 4) if held else None,
    )


def _quality(checks: Mapping[str, PhaseCheck], steps: Sequence[Dispatch], tests: Consolidated | None) -> QualityMetrics:
    agents = [one for check in checks.values() for one in check.agents]
    bad = sum(one.outcome != "reported" for one in agents) + sum(d.state not in _WELL for d in steps)
    coverage = _section(tests, "tests").get("coverage_percent")
    held = _section(tests, "documentation").get("checks")
    complete = [value is True for value in held.values()] if isinstance(held, Mapping) and held else []
    return QualityMetrics(
        test_coverage=coverage / 100 if isinstance(coverage, int | float) and 0 <= coverage <= 100 else None,
        documentation_completeness=round(sum(complete) / len(complete), 4) if complete else None,
        error_rate=round(bad / (len(agents) + len(steps)), 4) if agents or steps else None,
    )


def _section(found: Consolidated | None, name: str) -> Mapping[str, Any]:
    section = found.sections.get(name) if found is not None else None
    return section if isinstance(section, Mapping) else {}
