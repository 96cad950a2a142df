"""The fields of the two sections that tell what happened: execution and results.

Rules: what a person writes here is kept and shown; the results of a run are measured and never read from a document.
Source: results phase of the problem/action/results guide.
"""

from __future__ import annotations

from typing import Any, get_args

from ..schemas.document import (
    WrittenArtifact,
    WrittenCause,
    WrittenEntry,
    WrittenExecution,
    WrittenFollowUp,
    WrittenOutcome,
    WrittenResults,
)
from ..schemas.problem import Priority
from .fields import Reading, choice, listing, open_mapping, record, text, texts, whole, yes_no
from .nodes import Items, Node

_number = whole(1, 100_000)
_priority = choice(get_args(Priority))

execution = record(
    WrittenExecution,
    {
        "start_time": text,
        "end_time": text,
        "total_duration": text,
        "real_time_log": listing(
            record(
                WrittenEntry,
                {"timestamp": text, "step": _number, "action": text, "status": text, "message": text, "metrics": open_mapping},
            )
        ),
        "monitoring": open_mapping,
    },
)
_outcome = record(
    WrittenOutcome,
    dict.fromkeys(("metric", "before", "after", "value", "target", "actual", "improvement"), text) | {"meets_criteria": yes_no},
)
_follow_up = record(
    WrittenFollowUp,
    {"action": text, "problem": text, "workflow_id": text, "assignee": text, "due_date": text, "priority": _priority},
    also={"assigned_to": "assignee"},
    alone="action",
)
_written_results = record(
    WrittenResults,
    {
        "success": yes_no,
        "summary": texts,
        "outcomes": listing(_outcome),
        "actual_costs": open_mapping,
        "roi_analysis": open_mapping,
        "lessons_learned": texts,
        "follow_up_actions": listing(_follow_up),
        "artifacts": listing(record(WrittenArtifact, {"type": text, "location": text}, alone="location")),
        "root_cause_analysis": record(WrittenCause, {"finding": text, "evidence": texts}, alone="finding"),
        "decision": text,
        "budget_allocated": text,
        "timeline": text,
        "success_metrics": texts,
    },
)


def results(reading: Reading, node: Node, path: str) -> Any:
    if isinstance(node, Items):
        return WrittenResults(summary=texts(reading, node, path) or ())
    return _written_results(reading, node, path)
