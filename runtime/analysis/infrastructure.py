"""Agent: infrastructure and testing of a repository. Test environment, continuous integration, resources of this machine, a first security scan.

Rules: it reads; only where the task's inputs say `may_run` does it start anything of the repository, and then only what it times: the command that
the input `benchmark` gives, or the collection of its tests. Source: E1, agent 3 of the phases document.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from ...schemas.agent_message import AgentMessage
from ...schemas.phase import AgentLimits
from ..verification.command import RunCommand, timed
from ..verification.security import scan
from ..verification.workplace import command_of, workplace
from .sources import Repository, focus_of, path_of, read_repository, tables, without_of

_MOST = 40


def infrastructure(message: AgentMessage, *, run_command: RunCommand) -> dict[str, Any]:
    """Return the report of the infrastructure. Raises: NotFound: the task names no folder. Side effects: bandit, and the collection where allowed."""
    root = path_of(message)
    found = read_repository(root, without_of(message))
    focus = focus_of(message)
    limits = AgentLimits.model_validate(message.body.content.get("limits") or {})
    inputs = message.body.content.get("inputs")
    left = list(found.left_out[:20])
    tests = _tests(found)
    data: dict[str, Any] = {"tests": tests, "ci": _ci(found), "dependencies": _dependencies(found), "resources": _resources(root)}
    findings: list[dict[str, Any]] = [
        {"subject": "repository", "aspect": "has tests", "value": bool(tests["functions"] or tests["files"])},
        {"subject": "repository", "aspect": "python files", "value": len(found.python)},
        {"subject": "tests", "aspect": "functions", "value": tests["functions"]},
    ]
    advice: list[dict[str, Any]] = []
    risks: list[dict[str, Any]] = []
    if not tests["functions"]:
        risks.append({"level": "HIGH", "text": "there are no tests: nothing would show that a change breaks something"})
        advice.append({"action": "write tests of the parts that will change, before they change", "layer": "core", "severity": "high"})
    if not data["ci"]:
        risks.append({"level": "MEDIUM", "text": "no continuous integration was found"})
        advice.append({"action": "run the tests on every change", "layer": "support", "severity": "medium"})
    if _wants(focus, "baseline"):
        if isinstance(inputs, dict) and inputs.get("may_run") is True:
            data["baseline"] = _baseline(message, root, run_command, limits)
        else:
            left.append("performance baseline: nothing of the repository may be run (input `may_run`)")
    if _wants(focus, "security"):
        scanned = scan(root, run_command, limits)
        findings += scanned.findings
        left += scanned.not_looked_at
        if scanned.high_risk is None:
            risks.append({"level": "MEDIUM", "text": "the code was not scanned for insecure constructs"})
        data["security"] = {"counts": scanned.counts, "high_risk": scanned.high_risk, "secrets": sum(one["aspect"] == "secret" for one in scanned.findings)}
    else:
        left.append("security: left out of the narrower scope")
    return {
        "summary": f"{tests['functions']} tests in {tests['files']} files with {', '.join(tests['tools']) or 'no known tool'}; "
        + (f"integration by {', '.join(data['ci'])}" if data["ci"] else "no continuous integration") + f"; {data['resources']['processors']} processors.",
        "findings": findings,
        "risks": risks,
        "advice": advice,
        "depends_on": ["repository"],
        "data": data,
        "not_looked_at": left,
    }


def _wants(focus: frozenset[str], word: str) -> bool:
    return not focus or any(word in one for one in focus)


def _tests(found: Repository) -> dict[str, Any]:
    files = [source for source in found.python if source.is_test]
    functions = sum(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
        for source in files for node in ast.walk(source.tree or ast.Module([], []))
    )
    configured = " ".join(found.text(name) for name in ("pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini", "noxfile.py"))
    imported = {
        name.split(".")[0]
        for source in files for node in ast.walk(source.tree or ast.Module([], [])) if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    tools = [tool for tool in tables()["test_tools"] if tool in imported or re.search(rf"\b{tool}\b", configured)]
    folders = sorted({source.name.rsplit("/", 1)[0] if "/" in source.name else "." for source in files})
    return {"files": len(files), "functions": functions, "tools": tools, "folders": folders[:_MOST], "python": _python(configured)}


def _python(configured: str) -> str:
    said = re.search(r"(?:requires-python|python_requires)\s*=\s*[\"']?([^\"'\n]+)", configured)
    return said.group(1).strip() if said else ""


def _ci(found: Repository) -> list[str]:
    files = [name for name in tables()["ci_files"] if name in found]
    return files + [name for name in found.files if any(name.startswith(f"{folder}/") for folder in tables()["ci_folders"])][:_MOST]


def _dependencies(found: Repository) -> dict[str, Any]:
    locks = [name for name in tables()["lock_files"] if name in found]
    requirements = [name for name in found.files if re.fullmatch(r"requirements[\w.-]*\.txt", name.rsplit("/", 1)[-1])][:_MOST]
    unpinned = [
        line.strip() for name in requirements for line in found.text(name).splitlines() if re.match(r"[A-Za-z]", line) and "==" not in line and "@" not in line
    ]
    return {"lock_files": locks, "requirements": requirements, "unpinned": unpinned[:_MOST]}


def _resources(root: Path) -> dict[str, Any]:
    memory: int | None
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
    except (ValueError, OSError):
        memory = None
    return {
        "processors": os.cpu_count(), "memory_mb": memory, "disk_free_mb": shutil.disk_usage(root).free // 1024**2,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}",
    }


def _baseline(message: AgentMessage, root: Path, run_command: RunCommand, limits: AgentLimits) -> dict[str, Any]:
    """Time the configured benchmark in a copy, up to three times, the best counts; without one, the collection of the tests."""
    benchmark = command_of(message, "benchmark")
    if benchmark:
        with workplace(message) as folder:
            runs = timed(benchmark, run_command, folder, limits)
        best = min(runs, key=lambda ran: (not ran.is_success, ran.duration_s))
        # One that was killed took as long as it was let; that is no measure of anything.
        seconds = round(best.duration_s, 4) if best.exit_code is not None else None
        return {"command": " ".join(benchmark), "exit_code": best.exit_code, "seconds": seconds, "says": best.said[:200]}
    ran = run_command([sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"], folder=root, limits=limits)
    lines = ran.output.strip().splitlines()
    return {"command": "pytest --collect-only", "exit_code": ran.exit_code, "seconds": round(ran.duration_s, 3), "says": lines[-1][:200] if lines else ran.said}
