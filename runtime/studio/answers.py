"""What a person meant by the value of a resume, in whichever dialect their screen speaks. Pure.

Rules:
- Four dialects, one meaning: Studio (JSON or text, typed by hand), LangChain's human-in-the-loop form as Agent Chat UI sends it
  (`{"decisions": […]}`), Agent Inbox (`[{"type": …, "args": …}]`), and our own (`{"decision", "digest", "request_id", "reason", "edit"}`).
- A plan is answered as a whole: one decision for all of it, or one for each step that all say the same or edit.
- What is not understood completely is no answer; a field that is not known may have been meant as a condition.
- Who answers is never read from an answer. Nothing at all is a doorbell: it only makes the run look at the ledger.
- Screens that edit send text for everything, and show secrets hidden: values become what the tool's arguments say they are, and a hidden
  value that comes back unchanged stays what it was.

Source: the parsers of the three screens, `reference/layout-and-server.md` B.7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from ...policies.redact import redact_value
from ...schemas.approval import Verdict
from ...schemas.errors import Complaint, InvalidDocument
from ...schemas.plan import Plan, Step

_WORDS: dict[str, Verdict] = {
    "approve": Verdict.APPROVE, "approved": Verdict.APPROVE, "accept": Verdict.APPROVE, "accepted": Verdict.APPROVE, "yes": Verdict.APPROVE,
    "reject": Verdict.REJECT, "rejected": Verdict.REJECT, "deny": Verdict.REJECT, "denied": Verdict.REJECT, "no": Verdict.REJECT,
    "edit": Verdict.EDIT, "happened": Verdict.HAPPENED, "did_not_happen": Verdict.DID_NOT_HAPPEN, "abandon": Verdict.ABANDON,
}  # fmt: skip
_VERDICT_KEYS = ("decision", "verdict", "type", "answer")
_REASON_KEYS = ("reason", "message", "comment")
_DOORBELLS = ("", "look at the ledger", "resume", "continue")
_SAID = re.compile(r"\s*([A-Za-z]+(?:[ _-][A-Za-z]+){0,2}?)\s*(?:[:\n]\s*(.*))?", re.DOTALL)
_INTERRUPT = re.compile(r"[0-9a-f]{32}")
_HIDDEN = "[redacted:"
_LONGEST = 1_000_000


@dataclass(frozen=True)
class Answer:
    """What was meant."""

    verdict: Verdict
    reason: str = ""
    edit: Any = None
    """With `edit`: a form that `runtime/edits.py` reads."""
    digest: str = ""
    """The plan that was looked at, where the answer says so."""
    request_id: str = ""
    """The question that was looked at, where the answer says so."""

    @property
    def is_bound(self) -> bool:
        """Whether it names what it answers."""
        return bool(self.digest or self.request_id)


@dataclass(frozen=True)
class Shown:
    """What the screen showed: the plan, the answers that the question takes, the arguments of the tools, and what is secret."""

    plan: Plan
    options: Sequence[Verdict]
    models: Mapping[str, type[BaseModel]]
    known: Sequence[str] = ()


def read_answer(value: Any, shown: Shown) -> Answer | None:
    """Return what a resume value means; `None` for a doorbell.

    Raises:
        InvalidDocument: it is not understood; says what would be.
    """
    if is_doorbell(value):
        return None
    value = _unwrapped(value)
    if isinstance(value, str):
        return _text(value, shown)
    if isinstance(value, Mapping) and "decisions" in value:
        return _together(value, value["decisions"], shown)
    if isinstance(value, Mapping):
        return _one(value, shown, None)
    if isinstance(value, list):
        return _together({}, value, shown)
    raise _unclear(shown, value)


def is_doorbell(value: Any) -> bool:
    """Tell whether a resume value says nothing."""
    value = _unwrapped(value)
    return value is None or value == {} or (isinstance(value, str) and value.strip().lower() in _DOORBELLS)


def _unwrapped(value: Any) -> Any:
    """Return the one answer of a map from interrupt ids, and JSON that came as text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "[", '"') and len(value) <= _LONGEST:
        try:
            value = json.loads(value)
        except ValueError:
            return value
    if isinstance(value, Mapping) and len(value) == 1 and all(isinstance(key, str) and _INTERRUPT.fullmatch(key) for key in value):
        return _unwrapped(next(iter(value.values())))
    return value


def _text(said: str, shown: Shown) -> Answer:
    found = _spoken(said)
    if found is None:
        raise _unclear(shown, said)
    return _allowed(found, shown)


def _spoken(said: str) -> Answer | None:
    match = _SAID.fullmatch(said)
    verdict = _verdict(match[1]) if match else None
    return None if match is None or verdict is None else Answer(verdict, reason=(match[2] or "").strip())


def _verdict(word: Any) -> Verdict | None:
    return _WORDS.get(re.sub(r"[ -]", "_", word.strip().lower())) if isinstance(word, str) else None


def _together(around: Mapping[str, Any], decisions: Any, shown: Shown) -> Answer:
    count = len(shown.plan.steps)
    if set(around) - {"decisions", "digest", "request_id"} or not isinstance(decisions, list) or len(decisions) not in (1, count):
        raise _unclear(shown, decisions, f"one decision for the whole plan, or one for each of its {count} steps")
    answers = [_one(decision, shown, index) for index, decision in enumerate(decisions)]
    digest, request_id = (_taken(dict(around), name) for name in ("digest", "request_id"))
    digest, request_id = digest or answers[0].digest, request_id or answers[0].request_id
    verdicts = {answer.verdict for answer in answers}
    if len(verdicts) == 1 and Verdict.EDIT not in verdicts:
        reasons = dict.fromkeys(answer.reason for answer in answers if answer.reason)
        return replace(answers[0], reason="; ".join(reasons), digest=digest, request_id=request_id)
    if not verdicts <= {Verdict.EDIT, Verdict.APPROVE}:
        raise _unclear(shown, decisions, "the same decision for every step: a plan is answered as a whole; an edit can drop a step")
    steps: dict[str, Any] = {}
    for answer in answers:
        if answer.verdict is Verdict.EDIT:
            steps |= answer.edit["steps"]
    reason = "; ".join(answer.reason for answer in answers if answer.reason)
    return Answer(Verdict.EDIT, reason=reason, edit={"steps": steps}, digest=digest, request_id=request_id)


def _one(decision: Any, shown: Shown, index: int | None) -> Answer:
    """Read one decision; `index` is the step's, from 0, for those of a list."""
    if isinstance(decision, str):
        return _text(decision, shown)
    if not isinstance(decision, Mapping):
        raise _unclear(shown, decision)
    left = dict(decision)
    named = [left.pop(key) for key in _VERDICT_KEYS if key in left]
    if len(named) != 1 or not isinstance(named[0], str):
        raise _unclear(shown, decision)
    word = named[0].strip().lower()
    reason = _taken(left, *_REASON_KEYS)
    digest, request_id = _taken(left, "digest"), _taken(left, "request_id")
    if word in ("response", "respond"):
        said = _taken(left, "args")
        _nothing(left, shown)
        # What is written into a box for responses is a refusal with its reason, unless it is an answer word for word.
        found = _spoken(said) or _spoken(reason) or Answer(Verdict.REJECT, reason=said or reason)
        return _allowed(replace(found, digest=digest, request_id=request_id), shown)
    verdict = _verdict(word)
    if verdict is None:
        raise _unclear(shown, named[0])
    edit = _edit(left, shown, index) if verdict is Verdict.EDIT else None
    if verdict is Verdict.APPROVE:
        _unchanged(left, shown, index or 0)
    _nothing({name: inner for name, inner in left.items() if inner is not None}, shown)
    return _allowed(Answer(verdict, reason=reason, edit=edit, digest=digest, request_id=request_id), shown)


def _taken(fields: dict[str, Any], *names: str) -> str:
    found = [fields.pop(name) for name in names if name in fields]
    for one in found:
        if one is not None and not isinstance(one, str):
            raise InvalidDocument([Complaint(where=names[0], expected="text", found=type(one).__name__)], file="the answer")
    return "; ".join(one.strip() for one in found if one)


def _nothing(left: Mapping[str, Any], shown: Shown) -> None:
    if left:
        raise _unclear(shown, left, f"no fields but {', '.join((*_VERDICT_KEYS[:1], 'reason', 'digest', 'request_id', 'edit'))}")


def _edit(left: dict[str, Any], shown: Shown, index: int | None) -> Any:
    action = left.pop("edited_action", None) or left.pop("args", None)
    own, args = left.pop("edit", None), left.pop("edited_args", None)
    given = [one for one in (action, own, args) if one is not None]
    if len(given) != 1:
        raise _unclear(shown, left, "what is to be changed: `edit`, `edited_args` or `edited_action`")
    if own is not None:
        # A line of text would be read as the name of a file on the server's disk.
        if not isinstance(own, Mapping) and not (isinstance(own, str) and "\n" in own.strip()):
            raise _unclear(shown, own, "the changed plan as an object or as a document of several lines")
        return own
    if index is None and len(shown.plan.steps) > 1:
        raise _unclear(shown, given[0], 'the step that changes: {"edit": {"steps": {"2": {"args": {…}}}}}')
    step = shown.plan.steps[index or 0]
    if args is not None:
        action = {"args": args}
    return {"steps": {str(step.step): _patch(action, step, shown)}}


def _patch(action: Any, step: Step, shown: Shown) -> dict[str, Any]:
    if not isinstance(action, Mapping) or set(action) - {"name", "action", "args", "arguments", "description"}:
        raise _unclear(shown, action, 'an edited action: {"name": …, "args": {…}}')
    tool, args = action.get("name", action.get("action", step.tool)), action.get("args", action.get("arguments"))
    if not isinstance(tool, str) or not isinstance(args, Mapping):
        raise _unclear(shown, action, 'an edited action: {"name": …, "args": {…}}')
    if tool != step.tool:
        return {"tool": tool, "args": coerced(args, {}, shown.models.get(tool))}
    return {"args": restored(args, step, shown)}


def _unchanged(left: dict[str, Any], shown: Shown, index: int) -> None:
    """Take away what an approval carries along, where it is what was shown: Agent Inbox sends the call back with it."""
    action = left.pop("args", None)
    if action in (None, {}, ""):
        return
    step = shown.plan.steps[index]
    patch = _patch(action, step, shown)
    if patch.get("tool", step.tool) != step.tool or {**step.args, **patch["args"]} != step.args:
        raise _unclear(shown, action, "an approval without changes; what changes the plan is an edit")


def restored(args: Mapping[str, Any], step: Step, shown: Shown) -> dict[str, Any]:
    """Return edited arguments as the tool means them, with hidden values back in their places.

    Raises:
        InvalidDocument: a hidden value was changed in part, so nobody knows what it should be.
    """
    visible = redact_value(step.args, known=shown.known)
    found: dict[str, Any] = {}
    for name, value in args.items():
        if name in step.args and _same(value, visible[name]):
            found[name] = step.args[name]
            continue
        if _HIDDEN in json.dumps(value, default=str):
            raise InvalidDocument(
                [Complaint(where=name, expected="the whole value, or the hidden one unchanged", found="a part of a hidden value")],
                file="the answer", hint="give the whole value, or edit the plan where its bytes are: `assent edit REQUEST`",
            )  # fmt: skip
        found[name] = value
    return coerced(found, step.args, shown.models.get(step.tool))


def coerced(args: Mapping[str, Any], original: Mapping[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    """Return arguments in the types that the tool declares: screens that edit send every value as text."""
    found: dict[str, Any] = {}
    for name, value in args.items():
        field = model.model_fields.get(name) if model is not None else None
        found[name] = value if not isinstance(value, str) or field is None else _typed(value, field.annotation, original.get(name))
    return found


def _typed(value: str, annotation: Any, before: Any) -> Any:
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    if before is not None and not isinstance(before, str) and type(parsed) is type(before):
        return parsed
    adapter = TypeAdapter[Any](annotation)
    for candidate, strict in ((value, True), (parsed, True), (parsed, False)):
        try:
            return adapter.validate_python(candidate, strict=strict)
        except ValidationError:
            continue
    return value


def _same(value: Any, shown: Any) -> bool:
    if isinstance(value, str) and not isinstance(shown, str):
        try:
            value = json.loads(value)
        except ValueError:
            return False
    return bool(value == shown)


def _allowed(answer: Answer, shown: Shown) -> Answer:
    if answer.verdict not in shown.options:
        raise _unclear(shown, answer.verdict.value)
    if answer.verdict is Verdict.EDIT and answer.edit is None:
        raise _unclear(shown, "edit", "what is to be changed")
    return answer


def _unclear(shown: Shown, found: Any, expected: str = "") -> InvalidDocument:
    options = ", ".join(option.value for option in shown.options)
    return InvalidDocument(
        [Complaint(where="answer", expected=expected or f"one of {options}", found=json.dumps(found, default=str)[:120])], file="the answer",
        hint=f"answer with one of {options}; `reject: why` gives a reason. JSON: {{\"decision\": …, \"digest\": …, \"reason\": …}}",
    )  # fmt: skip
