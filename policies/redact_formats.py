"""Find secrets by their own shape: vendors' tokens, JSON web tokens, private keys in PEM, PuTTY and base64 form.

- A format is looked for only where one of its words is in the text; its pattern never goes back, so time stays linear.
- A match with few different characters, or one that says that it is an example, is a placeholder and stays.
- A private key is hidden from its first dash to its last; without an end, as far as its body reaches. Public keys and
  certificates stay.

Values that are secret only because of their surroundings are `redact_assign` and `redact_places`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from .redact_span import Span
from .redact_table import Format, table

_EXAMPLE = re.compile(r"example|your[_-]|x{5}|\*{3}|\.{3}|placeholder|redacted|dummy|0{12}", re.IGNORECASE)
_LABEL = re.compile(r"-{4,5} ?BEGIN (?:[A-Z0-9]{1,16} ){0,6}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_END = re.compile(r"-{4,5} ?END [A-Z0-9 ]{0,100}-{4,5}")
_BODY = re.compile(r"(?:[A-Za-z0-9+/=\s:,.\"']|\\+[nrt/]|-(?!-{3}))*+")
_PUTTY = re.compile(r"PuTTY-User-Key-File-[0-9]:")
_PUTTY_KEY = re.compile(r"Private-Lines: ?[0-9]{1,4}[ \t]*(?:\r?\n|\\n)((?:[A-Za-z0-9+/=]{1,80}(?:\r?\n|\\n|$))+)")
_WEB_TOKEN = re.compile(r"(?<![A-Za-z0-9_=.-])ey[JI][A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_=-]*+){1,4}")
_WEB_TOKEN_ESCAPED = re.compile(r"(?:(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))ey[JI][A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_=-]*+){1,4}")
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/])LS0tLS1CRUdJTi[A-Za-z0-9+/=]*+(?:(?:\\n|\r?\n[ \t]*)[A-Za-z0-9+/=]{40,}+)*+")
_NOT_BASE64 = re.compile(r"\\n|[^A-Za-z0-9+/]")
_SECRET_KIND = re.compile(r"""["']?\bkind["']?\s{0,8}:\s{0,8}["']?Secret\b""")
_DATA = re.compile(r"""^([ \t]*)(?:-[ ])?["']?(?:data|stringData)["']?[ \t]*:[ \t]*(?:\{[ \t]*)?$""", re.MULTILINE)
_ENTRY = re.compile(r"""([ \t]*)["']?[\w.-]{1,253}["']?[ \t]*:[ \t]*["']?([^\s"',#|>][^\s"',]*)["']?,?[ \t]*(?:#.*)?""")
_DATA_INLINE = re.compile(r"""["'](?:data|stringData)["']\s{0,8}:\s{0,8}\{([^{}]{0,65536})\}""")
_PAIR_INLINE = re.compile(r"""["'][\w.-]{1,253}["']\s{0,8}:\s{0,8}["']([^"'\\]{1,65536})["']""")


def shaped_secrets(text: str, said: str) -> Iterator[Span]:
    """Yield every secret that its own shape gives away. `said` has the parts of the text between blanks, each once."""
    for form in table().there(said):
        yield from _of(form, text)
    if "eyJ" in text or "eyI" in text:
        yield from _web_tokens(text)
    if "PRIVATE KEY" in text:
        yield from _private_keys(text)
    if "LS0tLS1CRUdJTi" in text:
        yield from _encoded_keys(text)
    if "PuTTY-User-Key-File" in text and _PUTTY.search(text):
        yield from (Span(m.start(1), m.end(1), "private-key") for m in _PUTTY_KEY.finditer(text))
    if "Secret" in text and _SECRET_KIND.search(text):
        yield from _kubernetes(text)


def _of(form: Format, text: str) -> Iterator[Span]:
    for found in form.pattern.finditer(text):
        shown = found[0]
        if len(set(shown[:400][-20:])) >= 6 and not _EXAMPLE.search(shown, 0, 400):
            end = found.end()
            while end > found.start() + 16 and text[end - 1] in ".,-":
                end -= 1
            yield Span(found.start(), end, form.kind)


def _web_tokens(text: str) -> Iterator[Span]:
    for pattern in (_WEB_TOKEN, _WEB_TOKEN_ESCAPED):
        for found in pattern.finditer(text):
            head, _, rest = found[0].partition(".")
            if len(rest) < 16 or len(set(rest[:64])) < 8 or not _is_json(head):
                continue
            yield Span(found.start(), found.end(), "jwt")


def _is_json(head: str) -> bool:
    try:
        start = base64.urlsafe_b64decode(head[: len(head[:64]) // 4 * 4])
    except (binascii.Error, ValueError):
        return False
    return start.startswith((b'{"', b"{ ", b"{\n", b"{\r", b"{\t"))


def _private_keys(text: str) -> Iterator[Span]:
    next_end: re.Match[str] | None = None
    searched = False
    labels = list(_LABEL.finditer(text))
    for number, label in enumerate(labels):
        if not searched or (next_end is not None and next_end.start() < label.end()):
            next_end, searched = _END.search(text, label.end()), True
        stop = labels[number + 1].start() if number + 1 < len(labels) else len(text)
        if next_end is not None and next_end.start() <= stop and next_end.end() - label.end() <= 65536:
            if next_end.start() - label.end() > 24:
                yield Span(label.start(), next_end.end(), "private-key")
            continue
        body = _BODY.match(text, label.end())
        end = min(body.end(), stop) if body else label.end()
        if len(text[label.end() : end].strip()) > 24 and _looks_encoded(text[label.end() : label.end() + 200]):
            yield Span(label.start(), end, "private-key")


def _looks_encoded(body: str) -> bool:
    return re.search(r"[A-Za-z0-9+/=]{24}", body) is not None


def _encoded_keys(text: str) -> Iterator[Span]:
    for found in _ENCODED.finditer(text):
        start = _NOT_BASE64.sub("", found[0][:120])
        if b"PRIVATE KEY" in base64.b64decode(start[: len(start) // 4 * 4]):
            yield Span(found.start(), found.end(), "private-key")


def _kubernetes(text: str) -> Iterator[Span]:
    for block in _DATA.finditer(text):
        depth = len(block[1])
        at = block.end() + 1
        while at < len(text):
            line_end = text.find("\n", at)
            line_end = len(text) if line_end < 0 else line_end
            entry = _ENTRY.fullmatch(text, at, line_end)
            if entry is None or len(entry[1]) <= depth:
                break
            yield Span(entry.start(2), entry.end(2), "kubernetes-secret")
            at = line_end + 1
    for inline in _DATA_INLINE.finditer(text):
        for pair in _PAIR_INLINE.finditer(text, inline.start(1), inline.end(1)):
            yield Span(pair.start(1), pair.end(1), "kubernetes-secret")
