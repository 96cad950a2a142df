"""The fields of a written document: what each section may hold, and how each field is read.

Rules: sections are closed, except those that the guide leaves to the author (costs, return on investment, monitoring, the PAR-PROTO
sections), which are kept as they were written. A second name for a field stands here or nowhere.
Source: templates and examples of the problem/action/results guide.
"""

from __future__ import annotations

from typing import Any, get_args

from ..schemas.document import (
    Metadata,
    WrittenAction,
    WrittenApproval,
    WrittenContact,
    WrittenJudgement,
    WrittenLink,
    WrittenMeasure,
    WrittenProblem,
    WrittenProposal,
    WrittenRequest,
    WrittenResources,
    WrittenStep,
)
from ..schemas.plan import Call, Grade
from ..schemas.problem import Context, Environment, Priority
from ..schemas.risk import Level
from .fields import Reader, Reading, choice, json_value, listing, open_mapping, record, text, texts, whole, yes_no
from .nodes import Fields, Items, Node, Scalar
from .written_results import execution, results

PROTO_SECTIONS = ("plan", "review", "observe", "test", "output")

# The arguments of the tools that ship which are text whatever they look like: `content: 1.10` is not the number 1.1.
_TEXT_ARGS = {
    "shell": frozenset({"command"}),
    "files": frozenset({"operation", "path", "content", "old", "new", "to"}),
    "sql": frozenset({"database", "statement", "dialect"}),
    "http": frozenset({"method", "url", "headers"}),
    "python": frozenset({"code"}),
}
_CHOSEN = frozenset({"status", "severity", "documentation", "training", "decision"})

_tier = choice("1234", {f"tier{mark}{n}": n for n in "1234" for mark in ("", "_")})


def _tier_number(reading: Reading, node: Node, path: str) -> int | None:
    word = _tier(reading, node, path)
    return None if word is None else int(word)


_level = choice(level.value.lower() for level in Level)


def _risk(reading: Reading, node: Node, path: str) -> Level | None:
    word = _level(reading, node, path)
    return None if word is None else Level(word.upper())


_priority = choice(get_args(Priority))
_grade = choice(get_args(Grade))
_number = whole(1, 100_000)
_raw = json_value(chosen=_CHOSEN)

_metadata = record(
    Metadata,
    {
        "workflow_id": text,
        "workflow_type": text,
        "agent_tier": _tier_number,
        "created_at": text,
        "created_by": text,
        "version": text,
    },
)
_environments = choice(get_args(Environment), {"dev": "development", "prod": "production", "stage": "staging"})
_problem = record(
    WrittenProblem,
    {
        "title": text,
        "description": text,
        "context": record(Context, {"environment": _environments, "affected_systems": texts, "priority": _priority}),
        "success_criteria": texts,
        "constraints": texts,
        "out_of_scope": texts,
    },
    alone="title",
)
_approval = record(
    WrittenApproval,
    {"type": choice(("pre_approval", "post_review", "dual_signoff")), "approver": text, "reason": text},
    alone="approver",
)


def _arguments(node: Node) -> Reader:
    """Read arguments as the tool that stands beside them wants them."""
    tool = node.pairs.get("tool") if isinstance(node, Fields) else None
    textual = _TEXT_ARGS.get(tool.text.strip(), frozenset()) if isinstance(tool, Scalar) else frozenset()

    def read(reading: Reading, args: Node, path: str) -> Any:
        if not isinstance(args, Fields):
            return open_mapping(reading, args, path)
        return json_value(textual)(reading, args, path)

    return read


def _undo(reading: Reading, node: Node, path: str) -> Call | str | None:
    if isinstance(node, Scalar):
        return text(reading, node, path)
    found = reading.values(node, path, {"tool": text, "args": _arguments(node)})
    if not found.get("tool"):
        reading.complain(f"{path}.tool", "the name of a tool", line=node.line)
        return None
    return Call(**found)


_STEP: dict[str, Reader] = {
    "step": _number,
    "description": text,
    "tool": text,
    "args": open_mapping,
    "commands": texts,
    "risk": _risk,
    "reversible": yes_no,
    "rollback_plan": text,
    "undo": _undo,
    "estimated_time": text,
    "estimated_cost": text,
}
_STEP_ALSO = {"command": "commands", "rollback": "undo", "cost_estimate": "estimated_cost", "cost": "estimated_cost"}


def _step(reading: Reading, node: Node, path: str) -> WrittenStep:
    if isinstance(node, Scalar):
        return WrittenStep(description=text(reading, node, path) or "")
    found = reading.values(node, path, _STEP | {"args": _arguments(node)}, _STEP_ALSO)
    if isinstance(found.get("undo"), str):
        words = found.pop("undo")
        if "rollback_plan" in found:
            reading.complain(
                f"{path}.undo", "a tool with its args, since rollback_plan holds the words", repr(words[:40]), node.line
            )
        found["rollback_plan"] = words
    return WrittenStep(**found)


def _measure(reading: Reading, node: Node, path: str) -> WrittenMeasure:
    fields: dict[str, Reader] = {
        "criterion": text,
        "tool": text,
        "args": _arguments(node),
        "read": text,
        "unit": text,
        "target": text,
    }
    return WrittenMeasure(**reading.values(node, path, fields | {"repeat": whole(1, 1000)}))


_ACTION: dict[str, Reader] = {
    "proposed_solution": text,
    "alternatives": texts,
    "steps": listing(_step),
    "required_approvals": listing(_approval),
    "risk_assessment": record(WrittenJudgement, {"likelihood": _grade, "impact": _grade, "mitigation": text}),
    "resources_required": record(WrittenResources, {"cost_estimate": text, "time_estimate": text, "human_oversight": text}),
    "execution_window": text,
}


def _required(reading: Reading, node: Node, path: str) -> tuple[WrittenApproval, ...]:
    """Read the form of the tier examples: a stage, and one approver or several."""
    fields = {"stage": text, "approver": texts, "status": choice(("approved", "rejected", "pending"))}

    def entry(reading: Reading, node: Node, path: str) -> list[WrittenApproval]:
        found = reading.values(node, path, fields, {"approvers": "approver"})
        return [WrittenApproval(approver=who, reason=found.get("stage", "")) for who in found.get("approver", ("",))]

    return tuple(approval for group in listing(entry)(reading, node, path) or () for approval in group)


def _action(reading: Reading, node: Node, path: str) -> tuple[WrittenAction, dict[str, Any]]:
    """Return the action, and the PAR-PROTO sections that the tier examples put inside it."""
    if isinstance(node, Items):
        return WrittenAction(steps=listing(_step)(reading, node, f"{path}.steps") or ()), {}
    inside = dict.fromkeys((*PROTO_SECTIONS, "execution", "research_phase", "real_time_oversight"), _raw)
    found = reading.values(node, path, _ACTION | inside | {"approval_required": _required, "proto_workflow": yes_no})
    sections = {name: found.pop(name) for name in inside if name in found}
    plan = sections.get("plan")
    if isinstance(plan, list) and "steps" not in found and all(isinstance(line, str) for line in plan):
        found["steps"] = tuple(WrittenStep(description=line) for line in sections.pop("plan"))
        reading.lines |= {f"{path}.steps": reading.lines[f"{path}.plan"]} if f"{path}.plan" in reading.lines else {}
    if found.pop("proto_workflow", False):
        sections["proto_workflow"] = True
    found["required_approvals"] = (*found.get("required_approvals", ()), *found.pop("approval_required", ()))
    return WrittenAction(**found), sections


_contact = record(WrittenContact, {"role": text, "name": text, "contact": text, "escalation_after": text}, alone="role")
_link = record(
    WrittenLink,
    {"role": text, "name": text, "decision": choice(("approve", "reject", "modify", "approved", "rejected")), "timestamp": text},
    alone="role",
)
_request = record(
    WrittenRequest,
    {
        "agent_tier": _tier_number,
        "workflow": text,
        "request": record(
            WrittenProposal,
            {"problem_id": text, "proposed_actions": texts, "risk_level": _risk, "estimated_cost": text, "estimated_time": text},
        ),
        "approval_chain": listing(_link),
        "status": choice(("pending", "approved", "rejected", "expired", "cancelled")),
        "execution_window": text,
        "urgency": _priority,
        "required_by": text,
        "primary_approver": _contact,
        "backup_approver": _contact,
        "context": open_mapping,
    },
)
SECTIONS: dict[str, Reader] = {
    "metadata": _metadata,
    "problem": _problem,
    "action": _action,
    "measures": listing(_measure),
    "approval_request": _request,
    "execution": execution,
    "results": results,
    **dict.fromkeys(PROTO_SECTIONS, _raw),
    "phases": texts,
    "depends_on": texts,
    "can_run_parallel_with": texts,
}
"""The sections of a document; `action` yields the action and the sections that stood inside it."""

USE_CASE: dict[str, Reader] = SECTIONS | dict.fromkeys(("cost", "roi", "post_deployment"), _raw)
"""What the example in a tier's wrapper may hold."""

TIER_WRAPPER: dict[str, Reader] = {
    "permitted_activities": _raw,
    "approval_process": _raw,
    "example_use_case": lambda reading, node, path: (node, path),
}
"""What stands in a tier's wrapper; the example is handed back unread."""

OPEN = (*PROTO_SECTIONS, "cost", "roi", "post_deployment")
"""Sections that are kept as they were written."""
