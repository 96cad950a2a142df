"""A document becomes a plan in which every written text has a meaning, or a complaint says why it has none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.freeze import freeze
from assent.policies.read_document import document_from_mapping, read_document
from assent.prompts.templates import names, template
from assent.schemas.errors import Complaint, InvalidDocument
from assent.schemas.plan import Call, Plan
from assent.schemas.risk import Level

DOCUMENTS = Path(__file__).parent / "data" / "documents"
PROGRAMS = {"git", "rm", "make", "find", "install"}


def which(word: str) -> str | None:
    return f"/usr/bin/{word}" if word in PROGRAMS else None


def plan_of(action: dict[str, Any], **sections: Any) -> Plan:
    return freeze(document_from_mapping({"problem": "P", "action": action, **sections}), which=which)


def step(**fields: Any) -> dict[str, Any]:
    return {"tool": "shell", "args": {"command": "ls"}, **fields}


def complaints_of(action: dict[str, Any], **sections: Any) -> tuple[Complaint, ...]:
    with pytest.raises(InvalidDocument) as caught:
        plan_of(action, **sections)
    return caught.value.complaints


def undo_of(rollback: str, **fields: Any) -> Call | None:
    return plan_of({"steps": [step(rollback_plan=rollback, **fields)]}).steps[0].undo


def test_guide_example_becomes_a_plan() -> None:
    text = (DOCUMENTS / "problem_good.yaml").read_text() + (DOCUMENTS / "action.yaml").read_text()
    plan = freeze(read_document(text), author="user:ana")
    assert [one.args["command"][:7] for one in plan.steps] == ["EXPLAIN", "CREATE "]
    assert [one.risk for one in plan.steps] == [Level.LOW, Level.MEDIUM]
    assert [one.estimated_time_s for one in plan.steps] == [900, 1800]
    assert plan.estimate.cost_usd == "2.50" and plan.estimate.time_s == 2700
    assert plan.judgement.likelihood == "medium" and plan.judgement.impact == "low"
    assert plan.required_approvals[0].approver == "Database Admin"
    assert plan.author == "user:ana"


@pytest.mark.parametrize("name", names())
def test_our_templates_freeze_as_they_are(name: str) -> None:
    assert len(freeze(read_document(template(name))).steps) == 2


def test_document_without_problem_or_steps_is_refused_with_both() -> None:
    with pytest.raises(InvalidDocument) as caught:
        freeze(read_document("results: {success: true}", file="r.yaml"))
    assert [(one.where, one.file) for one in caught.value.complaints] == [("problem", "r.yaml"), ("action.steps", "r.yaml")]


def test_complaints_name_the_line() -> None:
    text = "problem: {description: x}\naction:\n  steps:\n    - description: Do it\n    - {tool: shell, args: {command: ls},\n       estimated_time: soon}\n"
    with pytest.raises(InvalidDocument) as caught:
        freeze(read_document(text))
    assert [(one.where, one.line) for one in caught.value.complaints] == [
        ("problem.title", 1),
        ("action.steps[1]", 4),
        ("action.steps[2].estimated_time", 6),
    ]


def test_complaints_inside_a_wrapper_name_the_line() -> None:
    with pytest.raises(InvalidDocument) as caught:
        freeze(read_document((DOCUMENTS / "tier_1.yaml").read_text()))
    assert [one.line for one in caught.value.complaints] == [16, 17, 18, 19]


class TestSteps:
    def test_each_command_is_a_step_of_its_own(self) -> None:
        plan = plan_of(
            {"steps": [step(), {"description": "D", "commands": ["a", "b", "c"], "risk": "high", "estimated_time": "1 min"}]}
        )
        assert [one.args["command"] for one in plan.steps] == ["ls", "a", "b", "c"]
        assert [one.description for one in plan.steps][1:] == ["D (1 of 3)", "D (2 of 3)", "D (3 of 3)"]
        assert {one.risk for one in plan.steps[1:]} == {Level.HIGH}
        assert [one.estimated_time_s for one in plan.steps[1:]] == [60, None, None], "the sum stays what was written"

    def test_undo_of_a_group_stands_on_its_last_step(self) -> None:
        plan = plan_of({"steps": [{"commands": ["mkdir x", "touch x/y"], "rollback_plan": "rm -r x"}]})
        assert [one.undo for one in plan.steps] == [None, Call(tool="shell", args={"command": "rm -r x"})]
        assert plan.steps[0].rollback_plan == "together with step 2: rm -r x"

    def test_single_command_keeps_its_description(self) -> None:
        assert plan_of({"steps": [{"description": "D", "commands": "ls"}]}).steps[0].description == "D"

    def test_written_numbers_decide_the_order_and_are_renumbered(self) -> None:
        steps = [step(step=30, description="c"), step(step=10, description="a"), step(step=20, description="b")]
        plan = plan_of({"steps": steps})
        assert [(one.step, one.description) for one in plan.steps] == [(1, "a"), (2, "b"), (3, "c")]

    @pytest.mark.parametrize(
        ("steps", "where", "expected"),
        [
            ([step(step=1), step(step=1)], "action.steps[2].step", "once"),
            ([step(step=1), step()], "action.steps[2].step", "a number"),
            ([{"description": "Analyze it"}], "action.steps[1]", "tool and args, or commands"),
            (["Analyze it"], "action.steps[1]", "tool and args, or commands"),
            ([{"args": {"a": 1}}], "action.steps[1].tool", "the tool"),
            ([{"tool": "sql", "commands": ["x"]}], "action.steps[1]", "either"),
            ([{"tool": "shell", "args": {}, "commands": ["x"]}], "action.steps[1]", "either"),
            ([step(estimated_time="15")], "action.steps[1].estimated_time", "with its unit"),
            ([step(estimated_cost="€5")], "action.steps[1].estimated_cost", "US dollars"),
            ([], "action.steps", "at least one"),
        ],
    )
    def test_what_cannot_run_is_a_complaint(self, steps: list[Any], where: str, expected: str) -> None:
        (complaint,) = complaints_of({"steps": steps})
        assert complaint.where == where and expected in complaint.expected

    def test_shell_may_be_named_beside_commands(self) -> None:
        assert plan_of({"steps": [{"tool": "shell", "commands": ["ls"]}]}).steps[0].args == {"command": "ls"}

    def test_what_the_template_left_open_has_no_value(self) -> None:
        plan = freeze(read_document((DOCUMENTS / "template_basic.yaml").read_text()))
        assert {(one.estimated_time_s, one.risk, one.rollback_plan, one.undo) for one in plan.steps} == {(None, None, "", None)}
        assert plan.workflow_id == "" and plan.intent == ""
        assert plan.estimate.time_s is None


class TestUndo:
    def test_explicit_undo_is_taken(self) -> None:
        undo = Call(tool="files", args={"operation": "delete", "path": "a"})
        assert plan_of({"steps": [step(undo=undo.as_json())]}).steps[0].undo == undo
        assert plan_of({"steps": [step(rollback=undo.as_json())]}).steps[0].undo == undo

    @pytest.mark.parametrize(
        "rollback", ["git revert --no-edit HEAD", "rm -r x && git checkout .", "make undo > log.txt", "rm 'a file'"]
    )
    def test_command_of_known_programs_is_an_undo(self, rollback: str) -> None:
        assert undo_of(rollback) == Call(tool="shell", args={"command": rollback})

    @pytest.mark.parametrize(
        "rollback",
        [
            "Restore from backup",
            "restore from backup",
            "Git revert HEAD",
            "make sure the old index is back",
            "find the previous version",
            "install the previous version manually",
            "rm -r 'x",
            "rm x; unknown-program y",
            "cd x && make undo",
            "git revert HEAD\nthen tell the team",
            "$UNDO now",
            "git revert $(unknown-program)",
            "a=1",
            "",
            "# nothing",
        ],
    )
    def test_words_stay_words(self, rollback: str) -> None:
        assert undo_of(rollback) is None

    def test_rollback_words_are_kept(self) -> None:
        assert plan_of({"steps": [step(rollback="Ask Ana")]}).steps[0].rollback_plan == "Ask Ana"

    def test_no_program_is_known_by_default(self) -> None:
        document = document_from_mapping({"problem": "P", "action": {"steps": [step(rollback_plan="git revert HEAD")]}})
        assert freeze(document).steps[0].undo is None

    @pytest.mark.parametrize(
        "rollback",
        [
            "DROP INDEX i",
            "drop index i;",
            "CREATE INDEX i ON t(a)",
            "UPDATE t SET a = 1 WHERE b = 2",
            "DELETE FROM t WHERE id = 3",
            "ALTER TABLE t DROP COLUMN c",
        ],
    )
    def test_one_statement_is_an_undo_on_the_same_database(self, rollback: str) -> None:
        undo = undo_of(rollback, tool="sql", args={"database": "shop.db", "statement": "x", "parameters": [1]})
        assert undo == Call(tool="sql", args={"database": "shop.db", "statement": rollback})

    @pytest.mark.parametrize(
        "rollback",
        [
            "SELECT 1",
            "DROP INDEX a; DROP INDEX b",
            "drop the index",
            "Delete from backup",
            "delete from staging",
            "UPDATE t SET a = 1",
            "Restore the table from backup",
            "create the table again",
            "VACUUM",
            "git revert HEAD",
            "DROP INDEX",
        ],
    )
    def test_what_is_no_single_change_stays_words(self, rollback: str, capfd: pytest.CaptureFixture[str]) -> None:
        assert undo_of(rollback, tool="sql", args={"database": "shop.db", "statement": "x"}) is None
        assert capfd.readouterr().err == ""

    def test_dialect_is_the_steps(self) -> None:
        args = {"database": "d", "statement": "x", "dialect": "postgres"}
        undo = undo_of("DROP INDEX CONCURRENTLY i", tool="sql", args=args)
        assert undo is not None and undo.args["dialect"] == "postgres"
        assert undo_of("DROP INDEX i", tool="sql", args=args | {"dialect": "klingon"}) is None

    def test_other_tools_have_no_undo_in_words(self) -> None:
        assert undo_of("git revert HEAD", tool="http", args={}) is None


class TestEstimates:
    def test_written_total_wins(self) -> None:
        action = {
            "steps": [step(estimated_time="1 min", estimated_cost="$1")],
            "resources_required": {"time_estimate": "1 h", "cost_estimate": "$2.50"},
        }
        assert plan_of(action).estimate.time_s == 3600
        assert plan_of(action).estimate.cost_usd == "2.50"

    def test_otherwise_the_steps_are_summed(self) -> None:
        plan = plan_of(
            {
                "steps": [
                    step(estimated_time="1-2 min", estimated_cost="$0.10"),
                    step(estimated_time="90 s", estimated_cost="$0.20"),
                ]
            }
        )
        assert (plan.estimate.time_s, plan.estimate.cost_usd) == (210, "0.30")

    def test_sum_over_some_of_the_steps_is_no_estimate(self) -> None:
        assert plan_of({"steps": [step(estimated_time="1 min"), step()]}).estimate.time_s is None


MEASURED = {"title": "P", "success_criteria": ["orders query p95 < 20 ms", "no errors"]}


class TestMeasures:
    def test_criterion_is_one_of_the_problems(self) -> None:
        measure = {"criterion": "orders  query p95 < 20 ms", "tool": "sql", "args": {}, "read": "p95_ms"}
        plan = plan_of({"steps": [step()]}, problem=MEASURED, measures=[measure])
        assert plan.measures[0].criterion == "orders query p95 < 20 ms"
        assert plan.measures[0].unit == "ms", "the name of the field says the unit"

    def test_other_criterion_is_refused_with_the_nearest(self) -> None:
        measure = {"criterion": "orders query p95 < 30 ms", "tool": "sql", "read": "p95_ms"}
        (complaint,) = complaints_of({"steps": [step()]}, problem=MEASURED, measures=[measure])
        assert complaint.where == "measures[1].criterion"
        assert "did you mean 'orders query p95 < 20 ms'?" in complaint.expected

    def test_criterion_is_added_where_the_problem_has_none(self) -> None:
        measures = [{"criterion": "a < 1", "tool": "x", "read": "value"}, {"criterion": "b < 1", "tool": "x", "read": "value"}]
        assert plan_of({"steps": [step()]}, measures=measures).problem.success_criteria == ("a < 1", "b < 1")

    def test_what_is_missing_is_named(self) -> None:
        assert [one.where for one in complaints_of({"steps": [step()]}, measures=[{}])] == [
            "measures[1].criterion",
            "measures[1].tool",
            "measures[1].read",
        ]


class TestApprovalsAndWindow:
    WINDOW = "2025-10-12T15:00:00Z to 2025-10-12T18:00:00+02:00"

    def test_roles_of_the_chain_are_asked_and_its_decisions_ignored(self) -> None:
        chain = [{"role": "Tech Lead", "decision": "approve"}, {"role": "DBA", "decision": ["approve", "reject"]}]
        plan = plan_of(
            {"steps": [step()], "required_approvals": [{"type": "dual-signoff", "approver": "DBA"}]},
            approval_request={"approval_chain": chain, "status": "approved"},
        )
        assert [(one.type, one.approver) for one in plan.required_approvals] == [
            ("dual_signoff", "DBA"),
            ("pre_approval", "Tech Lead"),
        ]

    @pytest.mark.parametrize("place", ["action", "approval_request"])
    def test_window(self, place: str) -> None:
        action: dict[str, Any] = {"steps": [step()]}
        request: dict[str, Any] = {}
        (action if place == "action" else request)["execution_window"] = self.WINDOW
        window = plan_of(action, approval_request=request).execution_window
        assert window is not None
        assert (window.opens_at.isoformat(), window.closes_at.isoformat()) == (
            "2025-10-12T15:00:00+00:00",
            "2025-10-12T16:00:00+00:00",
        )

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("tomorrow", "two times"),
            ("2025-10-12T15:00:00 to 2025-10-12T16:00:00", "with their zone"),
            ("2025-10-12T16:00:00Z to 2025-10-12T15:00:00Z", "ends after"),
            ("2025-10-12T16:00:00Z", "two times"),
        ],
    )
    def test_other_windows_are_refused(self, written: str, expected: str) -> None:
        (complaint,) = complaints_of({"steps": [step()], "execution_window": written})
        assert complaint.where == "action.execution_window" and expected in complaint.expected

    def test_two_different_windows_are_refused(self) -> None:
        other = "2025-10-13T15:00:00Z to 2025-10-13T18:00:00Z"
        (complaint,) = complaints_of(
            {"steps": [step()], "execution_window": other}, approval_request={"execution_window": self.WINDOW}
        )
        assert "one execution window" in complaint.expected


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=10),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(max_size=20), st.dictionaries(st.text(max_size=5), JSON, max_size=3), st.text(max_size=20)),
        min_size=1,
        max_size=4,
    )
)
def test_freezing_is_deterministic_and_canonical_bytes_read_back(steps: list[tuple[str, dict[str, Any], str]]) -> None:
    written = [
        {"description": words, "tool": "shell", "args": args, "rollback_plan": rollback} for words, args, rollback in steps
    ]
    mapping = {"problem": {"title": "P"}, "action": {"steps": written}}
    try:
        plan = freeze(document_from_mapping(mapping), which=lambda word: True)
    except InvalidDocument as error:
        assert all("printable" in one.expected or "within 2^53" in one.expected for one in error.complaints)
        return
    assert [one.args for one in plan.steps] == [args for _, args, _ in steps], "nothing of the arguments is lost"
    assert Plan.read(plan.bytes) == plan
    assert freeze(document_from_mapping(json.loads(json.dumps(mapping))), which=lambda word: True).digest == plan.digest
