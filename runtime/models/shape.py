"""The shape of an answer as JSON Schema, in the dialects that services take.

Rules: where every object is closed, services can hold the model to the schema (`strict`): then every property is required and nothing has a
default. Where an object is open (a tool's arguments), the schema is sent as advice; what comes back is validated by us in either case.
Source: OpenAI's structured outputs; JSON Schema 2020-12.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

_NESTED = ("properties", "$defs")
# Services that hold a model to a schema refuse bounds that they cannot hold it to; ours are checked afterwards anyway.
_BOUNDS = frozenset({
    "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems",
    "uniqueItems", "default",
})  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """A schema for the wire."""

    name: str
    schema: dict[str, Any]
    is_strict: bool


def shape_of(model: type[BaseModel]) -> Shape:
    """Return the schema of an answer."""
    schema = model.model_json_schema()
    strict = _is_closed(schema)
    found = _tidied(schema, strict)
    return Shape(name=model.__name__, schema=found, is_strict=strict)


def in_words(shape: Shape) -> str:
    """Return the instruction for services that take no schema."""
    return (
        "Answer with one JSON object and nothing else: no explanation, no code fence. It has to be valid against this JSON Schema:\n"
        + json.dumps(shape.schema, ensure_ascii=False, separators=(",", ":"))
    )


def _is_closed(schema: Any) -> bool:
    """Tell whether every object names all of its properties."""
    if isinstance(schema, list):
        return all(map(_is_closed, schema))
    if not isinstance(schema, Mapping):
        return True
    if not schema:
        return False  # anything at all
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    for key, inner in schema.items():
        if key in _NESTED:
            if not all(map(_is_closed, inner.values())):
                return False
        elif key not in ("default", "examples", "enum", "const") and isinstance(inner, Mapping | list) and not _is_closed(inner):
            return False
    return True


def _tidied(schema: Any, strict: bool) -> Any:
    if isinstance(schema, list):
        return [_tidied(inner, strict) for inner in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema and strict:
        return {"$ref": schema["$ref"]}  # strict readers take nothing beside a reference
    found: dict[str, Any] = {}
    for key, inner in schema.items():
        if key in ("title", "examples") or (strict and key in _BOUNDS):
            continue
        found[key] = {name: _tidied(one, strict) for name, one in inner.items()} if key in _NESTED else _tidied(inner, strict)
    if strict and found.get("type") == "object":
        found["required"] = list(found.get("properties", {}))
        found["additionalProperties"] = False
    return found
