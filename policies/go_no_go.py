"""Go or no-go: the decision matrix of the source, exactly, as a pure function.

- critical = the critical tests pass, no security finding of high risk, the rollback was tested;
- warnings = warnings of the tests + degradations of performance + incomplete documents;
- critical and fewer than 3 warnings: PROCEED; critical and fewer than 5: CONDITIONAL_PROCEED; anything else: BLOCK.

Beyond the source: what nobody measured is not zero, so it blocks. Source: E7, seed 4.
"""

from __future__ import annotations

from ..schemas.go_no_go import GoNoGo, GoNoGoDecision, ValidationResults

PROCEED_BELOW = 3
CONDITIONAL_BELOW = 5


def deployment_decision(results: ValidationResults) -> GoNoGo:
    """Decide whether a change goes out."""
    critical = {
        f"the critical tests: {results.tests.critical}": results.tests.critical == "pass",
        f"security findings of high risk: {_said(results.security.high_risk)}": results.security.high_risk == 0,
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


def _said(number: int | None) -> str:
    return "not measured" if number is None else str(number)
