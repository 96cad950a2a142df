"""Freeze the steps of an action: order, numbers, calls, what takes them back, and what they are expected to take.

Rules:
- a step has a tool with arguments, or commands for the shell; a description alone says what but not how;
- each command of a step becomes a step of its own. The written estimates stand on the first of them, so that sums stay right; the undo
  stands on the last, because it takes back the whole group and must not run when only a part of it happened;
- a rollback plan becomes executable only by proof (`undoable`); otherwise it stays words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..schemas.document import WrittenAction, WrittenStep
from ..schemas.plan import Call, Step
from .durations import dollars, seconds
from .notes import Notes, filled
from .undoable import undo_of


def frozen_steps(action: WrittenAction, notes: Notes, which: Callable[[str], object]) -> tuple[Step, ...]:
    """Return the steps in the order in which they run, numbered from 1; complaints go to `notes`."""
    return _Freezing(notes, which).steps(action)


@dataclass(frozen=True)
class _Freezing:
    notes: Notes
    which: Callable[[str], object]

    def steps(self, action: WrittenAction) -> tuple[Step, ...]:
        if not action.steps:
            self.notes.complain("action.steps", "at least one step with tool and args, or with commands")
            return ()
        frozen: list[Step] = []
        for position in self._order(action.steps):
            frozen += self._frozen(action.steps[position], f"action.steps[{position + 1}]", len(frozen))
        return tuple(frozen)

    def _order(self, steps: Sequence[WrittenStep]) -> list[int]:
        """Return the positions in the order of the written numbers."""
        places = list(range(len(steps)))
        numbers = [step.step for step in steps]
        if all(number is None for number in numbers):
            return places
        seen: dict[int, int] = {}
        for position, number in enumerate(numbers):
            where = f"action.steps[{position + 1}].step"
            if number is None:
                self.notes.complain(where, "a number, since other steps have one")
            elif number in seen:
                self.notes.complain(where, f"each number once (steps[{seen[number] + 1}] has it too)", str(number))
            else:
                seen[number] = position
        return sorted(places, key=lambda position: numbers[position] or 0)

    def _frozen(self, step: WrittenStep, where: str, before: int) -> list[Step]:
        time_s = self.notes.value(seconds, step.estimated_time, f"{where}.estimated_time")
        cost = self.notes.value(dollars, step.estimated_cost, f"{where}.estimated_cost")
        calls = self._calls(step, where)
        words = filled(step.rollback_plan)
        last = before + len(calls)
        steps = []
        for number, call in enumerate(calls, 1):
            is_last = number == len(calls)
            several = len(calls) > 1
            steps.append(
                Step(
                    step=before + number,
                    description=f"{step.description} ({number} of {len(calls)})".strip() if several else step.description,
                    tool=call.tool,
                    args=call.args,
                    risk=step.risk,
                    reversible=step.reversible,
                    undo=(step.undo or undo_of(words, call.tool, call.args, self.which)) if is_last else None,
                    rollback_plan=words if is_last or not words else f"together with step {last}: {words}",
                    estimated_time_s=time_s if number == 1 else None,
                    cost_usd=cost if number == 1 else None,
                )
            )
        return steps

    def _calls(self, step: WrittenStep, where: str) -> list[Call]:
        if step.commands and (step.tool not in ("", "shell") or step.args is not None):
            self.notes.complain(where, "either tool and args or commands", "both")
            return []
        if step.commands:
            if not all(step.commands):
                self.notes.complain(f"{where}.commands", "commands that are not empty")
            return [Call(tool="shell", args={"command": command}) for command in step.commands]
        if step.tool:
            return [Call(tool=step.tool, args=step.args or {})]
        if step.args is not None:
            self.notes.complain(f"{where}.tool", "the tool that takes these args: shell, files, sql, http, python …")
        else:
            shown = repr(step.description[:60]) if step.description else ""
            self.notes.complain(where, "how it is done, not only what: tool and args, or commands", shown)
        return []
