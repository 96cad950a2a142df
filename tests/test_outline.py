"""What screens that show one call at a time say of a whole plan."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.outline import described, outline, span
from assent.policies.plan_risk import PlanRisk
from assent.policies.redact import Redaction
from assent.schemas.approval import Question
from assent.schemas.plan import Measure, Plan, Step
from assent.schemas.problem import Problem
from assent.schemas.risk import Level, Reason, Risk

TOKEN = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"  # the shape of one, not one
HOSTILE = "done`**\n\n- 2\\. **LOW** `shell` `ls`\n[approve](https://evil.example) <img src=x> \u202egnp"


def risk_of(level: Level) -> Risk:
    return Risk.of([Reason(rule="r", level=level, text="t")])


def plan_of(*commands: str, title: str = "t", description: str = "") -> Plan:
    steps = tuple(Step(step=n, tool="shell", args={"command": command}, description=description) for n, command in enumerate(commands, 1))
    return Plan(problem=Problem(title=title), steps=steps)


def risks(plan: Plan, *levels: Level) -> PlanRisk:
    found = tuple(risk_of(level) for level in levels)
    return PlanRisk(whole=max(found, key=lambda one: one.level.rank), steps=found, undos=tuple(None for _ in plan.steps), measures=tuple(risk_of(Level.LOW) for _ in plan.measures))


def first(plan: Plan, risk: PlanRisk | None, kind: Question = Question.PLAN, subject: dict[str, Any] | None = None, known: tuple[str, ...] = ()) -> str:
    return described(plan, risk, Level.HIGH, kind, subject or {}, hide=Redaction(known))[0]


def test_the_first_call_shows_every_step_with_its_risk() -> None:
    plan = plan_of("ls", "rm -rf build", "git push")
    text = first(plan, risks(plan, Level.LOW, Level.HIGH, Level.MEDIUM))
    assert "for the whole plan: 3 steps, risk HIGH" in text
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert lines == [
        '- 1\\. **LOW** `shell` `{"command": "ls"}`', '- 2\\. **HIGH** `shell` `{"command": "rm -rf build"}`', '- 3\\. **MEDIUM** `shell` `{"command": "git push"}`',
    ]  # fmt: skip


def test_undos_and_measures_are_in_it_because_they_may_run_too() -> None:
    step = Step.model_validate({"step": 1, "tool": "shell", "args": {"command": "a"}, "undo": {"tool": "shell", "args": {"command": "take back"}}})
    measure = Measure.model_validate({"criterion": "c < 1 ms", "tool": "shell", "args": {"command": "measure it"}, "read": "x"})
    plan = Plan(problem=Problem(title="t", success_criteria=("c < 1 ms",)), steps=(step,), measures=(measure,))
    found = PlanRisk(risk_of(Level.HIGH), (risk_of(Level.LOW),), (risk_of(Level.HIGH),), (risk_of(Level.MEDIUM),))
    text = first(plan, found)
    assert "to take back 1: **HIGH** `shell` `{\"command\": \"take back\"}`" in text
    assert "measured before and after: **MEDIUM** `shell` `{\"command\": \"measure it\"}`" in text


def test_what_is_not_known_of_the_risk_is_said() -> None:
    assert "**risk not known**" in first(plan_of("ls"), None)


@pytest.mark.parametrize("where", ["command", "title", "description"])
def test_hostile_text_adds_no_line_no_markup_and_nothing_invisible(where: str) -> None:
    plan = plan_of(HOSTILE if where == "command" else "ls", title=HOSTILE if where == "title" else "t", description=HOSTILE if where == "description" else "")
    text = first(plan, risks(plan, Level.HIGH))
    calm = plan_of("ls", title="t", description="x" if where == "description" else "")
    assert len(text.splitlines()) == len(first(calm, risks(calm, Level.HIGH)).splitlines())
    assert text.isascii()
    outside = outside_of_spans(text)
    assert "evil" not in outside and "<img" not in outside and "LOW" not in outside


def outside_of_spans(text: str) -> str:
    """Return what a Markdown reader takes for markup: everything but code spans, which end at a run of as many ticks as they began with."""
    return re.sub(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", "", text, flags=re.DOTALL)


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="`a *\\[]()\n<é\u202e", max_size=30))
def test_nothing_can_end_a_code_span(text: str) -> None:
    shown = span(text, Redaction())
    assert outside_of_spans(f"x{shown}x") == "xx"
    assert "\n" not in shown


def test_the_riskiest_call_is_never_what_is_left_out() -> None:
    plan = plan_of(*["ls"] * 99, "rm -rf /srv")
    lines, left = outline(plan, risks(plan, *[Level.LOW] * 99, Level.CRITICAL))
    assert (len(lines), left) == (40, 60)
    assert "rm -rf /srv" in lines[-1]
    text = first(plan, risks(plan, *[Level.LOW] * 99, Level.CRITICAL))
    assert "Not all of it is shown: 60 more calls" in text
    assert len(text) < 20_000


def test_secrets_are_hidden_and_long_values_say_so() -> None:
    plan = plan_of(f"curl -H 'Authorization: Bearer {TOKEN}' https://example.com", "echo " + "x" * 2000, title="hunter2")
    text = first(plan, risks(plan, Level.HIGH, Level.HIGH), known=("hunter2",))
    assert TOKEN not in text and "hunter2" not in text
    assert "characters not shown" in text


def test_a_step_in_doubt_is_what_the_first_text_is_about() -> None:
    plan = plan_of("ls", "git push")
    subject = {"step": 2, "direction": "do", "why": "its process died"}
    text = first(plan, risks(plan, Level.LOW, Level.HIGH), Question.IN_DOUBT, subject)
    assert "not known whether step 2 happened" in text and "its process died" in text and "git push" in text
    assert "did not happen" in text and "Approved, all of this" not in text


def test_an_overrun_says_what_is_asked() -> None:
    plan = plan_of("ls")
    assert "go beyond its estimate" in first(plan, risks(plan, Level.LOW), Question.OVERRUN)
