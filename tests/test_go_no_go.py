"""The decision matrix: every combination against the source's own words, and what is beyond them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from assent.policies.complexity import read_table, shipped, staffing
from assent.policies.go_no_go import deployment_decision, known_results
from assent.schemas.consolidated import Consolidated, MergedFinding, RiskAssessment
from assent.schemas.errors import InvalidConfiguration
from assent.schemas.go_no_go import Change, ValidationResults
from assent.schemas.risk import Level


def as_in_the_source(validation_results: dict[str, Any]) -> str:
    critical_pass = all(
        [
            validation_results["tests"]["critical"] == "pass",
            validation_results["security"]["high_risk"] == 0,
            validation_results["rollback"]["tested"] == True,
        ]
    )
    warning_count = sum(
        [
            validation_results["tests"]["warnings"],
            validation_results["performance"]["degradations"],
            validation_results["documentation"]["incomplete"],
        ]
    )
    if critical_pass and warning_count < 3:
        return "PROCEED"
    if critical_pass and warning_count < 5:
        return "CONDITIONAL_PROCEED"
    return "BLOCK"


def results(critical: str = "pass", warnings: Any = 0, high: Any = 0, tested: Any = True, slower: Any = 0, incomplete: Any = 0) -> dict[str, Any]:
    return {
        "tests": {"critical": critical, "warnings": warnings}, "security": {"high_risk": high}, "rollback": {"tested": tested},
        "performance": {"degradations": slower}, "documentation": {"incomplete": incomplete},
    }


def decided(given: dict[str, Any]) -> str:
    return deployment_decision(ValidationResults.model_validate(given)).decision


def test_what_was_not_scanned_says_why_and_what_to_do() -> None:
    unscanned = "bandit is not installed; install it"
    assert deployment_decision(ValidationResults.model_validate(results(high=None)), unscanned=unscanned).reasons == (f"security findings of high risk: not measured, {unscanned}",)
    assert deployment_decision(ValidationResults.model_validate(results(high=2)), unscanned=unscanned).reasons == ("security findings of high risk: 2",)


def test_every_combination_is_decided_as_in_the_source() -> None:
    seen = set()
    for critical, high, tested in itertools.product(("pass", "fail"), (0, 1, 7), (True, False)):
        for warnings, slower, incomplete in itertools.product(range(6), range(4), range(4)):
            given = results(critical, warnings, high, tested, slower, incomplete)
            assert decided(given) == as_in_the_source(given), given
            seen.add(decided(given))
    assert seen == {"PROCEED", "CONDITIONAL_PROCEED", "BLOCK"}


@pytest.mark.parametrize(("warnings", "expected"), [(2, "PROCEED"), (3, "CONDITIONAL_PROCEED"), (4, "CONDITIONAL_PROCEED"), (5, "BLOCK")])
def test_the_edges_of_the_matrix(warnings: int, expected: str) -> None:
    assert decided(results(warnings=warnings)) == expected


@pytest.mark.parametrize("part", ["tests", "security", "rollback", "performance", "documentation"])
def test_what_nobody_measured_blocks(part: str) -> None:
    given = results()
    del given[part]
    decision = deployment_decision(ValidationResults.model_validate(given))
    assert decision.decision == "BLOCK"
    assert any("not measured" in reason or "unknown" in reason or "not tested" in reason for reason in decision.reasons)


@pytest.mark.parametrize("bad", [results(warnings=-5), results(high=False), results(tested="yes"), results(tested=1), results(critical="passed"), results(slower=0.0)])
def test_a_value_that_could_buy_a_pass_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ValidationResults.model_validate(bad)


def test_the_reasons_name_what_stands_in_the_way() -> None:
    decision = deployment_decision(ValidationResults.model_validate(results("fail", 1, 2, False)))
    assert decision.reasons == ("the critical tests: fail", "security findings of high risk: 2", "the rollback was not tested", "test warnings: 1")
    assert not decision.critical_pass and decision.warning_count == 1


def consolidated(**sections: Any) -> Consolidated:
    return Consolidated(timestamp=datetime(2026, 1, 5, tzinfo=UTC), phase="testing", inputs=(), sections=sections, risk_assessment=RiskAssessment(level=Level.LOW))


def test_a_testing_phase_becomes_results_and_its_gaps_stay_unknown() -> None:
    whole = consolidated(
        tests={"critical": "pass", "warnings": 1, "failed": 0}, performance_security={"high_risk": 0, "degradations": 1}, documentation={"incomplete": 0},
        deployment={"rollback_tested": True},
    )
    assert deployment_decision(known_results(whole)).decision == "PROCEED"
    for name in ("tests", "performance_security", "documentation", "deployment"):
        part = whole.model_copy(update={"sections": {key: value for key, value in whole.sections.items() if key != name}})
        assert deployment_decision(known_results(part)).decision == "BLOCK", name


def test_a_critical_finding_of_any_agent_fails_the_critical_tests() -> None:
    found = consolidated(tests={"critical": "pass", "warnings": 0})
    broken = found.model_copy(update={"findings": (MergedFinding(subject="workflow", severity="critical", agents=("agent4",)),)})
    assert known_results(found).tests.critical == "pass"
    assert known_results(broken).tests.critical == "fail"


@pytest.mark.parametrize(
    ("change", "agents", "rules"),
    [
        (Change(files_touched=3, risk=Level.LOW), 3, ()),
        (Change(files_touched=3, risk=Level.MEDIUM, systems=("a",), environment="staging"), 3, ()),
        (Change(files_touched=10, risk=Level.LOW), 5, ("many_files",)),
        (Change(files_touched=1, risk=Level.LOW, systems=("a", "b")), 5, ("several_systems",)),
        (Change(files_touched=1, risk=Level.CRITICAL), 5, ("high_risk",)),
        (Change(files_touched=1, risk=Level.LOW, environment="production"), 5, ("production",)),
        (Change(files_touched=1), 5, ("high_risk",)),
    ],
)
def test_a_complex_change_is_tested_by_five(change: Change, agents: int, rules: tuple[str, ...]) -> None:
    found = staffing(change)
    assert (found.agents, found.rules) == (agents, rules)
    assert len(found.reasons) == len(rules)


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"x": {"fact": "files_touched", "because": "no comparison"}},
        {"x": {"fact": "environment", "at_least": 3, "because": "cannot be compared"}},
        {"x": {"fact": "risk", "at_least": 3, "because": "a level is meant"}},
        {"x": {"fact": "weather", "at_least": 3, "because": "unknown"}},
    ],
)
def test_rules_that_could_say_nothing_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfiguration, match="rules"):
        read_table({"agents": {"base": 3, "extended": 5}, "rules": rules})
    assert shipped().rules
