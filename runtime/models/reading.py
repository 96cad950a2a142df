"""Read a model's reply as the object that was asked for, or say everything that is wrong with it. Pure.

Rules: JSON is read strictly (a key twice is an error, not a choice); a single code fence around it is taken off, because many servers add
one; everything that is wrong is said at once, in words that the model can act on.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ...schemas.canonical import parse
from ...schemas.errors import Complaint
from ...schemas.prompt import Usage
from .port import Answer

T = TypeVar("T", bound=BaseModel)

LONGEST = 1024 * 1024
_MOST = 30
_FENCED = re.compile(r"\A```[a-zA-Z]*\n(.*)\n```\Z", re.DOTALL)
_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "MAX_TOKENS"})
_REFUSED = frozenset({"content_filter", "refusal", "safety", "SAFETY"})


def read_answer(
    schema: type[T], raw: str, *, model: str, usage: Usage, finish_reason: str = "", refusal: str = "", attempts: int = 1
) -> Answer[T]:
    """Return the answer, validated."""
    value: T | None = None
    fault, complaints = _fault(raw, finish_reason, refusal)
    if not fault:
        try:
            value = schema.model_validate(parse(_inner(raw)))
        except ValidationError as error:
            fault, complaints = "invalid", _complaints(error)
        except ValueError as error:
            fault, complaints = "invalid", (f"the reply is not JSON: {error}",)
    return Answer(
        value=value,
        complaints=complaints,
        raw=raw,
        model=model,
        usage=usage,
        finish_reason=finish_reason,
        refusal=refusal,
        attempts=attempts,
        fault=fault,
    )


def _fault(raw: str, finish_reason: str, refusal: str) -> tuple[str, tuple[str, ...]]:
    if refusal or finish_reason in _REFUSED:
        return "refused", (f"the model refused: {refusal[:500] or finish_reason}",)
    if finish_reason in _CUT:
        return "truncated", (f"the reply was cut off after {len(raw)} characters; answer more briefly",)
    if not raw.strip():
        return "empty", ("the reply was empty",)
    if len(raw) > LONGEST:
        return "invalid", (f"the reply has {len(raw)} characters; at most {LONGEST} are read",)
    return "", ()


def _inner(raw: str) -> str:
    text = raw.strip()
    fenced = _FENCED.match(text)
    return fenced[1] if fenced else text


def _complaints(error: ValidationError) -> tuple[str, ...]:
    found = [str(_complaint(item)) for item in error.errors(include_url=False)]
    return (*found[:_MOST], f"and {len(found) - _MOST} more") if len(found) > _MOST else tuple(found)


def _complaint(item: Any) -> Complaint:
    where = ".".join(str(part) for part in item["loc"]) or "reply"
    if item["type"] == "missing":
        return Complaint(where=where, expected="a value", found="nothing")
    if item["type"] == "extra_forbidden":
        return Complaint(where=where, expected="no such field")
    expected = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return Complaint(where=where, expected=expected, found=repr(item["input"])[:80])
