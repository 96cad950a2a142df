"""A found secret, and the marker that takes its place.

- A marker names only the kind, never a length or a digest of what it hides.
- Only a marker of a kind that this package itself writes counts as one: a secret dressed up as a marker is still a secret.
- Spans that overlap are one span; a span that covers nothing but markers is none. That makes a second pass change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from .redact_table import table

STRUCTURAL = frozenset({
    "password", "secret", "authorization", "cookie", "url-password", "private-key", "kubernetes-secret", "jwt", "known",
    "unsettled", "payment-card", "email", "phone", "iban", "social-security-number",
})  # fmt: skip
"""Kinds that no row of the table names."""

_MARKER = re.compile(r"\[redacted:([a-z0-9-]{2,40})\]")


@dataclass(frozen=True, slots=True)
class Span:
    """Where a secret stands: `text[start:end]`, in characters, and what kind it is."""

    start: int
    end: int
    kind: str


@lru_cache(maxsize=1)
def kinds() -> frozenset[str]:
    """Return every kind that a marker can name."""
    return STRUCTURAL | {f.kind for f in table().formats}


def marker(kind: str) -> str:
    """Return the text that takes the place of a secret of this kind."""
    return f"[redacted:{kind}]"


def is_marker(text: str) -> bool:
    """Tell whether a text is exactly one marker that this package writes."""
    found = _MARKER.fullmatch(text)
    return found is not None and found[1] in kinds()


def markers_in(text: str) -> list[Span]:
    """Return the markers that stand in a text already, in order."""
    if "[redacted:" not in text:
        return []
    return [Span(m.start(), m.end(), m[1]) for m in _MARKER.finditer(text) if m[1] in kinds()]


def lowered(text: str) -> str:
    """Return a text with its ASCII letters in lower case, every character in its place."""
    return text.lower() if text.isascii() else text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def merged(text: str, spans: Iterable[Span]) -> list[Span]:
    """Join overlapping spans, each under the kind of its longest part, and leave out what is hidden already."""
    old = markers_in(text)
    taken: list[Span] = []
    longest = 0
    for span in sorted({*spans, *old}, key=lambda s: (s.start, -s.end, s.kind)):
        if span.end <= span.start:
            continue
        if taken and span.start < taken[-1].end:
            last = taken[-1]
            size = span.end - span.start
            kind = span.kind if size > longest else last.kind
            longest = max(longest, size)
            taken[-1] = Span(last.start, max(last.end, span.end), kind)
        else:
            taken.append(span)
            longest = span.end - span.start
    known = {(s.start, s.end) for s in old}
    return [s for s in taken if (s.start, s.end) not in known]


def replaced(text: str, spans: list[Span]) -> str:
    """Return the text with each span, ordered and apart from each other, replaced by its marker."""
    parts: list[str] = []
    at = 0
    for span in spans:
        parts += (text[at : span.start], marker(span.kind))
        at = span.end
    parts.append(text[at:])
    return "".join(parts)
