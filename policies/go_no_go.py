"""Go or no-go: the decision matrix of the source, exactly, as a pure function.

- critical = the critical tests pass, no security finding of high risk, the rollback was tested;
- warnings = warnings of the tests + degradations of performance + incomplete documents;
- critical and fewer than 3 warnings: PROCEED; critical and fewer than 5: CONDITIONAL_PROCEED; anything else: BLOCK.

Beyond the source: what nobody measured is not zero, so it blocks. Source: E7, seed 4.
"""

from __future__ import annotations

from typing import Any

from ..schemas.consolidated import Consolidated
from ..schemas.go_no_go import (
    DocumentationState,
    GoNoGo,
    GoNoGoDecision,
    PerformanceState,
    RollbackState,
    SecurityState,
    TestState,
    ValidationResults,
)

PROCEED_BELOW = 3
CONDITIONAL_BELOW = 5


def deployment_decision(results: ValidationResults, *, unscanned: str = "") -> GoNoGo:
    """Decide whether a change goes out.

    Args:
        unscanned: why nobody looked for security findings, in words; it stands in the reasons and decides nothing.
    """
    critical = {
        f"the critical tests: {results.tests.critical}": results.tests.critical == "pass",
        f"security findings of high risk: {_said(results.security.high_risk, unscanned)}": results.security.high_risk == 0,
        f"the rollback was {'' if results.rollback.tested else 'not '}tested": results.rollback.tested is True,
    }
    critical_pass = all(critical.values())
    counted = {
        "test warnings": results.tests.warnings,
        "performance degradations": results.performance.degradations,
        "incomplete documents": results.documentation.incomplete,
    }
    unknown = [name for name, number in counted.items() if number is None]
    warning_count = None if unknown else sum(number or 0 for number in counted.values())
    decision: GoNoGoDecision
    if critical_pass and warning_count is not None and warning_count < PROCEED_BELOW:
        decision = "PROCEED"
    elif critical_pass and warning_count is not None and warning_count < CONDITIONAL_BELOW:
        decision = "CONDITIONAL_PROCEED"
    else:
        decision = "BLOCK"
    reasons = [text for text, holds in critical.items() if not holds]
    reasons += [f"{name}: {number}" for name, number in counted.items() if number]
    reasons += [f"{name}: not measured" for name in unknown]
    return GoNoGo(decision=decision, critical_pass=critical_pass, warning_count=warning_count, reasons=tuple(reasons))


def _said(number: int | None, why: str) -> str:
    return str(number) if number is not None else f"not measured, {why}" if why else "not measured"


def known_results(found: Consolidated) -> ValidationResults:
    """Return what a testing phase measured; what no agent reported, or reported in another form, stays unknown.

    Args:
        found: the synthesis of a testing phase with the sections `tests`, `performance_security`, `documentation` and `deployment`.
    """
    tests, measured = _section(found, "tests"), _section(found, "performance_security")
    critical = tests.get("critical")
    if any(one.severity == "critical" for one in found.findings) or tests.get("failed"):
        critical = "fail"
    return ValidationResults(
        tests=TestState(critical=critical if critical in ("pass", "fail") else "unknown", warnings=_number(tests.get("warnings"))),
        security=SecurityState(high_risk=_number(measured.get("high_risk"))),
        rollback=RollbackState(tested=_section(found, "deployment").get("rollback_tested") is True),
        performance=PerformanceState(degradations=_number(measured.get("degradations"))),
        documentation=DocumentationState(incomplete=_number(_section(found, "documentation").get("incomplete"))),
    )


def why_unscanned(found: Consolidated) -> str:
    """Return why the agents of a testing phase counted no security findings; empty where they did, or did not say."""
    measured = _section(found, "performance_security")
    why = measured.get("unscanned")
    return why if isinstance(why, str) and measured.get("high_risk") is None else ""


def _section(found: Consolidated, name: str) -> dict[str, Any]:
    section = found.sections.get(name)
    return section if isinstance(section, dict) else {}


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
