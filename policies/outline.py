"""A whole plan in a few lines of Markdown, for screens that show one call of it at a time: nobody approves a plan by seeing one step only.

Rules:
- Written from the plan's bytes. Everything that somebody else wrote stands in a code span that it cannot leave, secrets hidden, every character
  visible; the author's words are marked as theirs.
- The first call's text begins with the outline of everything that the answer is about: steps in order with their risk, written undos, measures.
- What does not fit is counted, and then the text says that not all of it is shown. The riskiest calls are never what is left out.

Source: Agent Inbox and Agent Chat UI show the first of `action_requests` and answer for all of them. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..schemas.approval import Question
from ..schemas.plan import Call, Plan
from ..schemas.risk import Level
from .counted import counted
from .plan_risk import PlanRisk
from .redact import Redaction
from .show import excerpt

_LINES = 40
_CALL_CHARS = 320
_WORDS_CHARS = 400
_TICKS = re.compile("`+")
_ASKS = {
    Question.OVERRUN: "The run asks to go beyond its estimate.", Question.GATE: "A checkpoint of the run was not passed.",
    Question.CONFLICT: "Agents of the run contradict each other.", Question.REVIEW: "A result of the run waits for review.",
}  # fmt: skip


@dataclass(frozen=True)
class _Row:
    place: str
    call: Call
    level: Level | None


def outline(plan: Plan, risk: PlanRisk | None, *, hide: Redaction | None = None) -> tuple[list[str], int]:
    """Return one line for each call that may run, in the plan's order, and how many lines had to be left out.

    Args:
        risk: of the plan's calls; `None`: not known, which is said.
        hide: what hides secrets; the patterns alone where it is absent.
    """
    hide = hide or Redaction()
    rows = _rows(plan, risk)
    worst = sorted(range(len(rows)), key=lambda n: (-_rank(rows[n].level), n))[:_LINES]
    return [_line(rows[n], hide) for n in sorted(worst)], len(rows) - len(worst)


def described(plan: Plan, risk: PlanRisk | None, level: Level, kind: Question, subject: Mapping[str, Any], *, hide: Redaction | None = None) -> list[str]:
    """Return the text that stands beside each step's call on such a screen, in Markdown; the first begins with what the question is about.

    Args:
        level: risk of the whole plan.
        kind: what is asked.
        subject: what the question says besides.
        hide: what hides secrets; the patterns alone where it is absent.
    """
    hide = hide or Redaction()
    count = len(plan.steps)
    texts = [f"**Step {step.step} of {count}**{_said(step.description, hide)}" for step in plan.steps]
    if not texts:
        return []
    lines, left = outline(plan, risk, hide=hide)
    if kind is Question.IN_DOUBT:
        # The call that is asked about need not be the one beside this text, so it is named in it.
        number = subject.get("step")
        named = [line for line in lines if line.startswith(f"{number}\\.")] if subject.get("direction") == "do" else []
        head = [f"**It is not known whether step {number} happened.** {span(subject.get('why', ''), hide)}", *named]
        head.append("Look at the outside world, then answer `happened`, `did not happen` or `abandon`; nothing is approved here.")
        texts[0] = "\n\n".join(head)
        return texts
    asked = f"{_ASKS[kind]} " if kind in _ASKS else ""
    why = f"\n\nWhy: {span(subject['why'], hide)}" if subject.get("why") else ""
    head = [f"**{asked}Your answer is for the whole plan: {counted(count, 'step')}, risk {level.value}.** Approved, all of this may run:{why}"]
    head += ["\n".join(f"- {line}" for line in lines), f"The author calls it {span(plan.problem.title, hide)}."]
    if left:
        head.append(f"**Not all of it is shown: {left} more calls of the same or lower risk.** Look at the page or at `assent show` before you approve.")
    texts[0] = "\n\n".join([*head, texts[0]])
    return texts


def span(text: object, hide: Redaction, limit: int = _WORDS_CHARS) -> str:
    """Return any text as a code span of Markdown, on one line, that nothing in it can end."""
    shown = excerpt(hide.text(str(text)), limit).shown.strip()
    if not shown:
        return ""
    fence = "`" * (max((len(found) for found in _TICKS.findall(shown)), default=0) + 1)
    # Without spaces a tick at an end would join the fence; renderers take one from either side off again.
    pad = " " if "`" in (shown[0], shown[-1]) else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _line(row: _Row, hide: Redaction) -> str:
    args = json.dumps(hide.value(row.call.args), ensure_ascii=False, separators=(", ", ": "))
    risk = row.level.value if row.level is not None else "risk not known"
    return f"{row.place} **{risk}** {span(row.call.tool, hide, 80)} {span(args, hide, _CALL_CHARS)}"


def _rank(level: Level | None) -> int:
    return 9 if level is None else level.rank


def _said(words: str, hide: Redaction) -> str:
    return f" The author says {span(words, hide)}" if words.strip() else ""


def _rows(plan: Plan, risk: PlanRisk | None) -> list[_Row]:
    rows: list[_Row] = []
    for n, step in enumerate(plan.steps):
        rows.append(_Row(f"{step.step}\\.", step.call, risk.steps[n].level if risk else None))
        if step.undo is not None:
            undo = risk.undos[n] if risk else None
            rows.append(_Row(f"to take back {step.step}:", step.undo, undo.level if undo else None))
    rows += [_Row("measured before and after:", measure.call, risk.measures[n].level if risk else None) for n, measure in enumerate(plan.measures)]
    return rows
