"""A security scan of a folder: bandit's findings (extra `analysis`) and secrets that lie in files.

Rules: what is found is named by file and line, never by its value; without bandit that half is said to be missing, and a number of findings that
nobody counted is None. Source: E1 (security audit preparation), E5 (security scanning).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...policies.redact import find_secrets
from ...policies.redact_span import STRUCTURAL
from ...schemas.errors import NotFound
from ...schemas.phase import AgentLimits
from ..analysis.extras import need_bandit
from ..analysis.sources import tables, walk
from .command import RunCommand

_TEXTS = (".py", ".toml", ".cfg", ".ini", ".yaml", ".yml", ".json", ".env", ".sh", ".txt", ".md")
_TEXT_BYTES = 200_000
_ALL_BYTES = 3_000_000
_MOST = 60
_LOOSE = STRUCTURAL - {"private-key", "jwt", "kubernetes-secret"}
"""Kinds that are guessed from a name beside a value: too often a test's or an example's."""


@dataclass
class Scan:
    """What a scan found."""

    findings: list[dict[str, Any]] = field(default_factory=list)
    high_risk: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    not_looked_at: list[str] = field(default_factory=list)
    unscanned: str = ""
    """Why `high_risk` is not known."""


def scan(root: Path, run_command: RunCommand, limits: AgentLimits) -> Scan:
    """Scan a folder. Side effects: runs bandit through the port."""
    found = Scan()
    secrets = _secrets(root, found)
    try:
        need_bandit()
    except NotFound as missing:
        return _unscanned(found, f"{missing.message} ({missing.hint})")
    ran = run_command(
        [sys.executable, "-m", "bandit", "-r", ".", "-f", "json", "-q", "--exit-zero", "-x", ",".join(f"./{name}" for name in tables()["skip"])],
        folder=root, limits=limits,
    )
    try:
        results = json.loads(ran.output)["results"]
    except (ValueError, KeyError, TypeError):
        return _unscanned(found, f"bandit gave no result: {ran.said}")
    for one in results:
        severity = str(one.get("issue_severity", "")).lower()
        found.counts[severity] = found.counts.get(severity, 0) + 1
    for one in sorted(results, key=lambda one: ("HIGH", "MEDIUM", "LOW").index(one["issue_severity"]) if one.get("issue_severity") in ("HIGH", "MEDIUM", "LOW") else 3)[:_MOST]:
        found.findings.append(_issue(one))
    found.high_risk = found.counts.get("high", 0) + secrets
    return found


def _unscanned(found: Scan, why: str) -> Scan:
    found.unscanned = why[:300]
    found.not_looked_at.append(why)
    return found


def _issue(one: dict[str, Any]) -> dict[str, Any]:
    place = f"{str(one.get('filename', '?')).removeprefix('./')}:{one.get('line_number', '?')}"
    level = {"HIGH": "high", "MEDIUM": "medium"}.get(str(one.get("issue_severity")), "low")
    return {"subject": place, "aspect": f"bandit {one.get('test_id', '')}", "value": one.get("test_name", ""), "severity": level, "text": str(one.get("issue_text", ""))[:400], "evidence": [place]}


def _secrets(root: Path, found: Scan) -> int:
    left, count = _ALL_BYTES, 0
    for name in walk(root):
        if not name.endswith(_TEXTS) and "." in name.rsplit("/", 1)[-1]:
            continue
        try:
            with (root / name).open("rb") as file:
                data = file.read(min(_TEXT_BYTES, left))
        except OSError:
            continue
        left -= len(data)
        text = data.decode("utf-8", "replace")
        for span in find_secrets(text):
            if span.kind in _LOOSE:
                continue
            place = f"{name}:{text.count(chr(10), 0, span.start) + 1}"
            is_test = any(part in ("tests", "test", "fixtures", "examples") for part in name.split("/"))
            count += not is_test
            if len(found.findings) < _MOST:
                severity = "low" if is_test else "high"
                found.findings.append({"subject": place, "aspect": "secret", "value": span.kind, "severity": severity, "text": f"looks like a {span.kind}", "evidence": [place]})
        if left <= 0:
            found.not_looked_at.append(f"secrets beyond the first {_ALL_BYTES:,} bytes")
            break
    return count
