"""Freeze a document into a plan: give every written text its meaning, or say why it has none.

Rules:
- steps are frozen by `freeze_steps`; a criterion that nobody wrote cannot be measured;
- what a template left open (`X minutes`, a list of choices) has no value and is the lint's business; what cannot be read is a complaint;
- approvals that a document records are not approvals; the roles of its approval chain are asked.

Source: action template of the problem/action/results guide. Deliberately absent: whether a tool exists and accepts its arguments.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from ..schemas.document import Document, WrittenAction, WrittenMeasure
from ..schemas.errors import InvalidDocument
from ..schemas.plan import Estimate, Judgement, Measure, Plan, RequiredApproval, Window
from ..schemas.problem import Problem
from .durations import dollars, seconds
from .freeze_expectation import expectation
from .freeze_steps import frozen_steps
from .notes import Notes, filled

_READ_UNITS = {"ms": "ms", "s": "s", "us": "us", "bytes": "bytes", "usd": "$", "percent": "%", "pct": "%"}


def freeze(document: Document, *, author: str = "", which: Callable[[str], object] = lambda word: None) -> Plan:
    """Return the plan that a document asks for.

    Args:
        document: what was written.
        author: who stands at the door; what the document says about its author is not believed.
        which: finds a program by name, to prove that a rollback plan is a command; by default none is found.

    Raises:
        InvalidDocument: with every complaint.
    """
    freezing = _Freezing(document, which)
    plan = freezing.plan(author)
    if freezing.notes.complaints or plan is None:
        raise InvalidDocument(freezing.notes.complaints, file=document.file)
    return plan


class _Freezing:
    """Puts the plan together."""

    def __init__(self, document: Document, which: Callable[[str], object]) -> None:
        self.document = document
        self.which = which
        self.notes = Notes(document)

    def plan(self, author: str) -> Plan | None:
        document, action = self.document, self.document.action or WrittenAction()
        problem = self._problem()
        steps = frozen_steps(action, self.notes, self.which)
        criteria = list(problem.success_criteria) if problem else []
        measures = tuple(measure for n, one in enumerate(document.measures, 1) if (measure := self._measure(n, one, criteria)))
        approvals = self._approvals(action)
        window = self._window(action)
        estimate = self._estimate(action)
        if self.notes.complaints or problem is None:
            return None
        try:
            plan = Plan(
                workflow_id=filled(document.metadata.workflow_id),
                intent=filled(action.proposed_solution),
                problem=problem.model_copy(update={"success_criteria": tuple(criteria)}),
                steps=steps,
                measures=measures,
                required_approvals=approvals,
                judgement=Judgement(
                    likelihood=action.risk_assessment.likelihood,
                    impact=action.risk_assessment.impact,
                    mitigation=filled(action.risk_assessment.mitigation),
                ),
                estimate=estimate,
                execution_window=window,
                urgency=self._urgency(),
                required_by=self._required_by(),
                author=author,
                alternatives=action.alternatives,
                expectation=expectation(document),
            )
            return plan if plan.bytes else None
        except (ValidationError, ValueError) as error:
            self.notes.complain("document", "values that have canonical bytes", " ".join(str(error).split())[:200])
            return None

    def _problem(self) -> Problem | None:
        written = self.document.problem
        if written is None or not written.title:
            self.notes.complain(
                "problem.title" if written else "problem", "a problem with a title: what needs to be solved, in a line"
            )
            return None
        return Problem(**{name: getattr(written, name) for name in type(written).model_fields})

    def _measure(self, number: int, written: WrittenMeasure, criteria: list[str]) -> Measure | None:
        where = f"measures[{number}]"
        missing = [field for field in ("criterion", "tool", "read") if not getattr(written, field)]
        for field in missing:
            said = {
                "criterion": "the success criterion that it measures, word for word",
                "tool": "the tool that measures it",
                "read": "the field of the tool's output that holds the number, such as p95_ms, value, rows or exit_code",
            }
            self.notes.complain(f"{where}.{field}", said[field])
        if missing:
            return None
        named = {_squeezed(criterion): criterion for criterion in criteria}
        criterion = named.get(_squeezed(written.criterion))
        if criterion is None and self.document.problem is not None and self.document.problem.success_criteria:
            near = difflib.get_close_matches(_squeezed(written.criterion)[:300], named, n=1)
            expected = (
                f"one of the success criteria (did you mean {named[near[0]]!r}?)"
                if near
                else "one of the problem's success criteria"
            )
            self.notes.complain(f"{where}.criterion", expected, repr(written.criterion[:80]))
            return None
        if criterion is None:
            criterion = written.criterion
            criteria.append(criterion)
        return Measure(
            criterion=criterion,
            tool=written.tool,
            args=written.args or {},
            read=written.read,
            unit=written.unit or _READ_UNITS.get(written.read.rpartition("_")[2] if "_" in written.read else "", ""),
            target=written.target,
            repeat=written.repeat,
        )

    def _approvals(self, action: WrittenAction) -> tuple[RequiredApproval, ...]:
        approvals = [
            RequiredApproval.model_validate(
                {"type": one.type or "pre_approval", "approver": filled(one.approver), "reason": filled(one.reason)}
            )
            for one in action.required_approvals
        ]
        asked = {approval.approver for approval in approvals}
        request = self.document.approval_request
        for link in request.approval_chain if request else ():
            role = filled(link.role or link.name)
            if role and role not in asked:
                asked.add(role)
                approvals.append(RequiredApproval(approver=role, reason="approval chain"))
        return tuple(approvals)

    def _urgency(self) -> Any:
        request = self.document.approval_request
        written = (request.urgency or "").strip().lower() if request else ""
        if written and written not in ("low", "normal", "medium", "high", "critical"):
            self.notes.complain("approval_request.urgency", "low, normal, high or critical", written)
        return "normal" if written == "medium" else written if written in ("low", "normal", "high", "critical") else ""

    def _required_by(self) -> datetime | None:
        request = self.document.approval_request
        written = filled(request.required_by) if request else ""
        if not written:
            return None
        try:
            found = datetime.fromisoformat(written)
        except ValueError:
            found = None
        if found is None or found.tzinfo is None:
            self.notes.complain("approval_request.required_by", "a time with its zone, such as 2026-01-31T12:00:00Z", written)
            return None
        return found

    def _window(self, action: WrittenAction) -> Window | None:
        request = self.document.approval_request
        written = {
            where: text
            for where, text in (
                ("approval_request.execution_window", request.execution_window if request else ""),
                ("action.execution_window", action.execution_window),
            )
            if filled(text)
        }
        windows = {where: self._read_window(where, text) for where, text in written.items()}
        if len(set(written.values())) == 2 and len({str(window) for window in windows.values()}) == 2:
            self.notes.complain("action.execution_window", "one execution window", "another one than in approval_request")
        return next(iter(windows.values()), None)

    def _read_window(self, where: str, text: str) -> Window | None:
        expected = 'two times with their zone, such as "2026-01-31T15:00:00Z to 2026-01-31T16:00:00Z"'
        ends = re.split(r"\s+(?:to|until|-|–)\s+|\s*/\s*", text)
        try:
            opens, closes = (datetime.fromisoformat(end.strip()) for end in ends)
        except ValueError:
            self.notes.complain(where, expected, repr(text[:80]))
            return None
        if opens.tzinfo is None or closes.tzinfo is None:
            self.notes.complain(where, expected, f"{text[:60]!r} without a zone")
            return None
        try:
            return Window(opens_at=opens, closes_at=closes)
        except (ValidationError, OverflowError):
            self.notes.complain(where, "a window that ends after it begins", repr(text[:80]))
            return None

    def _estimate(self, action: WrittenAction) -> Estimate:
        written = action.resources_required
        time_s = self.notes.value(seconds, written.time_estimate, "action.resources_required.time_estimate")
        cost = self.notes.value(dollars, written.cost_estimate, "action.resources_required.cost_estimate")
        # A sum over some of the steps would be an estimate that nobody made, and every run would seem to overrun it.
        if (
            time_s is None
            and all(filled(step.estimated_time) for step in action.steps)
            and not self.notes.complaints
            and action.steps
        ):
            time_s = sum(seconds(step.estimated_time) for step in action.steps)
        if (
            cost is None
            and all(filled(step.estimated_cost) for step in action.steps)
            and not self.notes.complaints
            and action.steps
        ):
            cost = f"{sum(Decimal(dollars(step.estimated_cost)) for step in action.steps):f}"
        return Estimate(time_s=time_s, cost_usd=cost, human_oversight=filled(written.human_oversight))


def _squeezed(text: str) -> str:
    return " ".join(text.split())
