"""Canonical bytes: one value, one spelling, one digest (RFC 8785, JSON Canonicalization Scheme).

Rules: no duplicate keys, no NaN or infinity, integers within ±(2^53 - 1), no lone surrogates. What was written as `1.0` and as `1` has the
same bytes, so whatever runs later takes its arguments from the bytes and not from the object that made them.
Source: RFC 8785; the strict reading side is ours because `json.loads` silently keeps the last of two equal keys.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import rfc8785
from pydantic_core import PydanticSerializationError, to_json

LARGEST = 2**53 - 1
compact = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
"""Write a JSON value with sorted keys and without blanks; canonical where `canonical` would not refuse it, and quicker."""


def canonical(value: Any) -> bytes:
    """Return the canonical UTF-8 bytes of a JSON value.

    Raises:
        ValueError: a number, text or key that canonical JSON cannot hold; the sentence names it.
    """
    try:
        return to_json(_ordered(value))
    except (_Odd, TypeError, PydanticSerializationError, RecursionError):
        return _thoroughly(value)


def digest(data: bytes) -> str:
    """Return `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def parse(data: bytes | str) -> Any:
    """Read JSON strictly.

    Raises:
        ValueError: not JSON, a key twice in one object, NaN or infinity, an integer beyond ±(2^53 - 1), or a lone surrogate.
    """
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    try:
        return _STRICT.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_canonical(data: bytes) -> bool:
    """Tell whether these bytes are exactly the canonical form of what they mean."""
    try:
        return canonical(parse(data)) == data
    except ValueError:
        return False


class _Odd(Exception):
    """A number or a key of which JSON and canonical JSON could have different spellings."""


def _ordered(value: Any) -> Any:
    """Return a value with its keys in order and whole floats as integers, of which plain JSON is the canonical form.

    Raises:
        _Odd, TypeError: plain JSON and canonical JSON could differ, or there is none.
    """
    kind = type(value)
    if kind is dict:
        if not "".join(value).isascii():
            raise _Odd
        found = {}
        for key in sorted(value):
            inner = value[key]
            found[key] = inner if type(inner) is str else _ordered(inner)
        return found
    if kind is list or kind is tuple:
        return [inner if type(inner) is str else _ordered(inner) for inner in value]
    if kind is str or kind is bool or value is None or (kind is int and -LARGEST <= value <= LARGEST):
        return value
    if kind is float:
        if value.is_integer() and abs(value) <= LARGEST:
            return int(value)
        if _is_decimal(repr(value)):
            return value
    raise _Odd


def _thoroughly(value: Any) -> bytes:
    try:
        raw = rfc8785.dumps(value)
        parse(raw)  # a float such as 2.0**53 is written as an integer that strict reading refuses
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise ValueError(f"not a canonical JSON value: {error.__cause__ or error}") from error
    except RecursionError:
        raise ValueError("not a canonical JSON value: nested too deeply") from None
    return raw


def _is_decimal(number: str) -> bool:
    """Tell whether a float is spelled the same in Python and in canonical JSON: shortest digits with a point, no exponent, not a whole number."""
    return "e" not in number and "n" not in number and not number.endswith(".0")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} appears twice")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _bounded(digits: str) -> int:
    # `int` of a very long digit string is quadratic; 17 characters already exceed the bound.
    if len(digits) > 17 or abs(int(digits)) > LARGEST:
        raise ValueError(f"the integer {digits[:20]} is beyond 2^53 - 1; write it as text")
    return int(digits)


_STRICT = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_bounded)
