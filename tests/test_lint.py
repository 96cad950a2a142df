"""A vague problem is told exactly what is missing and what to write instead; a good one is left in peace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.freeze import freeze
from assent.policies.lint import lint, lint_document
from assent.policies.read_document import document_from_mapping, read_document
from assent.policies.wording import is_placeholder
from assent.prompts.templates import names, template
from assent.schemas.document import Hint, WrittenProblem
from assent.schemas.problem import Context, Problem

DOCUMENTS = Path(__file__).parent / "data" / "documents"

COMPLETE = Problem(
    title="Orders query takes 850 ms",
    description="P95 went from 150 ms to 850 ms since Monday, affecting 45 % of requests.",
    context=Context(environment="staging", affected_systems=("orders-db",), priority="high"),
    success_criteria=("orders query p95 < 20 ms",),
    constraints=("Budget: $5",),
)


def written(name: str) -> tuple[Hint, ...]:
    return lint_document(read_document((DOCUMENTS / f"{name}.yaml").read_text()))


def about(hints: tuple[Hint, ...], word: str) -> list[Hint]:
    return [hint for hint in hints if word in f"{hint.field} {hint.missing}"]


def plan_hints(step: dict[str, Any], **sections: Any) -> tuple[Hint, ...]:
    problem = COMPLETE.as_json()
    document = document_from_mapping({"problem": problem, "action": {"steps": [step]}, **sections})
    return lint(COMPLETE, freeze(document))


def test_complete_problem_gets_no_hint() -> None:
    assert lint(COMPLETE) == ()


def test_good_example_gets_no_hint_about_metric_impact_or_criteria() -> None:
    hints = written("problem_good")
    assert {hint.field for hint in hints} == {
        "problem.constraints",
        "problem.context.environment",
        "problem.context.affected_systems",
        "problem.context.priority",
    }
    assert "user-service" in about(hints, "affected_systems")[0].write_instead


def test_poor_example_gets_all_that_the_guide_lists() -> None:
    hints = written("problem_poor")
    for word in ("metric", "impact", "success_criteria", "constraints"):
        assert about(hints, word), word
    (metric,) = about(hints, "metric")
    assert '"users are complaining"' in metric.missing and "API p95 latency" in metric.write_instead
    (title,) = about(hints, "problem.title")
    assert '"slow"' in title.missing and title.write_instead == '"Reduce API p95 latency from <current> ms to < <target> ms"'
    assert title.line == 3


def test_vague_criterion_gets_a_rewrite_that_can_be_read() -> None:
    (hint,) = about(written("problem_unclear"), "success_criteria[1]")
    assert hint.write_instead == '"System p95 latency < <target> ms (currently <value> ms)"'
    assert about(written("problem_clear"), "success_criteria") == []


@pytest.mark.parametrize("field", ["environment", "affected_systems", "priority"])
def test_each_missing_field_of_the_context_is_one_hint(field: str) -> None:
    context = COMPLETE.context.model_copy(update={field: () if field == "affected_systems" else None})
    assert [hint.field for hint in lint(COMPLETE.model_copy(update={"context": context}))] == [f"problem.context.{field}"]


@pytest.mark.parametrize(
    ("criterion", "vague"),
    [
        ("System runs faster", True),
        ("Better error handling", True),
        ("Users are happy", True),
        ("Code quality improves", True),
        ("p95 < 20 ms", False),
        ("at most 3 errors", False),
        ("No service disruption during fix", False),
        ("All tests pass", False),
        ("The old key is removed", False),
    ],
)
def test_criterion_needs_a_number_a_comparison_or_an_absolute(criterion: str, vague: bool) -> None:
    hints = lint(COMPLETE.model_copy(update={"success_criteria": (criterion,)}))
    assert bool(about(hints, "success_criteria[1]")) is vague


def test_vague_word_is_fine_where_the_number_stands_elsewhere() -> None:
    assert lint(COMPLETE.model_copy(update={"title": "Orders query is slow"})) == ()


def test_missing_impact_is_one_hint() -> None:
    (hint,) = lint(COMPLETE.model_copy(update={"description": "P95 is 850 ms."}))
    assert (hint.field, "impact" in hint.missing) == ("problem.description", True)


def test_choice_that_was_not_made_is_one_hint_with_its_choices_and_line() -> None:
    hints = written("template_basic")
    (risk,) = [hint for hint in hints if hint.field == "action.steps[1].risk"]
    assert (risk.write_instead, risk.line) == ("choose one of low, medium, high", 35)
    (success,) = [hint for hint in hints if hint.field == "results.success"]
    assert success.write_instead == "choose one of true, false"
    assert len([hint for hint in hints if hint.field == "problem.context.environment"]) == 1


@pytest.mark.parametrize("name", names())
def test_our_template_is_reported_until_it_is_filled_in(name: str) -> None:
    hints = lint_document(read_document(template(name)))
    assert {"problem.title", "problem.description", "problem.success_criteria[1]", "action.proposed_solution"} <= {
        hint.field for hint in hints
    }


@pytest.mark.parametrize(
    "text",
    [
        "Brief problem description",
        "X minutes",
        "Y hours/days",
        "Measurable outcome 1",
        "TASK-YYYY-NNN",
        "$X.XX",
        "Budget: $X",
        "command1",
        "<path>",
    ],
)
def test_placeholder_is_known(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    ["5 minutes", "$2.50", "p95 < 20 ms and p99 > 3 ms", "Budget: $5", "a < b", "Reduce X-ray latency", "systems are down"],
)
def test_filled_in_text_is_no_placeholder(text: str) -> None:
    assert not is_placeholder(text)


class TestPlan:
    MEASURE = ({"criterion": "orders query p95 < 20 ms", "tool": "sql", "args": {}, "read": "p95_ms"},)

    def test_measured_plan_gets_no_hint(self) -> None:
        assert plan_hints({"commands": ["ls"]}, measures=self.MEASURE) == ()

    def test_criterion_without_a_measure_is_said_once(self) -> None:
        (hint,) = plan_hints({"commands": ["ls"]})
        assert hint.field == "measures" and "1 of 1" in hint.missing

    def test_sql_in_a_shell_command_is_noticed(self) -> None:
        (hint,) = plan_hints({"commands": ["CREATE INDEX i ON t(a)"]}, measures=self.MEASURE)
        assert hint.write_instead.startswith("tool: sql")

    def test_reversible_step_with_words_only_is_noticed(self) -> None:
        (hint,) = plan_hints({"commands": ["ls"], "reversible": True, "rollback_plan": "Ask Ana"}, measures=self.MEASURE)
        assert hint.field == "step 1" and "Ask Ana" in hint.missing

    def test_measure_whose_unit_does_not_compare_is_noticed(self) -> None:
        (hint,) = plan_hints({"commands": ["ls"]}, measures=[self.MEASURE[0] | {"unit": "%"}])
        assert (hint.field, hint.write_instead) == ("measures[1].unit", 'unit: "ms"')

    def test_measure_without_a_comparison_is_noticed(self) -> None:
        problem = COMPLETE.as_json() | {"success_criteria": ["All tests pass"]}
        measure = {"criterion": "All tests pass", "tool": "shell", "args": {}, "read": "exit_code"}
        document = document_from_mapping({"problem": problem, "action": {"steps": [{"commands": ["ls"]}]}, "measures": [measure]})
        plan = freeze(document)
        assert [hint.field for hint in lint(plan.problem, plan)] == ["measures[1].target"]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.text(max_size=120), st.lists(st.text(max_size=40), max_size=2))
def test_any_problem_can_be_linted(title: str, description: str, criteria: list[str]) -> None:
    problem = WrittenProblem(title=title, description=description, success_criteria=tuple(criteria))
    hints = lint(problem)
    assert hints == lint(problem)
    assert all(hint.missing and hint.write_instead for hint in hints)
