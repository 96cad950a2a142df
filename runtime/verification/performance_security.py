"""Agent: performance and security. Runs the configured benchmark against its time before the change, and scans for insecure code and secrets.

Rules: a number that nobody measured is None, not zero. The benchmark is run up to three times and the best counts; 10 % slower is a degradation,
unless it is less than the noise of starting a process.
Source: E5, agent 2 of the testing phase.
"""

from __future__ import annotations

from typing import Any

from ...schemas.agent_message import AgentMessage
from .command import RunCommand, timed
from .security import Scan, scan
from .workplace import command_of, inputs_of, limits_of, wants, workplace

_SLOWER = 1.10
_NOISE_S = 0.05


def performance_security(message: AgentMessage, *, run_command: RunCommand) -> dict[str, Any]:
    """Return the report of performance and security. Raises: NotFound. Side effects: runs the benchmark and bandit through the port."""
    left: list[str] = []
    with workplace(message) as folder:
        scanned = scan(folder, run_command, limits_of(message))
        timed, degradations = _timed(message, run_command, folder, left) if wants(message, "load") else (None, None)
    findings = [*scanned.findings, {"subject": "security", "aspect": "high risk", "value": scanned.high_risk}]
    if degradations:
        findings.append({"subject": "performance", "aspect": "degradations", "value": degradations, "severity": "medium", "text": f"the benchmark takes {timed} s, before {inputs_of(message)['baseline_s']} s"})
    return {
        "summary": f"security findings of high risk: {'not measured' if scanned.high_risk is None else scanned.high_risk}; "
        f"degradations: {'not measured' if degradations is None else degradations}.",
        "findings": findings,
        "risks": _risks(scanned),
        "data": {"high_risk": scanned.high_risk, "unscanned": scanned.unscanned, "counts": scanned.counts, "benchmark_s": timed, "degradations": degradations},
        "not_looked_at": [*scanned.not_looked_at, *left],
    }


def _timed(message: AgentMessage, run_command: RunCommand, folder: Any, left: list[str]) -> tuple[float | None, int | None]:
    command, baseline = command_of(message, "benchmark"), inputs_of(message).get("baseline_s")
    if not command or not isinstance(baseline, int | float):
        left.append("performance: give the inputs `benchmark` (a command) and `baseline_s` (its seconds before the change)")
        return None, None
    runs = timed(command, run_command, folder, limits_of(message))
    if not all(ran.is_success for ran in runs):
        left.append(f"performance: the benchmark failed: {next(ran.said for ran in runs if not ran.is_success)}")
        return None, None
    best = min(ran.duration_s for ran in runs)
    return round(best, 4), int(best > baseline * _SLOWER + _NOISE_S)


def _risks(scanned: Scan) -> list[dict[str, str]]:
    if scanned.high_risk is None:
        return [{"level": "HIGH", "text": "the code was not scanned for insecure constructs"}]
    return [{"level": "HIGH", "text": f"{scanned.high_risk} security findings of high risk"}] if scanned.high_risk else []
