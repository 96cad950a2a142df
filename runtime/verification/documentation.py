"""Agent: documentation. Is there a README, a change log, a sentence for everything public, and does every link inside lead somewhere.

Rules: each failed check counts as one incomplete document. Writes nothing. Source: E5, agent 3 of the testing phase.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from ...schemas.agent_message import AgentMessage
from ..analysis.sources import Repository, path_of, read_repository, without_of

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_LEAST_PERCENT = 80
_MOST = 40


def documentation(message: AgentMessage) -> dict[str, Any]:
    """Return the report of the documentation. Raises: NotFound: the task names no folder."""
    found = read_repository(path_of(message), without_of(message))
    undocumented, percent = _api(found)
    broken = _broken(found)
    checks = {
        "user guide": any(name.lower().startswith("readme") for name in found.files),
        "change log": any(re.fullmatch(r"(changelog|changes|history|news)(\.\w+)?", name.lower()) for name in found.files),
        "API documentation": percent is None or percent >= _LEAST_PERCENT,
        "links": not broken,
    }
    missing = [name for name, holds in checks.items() if not holds]
    findings: list[dict[str, Any]] = [{"subject": "documentation", "aspect": "incomplete", "value": len(missing)}]
    findings += [{"subject": name, "aspect": "complete", "value": False, "severity": "medium", "text": f"{name} is incomplete"} for name in missing]
    findings += [{"subject": place, "aspect": "link", "value": target, "severity": "low", "text": f"leads nowhere: {target}", "evidence": [place]} for place, target in broken]
    return {
        "summary": f"{len(checks) - len(missing)} of {len(checks)} checks hold" + (f"; {percent} % of what is public has a docstring" if percent is not None else "") + ".",
        "findings": findings,
        "advice": [{"action": f"complete the {name}", "layer": "support", "severity": "low"} for name in missing],
        "data": {"incomplete": len(missing), "checks": checks, "documented_percent": percent, "undocumented": undocumented, "broken_links": [list(one) for one in broken]},
    }


def _api(found: Repository) -> tuple[list[str], int | None]:
    public, bare = 0, []
    for source in found.python:
        if source.is_test or source.tree is None:
            continue
        for node in source.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                public += 1
                if not ast.get_docstring(node):
                    bare.append(f"{source.name}:{node.lineno} {node.name}")
    return bare[:_MOST], round(100 * (public - len(bare)) / public) if public else None


def _broken(found: Repository) -> list[tuple[str, str]]:
    broken = []
    for name in found.files:
        if not name.lower().endswith(".md"):
            continue
        folder = (found.root / name).parent
        for number, line in enumerate(found.text(name).splitlines(), 1):
            for target in _LINK.findall(line):
                path = target.split("#")[0]
                if path and "://" not in target and not target.startswith(("mailto:", "/")) and not (folder / path).exists():
                    broken.append((f"{name}:{number}", target))
    return broken[:_MOST]
