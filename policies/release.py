"""From what the testing phase measured to the decision about the release. Pure.

Rules:
- the matrix of the source decides (`go_no_go.py`); the way back counts as tested only when the run itself tried it;
- a measured criterion that is missed, or a measure that got worse, counts with the degradations of the benchmark;
- tests whose own checkpoint does not hold are no tests: BLOCK, whatever their numbers say.

Source: E7, seed 4; the last two rules are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..schemas.consolidated import CheckpointResult, Consolidated
from ..schemas.delivery import Rehearsal
from ..schemas.go_no_go import GoNoGo, PerformanceState, RollbackState, ValidationResults
from ..schemas.results import Outcome
from .go_no_go import deployment_decision, known_results, why_unscanned

_NOISE_PERCENT = 10.0
"""As for the benchmark: no less than this is a degradation."""


def validation_of(tests: Consolidated, outcomes: Sequence[Outcome], rehearsal: Rehearsal) -> ValidationResults:
    """Return everything that the decision is made from.

    Args:
        tests: the synthesis of the testing phase.
        outcomes: the success criteria, measured before and after.
        rehearsal: whether the way back was tried.
    """
    known = known_results(tests)
    measured = [one for one in outcomes if isinstance(one.before, int | float) and isinstance(one.after, int | float)]
    worse = sum(one.met is False or _change_percent(one) < -_NOISE_PERCENT for one in measured)
    benchmark = known.performance.degradations
    degradations = benchmark if not measured else (benchmark or 0) + worse
    return known.model_copy(
        update={"performance": PerformanceState(degradations=degradations), "rollback": RollbackState(tested=rehearsal.tested)}
    )


def release_decision(validation: ValidationResults, checkpoint: CheckpointResult, tests: Consolidated) -> GoNoGo:
    """Decide whether the work goes out.

    Args:
        tests: the synthesis of the testing phase; says why something was not measured.
    """
    found = deployment_decision(validation, unscanned=why_unscanned(tests))
    if checkpoint.passed:
        return found
    reasons = tuple(f"the checkpoint of the tests: {reason}" for reason in checkpoint.reasons)
    return found.model_copy(update={"decision": "BLOCK", "reasons": (*found.reasons, *reasons)})


def _change_percent(outcome: Outcome) -> float:
    try:
        return float(outcome.improvement.removesuffix("%"))
    except ValueError:
        return 0.0
