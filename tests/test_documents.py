"""What a person writes is read as it was written, or every complaint about it is named at once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.read_document import document_from_mapping, read_document
from assent.prompts.templates import UnknownTemplate, names, template
from assent.runtime.intake import read
from assent.schemas.document import Document
from assent.schemas.errors import Complaint, InvalidDocument, InvalidPlan
from assent.schemas.plan import Plan, Step
from assent.schemas.problem import Problem
from assent.schemas.risk import Level
from assent.tools.toolbox import standard

DOCUMENTS = Path(__file__).parent / "data" / "documents"


def complaints_of(text: str) -> tuple[Complaint, ...]:
    with pytest.raises(InvalidDocument) as caught:
        read_document(text, file="plan.yaml")
    return caught.value.complaints


def arguments(text: str, tool: str = "custom") -> dict[str, Any]:
    document = read_document(f"action: {{steps: [{{tool: {tool}, args: {text}}}]}}")
    assert document.action is not None and document.action.steps[0].args is not None
    return document.action.steps[0].args


@pytest.mark.parametrize("path", sorted(DOCUMENTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_document_of_the_guide_loads(path: Path) -> None:
    document = read_document(path.read_text(), file=path.name)
    assert document.file == path.name
    assert document != Document(file=path.name), "something was read"


@pytest.mark.parametrize("name", names())
def test_our_templates_load(name: str) -> None:
    assert read_document(template(name)).problem is not None


@pytest.mark.parametrize("name", ["", "basics", "../basic", "basic.yaml", "BASIC"])
def test_unknown_template_is_refused_and_the_known_ones_are_named(name: str) -> None:
    with pytest.raises(UnknownTemplate, match="basic, complex"):
        template(name)


class TestMeaning:
    def test_basic_document(self) -> None:
        document = read_document((DOCUMENTS / "problem_good.yaml").read_text())
        assert document.problem is not None
        assert document.problem.title == "API response time degradation in user-service"
        assert document.problem.success_criteria[0] == "P95 latency < 200ms"
        assert document.lines["problem.success_criteria[2]"] == 10

    def test_tier_wrapper(self) -> None:
        document = read_document((DOCUMENTS / "tier_2.yaml").read_text())
        assert document.metadata.agent_tier == 2
        assert document.problem is not None and document.problem.title.startswith("Refactor user authentication")
        assert document.action is not None
        assert [step.description for step in document.action.steps][1] == "Add dependency injection"
        assert document.action.required_approvals[0].approver == "Tech Lead"
        assert document.results is not None and "0 regressions detected" in document.results.summary
        assert document.lines["action.steps"], "complaints about a wrapped step have a line"

    def test_proto_wrapper_keeps_its_sections(self) -> None:
        document = read_document((DOCUMENTS / "proto_workflow.yaml").read_text())
        assert set(document.sections) == {"plan", "review", "observe", "test", "output"}
        assert document.metadata.workflow_type == "PAR-PROTO"
        assert document.sections["plan"]["phases"][0]["phase"] == 1

    def test_linked_workflows(self) -> None:
        document = read_document((DOCUMENTS / "linked_workflows.yaml").read_text())
        assert len(document.phases) == 8
        assert list(document.linked) == ["par_workflow_1", "par_workflow_2", "par_workflow_3"]
        assert document.linked["par_workflow_2"].depends_on == ("par_workflow_1",)
        assert document.linked["par_workflow_3"].can_run_parallel_with == ("par_workflow_2",)

    @pytest.mark.parametrize("written", ["dev", "Development", "DEV"])
    def test_environment_has_short_names(self, written: str) -> None:
        document = read_document(f"problem: {{title: x, context: {{environment: {written}}}}}")
        assert document.problem is not None and document.problem.context.environment == "development"

    @pytest.mark.parametrize("written", ["3", "tier_3", "Tier 3", "tier-3", "'3'", "tier3"])
    def test_tier_spellings(self, written: str) -> None:
        assert read_document(f"metadata: {{agent_tier: {written}}}").metadata.agent_tier == 3

    def test_list_of_choices_is_not_chosen_yet(self) -> None:
        document = read_document("results: {success: [true, false]}\naction: {steps: [{risk: [low, medium, high]}]}")
        assert document.results is not None and document.results.success is None
        assert document.action is not None and document.action.steps[0].risk is None
        assert {one.field: one.choices for one in document.unchosen} == {
            "results.success": ("true", "false"),
            "action.steps[1].risk": ("low", "medium", "high"),
        }

    def test_problem_may_be_a_plain_text(self) -> None:
        document = read_document("problem: Upgrade the database")
        assert document.problem is not None and document.problem.title == "Upgrade the database"

    def test_entry_with_a_colon_is_the_text_that_was_written(self) -> None:
        document = read_document(
            "problem:\n  title: x\n  constraints:\n    - Budget: $5\n    - Timeline: 2 days\n  success_criteria: p95 < 3 ms"
        )
        assert document.problem is not None
        assert document.problem.constraints == ("Budget: $5", "Timeline: 2 days")
        assert document.problem.success_criteria == ("p95 < 3 ms",)

    def test_risk_in_any_case(self) -> None:
        document = read_document("action: {steps: [{risk: Critical}, {risk: LOW}]}")
        assert document.action is not None
        assert [step.risk for step in document.action.steps] == [Level.CRITICAL, Level.LOW]


class TestScalars:
    @pytest.mark.parametrize("written", ["no", "1.0", "2025-10-12", "on", "0x1F", "12:30:45", "1_000", "1e3", "007", "true"])
    def test_text_fields_hold_what_was_written(self, written: str) -> None:
        document = read_document(f"metadata: {{version: {written}}}\nproblem: {{title: {written}, constraints: [{written}]}}")
        assert document.problem is not None
        assert (document.metadata.version, document.problem.title, document.problem.constraints) == (written, written, (written,))

    @pytest.mark.parametrize(
        ("written", "value"),
        [("1", 1), ("-3", -3), ("1.5", 1.5), ("1.0", 1.0), ("1e3", 1000.0), ("true", True), ("null", None), ("~", None)]
        + [
            (text, text)
            for text in ("no", "Yes", "007", "0x1F", "1_000", "2025-10-12", "12:30", ".5", "1.", "+1", ".inf", "True")
        ]
        + [('"1"', "1"), ("'true'", "true")],
    )
    def test_arguments_are_read_as_json_would(self, written: str, value: object) -> None:
        read = arguments(f"{{a: {written}, b: [{written}]}}")
        assert (read["a"], read["b"]) == (value, [value])
        assert type(read["a"]) is type(value)

    def test_textual_arguments_of_our_tools_stay_text(self) -> None:
        assert arguments("{operation: write, path: 2025, content: 1.10}", "files") == {
            "operation": "write",
            "path": "2025",
            "content": "1.10",
        }
        assert arguments("{headers: {X-Version: 1.0, X-On: true}, body: {n: 1.5}}", "http") == {
            "headers": {"X-Version": "1.0", "X-On": "true"},
            "body": {"n": 1.5},
        }
        assert arguments("{statement: x, parameters: [1.0, 2]}", "sql")["parameters"] == [1.0, 2]

    @pytest.mark.parametrize("written", ["9007199254740993", "9007199254740992.0", "1e999", "1" * 50])
    def test_number_that_would_lose_digits_is_a_complaint(self, written: str) -> None:
        (complaint,) = complaints_of(f"action: {{steps: [{{tool: x, args: {{n: {written}}}}}]}}")
        assert complaint.where == "action.steps[1].args.n"
        assert "quotes" in complaint.expected

    def test_json_is_read_with_its_own_types_and_escapes(self) -> None:
        text = json.dumps(
            {"problem": {"title": "grün 🎉"}, "action": {"steps": [{"tool": "x", "args": {"n": 1.0, "s": "1", "z": None}}]}}
        )
        document = read_document(text)
        assert document.problem is not None and document.problem.title == "grün 🎉"
        assert document.action is not None and document.action.steps[0].args == {"n": 1.0, "s": "1", "z": None}

    def test_mapping_and_text_read_the_same(self) -> None:
        text = (DOCUMENTS / "action.yaml").read_text()
        import yaml

        read = read_document(text)
        built = document_from_mapping(yaml.safe_load(text))
        assert built.model_copy(update={"lines": read.lines}) == read

    def test_mapping_may_hold_dates(self) -> None:
        document = document_from_mapping(
            {"metadata": {"created_at": datetime(2025, 10, 12, tzinfo=UTC), "version": 1.5, "agent_tier": 2}}
        )
        assert document.metadata.created_at == "2025-10-12T00:00:00+00:00"
        assert document.metadata.version == "1.5"


class TestComplaints:
    def test_all_of_them_at_once_with_line_and_field(self) -> None:
        text = "problem:\n  titel: x\n  context: {environment: prodution}\n  title: a\n  title: b\naction:\n  steps:\n    - {risk: hihg}\nfoo: 1\n"
        found = {(complaint.where, complaint.line): complaint for complaint in complaints_of(text)}
        assert set(found) == {
            ("problem.titel", 2),
            ("problem.context.environment", 3),
            ("problem.title", 5),
            ("action.steps[1].risk", 8),
            ("foo", 9),
        }
        assert "did you mean title?" in found["problem.titel", 2].expected
        assert "did you mean production?" in found["problem.context.environment", 3].expected
        assert "line 4" in found["problem.title", 5].found
        assert all(complaint.file == "plan.yaml" for complaint in found.values())

    @pytest.mark.parametrize(
        ("text", "where", "expected"),
        [
            ("", "document", "a mapping"),
            ("fix the database", "document", "a mapping"),
            ("- a\n- b", "document", "a mapping"),
            ("a: b: c", "YAML", "colon"),
            ("problem:\n\ttitle: x", "YAML", "tabs"),
            ("problem: >= 5", "YAML", "quotes"),
            ("problem: %x", "YAML", "quotes"),
            ("problem: [a", "YAML", "bracket"),
            ("problem: 'a", "YAML", "closing quote"),
            ("problem: x\n---\nproblem: y", "---", "one document"),
            ("problem: !!python/object/apply:os.system [id]", "tag", "without a tag"),
            ("problem: !thing x", "tag", "without a tag"),
            ("problem: *gone", "alias", "anchor"),
            ("problem: &a {context: *a}", "alias", "contain itself"),
            ("problem: {<<: {title: x}}", "<<", "not merged"),
            ("? [a]\n: b", "key", "a word"),
            ("problem: {title: [a, b]}", "problem.title", "text"),
            ("problem: {success_criteria: {a: b}}", "success_criteria", "a list of texts"),
            ("action: {steps: {tool: x}}", "action.steps", "a list"),
            ("action: {steps: [{step: 0}]}", "action.steps[1].step", "a whole number"),
            ("action: {steps: [{args: [1]}]}", "action.steps[1].args", "a mapping"),
            ("action: {steps: [{undo: {args: {}}}]}", "action.steps[1].undo.tool", "the name of a tool"),
            ("action: {steps: [{rollback: a, rollback_plan: b}]}", "action.steps[1].undo", "rollback_plan"),
            ("action: {steps: [{command: a, commands: [b]}]}", "action.steps[1].commands", "once"),
            ("measures: [{repeat: 0}]", "measures[1].repeat", "from 1 to 1,000"),
            ("metadata: {agent_tier: 5}", "metadata.agent_tier", "one of 1, 2, 3, 4"),
            ("problem: x\npar_workflow: {problem: y}", "par_workflow.problem", "once"),
            ("tier_1_par_workflow: {example_use_cases: {}}", "example_use_cases", "did you mean example_use_case?"),
        ],
    )
    def test_what_is_wrong_is_said(self, text: str, where: str, expected: str) -> None:
        found = complaints_of(text)
        assert any(where in complaint.where and expected in complaint.expected for complaint in found), found

    def test_duplicate_key_in_json_is_refused(self) -> None:
        (complaint,) = complaints_of('{"problem": "a",\n "problem": "b"}')
        assert (complaint.where, complaint.line) == ("problem", 2)

    def test_both_examples_in_one_text_are_refused(self) -> None:
        both = (DOCUMENTS / "problem_unclear.yaml").read_text() + (DOCUMENTS / "problem_clear.yaml").read_text()
        assert [complaint.where for complaint in complaints_of(both)] == ["problem"]

    def test_thousands_of_mistakes_are_counted_not_listed(self) -> None:
        found = complaints_of("".join(f"field{n}: x\n" for n in range(5000)))
        assert len(found) == 51
        assert any("4,950" in complaint.found for complaint in found)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, 2.0**53, b"x", object(), {1, 2}])
    def test_value_without_a_place_in_json_is_refused(self, value: object) -> None:
        with pytest.raises(InvalidDocument, match="finite number"):
            document_from_mapping({"action": {"steps": [{"tool": "x", "args": {"a": value}}]}})

    def test_mapping_that_contains_itself_is_refused(self) -> None:
        loop: dict[str, Any] = {}
        loop["problem"] = loop
        with pytest.raises(InvalidDocument, match="contains itself"):
            document_from_mapping(loop)


class TestHostile:
    @pytest.mark.parametrize(
        "text",
        [
            "problem: x\n" + "#" * 10_000_000,
            "a: &a [x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)),
            "[" * 500_000,
            "{a: " * 100_000,
            "- " * 400_000,
            "x: [" + "a," * 400_000 + "]",
            "x: {" + ",".join(f"a{n}: 1" for n in range(80_000)) + "}",
            "? " * 300_000,
            "---\n" * 200_000,
            "'" * 1_000_001,
        ],
        ids=[
            "10 MB",
            "billion laughs",
            "brackets",
            "braces",
            "dashes",
            "long list",
            "many keys",
            "question marks",
            "documents",
            "quotes",
        ],
    )
    def test_bomb_is_refused_quickly(self, text: str) -> None:
        start = time.perf_counter()
        complaints = complaints_of(text)
        assert time.perf_counter() - start < 3
        assert len(str(complaints)) < 50_000

    def test_alias_of_a_small_value_is_fine(self) -> None:
        document = read_document("problem: {title: x, constraints: &same [a, b], out_of_scope: *same}")
        assert document.problem is not None and document.problem.out_of_scope == ("a", "b")

    @pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\ud800", "\ufffe"])
    def test_unreadable_character_is_named_with_its_line(self, character: str) -> None:
        (complaint,) = complaints_of(f"problem:\n  title: a{character}b")
        assert complaint.line == 2
        assert f"U+{ord(character):04X}" in complaint.found

    @pytest.mark.parametrize("escape", ["\\0", "\\x1b[2J", "\\u202e", "\\u2066", "\\r", "\\N"])
    @pytest.mark.parametrize(
        "field",
        [
            'problem: {title: "%s"}',
            'problem: {title: x, constraints: ["%s"]}',
            'problem: {title: x, context: {environment: "%s"}}',
            'action: {steps: [{tool: shell, args: {command: "%s"}}]}',
            'action: {steps: [{tool: shell, args: {"%s": x}}]}',
            'action: {steps: [{commands: ["%s"]}]}',
            'plan: {approach: "%s"}',
            '"%s": x',
        ],
    )
    def test_escaped_control_or_reversing_character_is_refused_everywhere(self, field: str, escape: str) -> None:
        for complaint in complaints_of(field % escape):
            assert str(complaint).isprintable()

    def test_line_ends_tabs_and_other_scripts_are_fine(self) -> None:
        read = arguments('{content: "a\\r\\nb\\tc", path: "naïve/日本/🎉"}', "files")
        assert read == {"content": "a\r\nb\tc", "path": "naïve/日本/🎉"}

    def test_byte_order_mark_is_passed_over(self) -> None:
        assert read_document("\ufeffproblem: x").problem is not None


WORDS = "problem title action steps results args tier_1_par_workflow proto_workflow par_workflow_1 null"
SIGNS = (
    "problem:",
    "steps: [",
    "- ",
    "\n",
    "  ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "!!str ",
    "---\n",
    "| ",
    "> ",
    '"',
    "'",
    "#",
    "~",
    "<<",
)
ODDITIES = ("? ", "%", ",", "\t", "\\u202e", "\x00", "\ud800")
SNIPPETS = st.sampled_from((*WORDS.split(), *SIGNS, *ODDITIES))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(SNIPPETS, max_size=30).map("".join)))
def test_any_text_is_a_document_or_a_complaint(text: str) -> None:
    try:
        assert isinstance(read_document(text), Document)
    except InvalidDocument as error:
        assert error.complaints


FIELDS = st.sampled_from(
    [
        "problem",
        "action",
        "measures",
        "metadata",
        "results",
        "execution",
        "approval_request",
        "title",
        "description",
        "context",
        "environment",
        "success_criteria",
        "steps",
        "step",
        "tool",
        "args",
        "commands",
        "undo",
        "rollback",
        "risk",
        "reversible",
        "outcomes",
        "success",
        "agent_tier",
        "approval_chain",
        "proto_workflow",
        "par_workflow_1",
        "tier_1_par_workflow",
        "plan",
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), FIELDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(FIELDS, st.text(max_size=4)), inner, max_size=4)
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(FIELDS, VALUES, max_size=5))
def test_any_mapping_is_a_document_or_a_complaint(mapping: dict[str, Any]) -> None:
    try:
        assert isinstance(document_from_mapping(mapping), Document)
    except InvalidDocument as error:
        assert error.complaints


def test_document_of_five_steps_is_read_in_milliseconds() -> None:
    steps = "".join(
        f"    - step: {n}\n      description: 'do {n}'\n      tool: sql\n      args: {{database: a.db, statement: 'SELECT {n}'}}\n"
        "      risk: low\n      reversible: true\n      rollback_plan: none\n      estimated_time: 1 minute\n"
        for n in range(1, 6)
    )
    text = f"problem: {{title: x, success_criteria: ['a < 1 ms']}}\naction:\n  steps:\n{steps}"
    read_document(text)
    best = min(_timed(text) for _ in range(20))
    assert best < 0.003


def _timed(text: str) -> float:
    start = time.perf_counter()
    read_document(text)
    return time.perf_counter() - start


class TestWrongCalls:
    """What a tool does not take is named with what cannot be read, each with its line."""

    WRITTEN = """\
problem: {title: x, success_criteria: [a]}
action:
  steps:
    - {step: 1, tool: filez, args: {operation: write}}
    - {step: 2, commands: [ls], risk: RISK}
    - step: 3
      tool: files
      args:
        operation: write
        pth: x
      undo: {tool: shel, args: {}}
measures: [{criterion: CRITERION, tool: shell, args: {comand: ls}, read: exit_code}]
"""
    CALLS = (
        (4, "action.steps[1].tool"), (9, "action.steps[3].args.path"), (9, "action.steps[3].args.pth"), (11, "action.steps[3].undo.tool"),
        (12, "measures[1].args.command"), (12, "measures[1].args.comand"),
    )  # fmt: skip

    def told(self, risk: str, criterion: str, error: type[InvalidDocument | InvalidPlan]) -> list[str]:
        with pytest.raises(error) as found:
            read({"text": self.WRITTEN.replace("RISK", risk).replace("CRITERION", criterion), "file": "p.yaml"}, standard())
        return list(found.value.fields["complaints"])

    @pytest.mark.parametrize(
        ("risk", "criterion", "more"),
        [("hgih", "a", (5, "action.steps[2].risk")), ("high", "b", (12, "measures[1].criterion")), ("high", "a", None)],
    )
    def test_together_with_what_cannot_be_read(self, risk: str, criterion: str, more: tuple[int, str] | None) -> None:
        told = self.told(risk, criterion, InvalidDocument if more else InvalidPlan)
        wanted = [*self.CALLS, *([more] if more else [])]
        assert sorted(one.split(": expected")[0] for one in told) == sorted(f"p.yaml:{line}: {where}" for line, where in wanted)
        assert [int(one.split(":")[1]) for one in told] == sorted(line for line, _ in wanted)

    def test_near_names_are_told(self) -> None:
        told = "\n".join(self.told("high", "a", InvalidPlan))
        assert "(did you mean files?)" in told and "no such field (did you mean path?)" in told and "(did you mean shell?)" in told

    def test_what_could_not_be_read_is_told_once(self) -> None:
        with pytest.raises(InvalidDocument) as found:
            read({"document": {"problem": {"title": "x"}, "action": {"steps": [{"step": 1, "tool": "files", "args": "all"}]}}}, standard())
        assert [one.where for one in found.value.complaints] == ["action.steps[1].args"]

    def test_a_misspelt_section_hides_no_call_of_another(self) -> None:
        written = {"problem": {"title": "x"}, "action": {"steps": [{"step": 1, "tool": "filez"}]}, "act": 1, "measures": [{"criterion": "a", "tool": "shel", "read": "rows"}], "measure": 1}
        with pytest.raises(InvalidDocument) as found:
            read({"document": written}, standard())
        assert {one.where for one in found.value.complaints} == {"act", "measure", "action.steps[1].tool", "measures[1].tool"}

    def test_every_step_of_a_plan_is_named(self) -> None:
        plan = Plan(problem=Problem(title="x"), steps=(Step(step=1, tool="teleport"), Step(step=2, tool="shell", args={"cmd": "ls"})))
        with pytest.raises(InvalidPlan) as found:
            read(plan, standard())
        assert "step 1: there is no tool 'teleport'" in found.value.message and "step 2: the arguments of shell are wrong" in found.value.message
