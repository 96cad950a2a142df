"""Consolidation and checkpoint: nothing is lost, both sides stay, and nothing but `passed` leads on."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.agent_message import Unreadable, read_answer, report_of
from assent.policies.checkpoint import check
from assent.policies.consolidation import merge
from assent.policies.phase_recovery import callable_for, narrowed, read_strategies, strategy
from assent.policies.phase_size import check_size, split
from assent.policies.phases import for_testing, shipped
from assent.policies.redact import redact_value
from assent.schemas.agent_message import AgentMessage
from assent.schemas.canonical import canonical
from assent.schemas.consolidated import Consolidated, Resolution
from assent.schemas.errors import InvalidConfiguration, InvalidPlan
from assent.schemas.phase import AgentLimits, AgentOutcome, AgentSpec, Criterion, FaultCategory, Gathering, PhaseSpec, Settled
from assent.schemas.risk import Level

from .phase_world import finding, says, spec_of

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)


def message(agent: str, content: dict[str, Any], spec: PhaseSpec | None = None, **body: Any) -> AgentMessage:
    whole = spec or spec_of()
    given = {"header": {"phase": "1", "agent_id": agent, "timestamp": NOW.isoformat()}, "body": {"message_type": "result", "content": content, **body}}
    return read_answer(given, whole, whole.agent(agent), took_s=1, attempt=0, now=NOW)


def merged(spec: PhaseSpec | None = None, resolutions: tuple[Resolution, ...] = (), missing: tuple[str, ...] = (), **contents: dict[str, Any]) -> Consolidated:
    whole = spec or spec_of()
    messages = {agent: message(agent, content, whole) for agent, content in contents.items()}
    settled = [Settled(agent_id=agent, outcome=AgentOutcome.REPORTED, digest=f"sha256:{agent}") for agent in messages]
    settled += [Settled(agent_id=agent, outcome=AgentOutcome.LATE, category=FaultCategory.AGENT_FAILURE, reason="too slow") for agent in missing]
    return merge(whole, messages, settled, now=NOW, resolutions=resolutions)


# --- conflicts -------------------------------------------------------------------------------------------------------------------------


def test_a_contradiction_keeps_both_sides() -> None:
    found = merged(a=says(finding("db", "engine", "postgres", "high", text="see compose")), b=says(finding("db", "engine", "sqlite")), c=says())
    (conflict,) = found.conflicts
    assert conflict.critical and conflict.resolution is None
    assert {(side.agent_id, side.value) for side in conflict.sides} == {("a", "postgres"), ("b", "sqlite")}
    assert {finding.value for finding in found.findings} == {"postgres", "sqlite"}
    assert found.risk_assessment.level is Level.HIGH


def test_what_agrees_is_joined_and_names_everybody() -> None:
    found = merged(a=says(finding("x", "lines", 10, evidence=("a:1",))), b=says(finding("x", "lines", 10, "medium", evidence=("b:2",))), c=says())
    assert not found.conflicts
    (one,) = found.findings
    assert one.agents == ("a", "b") and one.severity == "medium" and one.evidence == ("a:1", "b:2")


def test_an_agent_does_not_contradict_itself() -> None:
    assert not merged(a=says(finding("x", "uses", "httpx"), finding("x", "uses", "requests")), b=says(), c=says()).conflicts


def test_numbers_within_the_tolerance_agree() -> None:
    near = spec_of(consolidate=Gathering(tolerances={"lines": 0.1}))
    assert not merged(near, a=says(finding("x", "lines", 100)), b=says(finding("x", "lines", 95)), c=says()).conflicts
    assert merged(near, a=says(finding("x", "lines", 100)), b=says(finding("x", "lines", 80)), c=says()).conflicts
    assert merged(near, a=says(finding("x", "lines", True)), b=says(finding("x", "lines", 1)), c=says()).conflicts


def test_a_resolution_holds_for_exactly_these_sides() -> None:
    sides: dict[str, Any] = {"a": says(finding("db", "engine", "postgres", "high")), "b": says(finding("db", "engine", "sqlite")), "c": says()}
    (conflict,) = merged(**sides).conflicts
    answer = Resolution(conflict=conflict.id, holds="a", by="lena")
    (resolved,) = merged(resolutions=(answer,), **sides).conflicts
    assert resolved.resolution == answer and len(resolved.sides) == 2
    (changed,) = merged(resolutions=(answer,), **{**sides, "b": says(finding("db", "engine", "mysql"))}).conflicts
    assert changed.resolution is None
    (nobody,) = merged(resolutions=(answer.model_copy(update={"holds": "c"}),), **sides).conflicts
    assert nobody.resolution is None


# --- the whole synthesis ---------------------------------------------------------------------------------------------------------------


def test_the_document_has_the_names_of_the_source() -> None:
    spec = shipped("analysis")
    messages = {agent.id: message(agent.id, says(data={"components": [1]}), spec) for agent in spec.agents}
    found = merge(spec, messages, [Settled(agent_id=one, outcome=AgentOutcome.REPORTED, digest=f"sha256:{one}") for one in messages], now=NOW)
    document = found.document()
    assert {"timestamp", "phase", "inputs", "synthesis", "decisions"} <= set(document)
    assert document["phase"] == "analysis_consolidation"
    assert {"architecture_map", "code_patterns", "infrastructure_state", "conflicts", "dependencies", "risk_assessment"} <= set(document["synthesis"])
    assert set(document["decisions"]) == {"implementation_strategy", "priority_order", "resource_allocation"}
    assert document["inputs"] == ["sha256:agent1", "sha256:agent2", "sha256:agent3"]


def test_who_did_not_report_is_named_and_raises_the_risk() -> None:
    found = merged(missing=("c",), a=says(), b=says())
    assert found.missing == ("c",)
    assert found.risk_assessment.level is Level.HIGH and "c" in found.risk_assessment.not_assessed
    assert merged(a=says(), b=says(), c=says()).risk_assessment.level is Level.LOW


def test_work_is_ordered_core_first_and_worst_first() -> None:
    advice = [{"action": "docs", "layer": "support", "severity": "high"}, {"action": "core b", "layer": "core", "severity": "low"}]
    found = merged(a=says(advice=advice), b=says(advice=[{"action": "core a", "layer": "core", "severity": "high"}, {"action": "docs", "layer": "support"}]), c=says())
    assert [(work.order, work.action, work.agents) for work in found.decisions.priority_order] == [(1, "core a", ("b",)), (2, "core b", ("a",)), (3, "docs", ("a", "b"))]


def test_dependencies_name_who_spoke_about_them() -> None:
    found = merged(a=says(depends_on=["db"]), b=says(finding("db", "engine", "x")), c=says())
    assert [(one.agent_id, one.on, one.agents) for one in found.dependencies] == [("a", "db", ("b",))]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y"]), st.sampled_from(["", "p"]), st.integers(0, 2), st.sampled_from(["info", "low", "high"])), max_size=8),
    st.randoms(use_true_random=False),
)
def test_the_order_of_reports_makes_no_difference_and_nothing_is_lost(rows: list[tuple[str, str, str, int, str]], shuffled: random.Random) -> None:
    contents: dict[str, Any] = {agent: says(*[finding(s, a, v, g) for who, s, a, v, g in rows if who == agent]) for agent in "abc"}
    first = merged(**contents)
    order = list(contents.items())
    shuffled.shuffle(order)
    assert merged(**dict(order)) == first
    kept = {(one.subject, one.aspect, one.value, agent) for one in first.findings for agent in one.agents}
    assert {(s, a, v, who) for who, s, a, v, _ in rows} <= kept


# --- answers ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "category", "said"),
    [
        ('{"summary": ', "data_corruption", "not valid JSON"),
        ('{"summary": "a", "summary": "b"}', "data_corruption", "twice"),
        ("[1]", "data_corruption", "list"),
        (None, "data_corruption", "NoneType"),
        ({"data": object()}, "data_corruption", "not a JSON value"),
        ({"data": float("nan")}, "data_corruption", "not a JSON value"),
        ("x" * 300_000, "resource_exhaustion", "bytes"),
        ({"summary": "s", "data": {"x": "y" * 300_000}}, "resource_exhaustion", "bytes"),
        ({"header": {"phase": "1", "agent_id": "b", "timestamp": NOW.isoformat()}, "body": {"message_type": "result"}}, "integration_failure", "reports as 'b'"),
        ({"header": {"phase": "2", "agent_id": "a", "timestamp": NOW.isoformat()}, "body": {"message_type": "result"}}, "integration_failure", "phase '2'"),
        ({"header": {"phase": "1", "agent_id": "a", "timestamp": "yesterday"}, "body": {"message_type": "result"}}, "data_corruption", "protocol"),
        ({"header": {"phase": "9", "agent_id": "a", "timestamp": NOW.isoformat()}, "body": {"message_type": "result"}}, "data_corruption", "protocol"),
        ({"findings": [{"aspect": "no subject"}]}, "data_corruption", "nothing of its report"),
        ({"summary": 3}, "data_corruption", "protocol"),
    ],
)
def test_what_is_no_answer_is_refused(raw: Any, category: str, said: str) -> None:
    spec = spec_of()
    agent = spec.agent("a").model_copy(update={"limits": AgentLimits(report_bytes=200_000)})
    with pytest.raises(Unreadable, match=said) as refused:
        read_answer(raw, spec, agent, took_s=1, attempt=0, now=NOW)
    assert refused.value.category == category


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["data"] = endless
    with pytest.raises(Unreadable, match="not a JSON value"):
        read_answer(endless, spec_of(), spec_of().agent("a"), took_s=1, attempt=0, now=NOW)


def test_what_is_partly_right_is_taken_in_part_and_the_rest_is_named() -> None:
    found = report_of(message("a", {"summary": "s", "findings": [finding("x"), {"subject": ""}], "extra": 1}))
    assert [one.subject for one in found.findings] == ["x"]
    assert found.not_looked_at == ("findings[1] of its report could not be read and was left out",)
    assert found.data == {"extra": 1}


def test_measured_time_and_attempts_replace_what_is_claimed() -> None:
    spec = spec_of()
    claimed = {"header": {"phase": "1", "agent_id": "a", "timestamp": NOW.isoformat()}, "body": {"message_type": "result"}, "metadata": {"execution_time": 0.001, "retry_count": 9}}
    found = read_answer(claimed, spec, spec.agent("a"), took_s=4.5, attempt=1, now=NOW)
    assert (found.metadata.execution_time, found.metadata.retry_count) == (4.5, 1)


_SECRETS = ["password=hunter2345", "Authorization: Bearer abcdefghijklmnop123456", "https://user:geheim99@host/x", "-----BEGIN PRIVATE KEY-----\nMIIBVAIBADANBgkq\n-----END PRIVATE KEY-----"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*_SECRETS, "plain", "a b", "x = y", "user", "\n", "token"]), min_size=1, max_size=5), st.sampled_from(["note", "password", "api_key", "text"]), st.integers(0, 2))
def test_an_answer_is_redacted_as_if_each_text_stood_alone(parts: list[str], key: str, depth: int) -> None:
    value: Any = {key: " ".join(parts), "list": list(parts)}
    for _ in range(depth):
        value = {"inner": value}
    assert canonical(report_of(message("a", {"data": value})).data) == canonical(redact_value(value))


# --- checkpoint ------------------------------------------------------------------------------------------------------------------------


def test_each_criterion_of_the_shipped_analysis_can_fail_and_pass() -> None:
    spec = shipped("analysis")
    content: dict[str, Any] = {"agent1": says(data={"components": [1], "imports": {}, "integration_points": [], "configuration": {}}), "agent2": says(), "agent3": says()}
    assert check(spec, merged(spec, **content), attempt=0).passed
    without_map = merged(spec, **{**content, "agent1": says(data={"components": []})})
    result = check(spec, without_map, attempt=0)
    assert not result.passed and result.action == "rerun" and list(result.reruns) == ["agent1"]
    assert check(spec, without_map, attempt=1).action == "ask"
    quarrel: dict[str, Any] = {**content, "agent2": says(finding("x", "y", 1, "high")), "agent3": says(finding("x", "y", 2))}
    result = check(spec, merged(spec, **quarrel), attempt=1)
    assert result.action == "resolve" and len(result.conflicts) == 1
    nobody = merge(spec, {}, [], now=NOW)
    assert {one.id for one in check(spec, nobody, attempt=5).criteria if not one.met} == {"all_agents", "architecture_map", "risk", "strategy"}


def test_reruns_come_first_then_people_and_nothing_else() -> None:
    both: dict[str, Any] = {"a": says(finding("x", "y", 1, "high")), "b": says(finding("x", "y", 2))}
    spec = spec_of(reruns=1)
    found = merged(spec, missing=("c",), **both)
    assert [check(spec, found, attempt=n).action for n in (0, 1, 2)] == ["rerun", "resolve", "resolve"]
    assert check(spec, found, attempt=0).reruns == {"c": ("one", "two")}
    assert check(spec_of(reruns=0), found, attempt=0).action == "resolve"


def test_a_severity_that_must_not_occur() -> None:
    criterion = Criterion(id="none", text="no critical failure", check="no_finding", args={"from": "high"})
    spec = spec_of(criteria=(criterion,))
    assert check(spec, merged(spec, a=says(finding("x", severity="medium")), b=says(), c=says()), attempt=0).passed
    assert not check(spec, merged(spec, a=says(finding("x", severity="critical")), b=says(), c=says()), attempt=0).passed
    unknown = spec_of(criteria=(criterion.model_copy(update={"args": {"from": "dreadful"}}),))
    assert not check(unknown, merged(unknown, a=says(), b=says(), c=says()), attempt=0).passed


def test_a_phase_without_criteria_is_invalid() -> None:
    with pytest.raises(ValueError, match="criteria"):
        PhaseSpec.model_validate({"name": "x", "agents": [{"id": "a", "role": "r", "focus": ["f"]}], "criteria": []})


# --- recovery and size -----------------------------------------------------------------------------------------------------------------


def test_every_category_of_fault_ends_with_a_person() -> None:
    for category in FaultCategory:
        assert strategy(category, 99) == "ask"
    assert strategy(FaultCategory.AGENT_FAILURE, 0) == "narrower scope"
    tables: list[Any] = [{}, {category.value: [] for category in FaultCategory}, {category.value: ["run again"] for category in FaultCategory}]
    for bad in tables:
        with pytest.raises(InvalidConfiguration):
            read_strategies(bad)


def test_a_rerun_never_looks_at_more_than_before() -> None:
    agent = AgentSpec(id="a", role="r", focus=("1", "2", "3", "4", "5"), backup="spare")
    scopes = [narrowed(agent, attempt) for attempt in range(5)]
    assert [len(scope) for scope in scopes] == [5, 3, 2, 1, 1]
    assert [callable_for(agent, FaultCategory.AGENT_FAILURE, attempt) for attempt in (0, 1, 2)] == ["a", "a", "spare"]
    assert callable_for(agent, None, 2) == "a"


@pytest.mark.parametrize(("count", "fits"), [(1, False), (2, False), (3, True), (4, True), (5, True), (6, False), (12, False)])
def test_a_phase_has_three_to_five_agents(count: int, fits: bool) -> None:
    spec = spec_of("abcdefghijkl"[:count])
    if fits:
        return check_size(spec)
    with pytest.raises(InvalidPlan) as refused:
        check_size(spec)
    parts = refused.value.fields.get("proposed", [])
    assert bool(parts) == (count > 5)
    assert all(3 <= len(part["members"]) <= 5 for part in parts)
    return None


def test_a_split_keeps_what_comes_before_and_says_what_may_run_beside() -> None:
    parts = split("w", list("abcdefgh"), {"b": "a", "f": "e"})
    assert [part.members for part in parts] == [tuple("abcd"), tuple("efgh")]
    assert parts[0].can_run_parallel_with == ("w_2",) and not parts[1].depends_on
    parts = split("w", list("abcdefgh"), {"e": "a"})
    assert parts[1].depends_on == ("w_1",) and not parts[1].can_run_parallel_with and not parts[0].can_run_parallel_with
    with pytest.raises(InvalidPlan, match="circle"):
        split("w", list("abcdef"), {"a": "b", "b": "a"})


@settings(max_examples=60, deadline=None)
@given(st.integers(6, 40), st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=30))
def test_a_split_loses_nobody_and_never_depends_forward(count: int, pairs: list[tuple[int, int]]) -> None:
    members = [f"m{n}" for n in range(count)]
    needs: dict[str, list[str]] = {}
    for one, other in pairs:
        if other < one < count:
            needs.setdefault(f"m{one}", []).append(f"m{other}")
    parts = split("w", members, needs)
    assert sorted(one for part in parts for one in part.members) == sorted(members)
    assert all(3 <= len(part.members) <= 5 for part in parts)
    place = {member: number for number, part in enumerate(parts) for member in part.members}
    assert all(place[other] <= place[one] for one, others in needs.items() for other in others)
    for number, part in enumerate(parts):
        assert all(int(name.removeprefix("w_")) - 1 < number for name in part.depends_on)
        assert not set(part.depends_on) & set(part.can_run_parallel_with)


def test_the_shipped_phases_load() -> None:
    assert [len(for_testing(count).agents) for count in (3, 5)] == [3, 5]
    assert set(for_testing(3).consolidate.sections.values()) == {"agent1", "agent2", "agent3"}
    assert shipped("analysis").time_limit_s == 300 and shipped("analysis").agents[0].limits.memory_mb == 512
    assert shipped("testing").agents[0].limits.memory_mb == 256
    with pytest.raises(InvalidConfiguration, match="no phase"):
        shipped("../presets")
