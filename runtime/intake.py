"""What a run is asked for, in any of the forms that a caller may give, as one JSON value; and that value as a plan.

    plain text · path of a YAML or JSON document · text of one · mapping · Problem · Plan
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..policies.freeze import freeze
from ..policies.lint import lint, lint_document
from ..policies.notes import Notes
from ..policies.read_document import read_as_far
from ..schemas.document import Document, Hint
from ..schemas.errors import Complaint, InvalidDocument, InvalidPlan, ModelNeeded, NotFound
from ..schemas.plan import Plan
from ..schemas.problem import Problem
from ..tools.toolbox import Toolbox

LARGEST_BYTES = 1024 * 1024
LARGEST_PLAN_BYTES = 8 * 1024 * 1024
LONGEST_REASON = 10_000
_ENDINGS = (".yaml", ".yml", ".json")


def take_in(request: Any) -> dict[str, Any]:
    """Return a request as JSON: {"plan": …}, {"text": …, "file": …}, {"document": …} or {"words": …}.

    Raises:
        NotFound: a path that names no file.
        InvalidDocument: a file that is too large or not text.
    """
    if isinstance(request, Plan):
        return {"plan": request.as_json()}
    if isinstance(request, Problem):
        return {"document": {"problem": request.as_json()}}
    if isinstance(request, Mapping):
        if set(request) & {"plan", "text", "document", "words"} and set(request) <= {"plan", "text", "file", "document", "words"} and "form" not in request:
            nested = request.get("plan")
            if not isinstance(nested, Mapping) or "form" in nested:
                return dict(request)
        return {"plan": dict(request)} if request.get("form") == "assent.plan/1" else {"document": dict(request)}
    if isinstance(request, Path):
        return _file(request)
    if not isinstance(request, str) or not request.strip():
        raise InvalidDocument([Complaint(where="request", expected="text, a path, a mapping, a Problem or a Plan", found="nothing" if isinstance(request, str) else type(request).__name__)])
    single = "\n" not in request.strip()
    if single and request.strip().endswith(_ENDINGS):
        return _file(Path(request.strip()))
    if not single and any(f"{section}:" in request for section in ("problem", "action", "_workflow")):
        return {"text": request, "file": ""}
    if single and request.lstrip().startswith("{"):
        return {"text": request, "file": ""}
    return {"words": request.strip()}


@dataclass(frozen=True)
class Reading:
    """A request as a plan, with what the writing itself says besides."""

    plan: Plan
    hints: tuple[Hint, ...] = ()
    """What would make the document better; see `policies/lint.py`."""
    tier: int | None = None
    """The tier that the document claims for its agent."""


def read(ask: Any, tools: Toolbox, *, author: str = "") -> Reading:
    """Read a taken-in request as a plan whose every call a tool accepts.

    Raises:
        InvalidDocument: what was written cannot be read, with every complaint, those of `InvalidPlan` among them.
        InvalidPlan: steps name unknown tools or wrong arguments; every one of them is named.
        ModelNeeded: plain language.
    """
    ask = take_in(ask)
    if "words" in ask:
        path = _path_of(ask["words"])
        if path:
            raise InvalidDocument([Complaint(where="request", expected="the path of a document that ends in .yaml, .yml or .json", found=path)])
        raise ModelNeeded(
            "plain language needs a model, and none is configured",
            hint='set OPENAI_API_KEY and pass model="openai:…" (`--model` on the command line, `model:` in config.yaml); '
            "or write the plan: `assent new plan.yaml`, then `assent run plan.yaml`",
        )
    if "plan" in ask:
        try:
            plan = Plan.model_validate(ask["plan"])
        except ValidationError as error:
            raise InvalidDocument([_complaint(one) for one in error.errors()]) from error
        found = Reading(plan, hints=lint(plan.problem, plan))
    else:
        document, plan = _written(ask, tools, author)
        tier = document.metadata.agent_tier if document.metadata else None
        found = Reading(plan, hints=lint_document(document, plan), tier=tier)
    check(found.plan, tools)
    return found


def _written(ask: Mapping[str, Any], tools: Toolbox, author: str) -> tuple[Document, Plan]:
    document, wrong = read_as_far(ask["text"] if "text" in ask else ask["document"], file=str(ask.get("file", "")))
    calls = [one for one in _of_calls(document, tools) if not any(_is_within(one.where, other.where) or _is_within(other.where, one.where) for other in wrong)]
    plan = None
    if not wrong:  # what freezing says of a document that was half read would be about the other half
        try:
            plan = freeze(document, author=author, which=shutil.which)
        except InvalidDocument as error:
            wrong = list(error.complaints)
    if wrong:
        raise InvalidDocument(sorted([*wrong, *calls], key=lambda one: one.line or 0), file=document.file)
    if calls:
        told = InvalidDocument(calls, file=document.file)
        raise InvalidPlan(told.message, hint=f"the tools are {', '.join(tools)}; `assent new plan.yaml` writes a document that shows their arguments", **told.fields)
    assert plan is not None
    return document, plan


def _is_within(where: str, field: str) -> bool:
    return where == field or where.startswith((f"{field}.", f"{field}["))


def _of_calls(document: Document, tools: Toolbox) -> Iterator[Complaint]:
    """Yield what tools say of the calls as they were written, each with its line."""
    notes = Notes(document)
    for where, tool, args in _calls(document):
        for one in tools.problems(tool, args):
            place = f"{where}.{one.where}"
            yield replace(one, where=place, line=notes.line(place), file=document.file)


def _calls(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for number, step in enumerate(document.action.steps if document.action else (), 1):
        where = f"action.steps[{number}]"
        if step.tool and not step.commands:
            yield where, step.tool, step.args or {}
        if step.undo is not None:
            yield f"{where}.undo", step.undo.tool, step.undo.args
    for number, measure in enumerate(document.measures, 1):
        if measure.tool:
            yield f"measures[{number}]", measure.tool, measure.args or {}


def check(plan: Plan, tools: Toolbox) -> None:
    """Hold every call of a plan against the tool that it names.

    Raises:
        InvalidPlan: names every step that is wrong, its tool and every wrong field.
    """
    if len(plan.bytes) > LARGEST_PLAN_BYTES:
        raise InvalidPlan(f"the plan has {len(plan.bytes):,} bytes", hint="at most 8 MB; keep bulk in files of the workspace and name them")
    calls = [(f"step {step.step}", step.call) for step in plan.steps]
    calls += [(f"undo of step {step.step}", step.undo) for step in plan.steps if step.undo is not None]
    calls += [(f"measure {number}", measure.call) for number, measure in enumerate(plan.measures, 1)]
    wrong: list[tuple[str, InvalidPlan]] = []
    for where, call in calls:
        try:
            tools.parse(call.tool, call.args)
        except InvalidPlan as error:
            wrong.append((where, error))
    if wrong:
        first = wrong[0][1]
        fields = {**first.fields, "complaints": [f"{where}: {complaint}" for where, error in wrong for complaint in error.fields["complaints"] or (error.message,)]}
        raise InvalidPlan("\n".join(f"{where}: {error.message}" for where, error in wrong), hint=first.hint, **fields) from first


def said(reason: str) -> str:
    """Return a person's reason as it was given. Raises: InvalidDocument: it is too long to be read, or no text."""
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
        raise InvalidDocument([Complaint(where="reason", expected=f"text of at most {LONGEST_REASON:,} characters")])
    try:
        reason.encode()
    except UnicodeEncodeError as error:
        raise InvalidDocument([Complaint(where="reason", expected="Unicode text", found=f"half a character at {error.start}")]) from error
    return reason


def _path_of(words: str) -> str:
    """Return what words name that were perhaps meant as a path; nothing where they are words."""
    try:
        path = Path(words)
        return f"a folder, {words}" if path.is_dir() else f"the file {words}" if path.is_file() else ""
    except (OSError, ValueError):
        return ""


def _file(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise NotFound(f"{path} is a folder, not a document", hint="give the path of a YAML or JSON file")
    if not path.is_file():
        raise NotFound(f"there is no file {path}", hint="check the path; `assent new plan.yaml` writes a document to start from")
    if path.stat().st_size > LARGEST_BYTES:
        raise InvalidDocument([Complaint(where="file", expected="at most 1 MB", found=f"{path.stat().st_size} bytes", file=str(path))], file=str(path))
    try:
        return {"text": path.read_text(encoding="utf-8"), "file": path.name}
    except UnicodeDecodeError as error:
        raise InvalidDocument([Complaint(where="file", expected="UTF-8 text", found=str(error.reason), file=str(path))], file=str(path)) from error


def _complaint(error: Any) -> Complaint:
    return Complaint(where=".".join(str(part) for part in error["loc"]) or "plan", expected=error["msg"], found=repr(error.get("input"))[:80])
