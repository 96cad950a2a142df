"""Putting a delivery together again from what is kept, and holding it against its checkpoints as everything stands now. Decides nothing.

Source: E2, E3, E6, E15.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...policies.checkpoint import check
from ...policies.phases import shipped
from ...schemas.approval import Question, RequestStatus
from ...schemas.consolidated import CheckpointResult, Consolidated
from ...schemas.delivery import ANALYSIS, TESTING
from ...schemas.errors import IllegalTransition
from ...schemas.final_consolidation import FinalConsolidation

if TYPE_CHECKING:
    from ..runtime import Runtime


@dataclass
class Together:
    """What a delivery found and came to, as far as it is."""

    phases: dict[str, Consolidated] = field(default_factory=dict)
    final: FinalConsolidation | None = None
    files: tuple[Path, ...] = ()


def consolidated(runtime: Runtime, run_id: str, out: Path | None = None) -> Together:
    """Return what the phases of a run found, with the resolutions of now, and write its final consolidation where its work was tested.

    Args:
        out: folder to which the files are copied.

    Raises:
        NotFound: no such run, or one without phases.
        IllegalTransition: no phase has found anything yet.
    """
    runtime.delivery(run_id)
    found = Together()
    for phase in (ANALYSIS, TESTING):
        one = runtime.synthesis(run_id, phase, resolved=True)
        if one is not None:
            found.phases[phase] = one
    if not found.phases:
        raise IllegalTransition(f"no phase of run {run_id} has found anything yet", hint=f"`assent resume {run_id}` goes on with it")
    tested = runtime.ledger.check_of(run_id, TESTING)
    if tested is not None and tested.plan == runtime.ledger.run(run_id).digest:
        found.final, _ = runtime.finalise(run_id)
    folder = runtime.keep.folder / run_id
    files = [folder / one.name for one in runtime.ledger.artifacts(run_id)]
    found.files = tuple(file for file in files if file.is_file())
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        found.files = tuple(Path(shutil.copy2(file, out / file.name)) for file in found.files)
    return found


def validated(runtime: Runtime, run_id: str) -> tuple[CheckpointResult, tuple[str, ...]]:
    """Return what checkpoint 1 of a run says now, and who made an exception, where that is needed and holds.

    Raises:
        NotFound: no such run, or one without phases.
        IllegalTransition: its analysis has not come to its checkpoint yet.
    """
    runtime.delivery(run_id)
    recorded, found = runtime.ledger.check_of(run_id, ANALYSIS), runtime.synthesis(run_id, ANALYSIS, resolved=True)
    if recorded is None or found is None:
        raise IllegalTransition(f"the analysis of run {run_id} has not come to its checkpoint yet", hint=f"`assent resume {run_id}` goes on with it")
    spec = shipped(ANALYSIS)
    result = check(spec, found, attempt=spec.reruns)
    if result.passed or not runtime.ledger.has_passed(run_id):
        return result, ()
    gates = [one for one in runtime.ledger.requests(run_id) if one.kind is Question.GATE and one.status is RequestStatus.APPROVED]
    about = [one for one in gates if one.subject.get("consolidated") == recorded.consolidated]
    return result, tuple(dict.fromkeys(d.actor.id for one in about for d in one.approvals))
