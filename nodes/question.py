"""What a station hands over when a person has to speak: the route to `approval`, and the name of the question.

Nothing is asked here. The question is opened by `approval`, or, where a person took back a run that is over, by the door.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ..schemas.approval import Question
from ..schemas.dispatch import Dispatch
from ..schemas.noun import stamp
from .perform import Performer
from .ports import Ports


def question(kind: Question, subject: Mapping[str, Any], ports: Ports, run_id: str, *, again: bool = False) -> dict[str, Any]:
    """Return the update that leads to a question.

    Args:
        again: the last answer no longer carries, so a settled question is followed by another.
    """
    named = {"id": ports.ledger.question(run_id, kind, subject, again=again), "kind": kind.value, "subject": dict(subject)}
    return {"route": "question", "question": named}


def about_doubt(doubt: Dispatch, performer: Performer, ports: Ports, *, again: bool = False) -> dict[str, Any]:
    """Return the update that leads to the question whether a call happened: a step, its undo, or a measure.

    Args:
        again: an earlier question about it was withdrawn with its run, and now somebody wants to know after all.
    """
    call = performer.call_of(doubt)
    network = ports.tools[call.tool].effects(ports.tools.parse(call.tool, call.args)).network
    quiet_s = performer.place.limits.time_s if network else 0.0
    subject = {
        "key": doubt.key,
        "step": doubt.step,
        "direction": doubt.direction,
        "tool": call.tool,
        "why": doubt.receipt.summary if doubt.receipt else "",
        "quiet_after": stamp(doubt.started_at + timedelta(seconds=quiet_s)),
    }
    return question(Question.IN_DOUBT, subject, ports, doubt.run_id, again=again)
