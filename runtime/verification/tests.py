"""Agent: unit and integration tests. Runs the project's own tests, under coverage where it is installed, and reads what pytest says at its end.

Rules: tests that did not run are not passing tests: a command that was killed, could not start or collected nothing leaves `critical` unknown, and so
does an interpreter without pytest, which is said.
Source: E5, agent 1 of the testing phase.
"""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from typing import Any

from ...schemas.agent_message import AgentMessage
from .command import Ran, RunCommand
from .workplace import command_of, limits_of, python_of, wants, workplace

_COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped|warnings?|xfailed|xpassed|deselected)\b")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)(?: - (.*))?$", re.MULTILINE)
_SLOW = re.compile(r"^(\d+\.\d+)s call\s+(\S+)$", re.MULTILINE)
_NO_PYTEST = re.compile(r"^(?:\S+: )?No module named '?pytest'?$", re.MULTILINE)
_MOST = 40


def tests(message: AgentMessage, *, run_command: RunCommand) -> dict[str, Any]:
    """Return the report of the tests. Raises: NotFound. Side effects: runs the tests through the port."""
    own = command_of(message, "test_command")
    python = python_of(message)
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5", "-o", "addopts="] if not own else []
    covered = not own and wants(message, "coverage") and find_spec("coverage") is not None
    left = [] if covered else ["coverage: `coverage` is not installed beside assent, or a test command of one's own is configured"]
    with workplace(message) as folder:
        command = own or [python, "-B", *(["-m", "coverage", "run", "--data-file=.coverage.assent"] if covered else []), *pytest]
        ran = run_command(command, folder=folder, limits=limits_of(message))
        percent = _coverage(run_command([python, "-m", "coverage", "report", "--data-file=.coverage.assent", "--format=total"], folder=folder, limits=limits_of(message))) if covered else None
    said = without_pytest(ran, python) or ran.said
    data = read_outcome(ran) | {"command": " ".join(own or ["python", *command[1:]]), "seconds": round(ran.duration_s, 3), "coverage_percent": percent}
    return {
        "summary": f"{data['passed']} passed, {data['failed']} failed, {data['skipped']} skipped in {ran.duration_s:.1f} s"
        + (f", coverage {percent} %" if percent is not None else "") + ("" if data["critical"] != "unknown" else f"; the tests did not run to their end: {said}"),
        "findings": [
            {"subject": "tests", "aspect": "critical", "value": data["critical"], "severity": "info" if data["critical"] == "pass" else "critical", "text": f"the tests: {data['critical']}; {said}"},
            *({"subject": name, "aspect": "test", "value": "failed", "severity": "high", "text": said, "evidence": [name]} for name, said in data["failures"]),
        ],
        "risks": [] if data["critical"] == "pass" else [{"level": "CRITICAL", "text": f"the tests do not pass: {said}"}],
        "data": data,
        "not_looked_at": left,
    }


def read_outcome(ran: Ran) -> dict[str, Any]:
    """Return what a test run said: counts, failures, slowest tests, and whether it passed, failed, or is not known."""
    lines = ran.output.strip().splitlines()
    last = next((line for line in reversed(lines) if _COUNTS.search(line)), "")
    counts = {what.rstrip("s"): int(number) for number, what in _COUNTS.findall(last)}
    passed, failed = counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0)
    critical = "unknown" if not last and _lacks_pytest(ran) else "fail" if failed or ran.exit_code == 1 else "pass" if ran.exit_code == 0 and (passed or not last) else "unknown"
    return {
        "critical": critical, "passed": passed, "failed": failed, "skipped": counts.get("skipped", 0), "warnings": counts.get("warning", 0),
        "exit_code": ran.exit_code, "failures": [[name, said or "failed"] for name, said in _FAILED.findall(ran.output)][:_MOST],
        "slowest": [[float(seconds), name] for seconds, name in _SLOW.findall(ran.output)],
    }  # fmt: skip


def without_pytest(ran: Ran, python: str) -> str:
    """Return what to say where an interpreter has no pytest; empty where it has."""
    where = "beside assent" if python == sys.executable else f"for {python}"
    remedy = "install it there, or set `delivery: {python: …}` or `{test_command: […]}`"
    return f"pytest is not installed {where}; {remedy}" if _lacks_pytest(ran) else ""


def _lacks_pytest(ran: Ran) -> bool:
    return ran.exit_code == 1 and _NO_PYTEST.search(f"{ran.output}\n{ran.errors}") is not None


def _coverage(ran: Ran) -> int | None:
    said = ran.output.strip()
    return int(said) if ran.is_success and said.isdigit() else None
