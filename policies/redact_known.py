"""Find values that the runtime holds and that no pattern can match, in every spelling that a text may give them.

- Exact, escaped (JSON, shell, HTML, URL), hexadecimal, backwards, line by line, and inside base64 at each of its three
  alignments.
- Values shorter than `LEAST` characters are ignored: they would hide half of the text and protect nothing.

It keeps nothing: the values are arguments, and no message carries them.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Sequence
from urllib.parse import quote, quote_plus

from .redact_span import Span

LEAST = 6
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")


def known_secrets(text: str, known: Sequence[str]) -> Iterator[Span]:
    """Yield every place where one of the `known` values stands, in any of its spellings."""
    for value in dict.fromkeys(known):
        if len(value) < LEAST:
            continue
        for spelling in spellings(value):
            yield from _places(text, spelling)
        for core, head, tail in _base64_cores(value):
            for span in _places(text, core):
                start = span.start - (head and text[span.start - 1 : span.start] in _BASE64)
                end = span.end + (tail and text[span.end : span.end + 1] in _BASE64)
                yield Span(start, end, "known")


def spellings(value: str) -> frozenset[str]:
    """Return the ways in which a text may spell a value, but for base64, which depends on what stands before it."""
    raw = value.encode("utf-8", "surrogatepass")
    safe = raw.decode("utf-8", "replace")
    percent = quote(safe, safe="")
    forms = {
        value,
        value[::-1],
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(value)[1:-1])[1:-1],
        repr(value)[1:-1],
        value.replace("\\", "\\\\"),
        value.replace("'", "'\\''"),
        value.replace("'", "''"),
        html.escape(value),
        html.escape(value, quote=False),
        percent,
        percent.lower(),
        quote(percent, safe=""),
        quote(safe),
        quote_plus(safe),
        raw.hex(),
        raw.hex().upper(),
        raw.hex(" "),
        raw.hex(":"),
        *(line.strip() for line in value.splitlines() if len(line.strip()) >= 16),
    }
    return frozenset(form for form in forms if len(form) >= LEAST)


def _base64_cores(value: str) -> Iterator[tuple[str, bool, bool]]:
    """Yield, for each alignment and alphabet, the characters that depend on the value alone, and whether a half one stands on
    each side."""
    raw = value.encode("utf-8", "surrogatepass")
    for lead in range(3):
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            whole = alphabet(b"\0" * lead + raw).decode("ascii").rstrip("=")
            first = (lead * 8 + 5) // 6
            last = (lead + len(raw)) * 8 // 6
            if last - first >= LEAST:
                yield whole[first:last], lead > 0, last < len(whole)


def _places(text: str, spelling: str) -> Iterator[Span]:
    at = text.find(spelling)
    while at >= 0:
        yield Span(at, at + len(spelling), "known")
        at = text.find(spelling, at + len(spelling))
