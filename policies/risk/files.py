"""Files: reading one, and writing one.

Rules: everything about the path is in `paths.py`. The file tools work inside the workspace, so that what shell may read as a public fact
about the machine is outside for them. A write is at least MEDIUM, whatever the path.
"""

from __future__ import annotations

from ...schemas.risk import Level, Reason, Risk
from .paths import judge_read, judge_write
from .surroundings import Surroundings


def assess_read(path: object, around: Surroundings) -> Risk:
    """Judge the payload of a file read.

    Args:
        path: the path as text.
        around: the place of the action.
    """
    if not isinstance(path, str):
        return Risk.of([Reason(rule="file.payload", level=Level.HIGH, text="a file read needs a path as text")])
    return Risk.of(_outside(reason) for reason in judge_read(path, around))


def assess_write(payload: object, around: Surroundings) -> Risk:
    """Judge the payload of a file write.

    Args:
        payload: `{"path": text, "content": text}`, and optionally `operation`, which changes nothing about the judgement.
        around: the place of the action.
    """
    problem = _problem(payload)
    if problem or not isinstance(payload, dict):
        return Risk.of([Reason(rule="file.payload", level=Level.HIGH, text=problem)])
    reasons = judge_write(payload["path"], around, content=payload["content"])
    floor = Reason(rule="file.write", level=Level.MEDIUM, text="writes a file")
    return Risk.of(reasons if any(reason.level > Level.LOW for reason in reasons) else (floor, *reasons))


def _problem(payload: object) -> str:
    if not isinstance(payload, dict):
        return "a file write needs a path and a content"
    if set(payload) - {"operation"} != {"path", "content"}:
        return "a file write needs exactly the fields path and content"
    if not isinstance(payload["path"], str) or not isinstance(payload["content"], str):
        return "path and content of a file write are texts"
    return ""


def _outside(reason: Reason) -> Reason:
    if reason.rule != "path.public":
        return reason
    text = "the file tools work inside the workspace only"
    return Reason(
        rule="path.outside", level=Level.HIGH, text=text, lower="read it with the shell tool, for example cat /etc/os-release"
    )
