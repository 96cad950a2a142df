"""A plan as a YAML document for an editor, and what comes back from it.

Rules: the document means exactly the plan, which is checked by reading it back; a plan that the written form cannot hold exactly is shown in
its exact form instead; characters that could hide or steer are escaped in the text as well. The file is private and gone afterwards.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ...policies.yaml_nodes import read_nodes
from ...schemas.errors import AssentError, Complaint, InvalidConfiguration, InvalidDocument, NotAllowed
from ...schemas.plan import Call, Measure, Plan, Step
from ...tools.toolbox import Toolbox
from ..intake import read, take_in

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORM = "assent.plan/1"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal values twice; an alias is no help to a reader."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def written(plan: Plan, tools: Toolbox, *, title: str) -> str:
    """Return the document of a plan.

    Args:
        title: a line for its top, without line feeds.
    """
    notes = f"# {title}\n# Saved without a change, nothing changes. An edited plan is assessed again and needs its own approval.\n"
    notes += f"# Tools: {', '.join(tools)}.\n\n"
    text = notes + _dump(_document(plan))
    try:
        if read_back(text, plan, tools, file="plan.yaml") == plan:
            return text
    except AssentError:
        pass
    return notes + _dump(plan.as_json())


def read_back(text: str, plan: Plan, tools: Toolbox, *, file: str) -> Plan:
    """Return the plan that an edited document means; its author stays who it was.

    Raises:
        InvalidDocument, InvalidPlan: every complaint, with lines.
    """
    _, complaints = read_nodes(text, file=file)
    if complaints:
        raise InvalidDocument(complaints, file=file)
    found = yaml.load(text, Loader=_LOADER)  # noqa: S506 - CSafeLoader is the safe loader
    if isinstance(found, Mapping) and found.get("form") == _FORM:
        return read({**found, "author": plan.author}, tools, author=plan.author).plan
    return read({"text": text, "file": file}, tools, author=plan.author).plan


def read_file(path: Path, plan: Plan, tools: Toolbox) -> Plan:
    """Return the plan that a file means. Raises: NotFound, InvalidDocument, InvalidPlan."""
    ask = take_in(path)
    return read_back(str(ask["text"]), plan, tools, file=str(ask["file"]))


def editor() -> list[str]:
    """Return the command of the person's editor.

    Raises:
        InvalidConfiguration: none is set, or it cannot be read.
    """
    found = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    try:
        words = shlex.split(found)
    except ValueError as error:
        raise InvalidConfiguration(f"the editor {found!r} cannot be read: {error}", hint="set EDITOR to a command, for example `export EDITOR=nano`") from error
    if not words:
        raise InvalidConfiguration(
            "no editor is set", hint="set VISUAL or EDITOR (`export EDITOR=nano`), or write the changed plan and give it: `assent edit REQUEST --file plan.yaml`"
        )
    return words


def edit(text: str) -> str:
    """Open a text in the person's editor and return what they saved.

    Raises:
        InvalidConfiguration: there is no editor, or it cannot be started.
        NotAllowed: the editor ended with an error; what was typed does not count.
    """
    words = editor()
    with tempfile.TemporaryDirectory(prefix="assent-") as folder:
        path = Path(folder) / "plan.yaml"
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        try:
            code = subprocess.call([*words, str(path)])  # noqa: S603 - the person's own editor
        except OSError as error:
            raise InvalidConfiguration(f"the editor {words[0]} cannot be started: {error.strerror}", hint="set VISUAL or EDITOR to one that exists") from error
        if code != 0:
            raise NotAllowed(f"the editor ended with exit code {code}; nothing was changed", hint="save and leave it normally to edit the plan")
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidDocument([Complaint(where="file", expected="UTF-8 text", found=str(error), file="plan.yaml")], file="plan.yaml") from error


def _dump(value: Mapping[str, Any]) -> str:
    from ...policies.show import visible

    plain = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    if all(visible(line) == line for line in plain.split("\n")):
        return plain
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=120)


def _document(plan: Plan) -> dict[str, Any]:
    judgement, estimate, window = plan.judgement, plan.estimate, plan.execution_window
    action = {
        "proposed_solution": plan.intent,
        "alternatives": list(plan.alternatives),
        "steps": [_step(step) for step in plan.steps],
        "required_approvals": [_filled(approval.as_json()) for approval in plan.required_approvals],
        "risk_assessment": _filled({"likelihood": judgement.likelihood, "impact": judgement.impact, "mitigation": judgement.mitigation}),
        "resources_required": _filled(
            {"cost_estimate": _usd(estimate.cost_usd), "time_estimate": _seconds(estimate.time_s), "human_oversight": estimate.human_oversight}
        ),
        "execution_window": f"{window.opens_at.isoformat()} to {window.closes_at.isoformat()}" if window is not None else "",
    }
    problem = _filled(plan.problem.as_json())
    if "context" in problem:
        problem["context"] = _filled(problem["context"])
    return _filled({
        "metadata": _filled({"workflow_id": plan.workflow_id}),
        "problem": _filled(problem),
        "action": _filled(action),
        "measures": [_measure(measure) for measure in plan.measures],
        "approval_request": _filled({"urgency": plan.urgency, "required_by": plan.required_by.isoformat() if plan.required_by is not None else ""}),
        "results": _expected(plan),
    })  # fmt: skip


def _expected(plan: Plan) -> dict[str, Any]:
    found = plan.expectation
    if found is None:
        return {}
    saved = {
        "time_saved_per_week": _seconds(found.saves_time_s_per_week),
        "cost_saved_per_week": _usd(found.saves_usd_per_week),
    }
    return _filled({"roi_analysis": _filled(saved), "follow_up_actions": [_filled(one.as_json()) for one in found.follow_ups]})


def _step(step: Step) -> dict[str, Any]:
    return {"step": step.step} | _filled({
        "description": step.description, "tool": step.tool, "args": step.as_json()["args"], "risk": step.risk.value.lower() if step.risk is not None else None,
        "reversible": step.reversible, "undo": _call(step.undo), "rollback_plan": step.rollback_plan,
        "estimated_time": _seconds(step.estimated_time_s), "estimated_cost": _usd(step.cost_usd),
    })  # fmt: skip


def _call(call: Call | None) -> dict[str, Any] | None:
    return None if call is None else call.as_json()


def _measure(measure: Measure) -> dict[str, Any]:
    return _filled(measure.as_json())


def _seconds(value: int | None) -> str | None:
    return None if value is None else f"{value} s"


def _usd(value: str | None) -> str | None:
    return None if value is None else f"${value}"


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}
